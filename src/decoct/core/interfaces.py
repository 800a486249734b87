"""The interfaces: what a condenser, a protocol and a metric declare, get and return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.needs import Need
from decoct.core.spec import Spec

if TYPE_CHECKING:  # types alone, so that a checker knows what a method gets: core stands below all of these
    from torch import nn

    from decoct.core.condensed import Condensed
    from decoct.data.dataset import Dataset
    from decoct.needs.dynamics import Dynamics, Traces
    from decoct.needs.features import Features
    from decoct.needs.generator import ImageGenerator
    from decoct.needs.statistics import Statistics
    from decoct.needs.trajectory import Experts, Trajectories
    from decoct.nets.diffusion import DiffusionModel
    from decoct.training.recipe import Recipe, Storing

__all__ = [
    "Axis",
    "Condenser",
    "Draft",
    "Inputs",
    "Kept",
    "Machine",
    "Measured",
    "Metric",
    "Need",
    "Progress",
    "Reading",
    "Start",
    "Task",
    "TrainProtocol",
    "silent",
]

Start = Literal["fresh", "pretrained", "frozen"]
Axis = Literal["representativeness", "diversity", "quality", "cost"]
Progress = Callable[[int, int], None]  # steps done, steps in all


def silent(done: int, total: int) -> None:
    """A progress callback that says nothing."""


class Kept:
    """Intermediate results of a long construction, for resuming it after it was killed; this one keeps nothing."""

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """What was saved under a name; None if nothing was."""
        return None

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Save arrays under a name, whole or not at all."""

    def due(self) -> bool:
        """Whether it is time to save again something that changes step by step."""
        return False

    def drop(self, name: str) -> None:
        """Forget what was saved under a name, if anything was."""

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        """Room for an array, zeros at first; the runner's is on disk, so that a large set fills no memory."""
        return np.zeros(shape, dtype)


@dataclass(frozen=True)
class Machine:
    """Where and how something is computed, its progress callback, and the store of intermediate results.

    Attributes:
        device: such as "cpu" or "cuda".
        precision: of a training, "float32" or "bfloat16" (autocast; losses stay in float32).
        compiled: run the net that is trained through torch.compile.
        progress: called with (steps done, steps in all).
        kept: intermediate results, such as the state of a long training, which continues to equal bytes.
    """

    device: str = "cpu"
    precision: str = "float32"
    compiled: bool = False
    progress: Progress = silent
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True)
class Inputs:
    """What the runner hands to a condenser.

    Attributes:
        data: the data set; a condenser reads ``data.train``, ``data.mean``, ``data.std``.
        budget: how many images to make.
        seed: every draw derives from it; a method that is not stochastic ignores it.
        device: where to compute.
        precision: of the study's trainings, for a method that has none of its own.
        compiled: run nets that judge images through torch.compile, where the method can.
        teachers: nets in eval mode on ``device``, by the name that the need gave.
        features: [N, d] float arrays over the train split, in the order of ``data.train``, by need.
        held_out: the same over the val split, where the extractor has them.
        statistics: moments of the inputs of their layers, by the name that the need ``LayerStatistics`` gave the net.
        dynamics: by need.
        trajectories: by need.
        generators: by need.
        others: what other needs loaded, by need.
        classes: which classes to make, of a shard; None for all.
        numbers: of each class, the first image number to make and the one after the last, of a shard; None for all.
        kept: intermediate results.
        progress: call it with (steps done, steps in all).
    """

    data: "Dataset"
    budget: Budget
    seed: int = 0
    device: str = "cpu"
    precision: str = "float32"
    compiled: bool = False
    teachers: "Mapping[str, nn.Module]" = field(default_factory=dict)
    features: "Mapping[Features, NDArray[Any]]" = field(default_factory=dict)
    held_out: "Mapping[Features, NDArray[Any]]" = field(default_factory=dict)
    statistics: "Mapping[str, Statistics]" = field(default_factory=dict)
    dynamics: "Mapping[Dynamics, Traces]" = field(default_factory=dict)
    trajectories: "Mapping[Trajectories, Experts]" = field(default_factory=dict)
    generators: "Mapping[ImageGenerator, DiffusionModel]" = field(default_factory=dict)
    others: Mapping[Need, Any] = field(default_factory=dict)
    classes: tuple[int, ...] | None = None
    numbers: tuple[int, int] | None = None
    kept: Kept = field(default_factory=Kept)
    progress: Progress = silent

    def wanted(self) -> tuple[int, ...]:
        """The classes to make, in class order."""
        return tuple(range(len(self.data.class_names))) if self.classes is None else self.classes

    def quotas(self) -> list[int]:
        """Images to make of each class that is wanted, in class order; a class may give none."""
        each = self.budget.per_class(self._counts(), self.data.class_names)
        return [each[c] for c in self.wanted()]

    def ipc(self, method: str) -> int:
        """Images of every class, for a method that makes as many of each: one that says ``even``.

        Raises:
            DecoctError: the budget gives classes different numbers, or one of them none.
        """
        return self.budget.of_each(method, self._counts(), self.data.class_names)

    def span(self, method: str) -> range:
        """Image numbers to make of each class, for a method that makes as many of each."""
        return range(*(self.numbers or (0, self.ipc(method))))

    def members(self) -> list[NDArray[np.int64]]:
        """Train indices of each class that is wanted, ascending, in class order."""
        return [np.flatnonzero(self.data.train.labels == c) for c in self.wanted()]

    def _counts(self) -> list[int]:
        counts: list[int] = np.bincount(self.data.train.labels, minlength=len(self.data.class_names)).tolist()
        return counts


