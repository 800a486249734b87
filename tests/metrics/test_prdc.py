"""PRDC against double loops over its definition, its expectations against simulation, planted cases."""

import math
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_equal

from decoct.core.interfaces import Measured
from decoct.metrics import _measure as measure
from decoct.metrics.prdc import PRDC, ball_radii, expected_coverage, prdc
from decoct.select import nearest

SEEDS = st.integers(0, 2**32 - 1)


def naive(real, condensed, k):
    distance = lambda a, b: math.dist(a, b)  # noqa: E731
    radius = lambda points: [sorted(distance(p, q) for q in points)[k] for p in points]  # noqa: E731
    real, condensed = np.asarray(real, float).tolist(), np.asarray(condensed, float).tolist()
    balls = radius(real)
    inside = [[distance(x, y) < r for y in condensed] for x, r in zip(real, balls, strict=True)]
    own = radius(condensed) if len(condensed) > k else None
    recalled = own and [any(distance(x, y) < r for y, r in zip(condensed, own, strict=True)) for x in real]
    return {
        "precision": np.mean([any(row[j] for row in inside) for j in range(len(condensed))]),
        "recall": np.mean(recalled) if recalled else math.nan,
        "density": sum(map(sum, inside)) / (k * len(condensed)),
        "coverage": np.mean([any(row) for row in inside]),
    }


def check(real, condensed, k):
    got = prdc(real, condensed, k=k)
    with mock.patch.object(nearest, "SMALL", 0):  # as it goes for large sets
        assert_equal(prdc(real, condensed, k=k), got)
    for name, value in naive(real, condensed, k).items():
        assert got[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name


@settings(max_examples=50, deadline=None)
@given(n=st.integers(4, 30), m=st.integers(1, 20), d=st.integers(1, 6), k=st.integers(1, 3), seed=SEEDS)
def test_it_is_what_its_definition_says(n, m, d, k, seed):
    rng = np.random.default_rng(seed)
    offset = rng.choice([0.0, 1e3])
    real, condensed = rng.normal(size=(n, d)) + offset, rng.normal(size=(m, d)) * 1.5 + offset
    check(real.astype(np.float32), condensed.astype(np.float32), k)


def test_the_package_prdc_gives_the_same():
    theirs = pytest.importorskip("prdc")
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(300, 8)), 1.2 * rng.normal(size=(90, 8))
    got = prdc(real, condensed, k=5)
    for name, value in theirs.compute_prdc(real, condensed, nearest_k=5).items():
        assert got[name] == pytest.approx(value, rel=1e-12), name


@settings(max_examples=50, deadline=None)
@given(n=st.integers(4, 30), m=st.integers(1, 20), d=st.integers(1, 3), k=st.integers(1, 3), seed=SEEDS)
def test_ties_duplicates_and_members_are_decided_exactly(n, m, d, k, seed):
    rng = np.random.default_rng(seed)
    real = rng.integers(0, 4, size=(n, d)) + 1000  # whole numbers: every distance ties with others
    condensed = real[rng.integers(0, n, m)]
    check(real, condensed, k)
    assert_equal(prdc(real, condensed, k=k, radii=ball_radii(real, k=k)), prdc(real, condensed, k=k))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(6, 40), k=st.integers(1, 4), seed=SEEDS)
def test_a_member_on_the_sphere_of_its_neighbour_is_not_inside(n, k, seed):
    """Every member is the k-th neighbour of someone: float32 products far from the origin must not let it in."""
    rng = np.random.default_rng(seed)
    real = (rng.normal(size=(n, 64)) + 100 * rng.normal(size=64)).astype(np.float32)
    check(real, real[rng.permutation(n)[: n // 2]], k)


def test_points_far_closer_to_each_other_than_float32_sees_are_told_apart():
    rng = np.random.default_rng(0)
    cluster = 1.0 + 1e-9 * rng.normal(size=(30, 5))
    real = np.concatenate([cluster, 1000 * rng.normal(size=(30, 5))])
    check(real, 1.0 + 1e-9 * rng.normal(size=(10, 5)), 3)
    check(real * 1e-30, real[:20] * 1e-30, 3)


def test_blocks_and_given_radii_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(101, 8)), rng.normal(size=(37, 8))
    whole = prdc(real, condensed)
    assert prdc(real, condensed, radii=ball_radii(real)) == whole
    check(real, condensed, 5)
    monkeypatch.setattr(nearest, "SMALL", 0)
    monkeypatch.setattr(nearest, "BLOCK", 100)
    monkeypatch.setattr(nearest, "CACHED", 10)
    assert prdc(real, condensed) == whole


def test_products_of_reduced_precision_change_nothing():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 20)).astype(np.float32)
    whole, usual = prdc(real, real[::3]), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert prdc(real, real[::3]) == whole
    finally:
        torch.set_float32_matmul_precision(usual)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_is_taken_at_its_own_values(dtype):
    generator = torch.Generator().manual_seed(0)
    real, condensed = (torch.randn(40, 6, generator=generator).to(dtype) for _ in range(2))
    got = prdc(real, condensed)
    assert got == prdc(real.double().numpy(), condensed.double().numpy())


