"""The nearest kept image of a class, against a naive search."""

import itertools

import numpy as np
import pytest
from tests.shrinking.pools import make_pool

from decoct.shrinking.written import nearest
from decoct.shrinking.written.nearest import looks, nearest_kept


def naive(pool, rows, kept):
    seen = looks(pool, np.arange(len(pool))).astype(np.float64)
    found = []
    for row in rows:
        own = [k for k in sorted(kept) if k != row and pool.labels[k] == pool.labels[row]]
        far = [((seen[row] - seen[k]) ** 2).sum() for k in own]
        found.append(own[int(np.argmin(far))] if own else -1)
    return found


@pytest.mark.parametrize("by", ["features", "pixels"])
@pytest.mark.parametrize("block", [7, 2**14])
def test_it_is_the_nearest_other_of_its_class(tmp_path, monkeypatch, by, block):
    monkeypatch.setattr(nearest, "BLOCK", block)
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 150)
    labels[0], labels[1:][labels[1:] == 4] = 4, 3  # a class of one
    features = rng.normal(size=(150, 5)).astype(np.float16) if by == "features" else None
    pool = make_pool(tmp_path, [f"{i}" for i in range(150)], labels, list("abcde"), features=features)
    kept = np.append(rng.choice(np.arange(1, 150), 40, replace=False), 0)
    rows = rng.permutation(150)
    found = nearest_kept(pool, rows, kept)
    assert found.tolist() == naive(pool, rows, kept)
    assert found[rows == 0] == -1


def test_of_a_class_without_a_kept_image_none_is_near(tmp_path):
    pool = make_pool(tmp_path, ["a", "b"], [0, 1], ["x", "y"])
    assert nearest_kept(pool, np.array([0, 1]), np.array([1])).tolist() == [-1, -1]


@pytest.mark.parametrize("side", [3, 16, 20])
def test_pixels_are_averaged_over_cells(tmp_path, side):
    images = np.random.default_rng(0).integers(0, 256, (2, 1, side, side), dtype=np.uint8)
    pool = make_pool(tmp_path, ["a", "b"], [0, 0], ["x", "y"], images=images)
    edges = [side * k // min(8, side) for k in range(min(8, side) + 1)]
    cells = [
        images[1, 0, y0:y1, x0:x1].mean()
        for y0, y1 in itertools.pairwise(edges)
        for x0, x1 in itertools.pairwise(edges)
    ]
    np.testing.assert_allclose(looks(pool, np.array([1]))[0], cells, rtol=1e-6)
