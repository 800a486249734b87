"""Thumbnails as they are compared: symmetric, and beyond all pairs only the nearest as crops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shrinking.pictures import drawings

from decoct.shrinking.faults import looks
from decoct.shrinking.faults.looks import Looks


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(7, 12), st.integers(0, 9)), max_size=30), st.integers(1, 4))
def test_pairs_among_the_nearest_of_either_row(drawn, nearest):
    pairs = list({(i, j): d / 10 + k / 1000 for k, (i, j, d) in enumerate(drawn)}.items())
    first, second = (np.array([pair[end] for pair, _ in pairs], np.int64) for end in (0, 1))
    differ = np.array([d for _, d in pairs], np.float32)

    def rank(row, at):
        return sum(1 for (i, j), d in pairs if row in (i, j) and d < pairs[at][1])

    expected = [min(rank(i, at), rank(j, at)) < nearest for at, ((i, j), _) in enumerate(pairs)]
    assert looks._among(first, second, differ, nearest).tolist() == expected


@pytest.mark.parametrize("lost", [0.01, 0.02, 0.04])
@pytest.mark.parametrize("size", [28, 64])
def test_a_crop_is_near_to_its_original_and_no_other_is(lost, size):
    """Crops from the same large picture, in the thumbnails that decoding would make."""
    large = drawings(30, side=400)
    cut = round(lost * 400)
    pictures = [large[:, :, : 400 - cut, cut:], large]
    images = np.concatenate([_shrunk(each, size) for each in pictures])
    seen, rows = Looks(images), np.arange(30)
    assert (seen.apart(rows, rows + 30, 0.25) <= 0.25).all()
    assert (seen.apart(rows, np.roll(rows, 1) + 30, 0.25) > 0.25).all()
    there, back = seen.apart(rows, rows + 30, 0.25), seen.apart(rows + 30, rows, 0.25)
    assert np.array_equal(there, back)


def _shrunk(images, size):
    side = images.shape[-1]
    weights = np.maximum(
        np.minimum(np.arange(1, size + 1)[:, None] * side / size, np.arange(1, side + 1))
        - np.maximum(np.arange(size)[:, None] * side / size, np.arange(side)),
        0,
    )
    weights /= weights.sum(1, keepdims=True)
    return np.round(weights @ images @ weights.T).astype(np.uint8)