def test_a_read_only_memory_map_is_read(tmp_path):
    real = np.random.default_rng(0).normal(size=(20, 3))
    np.save(tmp_path / "real.npy", real)
    mapped = np.load(tmp_path / "real.npy", mmap_mode="r")
    assert prdc(mapped, mapped[::2]) == prdc(real, real[::2])


@pytest.mark.parametrize("member", [False, True])
def test_expected_coverage_is_what_simulation_gives(member):
    rng, n, m, k, runs = np.random.default_rng(0), 300, 60, 5, 60
    coverage = []
    for _ in range(runs):
        real = rng.normal(size=(n, 4))
        drawn = real[rng.permutation(n)[:m]] if member else rng.normal(size=(m, 4))
        coverage.append(prdc(real, drawn, k=k, member=member)["coverage"])
    error = 4 * np.std(coverage, ddof=1) / math.sqrt(runs)
    assert np.mean(coverage) == pytest.approx(expected_coverage(n, m, k=k, member=member), abs=error)
    other = expected_coverage(n, m, k=k, member=not member)
    assert abs(np.mean(coverage) - other) > error  # the test tells the two formulas apart


@pytest.mark.parametrize(("population", "n", "m", "k"), [(400, 150, 80, 5), (300, 250, 30, 2), (120, 40, 100, 1)])
def test_expected_coverage_of_a_sample_is_what_simulation_gives(population, n, m, k):
    rng, runs, coverage = np.random.default_rng(0), 80, []
    for _ in range(runs):
        whole = rng.normal(size=(population, 3))
        real, drawn = whole[rng.permutation(population)[:n]], whole[rng.permutation(population)[:m]]
        coverage.append(prdc(real, drawn, k=k)["coverage"])
    error = 4 * np.std(coverage, ddof=1) / math.sqrt(runs)
    assert np.mean(coverage) == pytest.approx(expected_coverage(n, m, k=k, population=population), abs=error)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 30), m=st.integers(1, 30), k=st.integers(1, 12), more=st.integers(0, 30))
def test_expected_coverage_of_a_sample_is_that_of_the_nearest_member(n, m, k, more):
    """Counted from the other side: a member is inside if fewer than k of the sample are as near as the nearest one."""
    population = max(n, m) + more
    others, inside = population - 1, Fraction(0)
    for rank in range(1, others + 1):  # of that member
        nearest_there = Fraction(math.comb(others - rank, m - 1), math.comb(others, m) or 1)
        fewer = sum(math.comb(rank, s) * math.comb(others - rank, n - 1 - s) for s in range(min(k, n)))
        inside += nearest_there * Fraction(fewer, math.comb(others, n - 1))
    member = Fraction(m, population)
    expected = float(member + (1 - member) * inside) if n > k else math.nan
    assert expected_coverage(n, m, k=k, population=population) == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(("n", "m", "k"), [(300, 60, 5), (40, 200, 5), (50, 10, 1), (1300, 10, 20)])
def test_expected_coverage_of_a_sample_goes_from_that_of_a_subset_to_iid(n, m, k):
    if m < n:
        assert expected_coverage(n, m, k=k, population=n) == expected_coverage(n, m, k=k, member=True)
    sizes = [max(n, m) + 1, 2000, 20_000, 2_000_000]
    some = [expected_coverage(n, m, k=k, population=size) for size in sizes]
    assert some == sorted(some, reverse=True)  # the fewer there are, the likelier the set is next door
    assert some[-1] == pytest.approx(expected_coverage(n, m, k=k), abs=2e-4)
    assert some[-1] > expected_coverage(n, m, k=k) and math.isnan(expected_coverage(k, m, k=k, population=9999))


def test_expected_coverage_at_published_sizes():
    assert [round(expected_coverage(1300, m), 3) for m in (10, 50, 100, 500)] == [0.038, 0.172, 0.310, 0.804]
    assert [round(expected_coverage(1300, m, member=True), 3) for m in (100, 500)] == [0.330, 0.912]
    assert expected_coverage(1300, 1300, member=True) == expected_coverage(300, 1300, population=1300) == 1
    assert expected_coverage(100, 97, k=5, member=True) == 1  # 3 left out: one of the 4 nearest others is always in


