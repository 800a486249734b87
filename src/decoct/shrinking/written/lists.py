"""The lists beside a set, ``kept.csv``, ``left_out.csv`` and ``problems.csv``; and a list of images that stay."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.core.machine import STRAINED, blame
from decoct.core.sheets import quoted, unquoted
from decoct.core.spec import suggest
from decoct.data.reading.tree import SPLITS
from decoct.shrinking.answer import Problem
from decoct.shrinking.pool import TRAIN, Pool

KEPT, LEFT_OUT, PROBLEMS = "kept.csv", "left_out.csv", "problems.csv"
COPIES = {  # kinds of problems of which one image stays, and what the others are of it; the last that holds is told
    "near_duplicates": "near-duplicate of",
    "exact_duplicates": "exact duplicate of",
    "two_labels": "the same picture with another label as",
    "leak": "leak: the same picture as",
}
GIVE = "give a kept.csv, or a text with one path per line"
LOOKED = 20_000  # paths among which the nearest to a wrong one is searched


@dataclass(frozen=True, eq=False)
class Column:
    """A score of images.

    Attributes:
        name: such as "EL2N".
        says: which direction is better, such as "higher is harder".
        values: [N] of the pool's images; NaN where there is none.
    """

    name: str
    says: str
    values: NDArray[Any]

    @property
    def head(self) -> str:
        """Name and direction, as in the header of a list."""
        return f"{self.name} ({self.says})"


def reasons(
    pool: Pool,
    kept: NDArray[np.int64],
    method: str,
    problems: Iterable[Problem] = (),
    earlier: NDArray[np.int64] | None = None,
    ordered: bool = True,
    otherwise: str = "not chosen",
) -> list[str]:
    """Why each image of a pool is kept or left out, in a few words.

    Args:
        pool: of all images.
        kept: in the order in which they were chosen.
        method: that chose them.
        problems: of the images; copies of another image are named as such.
        earlier: of these, the images of an earlier list that had to stay.
        ordered: whether the order of ``kept`` says anything.
        otherwise: why a train image is left out that is no copy.
    """
    said = [f"{SPLITS[split]} image" if split != TRAIN else otherwise for split in pool.split.tolist()]
    copies = [problem for problem in problems if problem.kind in COPIES]
    for problem in sorted(copies, key=lambda problem: [*COPIES].index(problem.kind)):
        leak, rows = problem.kind == "leak", problem.rows
        for at, row in enumerate(rows):
            other = next((r for r in rows if pool.split[r] != TRAIN), None) if leak else rows[0] if at else None
            if other is not None and pool.split[row] == TRAIN:
                said[row] = f"{COPIES[problem.kind]} {pool.paths[other]}"
    stay = set() if earlier is None else set(earlier.tolist())
    counts = [0] * len(pool.class_names)
    for row in kept.tolist():
        if row in stay:
            said[row] = "kept from an earlier list"
            continue
        counts[label := int(pool.labels[row])] += 1
        said[row] = f"chosen {ordinal(counts[label])} in its class by {method}" if ordered else f"chosen by {method}"
    return said


def ordinal(n: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``11th``, ``1,021st``."""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"


def write_lists(
    folder: Path,
    pool: Pool,
    kept: NDArray[np.int64],
    why: Sequence[str],
    columns: Sequence[Column] = (),
    nearest: Mapping[int, int] | NDArray[np.int64] | None = None,
    files: Sequence[str] = (),
) -> None:
    """Write ``kept.csv``, in the order of ``kept``, and ``left_out.csv``, unreadable files last; in UTF-8.

    No spreadsheet runs a name in them, see ``decoct.core.sheets``.

    Args:
        folder: that they are written to.
        pool: of all images.
        kept: of them.
        why: [N], for each image of the pool.
        columns: scores.
        nearest: [N], the nearest kept image of each, −1 for none; None leaves the column out.
        files: where each kept image lies beside the list; empty if nowhere.
    """
    head = ["path", "class", "split", "reason", *(column.head for column in columns)]
    head += ["nearest kept image"] if nearest is not None else []

    def line(row: int) -> list[str]:
        scores = [f"{x:.6g}" if (x := float(column.values[row])) == x else "" for column in columns]
        near = [] if nearest is None else [quoted(pool.paths[at]) if (at := int(nearest[row])) >= 0 else ""]
        name = pool.class_names[int(pool.labels[row])]
        return [quoted(pool.paths[row]), quoted(name), SPLITS[pool.split[row]], quoted(why[row]), *scores, *near]

    rows = kept.tolist()
    own = ([*line(row), *map(quoted, files[at : at + 1])] for at, row in enumerate(rows))
    _write(folder / KEPT, [*head, *(["file"] if files else [])], own)
    gone = np.setdiff1d(np.arange(len(pool)), kept).tolist()
    lost = ([quoted(path), quoted(name), "", quoted(f"unreadable: {reason}")] for path, name, reason in pool.unreadable)
    empty = [""] * (len(head) - 4)
    _write(folder / LEFT_OUT, head, (each for part in (map(line, gone), ([*x, *empty] for x in lost)) for each in part))