@dataclass(frozen=True)
class Draft:
    """What a condenser returns: train indices, or pixels with labels. The runner adds cost and provenance.

    Attributes:
        indices: [n] train indices, or None.
        images: [n, C, H, W] uint8, or float32 in the data's own scale (0 to 1), or None.
        labels: [n] class of each image; needed with images, derived from the train split for indices.
        soft_labels: [n, classes] float32, or None.
        weights: [n] float32 sample weights, or None.
        steps: optimiser steps that the construction took; 0 for a selection.
        initial: [n, C, H, W] uint8, what an optimised set started from, for the report; or None.
        mosaic: tiles per side that each image is made of; 1 for whole images.
        rate: learning rate that was learnt with the images; or None.
        notes: facts of the construction by name, such as the final loss.
    """

    indices: NDArray[np.int64] | None = None
    images: NDArray[Any] | None = None
    labels: NDArray[np.int64] | None = None
    soft_labels: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None
    steps: int = 0
    initial: NDArray[np.uint8] | None = None
    mosaic: int = 1
    rate: float | None = None
    notes: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def selected(cls, indices: Any, weights: NDArray[np.float32] | None = None) -> "Draft":
        """A selection of real images, in order of picking within each class."""
        return cls(indices=np.asarray(indices, dtype=np.int64), weights=weights)

    @classmethod
    def synthesised(cls, images: Any, labels: Any, **rest: Any) -> "Draft":
        """New images: uint8, or float32 in [0, 1]."""
        return cls(images=np.asarray(images), labels=np.asarray(labels, dtype=np.int64), **rest)


class Condenser(Spec):
    """A method that makes a small training set. Its docstring names the paper; its fields are its hyper-parameters.

    ``stochastic``: its seed matters; another teacher may give another set in any case. ``even``: it makes the same
    number of images of each class, and a budget that gives others is refused before anything runs.
    """

    kind: ClassVar[str] = "condenser"
    family: ClassVar[Literal["coreset", "distillation"]]
    stochastic: ClassVar[bool] = True
    even: ClassVar[bool] = False

    def at(self, size: int) -> Self:
        """The same with the fields that depend on the resolution filled in; this one is made and keyed."""
        return self

    def together(self, ipc: int) -> int | None:
        """Number of consecutive classes that are made together; None if the method needs all of them at once.

        A shard of whole groups of such classes is that part of the whole set, bit for bit.

        Args:
            ipc: images of each class; of the class that gives most where they differ.
        """
        return None

    def apart(self, ipc: int, classes: int) -> int | None:
        """Number of consecutive images of each class that are made together; None if all are.

        A shard of whole groups of such images is that part of the whole set, bit for bit on a CPU.

        Args:
            ipc: images of each class.
            classes: that are made together.
        """
        return None

    def needs(self) -> tuple[Need, ...]:
        """What must exist first."""
        return ()

    def memory(self, shape: tuple[int, int, int], classes: int, ipc: int) -> int:
        """Estimated peak memory of making a set, in bytes, beyond its inputs; 0 for no estimate.

        More than the device has is refused before anything runs.

        Args:
            shape: (C, S, S) of the images.
            classes: how many there are.
            ipc: images of each; of the class that gives most where they differ.
        """
        return 0

    def __call__(self, inputs: Inputs) -> Draft:
        """Make the set."""
        raise DecoctError(f"{self.name} does not say how it condenses: define __call__(self, inputs)")


