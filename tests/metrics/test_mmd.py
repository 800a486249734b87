"""MMD against double loops, its expectation under equal distributions, planted differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.kinds import Measured
from decoct.metrics import mmd as module
from decoct.metrics.mmd import MMD, mmd


def naive(real, condensed):
    real, condensed = real.tolist(), condensed.tolist()
    distances = [math.dist(a, b) for i, a in enumerate(real) for b in real[:i]]
    sigma = np.median([d for d in distances if d > 0])
    k = lambda a, b: math.exp(-(math.dist(a, b) ** 2) / (2 * sigma**2))  # noqa: E731
    within = lambda s: np.mean([k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j])  # noqa: E731
    return within(real) + within(condensed) - 2 * np.mean([k(a, b) for a in real for b in condensed])


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(2, 25),
    m=st.integers(2, 15),
    d=st.integers(1, 5),
    offset=st.sampled_from([0.0, 1e3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_what_its_definition_says(n, m, d, offset, seed):
    rng = np.random.default_rng(seed)
    real, condensed = rng.normal(size=(n, d)) + offset, rng.normal(size=(m, d)) + offset
    real[: n // 3] = real[0]  # duplicates, which the bandwidth leaves out
    if n > 2:
        assert mmd(real, condensed)["mmd"] == pytest.approx(naive(real, condensed), rel=1e-9, abs=1e-9)


def test_blocks_change_nothing_but_the_order_of_sums(monkeypatch):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(50, 4)), rng.normal(size=(20, 4))
    whole = mmd(real, condensed)["mmd"]
    monkeypatch.setattr(module, "BLOCK", 60)
    assert mmd(real, condensed)["mmd"] == pytest.approx(whole, abs=1e-12)


def test_it_is_unbiased_under_equal_distributions_and_positive_under_others():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(400, 4))
    same = [mmd(real, rng.normal(size=(5, 4)))["mmd"] for _ in range(60)]
    assert abs(np.mean(same)) < 4 * np.std(same, ddof=1) / math.sqrt(60) + 5e-3
    assert min(same) < 0  # an unbiased estimate of zero has to be
    narrow = [mmd(real, 0.2 * rng.normal(size=(5, 4)))["mmd"] for _ in range(60)]
    assert np.mean(narrow) > 0.05


def test_labels_give_the_mean_over_classes_each_with_its_own_bandwidth():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(40, 3)), rng.normal(size=(11, 3))
    of_real, of_condensed = np.arange(40) % 3, np.arange(11) % 3
    real[of_real == 1] *= 100
    each = [mmd(real[of_real == c], condensed[of_condensed == c])["mmd"] for c in range(3)]
    assert mmd(real, condensed, labels=(of_real, torch.tensor(of_condensed)))["mmd"] == pytest.approx(np.mean(each))
    condensed, of_condensed = condensed[[0, 3, 1]], [0, 0, 1]  # class 1 has one image, class 2 none
    expected = mmd(real[of_real == 0], condensed[:2])["mmd"]
    assert mmd(real, condensed, labels=(of_real, of_condensed))["mmd"] == pytest.approx(expected)


def test_what_is_not_defined_is_nan():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(20, 3))
    assert math.isnan(mmd(real, real[:1])["mmd"])
    assert math.isnan(mmd(real[:1], real)["mmd"])
    assert math.isnan(mmd(np.ones((20, 3)), real)["mmd"])
    assert math.isnan(mmd(real, real[:2], labels=([0] * 20, [1, 1]))["mmd"])
    assert not math.isnan(mmd(real, np.ones((20, 3)))["mmd"])


def test_bad_input_is_refused():
    good = np.zeros((4, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        mmd(good, np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="as many labels"):
        mmd(good, good, labels=([0] * 3, [0] * 4))
    with pytest.raises(ValueError, match="negative"):
        mmd(good, good, labels=([0] * 4, [-1] * 4))


def test_the_metric_is_the_class_wise_function():
    rng = np.random.default_rng(0)
    real, labels = {"train": rng.normal(size=(40, 3)), "val": rng.normal(size=(30, 3))}, np.arange(40) % 2
    split_labels = {"train": labels, "val": labels[:30]}
    condensed = rng.normal(size=(8, 3))
    measured = Measured(condensed, labels[:8], real, split_labels, ("a", "b"), False, np.zeros((8, 2)))
    got = {r.reference: r.value for r in MMD()(measured)}
    for split in ("train", "val"):
        expected = mmd(real[split], condensed, labels=(split_labels[split], labels[:8]))["mmd"]
        assert got[split] == pytest.approx(expected, rel=1e-12)
