"""Which time counts, which costs tie, and whose cost was measured."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report.costs import made_here, measure, shared, span, taken, ties, whose


def row(**own):
    usual = {"device": "cpu", "hardware": "CPU", "device_seconds": 0.0, "cpu_seconds": 2.0}
    return usual | {"method": "rded", "budget": "ipc=1"} | own


def test_device_time_counts_where_all_held_an_accelerator_processor_time_where_none_did():
    assert measure([row(), row()]) == "processor time"
    assert measure([row(device_seconds=1.0), row(device_seconds=0.1)]) == "device time"
    assert measure([row(device_seconds=1.0), row()]) is None


@pytest.mark.parametrize("other", [{"device": "cuda"}, {"hardware": "B"}, {"cpu_seconds": None}])
def test_unlike_machines_and_unknown_times_are_not_compared(other):
    assert measure([row(), row(**other)]) is None
    assert measure([]) is None


@given(st.lists(st.floats(0, 1e6), max_size=6))
def test_what_is_within_a_second_or_a_tenth_of_the_least_ties(seconds):
    least = min(seconds, default=math.nan)
    assert ties(seconds) == [x <= least + 1 or x <= 1.1 * least for x in seconds]
    assert any(ties(seconds)) == bool(seconds)


def test_a_timer_does_not_order_two_seconds_apart_of_twenty():
    assert ties([20.0, 22.0, 22.1]) == [True, True, False]
    assert ties([0.01, 1.0, 1.02]) == [True, True, False]


def test_what_an_author_states_is_no_measurement():
    mine, stated, old = row(stated=None), row(stated="3 h on 8 GPUs"), row()
    assert made_here([mine, stated, old]) == [mine, old]
    assert whose(mine) == ("rded", "ipc=1")


def test_a_method_takes_the_means_of_its_budgets_from_the_least_to_the_most():
    like = {"device": "cpu", "hardware": "x", "device_seconds": 0.0}
    rows = [
        {**like, "method": m, "budget": b, "cpu_seconds": s}
        for m, b, s in [("a", "ipc=1", 1.0), ("a", "ipc=1", 3.0), ("a", "ipc=10", 8.0), ("b", "ipc=1", 5.0)]
    ]
    assert taken(rows) == {"a": (2.0, 8.0), "b": (5.0, 5.0)}
    assert taken([*rows, {**rows[0], "hardware": "y"}]) == {} == taken([])


def test_a_span_names_its_unit_once_where_it_is_one():
    assert span(9.0, 17.0) == "9.0 to 17.0 s" and span(5.0, 5.0) == "5.0 s"
    assert span(1e-4, 2e-4) == "under 1 ms" and span(1e-4, 2.0) == "under 1 ms to 2.0 s"


def test_equal_times_of_a_family_share_a_line_and_many_lines_become_one_for_each_family():
    families = {"dm": "distillation", "random": "coreset", "herding": "coreset", "craig": "coreset"}
    taken = {"dm": (60.0, 90.0), "random": (4.0, 4.0), "herding": (60.0, 90.0), "craig": (60.0, 90.0)}
    assert shared(taken, families, 3) == [
        ("distillation", ["dm"], "60.0 to 90.0 s"),
        ("coreset", ["random"], "4.0 s"),
        ("coreset", ["herding", "craig"], "60.0 to 90.0 s"),
    ]
    assert shared(taken, families, 2) == [
        ("distillation", ["dm"], "60.0 to 90.0 s"),
        ("coreset", ["random", "herding", "craig"], "4.0 to 90.0 s"),
    ]
