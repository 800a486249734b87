"""Nearest rows and balls against all float64 differences, by every path, in blocks of any size."""

import contextlib
import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from decoct.select import nearest
from decoct.select.nearest import as_features, as_pair, inside, nearest_others, nearest_rows

KINDS = ("spread", "grid", "alike", "duplicates", "clusters")
cases = {
    "kind": st.sampled_from(KINDS),
    "n": st.integers(2, 60),
    "m": st.integers(1, 60),
    "d": st.sampled_from([1, 2, 7, 40]),
    "dtype": st.sampled_from([torch.float16, torch.float32, torch.float64]),
    "block": st.sampled_from([1, 50, 400, 2**22]),
    "panel": st.sampled_from([1, 5, 512]),
    "seed": st.integers(0, 2**32 - 1),
}


def draw(kind, n, d, dtype, rng):
    rows = rng.normal(size=(n, d))
    if kind == "grid":  # all distances tie with others
        rows = rng.integers(0, 3, (n, d)) + 50.0
    elif kind == "alike":
        rows = np.full((n, d), 0.1)
    elif kind == "duplicates":
        rows = np.where(rng.random((n, 1)) < 0.5, 0.3, rows)
    elif kind == "clusters":  # closer than a product in float32 sees
        rows = 1e-4 * rows + 1e3 * (rng.random((n, 1)) < 0.2)
    return torch.from_numpy(rows).to(dtype)


def rewrite(x, y):
    """[N, M] squared distances."""
    return (x.double()[:, None] - y.double()).square().sum(2)


def less(squared, limit):
    """But for the rounding of sums of d terms, where a case does not depend on it."""
    assume(not ((squared != limit) & ((squared / limit - 1).abs() < 1e-12)).any())
    return squared < limit


def screened(block=2**22, panel=512, strip=32):
    """However small the sets."""
    return mock.patch.multiple(nearest, SMALL=0, BLOCK=block, PANEL=panel, STRIP=strip, CACHED=64)


@settings(max_examples=150, deadline=None)
@given(**cases, k=st.integers(1, 59), others=st.booleans())
def test_the_nearest_come_first_and_of_a_tie_the_lowest_number(kind, n, m, d, dtype, block, panel, seed, k, others):
    rng = np.random.default_rng(seed)
    x, y = draw(kind, n, d, dtype, rng), draw(kind, m, d, dtype, rng)
    k = min(k, n - 1) if others else 1
    squared = rewrite(x, x).fill_diagonal_(math.inf) if others else rewrite(x, y)
    squared, rows = squared.sort(dim=1, stable=True)
    for path in (contextlib.nullcontext(), screened(block, panel, strip=5), screened()):
        with path:
            found = nearest_others(x, k) if others else nearest_rows(x, y)
        assert found.rows.view(n, k).equal(rows[:, :k])
        assert found.squared.view(n, k).equal(squared[:, :k])


@settings(max_examples=150, deadline=None)
@given(**cases, share=st.sampled_from([0.5, 1.0, 2.0]))
def test_a_ball_is_open_and_its_sphere_is_outside(kind, n, m, d, dtype, block, panel, seed, share):
    rng = np.random.default_rng(seed)
    x, y = draw(kind, n, d, dtype, rng), draw(kind, m, d, dtype, rng)
    distance = rewrite(x, y)
    of_x = share * distance[torch.arange(n), torch.from_numpy(rng.integers(0, m, n))]  # at 1 on its sphere
    of_y = share * distance[torch.from_numpy(rng.integers(0, n, m)), torch.arange(m)]
    of_x[0] = math.nan  # empty
    for path in (contextlib.nullcontext(), screened(block, panel, strip=5), screened()):
        hits, within = torch.zeros(n, m, dtype=torch.int64), torch.zeros(n, dtype=torch.bool)
        with path:
            for i, j, k in inside(x, y, of_x, of_y):
                hits[i, j] += 1
                within[k] = True
        assert hits.equal(less(distance, of_x[:, None]).long())
        assert within.equal(less(distance, of_y).any(1))


