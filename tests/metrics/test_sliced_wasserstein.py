"""Sliced Wasserstein against the optimal assignment of copies, closed forms, symmetry, planted sets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured
from decoct.metrics import sliced_wasserstein as module
from decoct.metrics.sliced_wasserstein import SlicedWasserstein, directions, segments, sliced_wasserstein

SEEDS = st.integers(0, 2**32 - 1)


def value(real, condensed, **options):
    return sliced_wasserstein(real, condensed, **options)["sliced_wasserstein"]


def naive(real, condensed, along):
    """Every image in as many copies as make both sets equally large: then a transport is an assignment."""
    n, m = len(real), len(condensed)
    x, y = np.repeat(real, m, axis=0).astype(np.float64), np.repeat(condensed, n, axis=0).astype(np.float64)
    squares = []
    for direction in np.asarray(along):
        cost = np.subtract.outer(x @ direction, y @ direction) ** 2
        squares.append(cost[linear_sum_assignment(cost)].mean())
    return math.sqrt(np.mean(squares))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 9), m=st.integers(1, 9), d=st.integers(1, 4), seed=SEEDS)
def test_it_is_the_cheapest_way_to_move_one_set_onto_the_other(n, m, d, seed):
    rng = np.random.default_rng(seed)
    real, condensed = rng.normal(size=(n, d)) + 100, 2 * rng.normal(size=(m, d)) + 101
    condensed[: m // 2] = real[0]  # a member, and copies of it
    expected = naive(real, condensed, directions(d, 3, seed))
    assert value(real, condensed, projections=3, seed=seed) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(7, 7), (60, 12), (12, 60), (31, 17), (1, 9), (9, 1)])
def test_on_a_line_it_is_the_integral_over_quantiles(n, m):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=n), rng.gamma(2, size=m)
    fine = (np.arange(n * m) + 0.5) / (n * m)  # the middles of pieces on which neither quantile function steps
    quantiles = [np.sort(s)[(fine * len(s)).astype(int)] for s in (real, condensed)]
    expected = math.sqrt(np.mean((quantiles[0] - quantiles[1]) ** 2))
    assert value(real[:, None], condensed[:, None], projections=2) == pytest.approx(expected, rel=1e-6)
    if n == m:
        assert expected == pytest.approx(math.sqrt(np.mean((np.sort(real) - np.sort(condensed)) ** 2)))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), m=st.integers(1, 30), d=st.integers(1, 8), projections=st.integers(1, 20), seed=SEEDS)
def test_either_set_may_be_the_real_one(n, m, d, projections, seed):
    """The formula treats them differently; the distance does not."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, d)), 3 * rng.normal(size=(m, d)) - 1
    assert value(a, b, projections=projections) == pytest.approx(value(b, a, projections=projections), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), m=st.integers(1, 12), r=st.integers(1, 7), seed=SEEDS)
def test_order_and_copies_of_everything_change_nothing(n, m, r, seed):
    rng = np.random.default_rng(seed)
    real, condensed = rng.normal(size=(n, 5)), rng.normal(size=(m, 5))
    copied = rng.permutation(np.repeat(condensed, r, axis=0))
    assert value(real, copied) == pytest.approx(value(real, condensed), rel=1e-6)
    assert value(rng.permutation(np.repeat(real, r, axis=0)), condensed) == pytest.approx(value(real, condensed))
    assert value(real, np.repeat(real, r, axis=0)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("d", "projections"), [(6, 12), (1, 5), (6, 5), (6, 20)])
def test_a_shift_is_seen_at_its_length_along_the_directions(d, projections):
    rng = np.random.default_rng(0)
    real, shift = rng.normal(size=(50, d)), rng.normal(size=d)
    along = (directions(d, projections).numpy() @ shift) ** 2
    got = value(real, real + shift, projections=projections)
    assert got == pytest.approx(math.sqrt(along.mean()), rel=1e-6)
    if projections % d == 0:  # whole orthogonal groups
        assert got == pytest.approx(np.linalg.norm(shift) / math.sqrt(d), rel=1e-6)


def test_a_single_image_is_at_the_root_mean_square_of_the_projections():
    rng = np.random.default_rng(0)
    real, one = rng.normal(size=(40, 8)), rng.normal(size=(1, 8))
    expected = math.sqrt(np.square(real - one).sum(1).mean() / 8)  # mean_θ (θ·v)² = ‖v‖²/d
    assert value(real, one, projections=16) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("d", "projections"), [(1, 3), (4, 3), (4, 4), (4, 11), (300, 20)])
def test_directions_are_unit_orthogonal_in_groups_and_hang_on_seed_and_dimension_alone(d, projections):
    along = directions(d, projections, 3)
    assert along.shape == (projections, d)
    for start in range(0, projections, d):
        group = along[start : start + d]
        assert torch.allclose(group @ group.T, torch.eye(len(group), dtype=torch.float64), atol=1e-12)
    directions.cache_clear()
    assert torch.equal(directions(d, projections, 3), along)
    assert d == 1 or not torch.allclose(directions(d, projections, 4).abs(), along.abs())


