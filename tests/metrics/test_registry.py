"""What every metric promises: its name, its axis, its directions, and no crash on small or odd sets."""

import math

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.core.kinds import Measured
from decoct.core.spec import find, names, parse

METRICS = sorted(names("metric"))


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
    assert METRICS == ["covering_radius", "mmd", "prdc", "realism", "vendi"]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("n", [1, 2, 5, 6, 20])
@pytest.mark.parametrize("classes", [1, 3])
def test_sets_of_every_size_are_measured(name, n, classes):
    readings = parse("metric", name)(measured(n, classes))
    metric = find("metric", name)
    assert {r.metric for r in readings} == set(metric.higher_is_better)
    assert metric.axis in ("representativeness", "diversity", "quality")
    keys = [(r.metric, r.scope, r.reference) for r in readings]
    assert len(set(keys)) == len(keys)
    undefined = {r.metric for r in readings if math.isnan(r.value)}
    assert undefined <= {"recall"} | ({"mmd"} if n == 1 else set())


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"realism"}))
def test_features_that_are_not_finite_are_a_clear_error(name):
    bad = measured(6, 2)
    bad.condensed[3, 1] = np.nan
    with pytest.raises(DecoctError, match="condensed features hold values that are not finite"):
        parse("metric", name)(bad)
