"""Spans of time as people write them."""

import pytest

from decoct.core.errors import UsageError
from decoct.run.planning.duration import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("2h", 7200),
        ("1h30m", 5400),
        ("3d", 259200),
        ("45s", 45),
        ("1d 2h 3min 4s", 93784),
        ("1.5H", 5400),
    ],
)
def test_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "soon", "2 weeks", "-2h", "0h", "1m2h", "h", "1e3s", "nan"])
def test_refused_with_how_to_write_it(text):
    with pytest.raises(UsageError, match="1h30m"):
        seconds_of(text)
