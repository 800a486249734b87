"""Rows of a Markdown table where a column says something, without the columns that are then alike."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import rows

TABLE = r"""**Metrics**

| reading | size | features of | random\|set | dm |
|---|---|---|---:|---:|
| coverage | IPC 10 | a\_net | 1 | 2 |
| radius | IPC 10 | a\_net | 1 | 4 |
| coverage | IPC 10 | another | 5 | 6 |

Words | and more.
"""


def test_rows_of_one_net_without_what_is_alike_in_all_of_them():
    assert rows.rows(TABLE, "features of", "a_net").splitlines() == [
        "**Metrics**",
        "",
        "| reading | dm |",
        "| --- | ---: |",
        "| coverage | 2 |",
        "| radius | 4 |",
        "",
        "Words | and more.",
    ]


def test_a_single_row_keeps_all_its_columns():
    kept = rows.rows(TABLE, "features of", "another")
    assert r"| coverage | IPC 10 | another | 5 | 6 |" in kept and kept.count("IPC 10") == 1


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("net", "a_net", "no column 'net': reading, size"), ("features of", "dino", "is never 'dino': ")],
)
def test_what_is_not_there_is_refused(column, value, said):
    with pytest.raises(SystemExit, match=said):
        rows.rows(TABLE, column, value)
