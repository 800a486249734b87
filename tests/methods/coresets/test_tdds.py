"""TDDS against the sum of its paper, and its direction on traces that are made up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.methods.coresets.tdds import TDDS, depth
from decoct.needs.dynamics import NAMES, Trace, Traces


@given(epochs=st.integers(3, 14), window=st.integers(3, 14), decay=st.floats(0.05, 1), seed=st.integers(0, 2**31))
def test_it_is_the_sum_of_the_paper(epochs, window, decay, seed):
    """Σ_k β (1 − β)^{T − J − k} ‖ΔL_k − mean‖, over the windows of J epochs."""
    shift = np.random.default_rng(seed).exponential(size=(epochs - 1, 4))
    J, expected = min(window, epochs), np.zeros(4)
    for k in range(epochs - J + 1):
        for i in range(4):
            inside = [shift[k + j, i] for j in range(J - 1)]
            norm = np.sqrt(sum((s - np.mean(inside)) ** 2 for s in inside))
            expected[i] += decay * (1 - decay) ** (epochs - J - k) * norm
    assert depth(shift, window, decay) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_uneven_shifts_are_high_and_only_the_first_epochs_are_read():
    even, uneven, late = [1.0] * 19, [0.0, 2.0] * 9 + [0.0], [1.0] * 9 + [0.0, 9.0] * 5
    shift = np.array([even, uneven, late]).T
    traces = Traces((Trace(**dict.fromkeys(NAMES, shift)),))
    assert TDDS().difficulty(traces).tolist() == pytest.approx([0.0, 0.9 * np.sqrt(80 / 9), 0.0])
    assert TDDS(until=20).difficulty(traces).argmax() == 2


def test_a_training_of_two_epochs_is_too_short():
    with pytest.raises(DecoctError, match="three epochs at least, not 2: raise epochs"):
        depth(np.zeros((1, 4)), 10, 0.9)
