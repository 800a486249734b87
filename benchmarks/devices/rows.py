"""Tables that grow row by row in a file: a row that raises is a row that failed, and a process that dies loses one.

A section runs in a process of its own. Whoever starts it again has it go on behind the row at which it died.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Cells = Sequence[object]


class Wrong(Exception):  # noqa: N818
    """A row was made, and what it says is not right.

    Args:
        cells: of the row.
        why: it is not.
    """

    def __init__(self, cells: Cells, why: str) -> None:
        super().__init__(why)
        self.cells = cells


class Broken(Exception):  # noqa: N818
    """The device takes no more work from this process."""


class Rows:
    """What a section has found so far.

    Args:
        file: of JSON lines.
        alive: asked after a failure; raises if the device computes no more, as after an illegal access on CUDA.
    """

    def __init__(self, file: Path, alive: Callable[[], object] = lambda: None) -> None:
        self.file, self.alive = file, alive
        self.known = read(file)
        self.title = ""

    def note(self, **entry: Any) -> None:
        """Leave a line in the file."""
        self.known.append(entry)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")

    def say(self, text: str) -> None:
        """A paragraph, once."""
        if not any(entry.get("text") == text for entry in self.known):
            self.note(text=text)

    def table(self, title: str, head: Sequence[str]) -> None:
        """Begin a table, whose first column is of names, or go on with it; rows go there from here on."""
        self.title = title
        if not any(entry.get("table") == title for entry in self.known):
            self.note(table=title, head=list(head))

    def row(self, name: str, make: Callable[[], Cells]) -> None:
        """Make a row's cells behind its name, unless it is there.

        Raises:
            Broken: it failed, and so would all that comes behind it in this process.
        """
        if any(entry.get("row") == name and entry.get("of") == self.title for entry in self.known):
            return
        self.note(begun=name, of=self.title)
        start = time.perf_counter()
        try:
            cells, why = make(), ""
        except Wrong as wrong:
            cells, why = wrong.cells, str(wrong)
        except Exception as error:
            traceback.print_exc()
            cells, why = [], f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]
        self.note(row=name, of=self.title, cells=[str(cell) for cell in cells], failed=why)
        said = f"FAILED, {why}" if why else "done"
        print(f"{self.title} · {name}: {said}, {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
        if why:
            try:
                self.alive()
            except Exception as error:
                raise Broken(str(error)) from error


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a section's file; none if it is not there."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def begun(known: Sequence[dict[str, Any]]) -> tuple[str, str] | None:
    """The row that was begun last, and its table, if it came to no end."""
    for entry in reversed(known):
        if "row" in entry:
            return None
        if "begun" in entry:
            return entry["begun"], entry["of"]
    return None


def failures(known: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Table, row and reason of what failed."""
    return [(entry["of"], entry["row"], entry["failed"]) for entry in known if entry.get("failed")]


def markdown(known: Sequence[dict[str, Any]]) -> str:
    """Paragraphs and tables in the order in which they began; the last column says whether a row is as it should be."""
    parts: list[str] = []
    for entry in known:
        if "text" in entry:
            parts.append(entry["text"])
        elif "table" in entry:
            head = [*entry["head"], "verdict"]
            rows = [each for each in known if each.get("of") == entry["table"] and "row" in each]
            lines = [head, ["---"] * len(head), *(_line(row, len(head)) for row in rows)]
            parts.append(f"### {entry['table']}\n")
            parts[-1] += "\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n\n".join(parts) + "\n"


def _line(row: dict[str, Any], columns: int) -> list[str]:
    cells = [row["row"], *row["cells"]]
    cells += [""] * (columns - 1 - len(cells))
    return [_plain(cell) for cell in [*cells, f"**failed**: {row['failed']}" if row["failed"] else "ok"]]


def _plain(cell: str) -> str:
    """A cell that cannot end its column, open HTML, or begin a line."""
    return cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
