"""KID against double loops, torchmetrics, its expectation under equal distributions, and the average over subsets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.core.interfaces import Measured
from decoct.core.spec import parse
from decoct.metrics import _measure as measure
from decoct.metrics import kid as module
from decoct.metrics.kid import KID, kid, similarity


def naive(real, condensed):
    real, condensed = real.tolist(), condensed.tolist()
    k = lambda a, b: (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3  # noqa: E731
    within = lambda s: np.mean([k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j])  # noqa: E731
    return within(real) + within(condensed) - 2 * np.mean([k(a, b) for a in real for b in condensed])


def draws(seed, n, m, d=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 0.5, rng.normal(size=(m, d))


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(2, 25),
    m=st.integers(2, 15),
    d=st.integers(1, 6),
    offset=st.sampled_from([0.0, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_what_its_definition_says(n, m, d, offset, seed):
    real, condensed = (x + offset for x in draws(seed, n, m, d))
    assert kid(real, condensed)["kid"] == pytest.approx(naive(real, condensed), rel=1e-9, abs=1e-9)


def test_torchmetrics_gives_the_same():
    theirs = pytest.importorskip("torchmetrics.image.kid")
    real, condensed = draws(0, 40, 40, 8)
    expected = theirs.poly_mmd(torch.from_numpy(real), torch.from_numpy(condensed)).item()
    assert kid(real, condensed)["kid"] == pytest.approx(expected, rel=1e-10)


def test_it_depends_on_where_the_origin_is():
    real, condensed = draws(0, 40, 40)
    assert kid(real + 5, condensed + 5)["kid"] > 2 * kid(real, condensed)["kid"]


@pytest.mark.parametrize("tile", [1, 7, 20])
def test_tiles_change_nothing_but_the_order_of_sums(monkeypatch, tile):
    real, condensed = draws(0, 50, 20)
    whole = naive(real, condensed)
    monkeypatch.setattr(module, "TILE", tile)
    assert kid(real, condensed)["kid"] == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_any_float_type_is_computed_in_float64(dtype, wrap):
    real, condensed = (x.astype(dtype) for x in draws(0, 30, 12))
    expected = naive(real.astype(float), condensed.astype(float))
    assert kid(wrap(real), wrap(condensed))["kid"] == pytest.approx(expected, rel=1e-10)


def test_it_is_unbiased_under_equal_distributions_and_positive_under_others():
    rng = np.random.default_rng(0)
    same = [kid(rng.normal(size=(40, 4)), rng.normal(size=(5, 4)))["kid"] for _ in range(400)]
    assert abs(np.mean(same)) < 4 * np.std(same, ddof=1) / math.sqrt(400)
    assert min(same) < 0  # an unbiased estimate of zero has to be
    narrow = [kid(rng.normal(size=(40, 4)), 0.2 * rng.normal(size=(5, 4)))["kid"] for _ in range(400)]
    assert np.mean(narrow) > 10 * np.std(narrow, ddof=1) / math.sqrt(400)


def test_three_moments_are_what_it_sees():
    """Points of equal mean, variance and third moment in one dimension, and others that share two of them."""
    plain = np.repeat([-1.0, 1.0], 600)[:, None]
    three = np.repeat([-math.sqrt(3), 0.0, math.sqrt(3)], [200, 800, 200])[:, None]
    skewed = np.repeat([-0.5, 2.0], [960, 240])[:, None]
    chance = 0.02  # of 1/M by the terms i = j that are left out
    assert abs(kid(plain, three, subset_size=1200)["kid"]) < chance
    # MMD² = Σ_p C(3, p) · (difference of the p-th moments)², and the third moments are 0 and 1.5
    assert kid(plain, skewed, subset_size=1200)["kid"] == pytest.approx(1.5**2, abs=2 * chance)


@pytest.mark.parametrize(("n", "m"), [(60, 40), (8, 40)])
def test_subsets_give_on_average_what_the_whole_gives(n, m):
    real, condensed = draws(0, n, m)
    assert kid(real, condensed, subset_size=m)["kid"] == pytest.approx(naive(real, condensed), rel=1e-9)
    few = [kid(real, condensed, subset_size=10, subsets=1, seed=s)["kid"] for s in range(600)]
    error = np.std(few, ddof=1) / math.sqrt(600)
    assert error > 0
    assert abs(np.mean(few) - naive(real, condensed)) < 4 * error
    many = [kid(real, condensed, subset_size=10, subsets=25, seed=s)["kid"] for s in range(20)]
    assert np.std(many, ddof=1) < 0.5 * np.std(few, ddof=1)


def test_the_seed_draws_the_subsets():
    real, condensed = draws(0, 60, 40)
    one, again, other = (kid(real, condensed, subset_size=10, subsets=3, seed=s)["kid"] for s in (1, 1, 2))
    assert one == again != other


def test_what_is_known_of_the_real_data_is_used_where_they_are_whole():
    real, condensed = draws(0, 30, 20)
    others = [(a @ b / 4 + 1) ** 3 for i, a in enumerate(real) for j, b in enumerate(real) if i != j]
    assert similarity(real) == pytest.approx(np.mean(others))
    shifted = similarity(real) + 1
    for size in (20, 10):  # the set whole, and subsets of both
        plain = kid(real, condensed, subset_size=size)["kid"]
        got = kid(real, condensed, subset_size=size, within=shifted)["kid"]
        assert got == pytest.approx(plain + (size == 20))
    few = real[:8]  # fewer than a subset has
    got = kid(few, condensed, subset_size=10, subsets=2, within=similarity(few) + 1)["kid"]
    assert got == pytest.approx(kid(few, condensed, subset_size=10, subsets=2)["kid"] + 1)


def test_what_is_not_defined_is_nan():
    real, condensed = draws(0, 6, 5)
    assert math.isnan(kid(real, condensed[:1])["kid"])
    assert math.isnan(kid(real[:1], condensed)["kid"])
    assert math.isnan(kid(real[:1], condensed, subset_size=2)["kid"])
    assert math.isnan(similarity(real[:1]))
    assert kid(np.ones((3, 4)), np.ones((2, 4)))["kid"] == 0


def test_bad_input_is_refused():
    good = np.zeros((4, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        kid(good, np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="real features have 2 dimensions, condensed 3"):
        kid(good, np.zeros((4, 3)))
    for wrong in ({"subset_size": 1}, {"subsets": 0}):
        with pytest.raises(ValueError, match="at least one subset of at least two images"):
            kid(good, good, **wrong)
        with pytest.raises(UsageError, match="greater than or equal"):
            parse("metric", {"name": "kid", **wrong})


def test_the_metric_compares_each_class_and_all_and_looks_at_real_data_once(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    real, of_real = {"train": rng.normal(size=(40, 3)), "val": rng.normal(size=(30, 3))}, {"train": labels}
    of_real["val"] = labels[:30]
    looked, look = [], similarity
    monkeypatch.setattr(module, "similarity", lambda features: looked.append(len(features)) or look(features))
    for m in (8, 12):
        condensed = rng.normal(size=(m, 3))
        readings = KID()(Measured(condensed, labels[:m], real, of_real, ("a", "b"), False, np.zeros((m, 2))))
        got = {(r.scope, r.reference): r.value for r in readings}
        for split in ("train", "val"):
            each = [naive(real[split][of_real[split] == c], condensed[labels[:m] == c]) for c in (0, 1)]
            assert got["per_class", split] == pytest.approx(np.mean(each))
            assert got["pooled", split] == pytest.approx(naive(real[split], condensed))
    assert sorted(looked) == [15, 15, 20, 20, 30, 40]


def test_a_set_larger_than_what_is_taken_of_the_real_data_is_cut_to_one_subset(monkeypatch):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(20, 3)), rng.normal(size=(15, 3))
    monkeypatch.setattr(measure, "MOST", 12)
    zeros = np.zeros(20, dtype=np.int64)
    measured = Measured(condensed, zeros[:15], {"train": real}, {"train": zeros}, ("a",), False, np.zeros((15, 1)))
    near = real[measure.sample(zeros, 12)]
    expected = kid(near, condensed, subset_size=12, subsets=1)["kid"]
    looked, look = [], similarity
    monkeypatch.setattr(module, "similarity", lambda features: looked.append(len(features)) or look(features))
    assert [r.value for r in KID(subset_size=12)(measured)] == [pytest.approx(expected)] * 2
    assert looked == [12]  # the real data are whole, and the same for the one class and for all
    KID(subset_size=11)(measured)
    assert looked == [12]
    assert (KID().subset_size, KID().subsets) == (10_000, 1)
