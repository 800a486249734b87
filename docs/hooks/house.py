"""The page of the house: every room and file with its first line, and each kind of job with its key and its files.

All of it is read off the code, so that none of it can be stale.
"""

import ast
import inspect
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from decoct.core.spec import find
from decoct.data.dataset import load_data
from decoct.study.execute import WORK
from decoct.study.expand import expand
from decoct.study.jobs import Job, kinds
from decoct.study.study import Study

SOURCE = Path(__file__).parents[2] / "src" / "decoct"
EVERYTHING = {  # a study with jobs of every kind
    "name": "house",
    "data": {"name": "digits"},
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 1}],
    "replicates": {"condense": 1, "train": 1},
    "condensers": [{"name": "herding", "shards": 2}, "edc", "el2n", "confident", "mtt", "d4m_class"],
    "protocols": ["erm", {"name": "single_teacher", "labels": {}}],
    "metrics": {"extractors": ["teacher"], "names": ["prdc"]},
}


def page() -> str:
    """The whole page, as Markdown."""
    parts = ["# The house\n", "Written from the code when this site is built.\n", "## Rooms\n", rooms()]
    parts += ["## Keys\n", keys(), "## Cells\n", cells()]
    return "\n".join(parts)


def rooms() -> str:
    """Every file by folder, with the first line of what it says of itself."""
    lines = []
    for folder in [SOURCE, *sorted(path for path in SOURCE.rglob("*") if path.is_dir() and any(path.glob("*.py")))]:
        files = {path.stem: _first_line(path) for path in sorted(folder.glob("*.py"))}
        own = files.pop("__init__", "")
        lines.append(f"\n**{folder.relative_to(SOURCE.parent).as_posix()}/** {own}\n")
        lines += [f"- `{name}` {said}" for name, said in files.items()]
    return "\n".join(lines) + "\n"


def keys() -> str:
    """By kind of job what is digested: the names in ``keyed``, and the roles of the cells that it reads."""
    lines = ["| kind | keyed | reads |", "|---|---|---|"]
    for kind, jobs in jobs_by_kind().items():
        keyed = {name for job in jobs for name in job.keyed}
        roles = {re.sub(r":.*", ":…", role) for job in jobs for role in job.inputs}
        lines.append(f"| {kind} | {_code(keyed)} | {_code(roles)} |")
    return "\n".join(lines) + "\n"


def cells() -> str:
    """By kind of job the files of its cell, as the docstring of its work names them."""
    rows = ((kind, file, said) for kind in kinds() for file, said in files_of(kind).items())
    return "| kind | file | content |\n|---|---|---|\n" + "".join(f"| {k} | `{f}` | {said} |\n" for k, f, said in rows)


def jobs_by_kind() -> dict[str, list[Job]]:
    """Jobs of ``EVERYTHING``, by kind.

    Raises:
        ValueError: some kind is in none of its jobs.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = expand(Study.from_dict(EVERYTHING), load_data("digits", Path(folder)))
    by_kind = {kind: [job for job in jobs if job.kind == kind] for kind in kinds()}
    if missing := [kind for kind, own in by_kind.items() if not own]:
        raise ValueError(f"no job of {', '.join(missing)}: let EVERYTHING ask for one")
    return by_kind


def files_of(kind: str) -> dict[str, str]:
    """Files of a kind's cell and what each holds, from the section ``Files`` of the docstring of its work."""
    work: Callable[..., Any] = WORK[kind] if kind in WORK else find("need", kind).make
    section = (inspect.getdoc(work) or "").partition("Files:\n")[2].partition("\n\n")[0]
    told = (line.strip().partition(": ") for line in section.splitlines())
    return {name: said.rstrip(".") for name, _, said in told}


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


def _code(words: set[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words)) or "–"


if __name__ == "__main__":
    print(page())
