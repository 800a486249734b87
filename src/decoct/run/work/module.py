"""A student that is the caller's own module: trained as any other, but nothing of it is stored."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Machine, TrainProtocol
from decoct.core.seeds import seed as derive
from decoct.data.dataset import Dataset
from decoct.engine.evaluate import correct
from decoct.engine.ownlabels import own_labels
from decoct.engine.softlabels import StoredLabels
from decoct.engine.train import train
from decoct.nets.layout import has_batch_norm
from decoct.run.work.students import task_of, training_set

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
    machine: Machine,
) -> tuple[list[float], int]:
    """Test accuracy by seed, at the last step, and the number of steps.

    Args:
        condensed: a set that fits the data.
        data: the data set.
        protocol: how to train.
        student: a module, copied for each seed, or a function that makes one.
        seeds: of weights, where the student is a function, and of batches.
        teachers: the protocol's, in eval mode on the machine's device.
        labels: stored labels instead of teachers.
        machine: where and how.

    Raises:
        UsageError: the function makes no module.
        DecoctError: the module cannot take such images, or gives other outputs than one per class.
    """
    given = training_set(condensed.materialise(data.train.images), data)
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
            labels.check(given, data.class_names, recipe)
        soft = labels or own_labels(protocol, condensed)
        try:
            train(net, given, recipe, seed=start, machine=machine, teachers=teachers, labels=soft)
            accuracies.append(float(correct(net, data.test, data, machine.device).mean()))
        except (RuntimeError, IndexError, ValueError) as error:
            raise DecoctError(f"{name} failed on {classes} classes of {data.shape} images: {error}") from error
    return accuracies, recipe.steps


def student_name(student: Student) -> str:
    """The class of a module, or the name of a function."""
    return type(student).__name__ if isinstance(student, nn.Module) else getattr(student, "__name__", "student")
