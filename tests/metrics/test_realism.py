"""Realism against softmax by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured
from decoct.metrics.realism import Realism, realism


@given(n=st.integers(1, 20), classes=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_it_is_what_its_definition_says(n, classes, seed):
    rng = np.random.default_rng(seed)
    logits, labels = 5 * rng.normal(size=(n, classes)), rng.integers(0, classes, n)
    p = [math.exp(row[y]) / sum(map(math.exp, row)) for row, y in zip(logits.tolist(), labels, strict=True)]
    right = [max(range(classes), key=row.__getitem__) == y for row, y in zip(logits.tolist(), labels, strict=True)]
    got = realism(logits, labels)
    assert got["p_true"] == pytest.approx(np.mean(p))
    assert got["top1"] == pytest.approx(np.mean(right))


def test_large_logits_do_not_overflow():
    assert realism(np.array([[1e4, 0.0]]), [0]) == {"p_true": 1, "top1": 1}


def test_of_classes_that_are_as_likely_the_first_counts():
    assert realism(np.full((4, 2), 3.0), [0, 0, 0, 1]) == {"p_true": 0.5, "top1": 0.75}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_is_taken_at_its_own_values(dtype):
    generator = torch.Generator().manual_seed(0)
    logits, labels = (4 * torch.randn(30, 5, generator=generator)).to(dtype), torch.arange(30) % 5
    got, expected = realism(logits, labels), realism(logits.double().numpy(), labels.numpy())
    assert got == pytest.approx(expected, rel=1e-12)


def test_read_only_arrays_are_read():
    labels = np.array([0, 1])
    labels.flags.writeable = False
    usual = torch.is_warn_always_enabled()
    try:
        torch.set_warn_always(True)  # else torch speaks up once a process
        assert realism(torch.eye(2) * 100, labels)["top1"] == 1
    finally:
        torch.set_warn_always(usual)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        realism(np.array([[np.inf, 0.0]]), [0])
    with pytest.raises(ValueError, match="as many labels"):
        realism(np.zeros((2, 2)), [0])
    with pytest.raises(ValueError, match="run from 0 to 2, but there are 2"):
        realism(np.zeros((2, 2)), [0, 2])
    with pytest.raises(ValueError, match="run from -1 to 0"):
        realism(np.zeros((2, 2)), [0, -1])
    with pytest.raises(ValueError, match="at least one row"):
        realism(np.zeros((0, 2)), [])


def test_the_metric_weighs_classes_equally_and_pooled_images():
    logits = np.array([[9.0, 0], [9.0, 0], [9.0, 0], [9.0, 0]])
    labels = np.array([0, 0, 0, 1])
    measured = Measured(logits, labels, {}, {}, ("a", "b", "c"), False, logits)
    got = {(r.metric, r.scope): (r.value, r.reference, r.classes) for r in Realism()(measured)}
    assert got["top1", "per_class"] == (0.5, "none", 2)  # nothing is seen of a class that the set lacks
    assert got["top1", "pooled"] == (0.75, "none", None)


def test_the_metric_says_what_is_wrong_with_its_input():
    logits = np.full((2, 2), np.nan)
    with pytest.raises(DecoctError, match="held-out teacher"):
        Realism()(Measured(logits, np.array([0, 1]), {}, {}, ("a", "b"), False, logits))
