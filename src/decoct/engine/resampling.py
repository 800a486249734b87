"""How far a value hangs on chance: on the very images of a set and of the held-out split, and beside random sets."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from decoct.core.kinds import Measured, Metric, Reading
from decoct.engine.measure import MOST, rows_by_class

SHARE = 1 - math.exp(-1)  # of the images in a resample: as many unlike ones as n draws with replacement hold
LEVEL = 0.95
Name = tuple[str, str, str]  # metric, scope, reference


def over_images(metric: Metric, measured: Measured, resamples: int) -> list[tuple[Reading, float, float]]:
    """Readings, each with its 95 % interval over the images of the set, and of val unless it has more than ``MOST``.

    A bootstrap would put copies side by side, at distance 0, where neighbours are what is measured. So each resample
    takes m = ``SHARE`` · n images of every class without replacement (the delete-d jackknife), and its spread is scaled
    by √(m / (n − m)). The interval is value ± t · spread: a resample is smaller, which shifts many a value, and the
    shift is the same in all of them. The train split is what the set stands for, and no sample.

    Args:
        metric: of which readings.
        measured: the set and the real data.
        resamples: how many; below 2 there are no intervals.

    Returns:
        (reading, lo, hi); bounds are NaN where too few resamples define the value, such as those of one image a class.

    Source:
        Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17, 1989.
    """
    sizes = [len(rows) for rows in rows_by_class(measured.labels, len(measured.class_names))]
    kept, values = sum(map(_kept, sizes)), dict[Name, list[float]]()
    for number in range(resamples if kept < sum(sizes) else 0):
        for reading in metric(thinned(measured, number)):
            if math.isfinite(reading.value):
                values.setdefault(_name(reading), []).append(reading.value)
    found = []
    for reading in metric(measured):
        known, half = values.get(_name(reading), []), math.nan
        if len(known) > 1:
            half = _t(len(known)) * float(np.std(known, ddof=1)) * math.sqrt(kept / (sum(sizes) - kept))
        found.append((reading, *within(metric, reading.metric, reading.value - half, reading.value + half)))
    return found


def thinned(measured: Measured, number: int) -> Measured:
    """A resample; those of the held-out images are the same for every set."""
    classes = len(measured.class_names)
    rows = _some(measured.labels, classes, np.random.default_rng([0, number]))
    real, labels = dict(measured.real), dict(measured.real_labels)
    if 0 < len(real.get("val", ())) <= MOST:
        part = _some(labels["val"], classes, np.random.default_rng([1, number]))
        real["val"], labels["val"] = real["val"][part], labels["val"][part]
    return replace(
        measured,
        condensed=measured.condensed[rows],
        labels=measured.labels[rows],
        logits=measured.logits[rows],
        real=real,
        real_labels=labels,
    )


def random_sets(labels: NDArray[np.int64], counts: Sequence[int], draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Rows of random subsets that have so many images of each class."""
    members = rows_by_class(labels, len(counts))
    for number in range(draws):
        rng = np.random.default_rng([seed, number])
        yield np.concatenate([rng.choice(rows, n, replace=False) for rows, n in zip(members, counts, strict=True)])


def of_random(metric: Metric, name: str, values: Sequence[float]) -> Mapping[str, Any]:
    """What random sets of the same size give: mean, standard deviation and 95 % prediction interval of one more.

    Args:
        metric: that gave the values.
        name: of the value.
        values: one per random set, in order; those that are not finite are left out.

    Returns:
        mean, sd, lo, hi, NaN where unknown, and n.
    """
    known = [v for v in values if math.isfinite(v)]
    n, mean = len(known), float(np.mean(known)) if known else math.nan
    sd = float(np.std(known, ddof=1)) if n > 1 else math.nan
    half = _t(n) * sd * math.sqrt(1 + 1 / n) if n > 1 else math.nan
    lo, hi = within(metric, name, mean - half, mean + half)
    return {"mean": mean, "sd": sd, "lo": lo, "hi": hi, "n": n}


def within(metric: Metric, name: str, lo: float, hi: float) -> tuple[float, float]:
    """Bounds that keep to what the value can be."""
    least, most = metric.limits.get(name, (-math.inf, math.inf))
    return max(least, lo) if lo == lo else lo, min(most, hi) if hi == hi else hi


def _name(reading: Reading) -> Name:
    return reading.metric, reading.scope, reading.reference


def _kept(n: int) -> int:
    return min(n, max(1, round(SHARE * n)))


def _some(labels: NDArray[np.int64], classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    kept = [rng.permutation(rows)[: _kept(len(rows))] for rows in rows_by_class(labels, classes)]
    return np.sort(np.concatenate(kept))


def _t(n: int) -> float:
    return float(stdtrit(n - 1, (1 + LEVEL) / 2))
