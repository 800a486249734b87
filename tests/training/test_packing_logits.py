"""Logits in few bytes: how far what is read may be from what was written, and that the largest classes are kept."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from decoct.training.packing import LARGEST, decode, encode, smallest

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=12)
HALF = 2.0**-11  # of a number: the most that rounding to half precision changes it …
TINY = 2.0**-25  # … or of the smallest numbers


def rows(magnitude):
    return arrays(np.float32, SHAPES, elements=st.floats(-magnitude, magnitude, width=32))


def rounded(x):
    """As the nearest number of half precision that is finite."""
    return np.clip(x, -LARGEST, LARGEST).astype(np.float16).astype(np.float64)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@given(rows(float(np.float32(LARGEST))))
def test_with_16_bits_a_logit_is_the_nearest_number_of_half_precision(logits):
    arrays = encode(logits, 16)
    assert {name: a.dtype for name, a in arrays.items()} == {"values": np.float16}
    found = decode(arrays, logits.shape[1])
    assert found.dtype == np.float32
    assert np.array_equal(found, rounded(logits))
    assert (np.abs(found - logits) <= np.maximum(HALF * np.abs(logits), TINY)).all()


@settings(max_examples=300)
@given(rows(60_000.0) | rows(20.0) | rows(float(np.float32(1e-6))))
@example(np.full((3, 4), 12.3, np.float32))  # constant rows, whose step is nothing
@example(np.float32([[1000.3, 1000.31], [-1000.3, -1000.31]]))  # less apart than half precision tells
@example(np.float32([[-60_000, 60_000, 0.0]]))
def test_with_8_bits_a_logit_is_off_by_half_a_step_and_the_rounding_of_least_and_step(logits):
    arrays = encode(logits, 8)
    assert {name: a.dtype for name, a in arrays.items()} == {"codes": np.uint8, "range": np.float16}
    exact = logits.astype(np.float64)
    low, high = exact.min(1), exact.max(1)
    least, step = arrays["range"].astype(np.float64).T
    assert np.array_equal(least, rounded(low))
    above = np.maximum(high - least, 0)
    assert (np.abs(step - above / 255) <= np.maximum(HALF * above / 255, TINY)).all()
    bound = step / 2 + np.abs(least - low) + np.maximum(above - 255 * step, 0)
    error = np.abs(decode(arrays, logits.shape[1]) - exact)
    assert (error <= bound[:, None] + 1e-6 * np.abs(exact) + 1e-30).all()


def test_with_8_bits_least_and_largest_are_those_of_the_row():
    logits = np.float32([[0, 255, 3, 77.4], [-1, -1, -1, -1], [-8, 247, 0, 0.6]])
    arrays = encode(logits, 8)
    assert arrays["range"].tolist() == [[0, 1], [-1, 0], [-8, 1]]
    assert arrays["codes"].tolist() == [[0, 255, 3, 77], [0, 0, 0, 0], [0, 255, 8, 9]]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("top_k", [None, 1])
def test_what_half_precision_does_not_hold_is_cut_and_stays_finite(bits, top_k):
    huge = np.float32([[1e30, 0, -1e30], [1e5, 2e5, 3e5], [-1e5, -1e5, -1e5]])
    found = decode(encode(huge, bits, top_k), 3)
    assert np.isfinite(found).all()
    assert found.argmax(1)[0] == 0


@given(rows(30.0), st.data(), st.floats(0.5, 20))
def test_the_k_largest_are_kept_in_the_order_of_the_classes_and_the_others_keep_their_mass(logits, data, temperature):
    count, classes = logits.shape
    k = data.draw(st.integers(1, classes))
    arrays = encode(logits, 16, k, temperature)
    found = decode(arrays, classes)
    if k == classes:
        assert np.array_equal(found, rounded(logits))
        assert "classes" not in arrays
        return
    kept = arrays["classes"].astype(int)
    assert kept.shape == (count, k) and arrays["values"].shape == (count, k + 1)
    assert (np.diff(kept, axis=1) > 0).all()
    exact = logits.astype(np.float64)
    for z, mine, read in zip(exact, kept, found, strict=True):
        others = np.setdiff1d(np.arange(classes), mine)
        assert z[mine].min() >= z[others].max()
        assert np.array_equal(read[mine], rounded(z[mine]))
        assert len(set(read[others].tolist())) == 1
        rest = temperature * np.log(np.mean(np.exp(z[others] / temperature)))  # so that Σ exp(z / T) stays
        assert read[others[0]] == pytest.approx(rest, rel=2 * HALF, abs=1e-4)


@pytest.mark.parametrize(("temperature", "bits", "off"), [(1.0, 16, 4e-3), (20.0, 16, 4e-4), (20.0, 8, 2e-3)])
def test_probabilities_of_the_classes_kept_are_those_of_the_whole_label(temperature, bits, off):
    logits = np.random.default_rng(0).normal(0, 4, (50, 100)).astype(np.float32)
    found = softmax(decode(encode(logits, bits, 10, temperature), 100) / temperature)
    whole = softmax(logits.astype(np.float64) / temperature)
    largest = np.argsort(-logits, axis=1)[:, :10]
    mine, theirs = (np.take_along_axis(p, largest, 1) for p in (found, whole))
    assert np.abs(mine - theirs).max() < off
    assert mine.sum(1) == pytest.approx(theirs.sum(1), abs=10 * off)  # so the others have their mass


def test_another_temperature_gives_the_others_another_logit():
    logits = np.float32([[9, 4, 1, 0]])
    rest = {t: float(encode(logits, 16, 1, t)["values"][0, 1]) for t in (1.0, 20.0)}
    assert rest[1.0] == pytest.approx(np.log((np.exp(4) + np.e + 1) / 3), rel=1e-3)
    assert rest[20.0] == pytest.approx(20 * np.log((np.exp(0.2) + np.exp(0.05) + 1) / 3), rel=1e-3)


def test_some_rows_decode_by_themselves():
    logits = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    for bits, top_k in ((8, None), (16, 2), (8, 2)):
        arrays = encode(logits, bits, top_k)
        some = decode({name: array[[7, 2, 2]] for name, array in arrays.items()}, 6)
        assert np.array_equal(some, decode(arrays, 6)[[7, 2, 2]])


def test_bytes_of_a_label():
    """16 bits: 2 a class. 8 bits: 1 a class and 4 for the range. The number of a class: 1, from 257 classes on 2."""

    def size(classes, bits, top_k=None):
        logits = np.random.default_rng(0).normal(size=(3, classes)).astype(np.float32)
        return sum(array.nbytes for array in encode(logits, bits, top_k).values()) / 3

    assert (size(10, 16), size(10, 8)) == (20, 14)
    assert (size(256, 16, 5), size(256, 8, 5)) == (12 + 5, 6 + 4 + 5)
    assert (size(257, 16, 5), size(257, 8, 5)) == (12 + 10, 6 + 4 + 10)


@given(st.integers(0, 2**64 - 1))
@example(255)
@example(256)
@example(2**16)
@example(2**32)
def test_the_smallest_type_holds_the_number_and_no_smaller_one_does(number):
    kind = smallest(number)
    assert int(kind(number)) == number
    smaller = [other for other in (np.uint8, np.uint16, np.uint32) if np.iinfo(other).bits < np.iinfo(kind).bits]
    assert all(number > np.iinfo(other).max for other in smaller)
