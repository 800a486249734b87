"""Published accuracies, each with its source: a table to look up and to compare with your own, of other recipes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import as_file, files
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import blame
from decoct.core.spec import suggest
from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, name, table, valued
from decoct.report.page.parts import content, note
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import Manifest

FILE = "published.csv"
CAUTION = "another recipe, student or label than here: to look at, not to compare"
TYPES: dict[Any, Any] = {
    str: pa.string(),
    float: pa.float64(),
    float | None: pa.float64(),
    int | None: pa.int64(),
}  # as they are read


@dataclass(frozen=True)
class Published:
    """One number. What its source does not say is empty or None.

    Attributes:
        method: as decoct calls it, or its own name in lower case.
        data: as decoct calls it.
        resolution: pixels per side.
        ipc: images of each class.
        student: net.
        protocol: how the student was trained, in the source's words.
        labels: that it learnt from.
        accuracy: in percent, most often of the best epoch on the test set.
        error: what stands behind ±, in points.
        source: where the number was read.
        arxiv: id of the method's paper.
    """

    method: str
    data: str
    resolution: int | None
    ipc: int | None
    student: str
    protocol: str
    labels: str
    accuracy: float
    error: float | None
    source: str
    arxiv: str


@dataclass(frozen=True)
class Beside:
    """A run's accuracies of a method, one a protocol and student, and what was published of the same data and IPC."""

    label: str
    own: tuple[Accuracy, ...]
    published: tuple[Published, ...]


@cache
def read() -> tuple[Published, ...]:
    """All numbers, in the order of the file."""
    with as_file(files("decoct.report") / FILE) as path:
        return read_file(path)


def read_file(path: Path) -> tuple[Published, ...]:
    """The numbers in a file, in its order; a DecoctError if it is damaged."""
    from pyarrow import csv

    types = {field.name: TYPES[field.type] for field in fields(Published)}
    try:
        rows = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types)).to_pylist()
        found = tuple(Published(**row) for row in rows)
        if not all(isfinite(row.accuracy) and isfinite(row.error or 0) for row in found):
            raise ValueError("a number is not finite")
    except Exception as error:  # the library raises whatever its parser stumbled on
        blame(error)
        said = " ".join(str(error).split())[:120]
        raise DecoctError(f"{path} is damaged ({said}): install decoct again") from error
    return found


def select(
    rows: Sequence[Published],
    method: str | None = None,
    data: str | None = None,
    ipc: int | None = None,
    protocol: str | None = None,
) -> list[Published]:
    """Those that all filters leave: names without regard to case and hyphens, a protocol by any of its words.

    Raises:
        UsageError: a method, data set or protocol that the table does not have.
    """
    left = list(rows)
    for column, asked in (("method", method), ("data", data)):
        if asked is not None:
            known = {alike(getattr(row, column)) for row in rows}
            if alike(asked) not in known:
                names = sorted({getattr(row, column) for row in rows})
                raise UsageError(f"nothing is published here of the {column} '{asked}'.{suggest(asked, names)}")
            left = [row for row in left if alike(getattr(row, column)) == alike(asked)]
    if protocol is not None:
        if not any(protocol.lower() in row.protocol.lower() for row in rows):
            names = sorted({row.protocol for row in rows} - {""})
            raise UsageError(f"no number is of a protocol with '{protocol}'; there are: {'; '.join(names)}")
        left = [row for row in left if protocol.lower() in row.protocol.lower()]
    return [row for row in left if ipc is None or row.ipc == ipc]


def beside(run: Manifest, accuracies: Iterable[Accuracy]) -> tuple[Beside, ...]:
    """What was published for the methods of a run on its data, at its IPCs, beside its own accuracies."""
    own = grouped(accuracies, lambda a: (a.method, getattr(Budget.read(a.setting.budget), "ipc", None)))
    of_data, pairs = [row for row in read() if alike(row.data) == alike(_data(run))], []
    for (label, ipc), reduced in own.items():
        names = _names(label, run.methods[label]) if ipc is not None and label in run.methods else ()
        if published := tuple(row for row in of_data if row.ipc == ipc and alike(row.method) in names):
            pairs.append(Beside(label, tuple(reduced), published))
    return tuple(pairs)


