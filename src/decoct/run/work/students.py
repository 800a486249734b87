"""The work on students: labels that are stored for them, their training, and their one evaluation."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Task, TrainProtocol
from decoct.core.record import Result, write_json
from decoct.core.seeds import seed as derive
from decoct.core.spec import parse
from decoct.data.dataset import Dataset
from decoct.engine.evaluate import correct
from decoct.engine.images import tensor
from decoct.engine.ownlabels import own_labels
from decoct.engine.relabel import relabel
from decoct.engine.softlabels import StoredLabels
from decoct.engine.train import TrainingSet, train
from decoct.nets import zoo
from decoct.nets.layout import has_batch_norm
from decoct.run.cell import Cell
from decoct.run.work.sets import label_bytes
from decoct.run.work.teachers import CORRECT, RESULT, load_teacher


def training_set(condensed: Condensed | None, data: Dataset) -> TrainingSet:
    """What a student trains on: a set with its pixels, or the whole train split."""
    whole = data.train if condensed is None else condensed
    pixels = data.train.images if condensed is None else condensed.pixels()
    weights = None if condensed is None else condensed.weights
    return TrainingSet(
        tensor(pixels),
        torch.from_numpy(np.array(whole.labels)),
        data.mean,
        data.std,
        None if weights is None else torch.from_numpy(weights),
    )


def given(cell: Cell) -> tuple[Condensed | None, TrainingSet]:
    """The set that a job trains on, None for the whole train split, and its pixels."""
    key = cell.job.inputs.get("condensed")
    condensed = Condensed.load(cell.input("condense", key)) if key else None
    condensed = condensed.materialise(cell.data.train.images) if condensed else None
    return condensed, training_set(condensed, cell.data)


def task_of(condensed: Condensed | None, data: Dataset, batch_norm: bool, images: int | None = None) -> Task:
    """What the protocol is told; ``images`` stands in for the number of the training images."""
    count = images or len(data.train if condensed is None else condensed)
    mosaic = 1 if condensed is None else condensed.mosaic
    ceiling = condensed is None and images is None
    soft = condensed is not None and condensed.soft_labels is not None
    return Task(count, len(data.class_names), data.size, data.flip, ceiling, batch_norm, mosaic, soft)


def make_labels(cell: Cell) -> None:
    """Label a set once, and keep the labels as the protocol says."""
    job, data = cell.job, cell.data
    protocol = parse("protocol", job.config, job.plugins)
    condensed, images = given(cell)
    teachers = teachers_of(cell)
    with cell.meter():
        made = relabel(
            images,
            protocol.recipe(task_of(condensed, data, batch_norm=True)),
            teachers,
            protocol.labels,
            data.class_names,
            seed=job.keyed["seed"],
            device=cell.device,
            precision=job.keyed["compute"]["precision"],
            progress=cell.progress,
        )
    made.save(cell.folder)


def teachers_of(cell: Cell) -> list[nn.Module]:
    """The teachers that label for a job, on its device."""
    teachers = cell.job.role("teacher").values()
    return [load_teacher(cell.input("teacher", key), cell.data, cell.device) for key in teachers]


def make_student(cell: Cell) -> None:
    """Train one student and evaluate it once, at its last step, on test; a DecoctError if stored labels do not fit."""
    job, data = cell.job, cell.data
    protocol, compute = parse("protocol", job.config, job.plugins), job.keyed["compute"]
    condensed, images = given(cell)
    classes = len(data.class_names)
    student = zoo.build(job.keyed["student"], data.shape[0], classes, data.size, job.keyed["seed"])
    norm = has_batch_norm(student)
    recipe = protocol.recipe(task_of(condensed, data, norm))
    if budget := job.keyed.get("as_long_as"):
        small = sum(Budget(**budget).per_class(data.counts(), data.class_names))
        recipe = recipe.lasting(protocol.recipe(task_of(None, data, norm, images=small)).steps)
    labels = StoredLabels.load(cell.input("labels", key)) if (key := job.inputs.get("labels")) else None
    if labels is not None:
        labels.check(images, data.class_names, recipe)
    teachers = teachers_of(cell)
    with cell.meter():
        done = train(
            student,
            images,
            recipe,
            seed=job.keyed["seed"],
            device=cell.device,
            teachers=teachers,
            labels=labels or own_labels(protocol, condensed),
            precision=compute["precision"],
            compiled=compute["compile"],
            progress=cell.progress,
            checkpoint=cell.checkpoint(),
        )
    right = correct(student, data.test, data, cell.device)
    hard = len(images.labels) if condensed is None else label_bytes(condensed)
    result = Result(
        accuracy=float(right.mean()),
        per_class=tuple(float(right[data.test.labels == c].mean()) for c in range(classes)),
        test_images=len(right),
        steps=done.steps,
        images_seen=done.images_seen,
        loss=done.loss,
        label_bytes=hard + (labels.nbytes if labels else 0),
    )
    write_json(cell.folder / RESULT, result.model_dump(mode="json"))
    np.save(cell.folder / CORRECT, np.packbits(right))


Student = nn.Module | Callable[[], nn.Module]


def train_module(
    condensed: Condensed,
    data: Dataset,
    protocol: TrainProtocol,
    student: Student,
    seeds: Sequence[int],
    *,
    teachers: Sequence[nn.Module],
    labels: StoredLabels | None = None,
    device: str,
    precision: str,
) -> tuple[list[float], int]:
    """Test accuracy of the caller's own student by seed, at the last step, and the number of steps; nothing is stored.

    A module is copied for each seed, which then is of the batches alone; a function makes one. The set fits the data;
    teachers are in eval mode on the device, and stored labels stand in their place.

    Raises:
        UsageError: the function makes no module.
        DecoctError: the module cannot take such images, or gives other outputs than one per class.
    """
    images = training_set(condensed.materialise(data.train.images), data)
    classes, name, accuracies = len(data.class_names), student_name(student), []
    for s in seeds:
        start = derive(0, data.digest, "student", name, 0, s)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(start)
            net = copy.deepcopy(student) if isinstance(student, nn.Module) else student()
        if not isinstance(net, nn.Module):
            raise UsageError(f"{name}() gave a {type(net).__name__}: a student is a name, an nn.Module, or makes one")
        recipe = protocol.recipe(task_of(condensed, data, has_batch_norm(net)))
        if labels is not None:
            labels.check(images, data.class_names, recipe)
        soft = labels or own_labels(protocol, condensed)
        try:
            train(net, images, recipe, seed=start, device=device, teachers=teachers, labels=soft, precision=precision)
            accuracies.append(float(correct(net, data.test, data, device).mean()))
        except (RuntimeError, IndexError, ValueError) as error:
            raise DecoctError(f"{name} failed on {classes} classes of {data.shape} images: {error}") from error
    return accuracies, recipe.steps


def student_name(student: Student) -> str:
    """The class of a module, or the name of a function."""
    return type(student).__name__ if isinstance(student, nn.Module) else getattr(student, "__name__", "student")
