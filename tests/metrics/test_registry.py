"""What every metric promises: its name, its axis, its directions, and no crash on small or odd sets."""

import math
from typing import get_args

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Axis, Measured
from decoct.core.spec import find, names, parse

METRICS = sorted(names("metric"))
LOOKING = [name for name in METRICS if find("metric", name).needs != "cost"]
ALONE = {
    "mmd",
    "cmmd",
    "kid",
    "pairwise_distance",
    "nearest_distance",
    "near_duplicates",
    "label_spread",
    "modes",
}  # of one image


def measured(n, classes, member=True):
    rng = np.random.default_rng(0)
    real, labels = rng.normal(size=(20 * classes, 4)).astype(np.float32), np.repeat(np.arange(classes), 20)
    rows = np.concatenate([np.arange(20 * c, 20 * c + n) for c in range(classes)])
    splits = {"train": real, "val": real[::2] + 0.1}
    of_splits = {"train": labels, "val": labels[::2]}
    class_names = tuple(map(str, range(classes)))
    return Measured(
        real[rows], labels[rows], splits, of_splits, class_names, member, rng.normal(size=(len(rows), classes))
    )


def test_the_metrics_are_these():
    assert METRICS == [
        "cost",
        "covering_radius",
        "distances",
        "fld",
        "frechet",
        "kid",
        "label_spread",
        "memorisation",
        "mmd",
        "modes",
        "prdc",
        "realism",
        "sliced_wasserstein",
        "vendi",
    ]


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize("n", [1, 2, 5, 6, 20])
@pytest.mark.parametrize("classes", [1, 3])
def test_sets_of_every_size_are_measured(name, n, classes):
    readings = parse("metric", name)(measured(n, classes))
    metric = find("metric", name)
    assert {r.metric for r in readings} == set(metric.higher_is_better)
    assert metric.axis in get_args(Axis)
    keys = [(r.metric, r.scope, r.reference) for r in readings]
    assert len(set(keys)) == len(keys)
    assert set(metric.lead) <= set(metric.higher_is_better) and set(metric.limits) <= set(metric.higher_is_better)
    assert all(
        low <= r.value <= high
        for r in readings
        for low, high in [metric.limits.get(r.metric, (-math.inf, math.inf))]
        if r.value == r.value
    )
    undefined = {r.metric for r in readings if math.isnan(r.value)}
    allowed = {"recall"} | ({"class_separation"} if n == 1 or classes == 1 else set())
    allowed |= {"fld"} if n == 20 else set()  # the whole train split leaves none to fit to
    assert undefined <= allowed | (ALONE if n == 1 else set()) | ({"frechet"} if n * classes == 1 else set())


@pytest.mark.parametrize("name", sorted(set(LOOKING) - {"realism"}))
def test_features_that_are_not_finite_are_a_clear_error(name):
    bad = measured(6, 2)
    bad.condensed[3, 1] = np.nan
    with pytest.raises(DecoctError, match="condensed features hold values that are not finite"):
        parse("metric", name)(bad)
