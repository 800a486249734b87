"""What metrics share: the loop over classes, real splits and scopes, and what is worth computing once."""

import functools
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.kinds import Measured, Reading

P = ParamSpec("P")
R = TypeVar("R")

Split = Literal["train", "val"]
Comparison = Callable[[NDArray[Any], NDArray[Any], bool], Mapping[str, float]]


def against_real(
    measured: Measured,
    compare: Comparison,
    *,
    splits: Sequence[Split] = ("train", "val"),
    pooled: bool = True,
) -> list[Reading]:
    """Readings of a comparison with real features: class by class, and of all classes together.

    Args:
        measured: the set and the real data.
        compare: (real [N, d], condensed [n, d], the set is a subset of that real split) -> values by name.
        splits: the real splits to compare with; one that has no images is left out.
        pooled: whether to give the comparison of all classes together as well.

    Raises:
        DecoctError: the comparison refused the features.
    """
    readings = []
    own = rows_by_class(measured.labels, len(measured.class_names))
    for split in splits:
        if len(measured.real.get(split, ())) == 0:
            continue
        real, member = measured.real[split], measured.member and split == "train"
        theirs = rows_by_class(measured.real_labels[split], len(measured.class_names))
        try:
            pairs = [(r, c) for r, c in zip(theirs, own, strict=True) if len(r) and len(c)]
            values = mean_defined([compare(real[r], measured.condensed[c], member) for r, c in pairs])
            readings += [Reading(name, value, "per_class", split) for name, value in values.items()]
            if pooled:
                values = dict(compare(real, measured.condensed, member))
                readings += [Reading(name, value, "pooled", split) for name, value in values.items()]
        except ValueError as error:
            raise DecoctError(f"cannot measure against the {split} split: {error}") from error
    return readings


def rows_by_class(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """Rows of each class, ascending, in class order; empty for a class without images."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, classes)))


def mean_defined(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each value over the classes where it is defined (not NaN); NaN where it is defined for none."""
    names = values[0] if values else {}
    defined = {name: [v[name] for v in values if not math.isnan(v[name])] for name in names}
    return {name: math.fsum(known) / len(known) if known else math.nan for name, known in defined.items()}


def once(function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """``function(array, **options)``, computed once per process for arrays of equal content.

    Every set of a study is measured against the same real features, and what depends on those alone, such as their
    k-NN radii, costs more than all the rest. Only the result is kept, not the array.
    """
    array = np.ascontiguousarray(cast(Any, args[0]))
    content = (array.shape, array.dtype.str, hashlib.blake2b(array.data).hexdigest())
    slot = _slot(function, content, tuple(sorted(options.items())))
    if not slot:
        slot.append(function(*args, **options))
    return cast(R, slot[0])


@functools.lru_cache(maxsize=4096)
def _slot(function: Callable[..., Any], content: tuple[Any, ...], options: tuple[Any, ...]) -> list[Any]:
    return []