@dataclass(frozen=True)
class Task:
    """What a protocol may adapt its recipe to.

    Attributes:
        images: number of training images N.
        classes: number of classes.
        size: height and width in pixels.
        flip: whether the data allow mirroring.
        ceiling: the training set is the whole train split.
        batch_norm: the student has batch norm, which cannot train on a batch of one image.
        mosaic: tiles per side that each image is made of; 1 for whole images.
        soft_labels: the set has soft labels of its own.
        rate: learning rate that was learnt with the set; or None.
    """

    images: int
    classes: int
    size: int
    flip: bool
    ceiling: bool = False
    batch_norm: bool = True
    mosaic: int = 1
    soft_labels: bool = False
    rate: float | None = None

    @classmethod
    def of(
        cls, data: "Dataset", condensed: "Condensed | None" = None, batch_norm: bool = True, images: int | None = None
    ) -> Self:
        """The task for a set, or for the whole train split; for a set that does not exist yet, from its ``images``."""
        about = (len(data.class_names), data.size, data.flip)
        if condensed is None:
            return cls(images or len(data.train), *about, images is None, batch_norm)
        own = condensed.mosaic, condensed.soft_labels is not None, condensed.rate
        return cls(len(condensed), *about, False, batch_norm, *own)


class TrainProtocol(Spec):
    """A way to train a student, the same for every set. A run calls only these methods of it.

    ``FromScratch`` and ``SoftLabelled`` of ``decoct.training.recipe`` answer most of it from their fields.
    """

    kind: ClassVar[str] = "protocol"

    def label_teachers(self, size: int) -> tuple[str, ...]:
        """Nets whose logits label the batches at a resolution; none for hard labels."""
        return ()

    def storing(self) -> "Storing | None":
        """How the teachers' labels are stored before a student trains; None for labels of every batch as it comes."""
        return None

    def stored(self, storing: "Storing") -> Self:
        """The same protocol with its teachers' labels stored so.

        Raises:
            UsageError: it cannot learn from stored labels.
        """
        raise UsageError(f"{self.name} cannot learn from stored labels: define storing() and stored(), or take another")

    def takes_own_labels(self) -> bool:
        """Whether a student learns from a set's own soft labels, if it has some."""
        return False

    def fixed_steps(self) -> int | None:
        """Optimiser steps that are the same for every set; None if they depend on its size."""
        return None

    def start(self) -> Start:
        """What a student starts from: fresh weights, pretrained ones, or these frozen under a linear head."""
        return "fresh"

    def resized(self, size: int) -> int | None:
        """Side that a pretrained student resizes the data's images to; None for that which it was pretrained at."""
        return size

    def recipe(self, task: Task) -> "Recipe":
        """All numbers of the training for a training set."""
        raise DecoctError(f"{self.name} does not say how it trains: define recipe(self, task)")


@dataclass(frozen=True)
class Measured:
    """What the runner hands to a metric: one condensed set and the real data that it represents.

    Attributes:
        condensed: [n, d] features of the set.
        labels: [n] its classes.
        real: features of real splits, "train" and "val", each [N, d].
        real_labels: their classes.
        class_names: in class order.
        member: the set is a subset of the train split.
        logits: [n, classes] of the held-out teacher on the set.
        cost: what the set took, by the names of ``decoct.metrics.cost``; None, or left out, where unknown.
    """

    condensed: NDArray[Any]
    labels: NDArray[np.int64]
    real: Mapping[str, NDArray[Any]]
    real_labels: Mapping[str, NDArray[np.int64]]
    class_names: tuple[str, ...]
    member: bool
    logits: NDArray[Any]
    cost: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One value of a metric.

    Attributes:
        metric: what was measured, such as "coverage".
        value: NaN if the metric is not defined, such as recall with no more images than k.
        scope: "per_class" (mean over classes) or "pooled".
        reference: the real split it was measured against: "train", "val", or "none".
        classes: number of classes in the mean, those in which the value is defined; None for pooled.
    """

    metric: str
    value: float
    scope: Literal["per_class", "pooled"]
    reference: Literal["train", "val", "none"]
    classes: int | None = None


class Metric(Spec):
    """A property of a condensed set other than the accuracy that it gives.

    Attributes:
        axis: what kind of property.
        needs: its input: features of each extractor; logits of the held-out teacher, once; or the cost of the set.
        higher_is_better: by the names of the values that it gives; None for a fact that is neither good nor bad.
        lead: the values shown where there is no room for all.
        lead_against: the split that these are measured against, if it has images.
        limits: the lowest and the highest possible value, if any.
    """

    kind: ClassVar[str] = "metric"
    axis: ClassVar[Axis]
    needs: ClassVar[Literal["features", "logits", "cost"]] = "features"
    higher_is_better: ClassVar[Mapping[str, bool | None]]
    lead: ClassVar[tuple[str, ...]] = ()
    lead_against: ClassVar[Literal["train", "val"]] = "val"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __call__(self, measured: Measured) -> list[Reading]:
        """Measure one set."""
        raise DecoctError(f"{self.name} does not say how it measures: define __call__(self, measured)")