def test_the_ratio_uses_the_expectation_that_fits():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(50, 3))
    for member in (False, True):
        got = prdc(real, real[:10], member=member)
        assert got["coverage_ratio"] == pytest.approx(got["coverage"] / expected_coverage(50, 10, member=member))


def test_the_metric_says_of_what_population_a_sample_is(monkeypatch):
    """Of more images than are compared at once, the expectation is that of a sample; of others, as iid."""
    monkeypatch.setattr(measure, "MOST", 40)
    rng = np.random.default_rng(0)
    real, labels = rng.normal(size=(100, 3)), np.repeat([0, 1], [70, 30])
    rows = rng.permutation(100)[:24]
    for member in (True, False):
        measured = Measured(real[rows], labels[rows], {"train": real}, {"train": labels}, ("a", "b"), member, rows)
        got = {(r.metric, r.scope): r.value for r in PRDC()(measured)}
        expected = expected_coverage(40, 24, population=100 if member else None)
        assert got["coverage_ratio", "pooled"] == pytest.approx(got["coverage", "pooled"] / expected)


def test_a_dropped_mode_costs_recall_and_coverage_and_nothing_else():
    rng = np.random.default_rng(0)
    modes = 20 * np.eye(4)
    draw = lambda kept, n: rng.normal(size=(n, 4)) + modes[rng.integers(0, kept, n)]  # noqa: E731
    real = draw(4, 800)
    whole, dropped = prdc(real, draw(4, 400)), prdc(real, draw(3, 400))
    for name in ("recall", "coverage"):
        assert dropped[name] < whole[name] - 0.15
    for name in ("precision", "density"):
        assert dropped[name] == pytest.approx(whole[name], abs=0.1)


def test_what_is_not_defined_is_nan():
    rng = np.random.default_rng(0)
    few = prdc(rng.normal(size=(30, 3)), rng.normal(size=(5, 3)), k=5)
    assert math.isnan(few.pop("recall")) and not any(map(math.isnan, few.values()))
    little = prdc(rng.normal(size=(5, 3)), rng.normal(size=(30, 3)), k=5)
    assert not math.isnan(little.pop("recall")) and all(map(math.isnan, little.values()))
    assert 0 <= prdc(rng.normal(size=(30, 3)), rng.normal(size=(1, 3)))["coverage"] <= 1


def test_identical_points_have_empty_balls():
    same = np.full((20, 4), 0.1)
    assert prdc(same, same) == dict.fromkeys(("precision", "recall", "density", "coverage", "coverage_ratio"), 0.0)


def test_bad_input_is_refused_by_name():
    good = np.zeros((9, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        prdc(good, np.array([[0.0, np.inf]]))
    with pytest.raises(ValueError, match="real features hold values that are not finite"):
        prdc(np.array([[0.0, np.nan]]), good)
    with pytest.raises(ValueError, match="at least one row"):
        prdc(good, good[:0])
    with pytest.raises(ValueError, match="2 dimensions, condensed 1"):
        prdc(good, good[:, :1])
    with pytest.raises(ValueError, match="no subset"):
        prdc(good, np.zeros((10, 2)), member=True)
    with pytest.raises(ValueError, match="k must be at least 1"):
        prdc(good, good, k=0)
    with pytest.raises(ValueError, match="9 real images need as many radii, not \\[8\\]"):
        prdc(good, good, radii=ball_radii(good[:8]))
    for sizes in ({"n": 9, "m": 10}, {"n": 10, "m": 9}):
        with pytest.raises(ValueError, match="of 9 images"):
            expected_coverage(**sizes, population=9)


def test_the_metric_reads_each_class_and_all_against_train_and_val():
    rng = np.random.default_rng(0)
    real = {"train": rng.normal(size=(60, 3)), "val": rng.normal(size=(40, 3))}
    labels = {"train": np.arange(60) % 2, "val": np.arange(40) % 2}
    rows = np.arange(16)
    measured = Measured(real["train"][rows], labels["train"][rows], real, labels, ("a", "b"), True, np.zeros((16, 2)))
    got = {(r.metric, r.scope, r.reference): r.value for r in PRDC(k=3)(measured)}
    assert len(got) == 5 * 2 * 2
    assert {name for name, _, _ in got} == set(PRDC.higher_is_better)
    for split, member in (("train", True), ("val", False)):
        pooled = prdc(real[split], measured.condensed, k=3, member=member)
        each = [
            prdc(real[split][labels[split] == c], measured.condensed[rows % 2 == c], k=3, member=member) for c in (0, 1)
        ]
        for name, value in pooled.items():
            assert got[name, "pooled", split] == value
            assert_allclose(got[name, "per_class", split], np.mean([e[name] for e in each]))
