"""What changed between two runs on the same data: settings, accuracies, readings of metrics, costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from decoct.core.errors import UsageError
from decoct.report import stats, wording
from decoct.report.accuracy import Accuracy, Setting, accuracies, replicates
from decoct.report.frame import Frame
from decoct.report.manifest import FULL
from decoct.report.sections.verdict import WORDS
from decoct.report.several.change import Change, change, worded
from decoct.report.several.prices import Priced, prices
from decoct.report.several.readings import Read, readings
from decoct.report.several.settings import differences

Key = tuple[str, Setting]
STOCHASTIC = {"stochastic": True}  # the full data is no method, and one set whatever the seed


@dataclass(frozen=True)
class Trained:
    """A method in a setting, in both runs.

    Attributes:
        a, b: its accuracies.
        change: b − a; None where both runs hold the very same cells.
        conditional: the method is deterministic: each run has one set, and the interval is for those two.
    """

    a: Accuracy
    b: Accuracy
    change: Change | None
    conditional: bool = False

    def sentence(self) -> str:
        """What changed, in a word, with the difference, its interval and n."""
        s = self.a.setting
        who = "full data" if self.a.method == FULL else self.a.method
        size = "" if self.a.ceiling else f" at {wording.budget(s.budget)}"
        where = f"{who} under {s.protocol} with {s.student}{size}"
        if self.change is None:
            return f"{where}: the same students in both runs"
        i, word = self.change.interval, self.change.word
        said = f"{wording.points(i.mean)} points {wording.bounds(i.lo, i.hi)}".rstrip()
        verdict = f"B is {word}{' to' if word == 'equivalent' else ' than'} A"
        return f"{where}: {'undecided' if word == 'undecided' else verdict}, {said}, {counted(self.change)}"


@dataclass(frozen=True)
class Compared:
    """Two runs side by side; B is the second.

    Attributes:
        a, b: their tables.
        settings: what they were told differently, a line each.
        paired: replicates share their seeds, so that their differences are paired.
        margin: of equivalence; the smaller of the two studies'.
        trained, read, priced: what both have.
        alone: methods in settings that one run alone has a result of, by run.
        unlike: readings that were not compared, with the reason; a line each.
    """

    a: Frame
    b: Frame
    settings: tuple[str, ...]
    paired: bool
    margin: float
    trained: tuple[Trained, ...]
    read: tuple[Read, ...]
    priced: tuple[Priced, ...]
    alone: Mapping[str, int]
    unlike: tuple[str, ...]

    def how(self) -> str:
        """Whether replicates pair, and why."""
        if self.paired:
            return "Both runs have the same data and seed: replicates of one number share their draws and are paired"
        seeds = [run.manifest.study.get("seed") for run in (self.a, self.b)]
        return f"The seeds differ ({seeds[0]} and {seeds[1]}): replicates do not pair, and Welch's t is used"

    def overall(self) -> str:
        """How many accuracies changed."""
        if not self.trained:
            return "No method has a result in both runs under the same protocol, student and budget"
        changed = [t.change for t in self.trained if t.change]
        words = [c.word for c in changed if not math.isnan(c.p)]
        counts = ", ".join(f"{n} {w}" for w in WORDS if (n := words.count(w)))
        parts = [f"B beside A after Holm over {wording.count(len(words), 'comparison')}: {counts}" if words else ""]
        untested, same = len(changed) - len(words), len(self.trained) - len(changed)
        parts += [f"{wording.count(untested, 'difference')} of too few replicates for a test" if untested else ""]
        parts += [f"{wording.count(same, 'result')} from the same students in both runs" if same else ""]
        return "; ".join(part for part in parts if part)


def compare(a: Frame, b: Frame) -> Compared:
    """Set two runs on the same data side by side.

    Raises:
        UsageError: it is the same run twice, or the data differ.
    """
    first, second = runs = a.manifest, b.manifest
    if first.folder.resolve() == second.folder.resolve():
        raise UsageError(f"{second.folder} is the same run twice: name two")
    if first.data["digest"] != second.data["digest"]:
        raise UsageError(
            f"the runs are on different data: {first.data['name']} ({first.data['digest'][:12]}) and "
            f"{second.data['name']} ({second.data['digest'][:12]})\n"
            f"`decoct report {first.folder} {second.folder}` sets runs on several data sets side by side"
        )
    paired = first.study.get("seed") == second.study.get("seed")
    margin = min(first.margin, second.margin)
    rows = [_rows(frame) for frame in (a, b)]
    read, unlike = readings(a, b, paired)
    return Compared(
        a,
        b,
        differences(first, second),
        paired,
        margin,
        tuple(
            replace(t, conditional=any(not run.methods.get(t.a.method, STOCHASTIC)["stochastic"] for run in runs))
            for t in _trained(rows[0], rows[1], paired, margin)
        ),
        read,
        tuple(prices(a, b)),
        {"A": len(rows[0].keys() - rows[1].keys()), "B": len(rows[1].keys() - rows[0].keys())},
        unlike,
    )


def counted(c: Change) -> str:
    """``n = 5 pairs``, or both sides' numbers."""
    return f"n = {wording.count(c.n[0], 'pair')}" if c.paired else f"n = {c.n[0]} + {c.n[1]}"


def _rows(frame: Frame) -> dict[Key, list[dict[str, Any]]]:
    found: dict[Key, list[dict[str, Any]]] = {}
    for row in frame.results.to_pylist():
        found.setdefault((row["method"], Setting(row["protocol"], row["student"], row["budget"])), []).append(row)
    return found


def _trained(
    a: dict[Key, list[dict[str, Any]]], b: dict[Key, list[dict[str, Any]]], paired: bool, margin: float
) -> list[Trained]:
    shared = [key for key in a if key in b]
    reduced = [{(x.method, x.setting): x for x in accuracies({k: own[k] for k in shared})} for own in (a, b)]
    tests = min((row["test_images"] for key in shared for row in (*a[key], *b[key])), default=0)
    floor = stats.grid_floor(tests)
    changes = {
        key: change(replicates(a[key]), replicates(b[key]), paired, floor, margin)
        for key in shared
        if not _same_cells(a[key], b[key])
    }
    said = dict(zip(changes, worded(list(changes.values()), [True] * len(changes)), strict=True))
    return [Trained(reduced[0][key], reduced[1][key], said.get(key)) for key in shared]


def _same_cells(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    """Whether the replicates that both have are the same cells: then nothing was trained anew, nothing can differ."""
    keys = [{(row["condense_replicate"], row["train_replicate"]): row["key"] for row in rows} for rows in (a, b)]
    both = keys[0].keys() & keys[1].keys()
    return bool(both) and all(keys[0][r] == keys[1][r] for r in both)
