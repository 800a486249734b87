"""The rows of a Markdown table that a run left in which a column says something; columns that are alike then fall away.

python benchmarks/rows.py runs/beyond_accuracy/tables/metrics.md "features of" test_efficientnet
"""

import argparse
import re
from pathlib import Path

CELL = re.compile(r"(?<!\\)\|")  # a bar that parts two cells


def rows(text: str, column: str, value: str) -> str:
    """What stands above and below the table stays.

    Raises:
        SystemExit: there is no such column, or it never says that.
    """
    lines = text.strip().splitlines()
    table = [[cell.strip() for cell in CELL.split(line)[1:-1]] for line in lines if line.startswith("|")]
    head, rule, *every = table
    names = [name.replace("\\", "") for name in head]
    if column not in names:
        raise SystemExit(f"the table has no column '{column}': {', '.join(names)}")
    at = names.index(column)
    kept = [row for row in every if row[at].replace("\\", "") == value]
    if not kept:
        raise SystemExit(f"'{column}' is never '{value}': {', '.join(sorted({row[at] for row in every}))}")
    shown = [i for i in range(len(head)) if len({row[i] for row in kept}) > 1 or len(kept) == 1]
    made = [f"| {' | '.join(row[i] for i in shown)} |" for row in (head, rule, *kept)]
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    return "\n".join([*lines[:first], *made, *lines[first + len(table) :]])


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("column")
    parser.add_argument("value")
    asked = parser.parse_args()
    print(rows(asked.table.read_text("utf-8"), asked.column, asked.value))


if __name__ == "__main__":
    main()