@pytest.mark.parametrize("projections", [1, 2, 3])
def test_each_direction_is_uniform_up_to_its_sign(projections):
    """Moments of a uniform direction in three dimensions: E θ_i² = 1/3, E θ_i⁴ = 1/5, E θ_i² θ_j² = 1/15."""
    last = np.array([directions(3, projections, seed)[-1].numpy() for seed in range(4000)])
    squares = last**2
    assert squares.mean(0) == pytest.approx(np.full(3, 1 / 3), abs=0.02)
    assert (squares**2).mean(0) == pytest.approx(np.full(3, 1 / 5), abs=0.02)
    assert (squares[:, 0] * squares[:, 1]).mean() == pytest.approx(1 / 15, abs=0.01)


def test_orthogonal_directions_estimate_what_independent_ones_do():
    rng = np.random.default_rng(0)
    scale = np.arange(1, 9)
    real, condensed = rng.normal(size=(60, 8)) * scale, rng.normal(size=(9, 8)) * scale + 1
    free = rng.normal(size=(4000, 8))
    free /= np.linalg.norm(free, axis=1, keepdims=True)
    x, y = np.sort(free @ real.T, 1), np.sort(free @ condensed.T, 1)
    fine = (np.arange(540) + 0.5) / 540
    squares = np.square(x[:, (fine * 60).astype(int)] - y[:, (fine * 9).astype(int)]).mean(1)
    error = 4 * squares.std() / math.sqrt(4000)
    assert value(real, condensed, projections=2000) ** 2 == pytest.approx(squares.mean(), abs=error)


def test_blocks_change_nothing_but_the_order_of_sums(monkeypatch):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(101, 8)), rng.normal(size=(37, 8))
    whole = value(real, condensed, projections=50)
    monkeypatch.setattr(module, "BLOCK", 1000)  # seven directions of the real side, 27 of the set
    assert value(real, condensed, projections=50) == pytest.approx(whole, rel=1e-12)


def test_a_large_mean_takes_no_digits():
    rng = np.random.default_rng(0)
    real, condensed = (rng.integers(-8, 9, size=(n, 4)).astype(np.float32) for n in (50, 20))
    assert value(real + 2**20, condensed + 2**20) == pytest.approx(value(real, condensed), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_is_taken_at_its_own_values(dtype):
    generator = torch.Generator().manual_seed(0)
    real, condensed = (torch.randn(n, 6, generator=generator).to(dtype) for n in (40, 15))
    assert value(real, condensed) == pytest.approx(value(real.double().numpy(), condensed.double().numpy()), rel=1e-6)


def test_the_bias_grows_as_the_set_shrinks_and_other_distributions_stand_out():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(2000, 16))
    same = {m: [value(real, rng.normal(size=(m, 16)), projections=64) for _ in range(10)] for m in (5, 50, 500)}
    assert max(same[500]) < min(same[50]) < max(same[50]) < min(same[5])
    for m in (50, 500):  # five images are as far whatever they are
        narrow = value(real, 0.3 * rng.normal(size=(m, 16)), projections=64)
        moved = value(real, rng.normal(size=(m, 16)) + 2, projections=64)
        assert min(narrow, moved) > 1.5 * max(same[m])


def test_bad_input_is_refused_by_name():
    good = np.zeros((9, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        sliced_wasserstein(good, np.array([[0.0, np.inf]]))
    with pytest.raises(ValueError, match="real features hold values that are not finite"):
        sliced_wasserstein(np.array([[0.0, np.nan]]), good)
    with pytest.raises(ValueError, match="at least one row"):
        sliced_wasserstein(good, good[:0])
    with pytest.raises(ValueError, match="2 dimensions, condensed 1"):
        sliced_wasserstein(good, good[:, :1])
    with pytest.raises(ValueError, match="projections must be at least 1, not 0"):
        sliced_wasserstein(good, good, projections=0)
    with pytest.raises(ValueError, match="at least one image"):
        segments(good, count=0)


def test_equal_points_are_at_distance_zero():
    same = np.full((20, 4), 0.1)
    assert value(same, same[:3]) == pytest.approx(0, abs=1e-15)


def test_the_metric_reads_each_class_and_all_for_sets_of_any_size():
    rng = np.random.default_rng(0)
    real = {"train": rng.normal(size=(60, 3)), "val": rng.normal(size=(40, 3))}
    labels = {"train": np.arange(60) % 2, "val": np.arange(40) % 2}
    for n in (15, 8, 15):  # the third finds what the first kept
        condensed, own = rng.normal(size=(n, 3)), np.arange(n) % 2
        measured = Measured(condensed, own, real, labels, ("a", "b"), False, np.zeros((n, 2)))
        got = {(r.scope, r.reference): r for r in SlicedWasserstein(projections=30)(measured)}
        assert {r.metric for r in got.values()} == set(SlicedWasserstein.higher_is_better)
        assert len(got) == 4
        for split, x in real.items():
            pooled = value(x, condensed, projections=30)
            each = [value(x[labels[split] == c], condensed[own == c], projections=30) for c in (0, 1)]
            assert got["pooled", split].value == pytest.approx(pooled, rel=1e-12)
            assert got["per_class", split].value == pytest.approx(np.mean(each), rel=1e-12)
            assert got["per_class", split].classes == 2


def test_the_metric_names_the_split_in_its_errors():
    real, labels = {"train": np.ones((5, 2))}, {"train": np.zeros(5, int)}
    bad = Measured(np.full((4, 2), np.nan), np.zeros(4, int), real, labels, ("a",), False, np.zeros((4, 1)))
    with pytest.raises(DecoctError, match="against the train split: condensed features hold values"):
        SlicedWasserstein()(bad)