def side_by_side(run: Manifest, accuracies: Iterable[Accuracy]) -> RenderableType:
    """For the terminal: a table for each method and IPC, the run's own accuracies before what was published."""
    parts = list[RenderableType]()
    for one in beside(run, accuracies):
        budget = wording.budget(one.own[0].setting.budget)
        heads = Column("%", justify="right", no_wrap=True), "student", "protocol", "source"
        table = Table(*heads, title=Text(f"{one.label} at {budget}"), title_justify="left", box=None, pad_edge=False)
        for a in one.own:
            table.add_row(*map(Text, (wording.accuracy(a.interval), a.setting.student, a.setting.protocol, "this run")))
        for row in one.published:
            table.add_row(*map(Text, (f"{row.accuracy:.1f}", row.student, row.protocol, row.source)), style="dim")
        parts.append(table)
    if not parts:
        return Text(f"nothing is published here for these methods on {run.data['name']} at these budgets")
    return Group(*parts, Text(f"What was published is of {CAUTION}."))


def to_json(run: Manifest, accuracies: Iterable[Accuracy]) -> list[dict[str, Any]]:
    """What stands beside a run as plain lists and dicts; its accuracies are fractions, published ones percent."""
    return [
        {
            "method": one.label,
            "own": [{**a.setting._asdict(), "accuracy": a.interval.mean, "n": a.interval.n} for a in one.own],
            "published": [asdict(row) | {"of_another_recipe": True} for row in one.published],
        }
        for one in beside(run, accuracies)
    ]


def show(view: View, run: Manifest) -> Markup:
    """A row for each published number; nothing where none is of this data, these methods and these budgets."""
    rows = []
    for one in beside(run, view.accuracies):
        own = (f"{wording.accuracy(a.interval)} ({a.setting.protocol}, {a.setting.student})" for a in one.own)
        first, here = (view.method(one.label), facets.budget(one.own[0].setting.budget)), name("; ".join(own))
        for row in one.published:
            said = f"{row.accuracy:.1f}" + (f" ± {row.error:g}" if row.error is not None else "")
            rows.append(cells(*first, valued(row.accuracy, said), name(recipe(row)), name(row.source), here))
    if not rows:
        return Markup()
    head = columns("method", "budget", "published (%)", "student and recipe there", "source", "here (%)")
    return content(
        note(
            "Of the same method, data and IPC, and of another recipe: another student, other epochs, other labels, and "
            "most often the best epoch on the test set, where here the last one counts. They say what others found; no "
            "verdict of this page depends on them."
        ),
        table(head, rows, "prose"),
    )


def recipe(row: Published) -> str:
    """What the source says of student, resolution, protocol and labels."""
    size = f"{row.resolution} px" if row.resolution else ""
    return ", ".join(filter(None, (row.student, size, row.protocol, row.labels))) or wording.NONE


def alike(word: str) -> str:
    """A name without what people write it with differently: ``CV-DD`` and ``cv_dd`` are one."""
    return re.sub(r"[^a-z0-9+]", "", word.lower())


def _data(run: Manifest) -> str:
    """The source's name: a title may say more, such as the folder."""
    said = run.study.get("data", run.data["name"])
    return str(said.get("name") if isinstance(said, Mapping) else said).partition(":")[0]


def _names(label: str, about: Mapping[str, Any]) -> set[str]:
    """What a method of a study may be called; a preset for a method's larger sibling is that sibling."""
    config = about.get("config", {})
    name, plus = str(config.get("name", label)), str(config.get("preset") or "").endswith("_plus")
    return {alike(f"{name}+")} if plus else {alike(label), alike(name)}


SECTION = Section("Published numbers", 120, lambda s: show(s, s.run))
