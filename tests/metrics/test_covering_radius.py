"""Covering radius against a double loop."""

import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.interfaces import Measured
from decoct.metrics.covering_radius import CoveringRadius, covering_radius
from decoct.select import nearest as module


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 40),
    m=st.integers(1, 20),
    d=st.integers(1, 6),
    offset=st.sampled_from([0.0, 1e4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_what_its_definition_says(n, m, d, offset, seed):
    rng = np.random.default_rng(seed)
    real = (rng.normal(size=(n, d)) + offset).astype(np.float32)
    condensed = np.concatenate([real[:1], (rng.normal(size=(m, d)) + offset).astype(np.float32)])
    nearest = [min(math.dist(x, y) for y in condensed.tolist()) for x in real.tolist()]
    got = covering_radius(real, condensed)
    with mock.patch.object(module, "SMALL", 0):  # as it goes for large sets
        assert covering_radius(real, condensed) == got
    assert got["mean"] == pytest.approx(np.mean(nearest), rel=1e-9)
    assert got["p95"] == pytest.approx(np.percentile(nearest, 95), rel=1e-9)
    assert got["max"] == pytest.approx(max(nearest), rel=1e-9)


def test_a_set_that_holds_all_real_images_covers_them_at_radius_zero():
    real = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) + 1000
    assert covering_radius(real, real[::-1]) == {"mean": 0, "p95": 0, "max": 0}


def test_an_outlier_makes_the_max_alone():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(200, 3)), rng.normal(size=(50, 3))
    before, after = covering_radius(real, condensed), covering_radius([*real, [1e3, 0, 0]], condensed)
    assert after["max"] > 100 * before["max"]
    assert after["p95"] == pytest.approx(before["p95"], rel=0.05)


def test_the_metric_names_its_values_and_measures_both_splits():
    rng = np.random.default_rng(0)
    real, labels = {"train": rng.normal(size=(9, 2)), "val": rng.normal(size=(6, 2))}, np.arange(9) % 3
    split_labels = {"train": labels, "val": labels[:6]}
    measured = Measured(real["train"], labels, real, split_labels, ("a", "b", "c"), True, np.zeros((9, 3)))
    readings = CoveringRadius()(measured)
    assert {r.metric for r in readings} == set(CoveringRadius.higher_is_better)
    assert all(r.value == 0 for r in readings if r.reference == "train")
    assert all(r.value > 0 for r in readings if r.reference == "val")
