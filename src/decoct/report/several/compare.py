"""What changed between two runs on the same data: settings, accuracies, readings of metrics, costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from decoct.core.errors import UsageError
from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting, accuracies, keys, replicates
from decoct.report.grouped import grouped
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL
from decoct.report.sections.verdict import WORDS
from decoct.report.several.change import Change, Row, bounds, change, row, same, worded
from decoct.report.several.prices import prices
from decoct.report.several.readings import readings
from decoct.report.several.settings import differences
from decoct.report.stats import intervals

Key = tuple[str, Setting]
Rows = dict[Key, list[dict[str, Any]]]


@dataclass(frozen=True)
class Compared:
    """Two runs side by side; B is the second.

    Attributes:
        a, b: their tables.
        settings: what they were told differently, a line each.
        paired: replicates share their seeds, so that their differences are paired.
        margin: of equivalence; the smaller of the two studies'.
        trained, read, priced: accuracies, leading readings and costs that both have.
        alone: methods in settings that one run alone has a result of, by run.
        unlike: readings that were not compared, with the reason; a line each.
    """

    a: Frame
    b: Frame
    settings: tuple[str, ...]
    paired: bool
    margin: float
    trained: tuple[Row, ...]
    read: tuple[Row, ...]
    priced: tuple[Row, ...]
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
        changed = [row.change for row in self.trained if row.change]
        words = [c.word for c in changed if not math.isnan(c.p)]
        counts = ", ".join(f"{n} {w}" for w in WORDS if (n := words.count(w)))
        parts = [f"B beside A after Holm over {wording.count(len(words), 'comparison')}: {counts}" if words else ""]
        untested, same = len(changed) - len(words), len(self.trained) - len(changed)
        parts += [f"{wording.count(untested, 'difference')} of too few replicates for a test" if untested else ""]
        parts += [f"{wording.count(same, 'result')} from the same students in both runs" if same else ""]
        return "; ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``; what is not defined is None."""
        return wording.plain(
            {
                "a": _side(self.a),
                "b": _side(self.b),
                "settings": self.settings,
                "paired": self.paired,
                "margin": self.margin,
                "overall": self.overall(),
                "accuracy": [row.facts for row in self.trained],
                "metrics": [row.facts for row in self.read],
                "costs": [row.facts for row in self.priced],
                "not_compared": self.unlike,
                "results_in_one_alone": self.alone,
            }
        )


def compare(a: Frame, b: Frame) -> Compared:
    """Set two runs on the same data side by side.

    Raises:
        UsageError: it is the same run twice, or the data differ.
    """
    first, second = a.manifest, b.manifest
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
    rows = [
        grouped(frame.results.to_pylist(), lambda r: (r["method"], Setting(r["protocol"], r["student"], r["budget"])))
        for frame in (a, b)
    ]
    fixed = {m for run in (first, second) for m, about in run.methods.items() if not about["stochastic"]}
    read, unlike = readings(a, b, paired)
    return Compared(
        a,
        b,
        differences(first, second),
        paired,
        margin,
        _trained(rows[0], rows[1], paired, margin, fixed),
        read,
        tuple(prices(a, b)),
        {"A": len(rows[0].keys() - rows[1].keys()), "B": len(rows[1].keys() - rows[0].keys())},
        unlike,
    )


def _trained(a: Rows, b: Rows, paired: bool, margin: float, fixed: set[str]) -> tuple[Row, ...]:
    shared = [key for key in a if key in b]
    first, second = ({(x.method, x.setting): x for x in accuracies({k: own[k] for k in shared})} for own in (a, b))
    tests = min((row["test_images"] for key in shared for row in (*a[key], *b[key])), default=0)
    floor = intervals.grid_floor(tests)
    changes = {
        key: change(replicates(a[key]), replicates(b[key]), paired, floor, margin)
        for key in shared
        if not same(keys(a[key]), keys(b[key]))  # the same cells: nothing was trained anew, nothing can differ
    }
    said = dict(zip(changes, worded(list(changes.values()), [True] * len(changes)), strict=True))
    return tuple(_row(first[key], second[key], said.get(key), key[0] in fixed) for key in shared)


def _row(a: Accuracy, b: Accuracy, change: Change | None, conditional: bool) -> Row:
    """One method in a setting; *conditional* if it gives one set a run, so that the interval is for those two."""
    s, who = a.setting, "full data" if a.method == FULL else a.method
    size = "" if a.ceiling else wording.budget(s.budget)
    where = f"{who} under {s.protocol} with {s.student}" + f" at {size}" * bool(size)
    difference, said = "", "the same students in both runs"
    if change:
        i, word = change.interval, change.word
        points, bounded = wording.points(i.mean), wording.bounds(i.lo, i.hi)
        difference = f"{points} {bounded}".rstrip()
        verdict = word if word == "undecided" else f"B is {word} {'to' if word == 'equivalent' else 'than'} A"
        said = f"{verdict}, {f'{points} points {bounded}'.rstrip()}, {change.counted}"
    means = [wording.percent(x.interval.mean) for x in (a, b)]
    sides = {
        side: {"accuracy": i.mean, "ci95": bounds(i), "n": i.n} for side, i in (("a", a.interval), ("b", b.interval))
    }
    return row(
        f"{s.protocol}, {s.student}: test accuracy, %",
        (who + "†" * conditional, size, *means, difference),
        {"method": a.method, **s._asdict(), **sides, "conditional_on_set": conditional, "text": f"{where}: {said}"},
        change,
        "same students",
    )


def _side(tables: Frame) -> dict[str, Any]:
    run = tables.manifest
    return {
        "folder": str(run.folder),
        "name": run.name,
        "planned": len(run.of_kind("train")),
        "trained": tables.results.num_rows,
    }
