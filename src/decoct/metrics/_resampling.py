"""How far a value depends on chance: intervals over the images of a set and of the held-out split, and random sets."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.once import part
from decoct.metrics._measure import MOST, rows_by_class

SHARE = 1 - math.exp(-1)  # of the images in a resample: as many unlike ones as n draws with replacement hold
LEVEL = 0.95
Name = tuple[str, str, str, int | None]  # metric, scope, reference, classes


def over_images(metric: Metric, measured: Measured, resamples: int) -> list[tuple[Reading, float, float]]:
    """Readings, each with its 95 % interval over the images of the set, and of val unless it has more than ``MOST``.

    A bootstrap would put copies side by side, at distance 0, where neighbours are what is measured. So each resample
    takes m = ``SHARE`` · n images of every class without replacement (the delete-d jackknife), and its variance is
    scaled by m / (n − m), or what stands for it where classes are unlike in size. The interval is value ± t · spread: a
    resample is smaller, which shifts many a value, and the shift is the same in all of them. The train split is what
    the set stands for, and no sample. A fraction that is 0 or 1 in every resample gets an interval of no width, which
    says that so many images show no exception, and not that there are none.

    Args:
        metric: of which readings.
        measured: the set and the real data.
        resamples: how many; below 2 there are no intervals.

    Returns:
        (reading, lo, hi). Bounds are NaN where no class has two images, where fewer than two resamples define the value
        in as many classes as the set does (of fewer it would be another mean), and for what a set cost.

    Source:
        Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17, 1989.
    """
    sizes = [len(rows) for rows in rows_by_class(measured.labels, len(measured.class_names)) if len(rows)]
    values: dict[Name, list[float]] = {}
    varied = resamples > 1 and max(sizes, default=0) > 1 and metric.needs != "cost"
    for number in range(resamples if varied else 0):
        for reading in metric(thinned(measured, number)):
            if math.isfinite(reading.value):
                values.setdefault(_name(reading), []).append(reading.value)
    bounded = []
    for reading in metric(measured):
        known, half = values.get(_name(reading), []), math.nan
        if len(known) > 1:
            scale, freedom = _scale(sizes, reading)
            # The variance is known from so many images, and of those from so many resamples.
            half = _t(1 / (1 / freedom + 1 / (len(known) - 1))) * float(np.std(known, ddof=1)) * math.sqrt(scale)
        bounded.append((reading, *within(metric, reading.metric, reading.value - half, reading.value + half)))
    return bounded


def thinned(measured: Measured, number: int) -> Measured:
    """A resample; those of the held-out images are the same for every set, down to the array."""
    classes = len(measured.class_names)
    rows = _some(measured.labels, classes, np.random.default_rng([0, number]))
    real, labels = dict(measured.real), dict(measured.real_labels)
    if 0 < len(real.get("val", ())) <= MOST:
        val, some = real["val"], _some(labels["val"], classes, np.random.default_rng([1, number]))
        real["val"], labels["val"] = part(val, ("resample", number), lambda: np.array(val[some])), labels["val"][some]
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
    """Readings of random sets of the same size: mean, standard deviation and 95 % prediction interval of one more.

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
    half = _t(n - 1) * sd * math.sqrt(1 + 1 / n) if n > 1 else math.nan
    lo, hi = within(metric, name, mean - half, mean + half)
    return {"mean": mean, "sd": sd, "lo": lo, "hi": hi, "n": n}


def within(metric: Metric, name: str, lo: float, hi: float) -> tuple[float, float]:
    """Bounds that keep to what the value can be."""
    least, most = metric.limits.get(name, (-math.inf, math.inf))
    return max(least, lo) if lo == lo else lo, min(most, hi) if hi == hi else hi


def _name(reading: Reading) -> Name:
    return reading.metric, reading.scope, reading.reference, reading.classes


def _kept(n: int) -> int:
    return round(SHARE * n)


def _some(labels: NDArray[np.int64], classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    kept = [rng.permutation(rows)[: _kept(len(rows))] for rows in rows_by_class(labels, classes)]
    return np.sort(np.concatenate(kept))


def _scale(sizes: Sequence[int], reading: Reading) -> tuple[float, float]:
    """Variance of a value over that of its resamples, and the degrees of freedom of the latter.

    Both are those of a mean of images that vary alike in every class, so that a class of one image, of which no
    resample differs, counts as the others would:

        Σ_c w_c² / n_c  over  Σ_c v_c² (1/m_c − 1/n_c)

    w and v are the weights of the classes in the set and in a resample: equal, or their shares of the images.
    """
    known = sorted(sizes, reverse=True)[: reading.classes or None]  # undefined, if anywhere, in the small ones
    n, m = np.array(known, float), np.array([_kept(size) for size in known], float)
    w, v = (n**0, m**0) if reading.scope == "per_class" else (n / n.sum(), m / m.sum())
    parts = v**2 * (1 / m - 1 / n)
    freedom = parts.sum() ** 2 / (parts[n > 1] ** 2 / (n[n > 1] - 1)).sum()
    return float((w**2 / n).sum() / parts.sum()), float(freedom)


def _t(freedom: float) -> float:
    return float(stdtrit(freedom, (1 + LEVEL) / 2))
