"""What a text such as "2 MB" stands for, and the round numbers that the page shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.report.advice.limits import Limit, limit, rounded


@pytest.mark.parametrize(
    ("text", "amount", "kind", "said"),
    [
        ("100 images", 100, "images", "100 images"),
        ("1,000 images", 1000, "images", "1,000 images"),
        ("1image", 1, "images", "1 image"),
        ("2 MB", 2e6, "bytes", "2 MB"),
        ("2mb", 2e6, "bytes", "2 MB"),
        ("1.5 KiB", 1536, "bytes", "1.54 kB"),
        ("812 B", 812, "bytes", "812 B"),
        ("60 s", 60, "seconds", "60.0 s"),
        ("250ms", 0.25, "seconds", "250 ms"),
        (" 1 h 30 min ", 5400, "seconds", "1 h 30 min"),
    ],
)
def test_a_number_and_a_unit(text, amount, kind, said):
    assert (limit(text).amount, limit(text).kind, str(limit(text))) == (pytest.approx(amount), kind, said)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "say a number"),
        ("images", "say a number"),
        ("10", "say a number"),
        ("-3 s", "say a number"),
        ("1e9 s", "say a number"),
        ("10 parsecs", "'parsecs' in '10 parsecs' is not a unit"),
        ("5 m", "not a unit"),
        ("0 images", "above 0"),
        ("0.5 images", "above 0"),
        ("10 images 2 MB", "mixes bytes and images"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, complaint):
    with pytest.raises(UsageError, match=complaint):
        limit(text)


@given(st.text(max_size=12))
def test_any_text_is_a_limit_or_a_usage_error(text):
    try:
        found = limit(text)
    except UsageError:
        return
    assert found.amount > 0


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=20))
def test_round_numbers_hold_the_smallest_and_the_largest(values):
    steps = rounded(values)
    assert 1 <= len(steps) <= 4 and steps == sorted(set(steps))
    assert min(values) <= steps[0] * (1 + 1e-9) and max(values) <= steps[-1] * (1 + 1e-9)
    assert all(f"{step:e}"[0] in "125" for step in steps)
    assert steps[0] < 2.51 * min(values)


def test_no_number_gives_none():
    assert rounded([float("nan"), float("inf"), 0.0]) == []
    assert str(Limit(1, "images")) == "1 image"
