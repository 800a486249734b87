"""The work on students: stored labels, training, and one evaluation each.

A student that is the caller's own module is trained like any other, but nothing of it is stored.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine, Task, TrainProtocol
from decoct.core.record import Result, write_json
from decoct.core.seeds import seed as derive
from decoct.core.spec import parse
from decoct.data.dataset import Dataset
from decoct.needs.teacher import load_labeller, training_set
from decoct.nets.layout import has_batch_norm
from decoct.nets.renormalise import Normalisation
from decoct.nets.room import told
from decoct.nets.started import started
from decoct.nets.student import Student
from decoct.study.cell import Cell
from decoct.study.work.sets import label_bytes
from decoct.training.evaluate import correct
from decoct.training.loop import TrainingSet, train
from decoct.training.probe import fit_head
from decoct.training.relabel import relabel
from decoct.training.softlabels import StoredLabels, own_labels

RESULT, CORRECT = "result.json", "correct.npy"
Module = nn.Module | Callable[[], nn.Module]  # the caller's own


def given(cell: Cell) -> tuple[Condensed | None, TrainingSet]:
    """The set that a job trains on, None for the whole train split, and its pixels."""
    key = cell.job.inputs.get("condensed")
    condensed = Condensed.load(cell.input("condense", key)).materialise(cell.data.train.images) if key else None
    return condensed, training_set(cell.data, condensed)


def make_labels(cell: Cell) -> None:
    """Label a set once, and keep the labels as the protocol says.

    Files:
        labels.safetensors: logits in 16 or 8 bits, whole or the largest; rows, crops, flips, mixing of each view
        labels.json: digest of the set, class names, what the views depend on, temperature, how labels are stored
    """
    job, data = cell.job, cell.data
    protocol = parse("protocol", job.config, job.plugins)
    condensed, images = given(cell)
    teachers, recipe, seed = teachers_of(cell), protocol.recipe(Task.of(data, condensed)), job.keyed["seed"]
    with cell.meter():
        machine, storing = cell.machine(), protocol.storing()
        made = relabel(images, recipe, teachers, storing, data.class_names, seed=seed, machine=machine)
    made.save(cell.folder)


def teachers_of(cell: Cell) -> list[nn.Module]:
    """The teachers that label for a job, on its device."""
    return [load_labeller(folder, cell.data, cell.device) for folder in cell.cells("teacher").values()]


def make_student(cell: Cell) -> None:
    """Train one student and evaluate it once, at its last step, on test; a DecoctError if stored labels do not fit.

    Files:
        result.json: accuracy, by class too, test images, steps, images seen, final loss, bytes of labels
        correct.npy: which test images were right, packed bits
    """
    job, data = cell.job, cell.data
    protocol = parse("protocol", job.config, job.plugins)
    condensed, images = given(cell)
    classes = len(data.class_names)
    student = start(protocol, job.student or job.keyed["student"], data, job.keyed["seed"])
    norm = has_batch_norm(student)
    recipe = protocol.recipe(Task.of(data, condensed, norm))
    if budget := job.keyed.get("as_long_as"):
        small = sum(Budget(**budget).per_class(data.counts(), data.class_names))
        recipe = recipe.lasting(protocol.recipe(Task.of(data, None, norm, small)).steps)
    labels = StoredLabels.load(cell.input("labels", key)) if (key := job.inputs.get("labels")) else None
    if labels is not None:
        labels.check(images, data.class_names, recipe)
    teachers, seed = teachers_of(cell), job.keyed["seed"]
    with cell.meter():
        soft, machine = labels or own_labels(protocol, condensed), cell.machine()
        if protocol.start() == "frozen":
            done = fit_head(student, images, recipe, machine)
        else:
            done = train(student, images, recipe, seed=seed, machine=machine, teachers=teachers, labels=soft)
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


def start(protocol: TrainProtocol, word: str, data: Dataset, seed: int) -> nn.Module:
    """The student that a word means, as the protocol starts it, for images under the data's normalisation."""
    net, classes = Student.of(word), len(data.class_names)
    if protocol.start() == "fresh":
        return net.build(data.shape[0], classes, data.size, seed)
    own = Normalisation.of(data.mean, data.std)
    return started(net, own, classes, data.size, seed, protocol.resized(data.size))


def train_module(
    condensed: Condensed,
    data: Dataset,
    protocol: TrainProtocol,
    student: Module,
    seeds: Sequence[int],
    *,
    teachers: Sequence[nn.Module],
    labels: StoredLabels | None = None,
    machine: Machine,
) -> tuple[list[float], int]:
    """Test accuracy of the caller's own student by seed, at the last step, and the number of steps; nothing is stored.

    A module is copied for each seed, which then is of the batches alone; a function makes one. The set fits the data;
    teachers are in eval mode on the machine's device, and stored labels stand in their place.

    Raises:
        UsageError: the function makes no module.
        DecoctError: the module cannot take such images, or gives other outputs than one per class.
    """
    if protocol.start() != "fresh":
        raise UsageError(
            f"{protocol.name} starts from weights that have a name: name the student, as package.module:make"
        )
    given = training_set(data, condensed.materialise(data.train.images))
    classes, name, accuracies = len(data.class_names), student_name(student), []
    for s in seeds:
        start = derive(0, data.digest, "student", name, 0, s)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(start)
            net = copy.deepcopy(student) if isinstance(student, nn.Module) else student()
        if not isinstance(net, nn.Module):
            raise UsageError(f"{name}() gave a {type(net).__name__}: a student is a name, an nn.Module, or makes one")
        recipe = protocol.recipe(Task.of(data, condensed, has_batch_norm(net)))
        if labels is not None:
            labels.check(given, data.class_names, recipe)
        soft = labels or own_labels(protocol, condensed)
        out = f"{machine.device} ran out of memory in a training of {name} in batches of {recipe.batch}"
        try:
            with told(out, machine.device, "lower batch, or take a smaller student"):
                train(net, given, recipe, seed=start, machine=machine, teachers=teachers, labels=soft)
                accuracies.append(float(correct(net, data.test, data, machine.device).mean()))
        except (RuntimeError, IndexError, ValueError) as error:
            raise DecoctError(f"{name} failed on {classes} classes of {data.shape} images: {error}") from error
    return accuracies, recipe.steps


def student_name(student: Module) -> str:
    """The class of a module, or the name of a function."""
    return type(student).__name__ if isinstance(student, nn.Module) else getattr(student, "__name__", "student")
