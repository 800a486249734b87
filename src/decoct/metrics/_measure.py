"""Parts that metrics share: the loop over classes, real splits and scopes, on the same real images for every set."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured, Reading
from decoct.core.once import part

Split = Literal["train", "val"]
Comparison = Callable[[NDArray[Any], NDArray[Any], int | None], Mapping[str, float]]
MOST = 10_000  # real images that enter one comparison: pairs of them cost the square


def against_real(
    measured: Measured,
    compare: Comparison,
    *,
    splits: Sequence[Split] = ("train", "val"),
    per_class: bool = True,
    pooled: bool = True,
    absent: Mapping[str, float] | None = None,
) -> list[Reading]:
    """Readings of a comparison with real features: class by class, and of all classes together.

    Of more than ``MOST`` real images, of a class or of all, ``MOST`` are drawn, the same for every set.

    Args:
        measured: the set and the real data.
        compare: (real [N, d], condensed [n, d], population) -> values by name. The population is the number of images
            of which the set is a subset, and the real ones a sample or all; None where the set has nothing to do with
            the real images.
        splits: the real splits to compare with; one that has no images is left out.
        per_class: whether to give the mean over classes.
        pooled: whether to give the comparison of all classes together.
        absent: values of a class that the set has no image of; those that are not named are undefined there.

    Raises:
        DecoctError: the comparison refused the features.
    """
    readings, classes = [], len(measured.class_names)
    own = rows_by_class(measured.labels, classes)
    for split in splits:
        if len(measured.real.get(split, ())) == 0:
            continue
        real, labels = measured.real[split], measured.real_labels[split]
        member = measured.member and split == "train"
        try:
            if per_class:
                values = []
                for c, (rows, mine) in enumerate(zip(rows_by_class(labels, classes), own, strict=True)):
                    if len(rows) == 0:
                        continue
                    near = chosen(real, labels, rows, c)
                    population = len(rows) if member else None
                    values.append(compare(near, measured.condensed[mine], population) if len(mine) else absent or {})
                readings += mean_readings(values, split)
            if pooled:
                near, population = chosen(real, labels, np.arange(len(real)), "all"), len(real) if member else None
                values_of_all = compare(near, measured.condensed, population)
                readings += [Reading(name, value, "pooled", split) for name, value in values_of_all.items()]
        except ValueError as error:
            raise DecoctError(f"cannot measure against the {split} split: {error}") from error
    return readings


def chosen(real: NDArray[Any], labels: NDArray[np.int64], rows: NDArray[np.int64], name: int | str) -> NDArray[Any]:
    """Features of at most ``MOST`` of some real images; the same array each time, where there is room.

    Args:
        real: [N, d].
        labels: [N].
        rows: the images.
        name: of them, such as the class.
    """
    return part(real, (name, MOST), lambda: np.array(real[rows[sample(labels[rows], MOST)]]))


def sample(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Rows of ``most`` images, ascending, drawn once and for all; classes keep their shares. All if there are fewer."""
    n = len(labels)
    if n <= most:
        return np.arange(n)
    shuffled = np.random.default_rng(0).permutation(n)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return np.sort(by_class[np.linspace(0, n - 1, most).round().astype(np.int64)])


def as_labels(labels: tuple[ArrayLike | Tensor, ArrayLike | Tensor], *sizes: int) -> list[NDArray[np.int64]]:
    """Classes of the real and of the condensed rows, checked against their numbers.

    Raises:
        ValueError: other numbers of labels, or a negative one.
    """
    classes = [np.asarray(torch.as_tensor(part).cpu(), dtype=np.int64) for part in labels]
    shapes = [part.shape for part in classes]
    if shapes != [(size,) for size in sizes]:
        raise ValueError(
            f"{sizes[0]} real and {sizes[1]} condensed rows need as many labels; got {shapes[0]}, {shapes[1]}"
        )
    if min(part.min() for part in classes) < 0:
        raise ValueError("labels must not be negative")
    return classes


def rows_by_class(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """Rows of each class, ascending, in class order; empty for a class without images."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, classes)))


def share(flags: Tensor) -> float:
    """How many of some flags are true, over how many they are."""
    return int(flags.sum()) / len(flags)


def mean_defined(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each value over the classes where it is defined, which is neither missing nor NaN; NaN for none."""
    return {reading.metric: reading.value for reading in mean_readings(values, "none")}


def mean_readings(values: Sequence[Mapping[str, float]], reference: Literal["train", "val", "none"]) -> list[Reading]:
    """The same as readings, each with the number of classes where it is defined."""
    readings = []
    for name in dict.fromkeys(name for each in values for name in each):
        known = [each[name] for each in values if not math.isnan(each.get(name, math.nan))]
        mean = math.fsum(known) / len(known) if known else math.nan
        readings.append(Reading(name, mean, "per_class", reference, len(known)))
    return readings