def write_made(folder: Path, class_names: Sequence[str], files: Sequence[str], reason: str) -> None:
    """Write ``kept.csv`` of a set that was made: a row for each file, with its class.

    Args:
        folder: that the list is written to.
        class_names: of each file.
        files: beside the list.
        reason: of all of them.
    """
    named = zip(map(quoted, files), map(quoted, class_names), strict=True)
    rows = ([file, name, "", quoted(reason), file] for file, name in named)
    _write(folder / KEPT, ["path", "class", "split", "reason", "file"], rows)


def write_problems(folder: Path, problems: Sequence[Problem]) -> None:
    """Write ``problems.csv``: a row for each image, and a number for each problem."""
    rows = (
        [str(number), problem.kind, quoted(path), quoted(label), quoted(problem.detail), f"{problem.score:.6g}"]
        for number, problem in enumerate(problems, 1)
        for path, label in zip(problem.paths, problem.labels, strict=True)
    )
    _write(folder / PROBLEMS, ("number", "kind", "path", "class", "detail", "score (higher is worse)"), rows)


def read_list(path: Path) -> list[str]:
    """Paths of images that have to stay: of a ``kept.csv``, or of a text with one path in each line.

    Raises:
        UsageError: there is no such file, it is no text, or it names nothing.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        blame(error, STRAINED)
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(
            f"cannot read the list {path}: {why}\ngive a kept.csv, or a text with one path per line"
        ) from None
    head = text.partition("\n")[0].strip().split(",")
    if "path" in head:
        listed = csv.DictReader(io.StringIO(text, newline=""))
        paths = [unquoted(row["path"]) for row in listed if row["path"]]
    else:
        paths = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    if not paths:
        raise UsageError(f"the list {path} names no image\n{GIVE}")
    return paths


def rows_of(pool: Pool, paths: Sequence[str]) -> NDArray[np.int64]:
    """The train images with these paths, each once, in the list's order; paths may also begin with the source's.

    Raises:
        UsageError: a path is unknown, or that of no train image.
    """
    known: dict[str, list[int]] = {}
    for row, path in enumerate(pool.paths):
        known.setdefault(path, []).append(row)
    found: dict[int, None] = {}
    for path in paths:
        rows = next((known[each] for each in _spellings(path, pool.source) if each in known), None)
        if rows is None:
            raise UsageError(f"{path}, which is to be kept, is not in {pool.source}.{_near(path, pool)}")
        train = [row for row in rows if pool.split[row] == TRAIN]
        if not train:
            split = SPLITS[pool.split[rows[0]]]
            raise UsageError(f"{path}, which is to be kept, is a {split} image: a set is made of train images")
        found |= dict.fromkeys(train)
    return np.array(list(found), np.int64)


def _spellings(path: str, source: str) -> Iterable[str]:
    """A path, and what else it may mean: without ``./``, and relative to the source."""
    yield path
    yield path.removeprefix("./")
    for inner, outer in ((Path(path), Path(source)), (Path(path).absolute(), Path(source).absolute())):
        if inner.is_relative_to(outer):
            yield inner.relative_to(outer).as_posix()


def _near(path: str, pool: Pool) -> str:
    """The nearest path: of the same file name, or else of similar letters."""
    name = path.rpartition("/")[2]
    same = [each for each in pool.paths if each.rpartition("/")[2] == name]
    said = suggest(path, (same or pool.paths)[:LOOKED])
    return said if "Did you mean" in said else f" A path there is {pool.paths[0]}."


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