def test_a_radius_that_rounding_enlarged_lets_no_tie_in():
    x, y = torch.zeros(1, 3), torch.tensor([[1.0, 1, 1]])
    for limit, expected in ((3 * (1 + 1e-15), 0), (3 * (1 + 1e-13), 1)):
        for path in (contextlib.nullcontext(), screened()):
            with path:
                ((i, _, within),) = inside(x, y, *2 * [torch.tensor([limit], dtype=torch.float64)])
            assert len(i) == len(within) == expected


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e-45, 1e-30, 1.0, 1e18, 1e140])
def test_no_scale_hides_what_is_near(scale):
    """Down to float32 numbers that are a few times the least there is; beneath 1e-162 squares are all 0."""
    dtype = np.float32 if 1e-45 <= scale <= 1e18 else np.float64
    x = torch.from_numpy((scale * np.random.default_rng(0).integers(0, 99, (40, 5))).astype(dtype))
    squared, rows = rewrite(x, x).fill_diagonal_(math.inf).sort(dim=1, stable=True)
    with screened():
        found = nearest_others(x, 3)
    assert found.rows.equal(rows[:, :3]) and found.squared.equal(squared[:, :3])


def test_ties_in_masses_are_settled_once_and_not_kept():
    x = torch.full((300, 2), 0.7)
    x[::3] = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    squared, rows = rewrite(x, x).fill_diagonal_(math.inf).sort(dim=1, stable=True)
    settled, settle = [], nearest._Search._settled
    watched = mock.patch.object(
        nearest._Search, "_settled", lambda self: (settled.append(self.pooled), settle(self))[1]
    )
    with screened(block=4000), watched:
        found = nearest_others(x, 4)
    assert found.rows.equal(rows[:, :4]) and found.squared.equal(squared[:, :4])
    assert 1 < len(settled) <= 4 and max(settled) < 15_000  # of 200² pairs of duplicates, seen from either side


def test_products_of_reduced_precision_change_nothing():
    x = torch.randn(400, 30, generator=torch.Generator().manual_seed(0)) + 5
    rows, usual = rewrite(x, x).fill_diagonal_(math.inf).argsort(1)[:, :5], torch.get_float32_matmul_precision()
    assert nearest_others(x, 5).rows.equal(rows)
    try:
        torch.set_float32_matmul_precision("medium")
        assert nearest_others(x, 5).rows.equal(rows)
    finally:
        torch.set_float32_matmul_precision(usual)
    by_backend, usual = torch.backends.mkldnn.matmul, torch.backends.mkldnn.matmul.fp32_precision
    try:
        by_backend.fp32_precision = "bf16"  # of which the question for the precision of all knows nothing
        assert nearest_others(x, 5).rows.equal(rows)
    finally:
        by_backend.fp32_precision = usual


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threads_change_nothing(dtype):
    generator, threads = torch.Generator().manual_seed(0), torch.get_num_threads()
    x, y = (torch.randn(n, 40, generator=generator).to(dtype) for n in (900, 700))
    found = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append((*nearest_others(x, 4), *nearest_rows(x, y)))
    finally:
        torch.set_num_threads(threads)
    assert all(one.equal(other) for one, other in zip(*found, strict=True))


def test_features_are_taken_as_they_are_or_in_the_next_larger_type():
    x = torch.randn(3, 2)
    assert as_features(x, "my") is x or as_features(x, "my").data_ptr() == x.data_ptr()
    assert as_features(x.half(), "my").dtype == torch.float32
    assert as_features([[1, 2]], "my").dtype == torch.float64
    mapped = np.zeros((3, 2))
    mapped.flags.writeable = False
    assert as_features(mapped, "my").data_ptr() == mapped.ctypes.data


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200, -1e200])
@pytest.mark.parametrize("at", [0, 7])
def test_values_that_cannot_be_squared_are_refused(bad, at):
    rows = np.ones((4, 2))
    rows.flat[at] = bad
    with pytest.raises(ValueError, match="my features hold values that are not finite, or too large to be squared"):
        as_features(rows, "my")


def test_shapes_that_are_none_are_refused():
    for shape in ((3,), (0, 3), (3, 0), (2, 2, 2)):
        with pytest.raises(ValueError, match=r"my features must be \[n, d\] with at least one row"):
            as_features(np.zeros(shape), "my")
    with pytest.raises(ValueError, match="2 dimensions, condensed 3"):
        as_pair(np.zeros((4, 2)), np.zeros((4, 3)))
    with screened(), pytest.raises(ValueError, match="too large to be subtracted in float32"):
        nearest_rows(torch.full((2, 2), 3e38), torch.full((2, 2), -3e38))
