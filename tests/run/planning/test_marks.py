"""Marks: work that was seen in part is carried on at its rate, and a clock stands still meanwhile."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core import once
from decoct.run.planning.marks import Mark, carried_on, now


@given(st.integers(2, 30), st.floats(0.001, 10.0), st.floats(0.0, 50.0), st.integers(0, 100), st.floats(0.1, 1.0))
def test_an_even_work_is_carried_on_exactly_whatever_its_start_took(seen, each, warm, more, cores):
    """After a slow first step all others take the same: t_1 + (total − 1) · each."""
    times = [0.0, *(warm + each * (i + 1) for i in range(seen))]
    marks = [Mark(t, cores * t, i, seen + more if i else 0) for i, t in enumerate(times)]
    wall, cpu = carried_on(marks)
    assert wall == pytest.approx(warm + each * (seen + more))
    assert cpu == pytest.approx(cores * wall)


def test_a_clock_stands_still_while_something_is_kept_for_later(monkeypatch):
    monkeypatch.setattr(once, "_known", once._Known())
    time = [10.0]

    def long(array):
        time[0] += 5.0
        return array.sum()

    def clock():
        return time[0], 2 * time[0]

    with once.timed_by(clock):
        before = now(clock)
        once.once(long, np.arange(3.0))
        time[0] += 1.0
        after = now(clock, 3, 7)
    assert before == Mark(10.0, 20.0, 0, 0) and after == Mark(11.0, 22.0, 3, 7)
