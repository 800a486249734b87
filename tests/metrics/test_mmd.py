"""MMD against double loops, its expectation under equal distributions, planted differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.interfaces import Measured
from decoct.metrics import mmd as module
from decoct.metrics.mmd import MMD, mmd


def naive(real, condensed, sigma=None):
    real, condensed = real.tolist(), condensed.tolist()
    distances = [math.dist(a, b) for i, a in enumerate(real) for b in real[:i]]
    sigma = sigma or np.median([d for d in distances if d > 0])
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


def test_a_shift_of_both_sets_changes_nothing():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(50, 4)), rng.normal(size=(20, 4))
    assert mmd(real + 1e6, condensed + 1e6)["mmd"] == pytest.approx(mmd(real, condensed)["mmd"], rel=1e-6)


def test_rounding_makes_no_two_images_more_than_alike():
    rng = np.random.default_rng(0)
    far = np.repeat(1e9 * rng.normal(size=(20, 40)), 2, axis=0)  # their squares err by more than σ²
    real = np.concatenate([rng.normal(size=(100, 40)), far])
    assert abs(mmd(real, far)["mmd"]) <= 2


def unit(x):
    return x / np.sqrt((x**2).sum(1, keepdims=True))


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 25), m=st.integers(2, 15), d=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_cmmd_is_a_wide_kernel_on_unit_rows(n, m, d, seed):
    rng = np.random.default_rng(seed)
    real, condensed = rng.normal(size=(n, d)) + 1, rng.normal(size=(m, d))
    got = mmd(real, condensed, kernel="cmmd")
    assert got == {"cmmd": pytest.approx(1000 * naive(unit(real), unit(condensed), sigma=10), rel=1e-9, abs=1e-10)}
    scaled = mmd(real * rng.uniform(0.1, 9, (n, 1)), condensed * rng.uniform(0.1, 9, (m, 1)), kernel="cmmd")
    assert scaled == {"cmmd": pytest.approx(got["cmmd"], rel=1e-9, abs=1e-10)}


def test_cmmd_is_near_ten_times_the_squared_distance_of_the_mean_directions():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(60, 8)) + 1, rng.normal(size=(40, 8)) - 1
    x, y = unit(real), unit(condensed)
    without_own = sum((s.sum(0) @ s.sum(0) - len(s)) / (len(s) * (len(s) - 1)) for s in (x, y))
    expected = 10 * (without_own - 2 * x.mean(0) @ y.mean(0))
    got = mmd(real, condensed, kernel="cmmd")["cmmd"]
    assert got == pytest.approx(expected, rel=0.02) and got > 5


def test_cmmd_as_published_has_the_pairs_of_a_row_with_itself_on_top():
    """The V-statistic as its authors write it: all pairs, σ = 10, times 1000."""
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(60, 16)), rng.normal(size=(10, 16))
    x, y = unit(real), unit(condensed)
    means = [np.exp(-((a[:, None] - b) ** 2).sum(2) / (2 * 10**2)).mean() for a, b in ((x, x), (y, y), (x, y))]
    published = 1000 * (means[0] + means[1] - 2 * means[2])
    own = [(1 - mean) / (len(s) - 1) for mean, s in zip(means, (x, y), strict=False)]
    got = mmd(real, condensed, kernel="cmmd")["cmmd"]
    assert got == pytest.approx(published - 1000 * sum(own), abs=1e-9)
    assert abs(got) < 0.5 * published


def test_differences_far_below_single_precision_are_seen():
    """Of k near 1, float32 would leave nothing after 6e-8; times 1000 that is 6e-5."""
    rng = np.random.default_rng(0)
    real = 1 + 1e-4 * rng.normal(size=(30, 8))
    condensed = real[:20] + 1e-4 * rng.normal(size=8)
    got = mmd(real, condensed, kernel="cmmd")["cmmd"]
    x, y = unit(real).astype(np.longdouble), unit(condensed).astype(np.longdouble)
    pairs = [((a[:, None] - b) ** 2).sum(2) / -200 for a, b in ((x, x), (y, y), (x, y))]
    sums = [np.expm1(p).sum() for p in pairs]
    expected = 1000 * float(sums[0] / (30 * 29) + sums[1] / (20 * 19) - 2 * sums[2] / (30 * 20))
    assert 1e-8 < abs(expected) < 1e-6
    assert got == pytest.approx(expected, rel=1e-5)


def test_a_row_of_zeros_is_as_far_from_every_direction():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(6, 3)), np.zeros((2, 3))
    within = naive(unit(real), condensed, sigma=10) + 2 * math.exp(-1 / 200) - 1
    got = mmd(real, condensed, kernel="cmmd")["cmmd"]
    assert got == pytest.approx(1000 * (within + 1 - 2 * math.exp(-1 / 200)), abs=1e-9)


@pytest.mark.parametrize("kernel", ["median", "cmmd"])
@pytest.mark.parametrize("tile", [1, 7, 20])
def test_tiles_change_nothing_but_the_order_of_sums(monkeypatch, kernel, tile):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(50, 4)), rng.normal(size=(20, 4))
    (whole,) = mmd(real, condensed, kernel=kernel).values()
    monkeypatch.setattr(module, "TILE", tile)
    assert list(mmd(real, condensed, kernel=kernel).values()) == [pytest.approx(whole, abs=1e-12)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_any_float_type_is_computed_in_float64(dtype, wrap):
    rng = np.random.default_rng(0)
    real, condensed = (rng.normal(size=(n, 4)).astype(dtype) for n in (30, 12))
    x, y = real.astype(float), condensed.astype(float)
    assert mmd(wrap(real), wrap(condensed))["mmd"] == pytest.approx(naive(x, y), rel=1e-9)
    expected = 1000 * naive(unit(x), unit(y), sigma=10)
    assert mmd(wrap(real), wrap(condensed), kernel="cmmd")["cmmd"] == pytest.approx(expected, rel=1e-8)


def test_it_is_unbiased_under_equal_distributions_and_positive_under_others():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(400, 4))
    same = [mmd(real, rng.normal(size=(5, 4)))["mmd"] for _ in range(60)]
    assert abs(np.mean(same)) < 4 * np.std(same, ddof=1) / math.sqrt(60) + 5e-3
    assert min(same) < 0  # an unbiased estimate of zero has to be
    turned = [mmd(real, rng.normal(size=(5, 4)), kernel="cmmd")["cmmd"] for _ in range(200)]
    assert abs(np.mean(turned)) < 4 * np.std(turned, ddof=1) / math.sqrt(200) + 5e-2
    assert min(turned) < 0
    narrow = [mmd(real, 0.2 * rng.normal(size=(5, 4)))["mmd"] for _ in range(60)]
    assert np.mean(narrow) > 0.05


def test_labels_give_the_mean_over_classes_each_with_its_own_bandwidth():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(40, 3)), rng.normal(size=(11, 3))
    of_real, of_condensed = np.arange(40) % 3, np.arange(11) % 3
    real[of_real == 1] *= 100
    each = [mmd(real[of_real == c], condensed[of_condensed == c])["mmd"] for c in range(3)]
    assert mmd(real, condensed, labels=(of_real, torch.tensor(of_condensed)))["mmd"] == pytest.approx(np.mean(each))
    each = [mmd(real[of_real == c], condensed[of_condensed == c], kernel="cmmd")["cmmd"] for c in range(3)]
    got = mmd(real, condensed, labels=(of_real, of_condensed), kernel="cmmd")
    assert got == {"cmmd": pytest.approx(np.mean(each))}
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
    assert math.isnan(mmd(real, real[:1], kernel="cmmd")["cmmd"])
    assert math.isnan(mmd(real[:1], real, kernel="cmmd")["cmmd"])
    assert math.isnan(mmd(real, real[:2], labels=([0] * 20, [1, 1]), kernel="cmmd")["cmmd"])
    assert not math.isnan(mmd(np.ones((20, 3)), real, kernel="cmmd")["cmmd"])


def test_bad_input_is_refused():
    good = np.zeros((4, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        mmd(good, np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="as many labels"):
        mmd(good, good, labels=([0] * 3, [0] * 4))
    with pytest.raises(ValueError, match="negative"):
        mmd(good, good, labels=([0] * 4, [-1] * 4))
    with pytest.raises(ValueError, match="kernel must be one of median, cmmd, not 'clip'"):
        mmd(good, good, kernel="clip")


def test_the_metric_is_the_class_wise_function_by_both_kernels_and_looks_at_real_data_once(monkeypatch):
    rng = np.random.default_rng(0)
    real, labels = {"train": rng.normal(size=(40, 3)), "val": rng.normal(size=(30, 3))}, np.arange(40) % 2
    split_labels = {"train": labels, "val": labels[:30]}
    looked, look = [], module.bandwidth_and_similarity
    monkeypatch.setattr(module, "bandwidth_and_similarity", lambda x, **rest: looked.append(len(x)) or look(x, **rest))
    results = []
    for m in (8, 12):
        condensed = rng.normal(size=(m, 3))
        readings = MMD()(Measured(condensed, labels[:m], real, split_labels, ("a", "b"), False, np.zeros((m, 2))))
        assert {r.metric for r in readings if r.scope == "pooled"} == {"cmmd"}
        results.append((condensed, {(r.metric, r.reference, r.scope): r.value for r in readings}))
    assert sorted(looked) == [15, 15, 20, 20, 30, 40]
    monkeypatch.undo()
    for condensed, got in results:
        for split in ("train", "val"):
            both = (split_labels[split], labels[: len(condensed)])
            for kernel, name in (("median", "mmd"), ("cmmd", "cmmd")):
                expected = mmd(real[split], condensed, labels=both, kernel=kernel)[name]
                assert got[name, split, "per_class"] == pytest.approx(expected, rel=1e-12)
            whole = mmd(real[split], condensed, kernel="cmmd")["cmmd"]
            assert got["cmmd", split, "pooled"] == pytest.approx(whole, rel=1e-12)
