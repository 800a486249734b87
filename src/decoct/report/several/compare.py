"""What changed between two runs on the same data: settings, accuracies, readings of metrics, costs.

Times are compared only between similar machines, and readings only in the same features.
"""

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from decoct.core.errors import UsageError
from decoct.report import wording
from decoct.report.accuracy import Accuracy, Rows, Setting, accuracies, by_setting, keys, replicates
from decoct.report.grouped import grouped
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL, REFERENCE, Manifest
from decoct.report.standing import Name, Standing, standings
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.answers import Answers, Tally
from decoct.report.stats.comparisons import WORDS, Word
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import ALPHA, Interval, Replicates
from decoct.report.stats.margin import margin as default
from decoct.report.stats.welch import welch

TIMES = {"seconds": ("total_seconds",), "processor seconds": ("cpu_seconds",)}  # by name: the columns
COSTS = {**TIMES, "bytes": ("image_bytes", "label_bytes")}
TOLD_APART = ("condensers", "protocols", "metrics")  # of a study: tables that have labels, compared by them
MISSING = object()


@dataclass(frozen=True)
class Change:
    """The second run minus the first.

    Attributes:
        interval: mean difference with its own 95 % interval; its n is that of the smaller side.
        n: condense-level means in the first and in the second run; the number of pairs, twice, where they are paired.
        paired: over replicates that share their seeds; else Welch's t.
        p: two-sided, of "no change"; NaN where no spread is known.
        p_same: larger p of the two one-sided tests of sameness; NaN without a margin.
        word: after Holm over its family, see ``worded``.
    """

    interval: Interval
    n: tuple[int, int]
    paired: bool
    p: float
    p_same: float = math.nan
    word: Word = "open"

    @property
    def counted(self) -> str:
        """``n = 5 pairs``, or both sides' numbers."""
        return f"n = {wording.count(self.n[0], 'pair')}" if self.paired else f"n = {self.n[0]} + {self.n[1]}"


@dataclass(frozen=True)
class Row:
    """One value that both runs have, side by side.

    Attributes:
        title: of the table that it stands in.
        cells: its line there: names, the first run, the second, difference or ratio.
        end: what stands quietly behind them: the word, n.
        facts: the same for JSON.
        change: None where both runs hold the very same values, and for a ratio.
    """

    title: str
    cells: tuple[str, ...]
    end: tuple[str, ...]
    facts: Mapping[str, Any]
    change: Change | None = None


def row(
    title: str, cells: tuple[str, ...], facts: Mapping[str, Any], change: Change | None, same: str, judged: bool = True
) -> Row:
    """The row of a change.

    Args:
        title, cells, facts: as of ``Row``; facts without the change.
        change: None where nothing can differ.
        same: the text for that.
        judged: there is a better and a worse; else the row has no word.
    """
    told = dict.fromkeys(("difference", "ci95", "n", "paired", "p", "verdict"))
    if change is None:
        return Row(title, cells, (same, ""), {**facts, "same": True, **told, "difference": 0.0})
    told |= {"difference": change.interval.mean, "ci95": bounds(change.interval), "n": list(change.n)}
    told |= {"paired": change.paired, "p": change.p, "verdict": change.word}
    return Row(title, cells, (change.word * judged, change.counted), {**facts, "same": False, **told}, change)


def same(a: Mapping[tuple[int, int], object], b: Mapping[tuple[int, int], object]) -> bool:
    """Whether the replicates that both have are the same."""
    both = a.keys() & b.keys()
    return bool(both) and all(a[r] == b[r] for r in both)


def span(i: Interval) -> str:
    """A value with its interval, if it has one, in three digits."""
    return wording.reading(i.mean) + (f" [{wording.reading(i.lo)}, {wording.reading(i.hi)}]" if i.lo == i.lo else "")


def bounds(i: Interval) -> list[float] | None:
    """The bounds for JSON; None where the interval has none."""
    return [i.lo, i.hi] if math.isfinite(i.lo) and math.isfinite(i.hi) else None


def change(
    a: Replicates,
    b: Replicates,
    paired: bool,
    floor: float = 0.0,
    margin: float | None = None,
    tally: Tally | None = None,
) -> Change:
    """b − a over condense-level means.

    Args:
        a, b: by (condense, train) replicate.
        paired: replicates of one number share their seeds, so that their differences count.
        floor: the smallest standard deviation of a difference to believe, see ``intervals.grid_floor``.
        margin: below which a change does not matter; None where none is known.
        tally: the paired difference by test image; None where not known.
    """
    if paired:
        c = comparisons.compare(crossed(intervals.common([(1, b), (-1, a)]), tally, floor), margin or math.inf)
        return Change(c.interval, (c.n, c.n), True, 2 * min(c.p_better, c.p_worse), c.p_same if margin else math.nan)
    first, second = intervals.condense_means(a), intervals.condense_means(b)
    own = floor / math.sqrt(2)  # one side moves by half the variance of a difference
    w, alike = welch(second, first, own), math.nan
    if margin:
        above = welch([x + margin for x in second], first, own).p_better
        alike = max(above, welch([x - margin for x in second], first, own).p_worse)
    return Change(Interval(w.mean, w.lo, w.hi, min(w.n)), w.n[::-1], False, 2 * min(w.p_better, w.p_worse), alike)


def worded(changes: Sequence[Change], higher: Sequence[bool]) -> list[Change]:
    """The changes with their words, which hold over the whole family.

    *same* where both one-sided tests reject at 5 % after Holm; otherwise *better* or *worse* where the two-sided p is
    below 5 % after Holm; otherwise *open*, which does not mean equal.

    Args:
        changes: of one family; what has no p is no test, stays open and makes no other one harder.
        higher: whether higher is better, for each.
    """
    different, alike = _adjusted([c.p for c in changes]), _adjusted([c.p_same for c in changes])
    words: list[Word] = []
    for c, p, q, up in zip(changes, different, alike, higher, strict=True):
        moved: Word = "better" if (c.interval.mean > 0) == up else "worse"
        words.append("same" if q < ALPHA else moved if p < ALPHA else "open")
    return [replace(c, word=word) for c, word in zip(changes, words, strict=True)]


def _adjusted(p_values: Sequence[float]) -> list[float]:
    """Holm over those that are there; NaN for the rest."""
    there = iter(comparisons.holm([p for p in p_values if not math.isnan(p)]))
    return [math.nan if math.isnan(p) else next(there) for p in p_values]


@dataclass(frozen=True)
class Compared:
    """Two runs side by side; B is the second.

    Attributes:
        a, b: their tables.
        settings: settings that differ, a line each.
        paired: replicates share their seeds, so that their differences are paired.
        trained, read, priced: accuracies, leading readings and costs that both have.
        alone: results that only one run has, by run.
        unlike: readings that were not compared, with the reason; a line each.
    """

    a: Frame
    b: Frame
    settings: tuple[str, ...]
    paired: bool
    trained: tuple[Row, ...]
    read: tuple[Row, ...]
    priced: tuple[Row, ...]
    alone: Mapping[str, int]
    unlike: tuple[str, ...]

    def how(self) -> str:
        """Whether replicates are paired, and why."""
        if self.paired:
            return "Both runs have the same data and seed, so replicates of the same number are paired"
        seeds = [run.manifest.study.get("seed") for run in (self.a, self.b)]
        return f"The seeds differ ({seeds[0]} and {seeds[1]}): replicates are not paired, and Welch's t is used"

    def overall(self) -> str:
        """How many accuracies changed."""
        if not self.trained:
            return "No method has a result in both runs under the same protocol, student and budget"
        changed = [row.change for row in self.trained if row.change]
        words = [c.word for c in changed if not math.isnan(c.p)]
        counts = ", ".join(f"{n} {w}" for w in WORDS if (n := words.count(w)))
        parts = [f"B against A, after Holm over {wording.count(len(words), 'comparison')}: {counts}" if words else ""]
        untested, same = len(changed) - len(words), len(self.trained) - len(changed)
        parts += [f"{wording.count(untested, 'difference')} with too few replicates for a test" if untested else ""]
        parts += [f"{wording.count(same, 'result')} from the same students in both runs" if same else ""]
        return "; ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts for ``json.dumps``; what is not defined is None."""
        told = {name: getattr(self, name) for name in ("settings", "paired")}
        rows = {"accuracy": self.trained, "metrics": self.read, "costs": self.priced}
        told |= {name: [row.facts for row in own] for name, own in rows.items()}
        told |= {"overall": self.overall(), "not_compared": self.unlike, "results_in_one_alone": self.alone}
        return wording.plain({"a": _side(self.a), "b": _side(self.b)} | told)


def compare(a: Frame, b: Frame) -> Compared:
    """Compare two runs on the same data.

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
    rows = [by_setting(frame.results.to_pylist()) for frame in (a, b)]
    fixed = first.deterministic | second.deterministic
    read, unlike = readings(a, b, paired)
    return Compared(
        a,
        b,
        differences(first, second),
        paired,
        _trained(a, b, rows[0], rows[1], paired, fixed),
        read,
        tuple(prices(a, b)),
        {"A": len(rows[0].keys() - rows[1].keys()), "B": len(rows[1].keys() - rows[0].keys())},
        unlike,
    )


def _trained(a: Frame, b: Frame, of_a: Rows, of_b: Rows, paired: bool, fixed: frozenset[str]) -> tuple[Row, ...]:
    shared = [key for key in of_a if key in of_b]
    first, second = (
        {(x.method, x.setting): x for x in accuracies({k: own[k] for k in shared})} for own in (of_a, of_b)
    )
    tests = min((row["test_images"] for key in shared for row in (*of_a[key], *of_b[key])), default=0)
    floor, answers = intervals.grid_floor(tests), _answers(a, b, of_a, of_b)
    changes = dict[tuple[str, Setting], Change]()
    for key in shared:
        if same(keys(of_a[key]), keys(of_b[key])):
            continue  # the same cells: nothing was trained again, nothing can differ
        random = [side[REFERENCE, key[1]].interval.mean for side in (first, second) if (REFERENCE, key[1]) in side]
        margin = min(default(run.margin, min(random, default=math.nan)) for run in (a.manifest, b.manifest))
        tally = answers.combined([(1, *_side_of("B", key)), (-1, *_side_of("A", key))]) if paired else None
        changes[key] = change(replicates(of_a[key]), replicates(of_b[key]), paired, floor, margin, tally)
    said = dict(zip(changes, worded(list(changes.values()), [True] * len(changes)), strict=True))
    return tuple(_accuracy_row(first[key], second[key], said.get(key), key[0] in fixed) for key in shared)


def _answers(a: Frame, b: Frame, of_a: Rows, of_b: Rows) -> Answers:
    """By test image, of the students of both runs, which are told apart by the side that they are on."""
    sides = (("A", a, of_a), ("B", b, of_b))
    where = {row["key"]: frame for _, frame, rows in sides for own in rows.values() for row in own}
    every: dict[tuple[str, Hashable], dict[tuple[int, int], str]] = {
        _side_of(side, key): keys(own) for side, _, rows in sides for key, own in rows.items()
    }
    return Answers(every, lambda key: where[key].correct(key))


def _side_of(side: str, key: tuple[str, Setting]) -> tuple[str, Setting]:
    return f"{side} {key[0]}", key[1]


def _accuracy_row(a: Accuracy, b: Accuracy, change: Change | None, conditional: bool) -> Row:
    """One method in a setting; *conditional* if it gives one set per run, so that the interval is for those two."""
    s, who = a.setting, "full data" if a.method == FULL else a.method
    size = "" if a.ceiling else wording.budget(s.budget)
    where = f"{who} under {s.protocol} with {s.student}" + f" at {size}" * bool(size)
    difference, said = "", "the same students in both runs"
    if change:
        difference, word = wording.difference(change.interval), change.word
        verdict = word if word == "open" else f"B is {word} {'as' if word == 'same' else 'than'} A"
        said = f"{verdict}, {wording.difference(change.interval, ' points')}, {change.counted}"
    both = a.interval, b.interval
    means = [wording.percent(i.mean) for i in both]
    sides = {side: {"accuracy": i.mean, "ci95": bounds(i), "n": i.n} for side, i in zip("ab", both, strict=True)}
    return row(
        f"{s.protocol}, {s.student}: test accuracy, %",
        (who + "†" * conditional, size, *means, difference),
        {"method": a.method, **s._asdict(), **sides, "conditional_on_set": conditional, "text": f"{where}: {said}"},
        change,
        "same students",
    )


def _side(tables: Frame) -> dict[str, Any]:
    run, trained = tables.manifest, tables.results.num_rows
    return {"folder": str(run.folder), "name": run.name, "planned": len(run.of_kind("train")), "trained": trained}


def readings(a: Frame, b: Frame, paired: bool) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Leading readings of both runs, and a line for each extractor whose readings cannot be compared.

    Words hold after Holm over all readings that have a direction; there is no margin, so that none is *same*.
    """
    unlike = dict(_unlike(a, b))
    first, second = ({(s.budget, s.name, s.method): s for s in standings(frame) if s.lead} for frame in (a, b))
    shared = [key for key in first if key in second]
    told = [key for key in shared if key[1].extractor not in unlike]
    values = [_values(frame) for frame in (a, b)]
    sides = {key: (values[0].get(key, {}), values[1].get(key, {})) for key in told}
    changes = {key: change(*own, paired) for key, own in sides.items() if not same(*own)}
    judged = {key: up for key in changes if (up := first[key].higher_is_better) is not None}
    changes |= dict(zip(judged, worded([changes[key] for key in judged], list(judged.values())), strict=True))
    used = {key[1].extractor for key in shared}
    lines = tuple(line for extractor, line in unlike.items() if extractor in used)
    return tuple(_reading_row(first[key], second[key], changes.get(key)) for key in told), lines


def _reading_row(a: Standing, b: Standing, change: Change | None) -> Row:
    title = f"{wording.budget(a.budget)}, leading readings in the features of {a.name.extractor}"
    values = [wording.reading(x.interval.mean) for x in (a, b)]
    cells = (a.name.metric.replace("_", " "), a.method, *values, span(change.interval) if change else "")
    facts = {"method": a.method, "budget": a.budget, **a.name._asdict(), "higher_is_better": a.higher_is_better}
    facts |= {"a": a.interval.mean, "b": b.interval.mean}
    return row(title, cells, facts, change, "same sets", judged=a.higher_is_better is not None)


def _unlike(a: Frame, b: Frame) -> Iterable[tuple[str, str]]:
    """Extractors whose readings cannot be compared, with the reason."""
    told = [measures(frame.manifest) for frame in (a, b)]
    if other := [label for label in told[0] if label in told[1] and apart(told[0][label], told[1][label])]:
        for extractor in dict.fromkeys(a.metrics["extractor"].to_pylist()):
            yield extractor, f"readings in the features of {extractor}: the runs set {', '.join(other)} differently"
    keys = [
        {job.labels["extractor"]: job.key for job in frame.manifest.of_kind("features") if "extractor" in job.labels}
        for frame in (a, b)
    ]
    for extractor in (e for e in keys[0] if e in keys[1] and keys[0][e] != keys[1][e]):
        yield extractor, f"readings in the features of {extractor}: each run used a different net"


def _values(frame: Frame) -> dict[tuple[str, Name, str], Replicates]:
    there = (row for row in frame.metrics.to_pylist() if row["value"] is not None)
    groups = grouped(there, lambda row: (row["budget"], Name.of(row), row["method"]))
    return {key: {(row["condense_replicate"], 0): row["value"] for row in own} for key, own in groups.items()}


def prices(a: Frame, b: Frame) -> Iterable[Row]:
    """Seconds, processor seconds and bytes of every method and budget that both have, with teachers and features.

    Means over sets, and their ratio: the geometric mean with the 95 % interval of Welch's t over logarithms; there is
    none where the machines were not alike, or one cost nothing.
    """
    first, second = (grouped(frame.costs.to_pylist(), lambda row: (row["method"], row["budget"])) for frame in (a, b))
    for (method, budget), own in first.items():
        sides = own, second.get((method, budget), [])
        where = [{(row["device"], row["hardware"]) for row in side} for side in sides]
        alike = where[0] == where[1] and len(where[0]) == 1
        for what, columns in COSTS.items():
            parts = [[[row[column] for column in columns] for row in side] for side in sides]
            values = [[sum(own) for own in side if None not in own] for side in parts]
            if all(values):
                means, ratio = list(map(fmean, values)), _ratio(*values) if alike or what not in TIMES else None
                yield _price_row(method, budget, what, means, ratio)


def _price_row(method: str, budget: str, what: str, means: list[float], ratio: Interval | None) -> Row:
    said: Callable[[float], str] = wording.seconds if what in TIMES else wording.size
    facts = {"method": method, "budget": budget, "cost": what, "a": means[0], "b": means[1]}
    known = (ratio.mean, bounds(ratio), ratio.n) if ratio else (None, None, None)
    facts |= zip(("ratio", "ci95", "n"), known, strict=True)
    return Row(
        f"{wording.budget(budget)}, cost of a set with everything it needs",
        (what, method, *map(said, means), span(ratio) if ratio else "machines differ"),
        (f"n = {ratio.n}" if ratio else "",),
        facts,
    )


def _ratio(a: list[float], b: list[float]) -> Interval | None:
    if min(*a, *b) <= 0:
        return None
    logs = [{(i, 0): math.log(x) for i, x in enumerate(side)} for side in (a, b)]
    i = change(logs[0], logs[1], paired=False).interval
    return Interval(math.exp(i.mean), math.exp(i.lo), math.exp(i.hi), i.n)


def differences(a: Manifest, b: Manifest) -> tuple[str, ...]:
    """One line for each setting that differs, the first run's value before the second's.

    Plain settings come first, then methods, protocols and metrics by label, the version of decoct and what failed.
    """
    plain = [{k: v for k, v in run.study.items() if k not in TOLD_APART} for run in (a, b)]
    lines = list(_changed("", *plain))
    first, second = labelled(a), labelled(b)
    for kind in first:
        lines += _labelled(kind, first[kind], second[kind])
        lines += _changed("control of", a.controls, b.controls) if kind == "method" else ()
    rest = [{k: v for k, v in run.study.get("metrics", {}).items() if k != "names"} for run in (a, b)]
    lines += _changed("metrics", *rest)
    lines += _changed("", {"images": a.data["images"]}, {"images": b.data["images"]})
    lines += _changed("", *({"decoct": run.decoct} | machines(run) for run in (a, b)))
    return tuple(lines)


def labelled(run: Manifest) -> dict[str, dict[str, dict[str, Any]]]:
    """The labelled tables of a study: methods, protocols and metrics."""
    methods = {label: about["config"] for label, about in run.methods.items()}
    return {"method": methods, "protocol": run.protocols, "metric": measures(run)}


def measures(run: Manifest) -> dict[str, dict[str, Any]]:
    """The metrics' fields by label; none where a run lists names alone."""
    names = run.study.get("metrics", {}).get("names", {})
    return dict(names) if isinstance(names, dict) else {}


def machines(run: Manifest) -> dict[str, str]:
    """Hardware and versions of what a run finished; several of each where it was moved."""
    made = [job for kind in ("condense", "train") for job in run.finished(kind) if not run.external(job)]
    costs = [run.cost(job) for job in made]
    versions = [pair for cost in costs for pair in cost.versions.items() if pair[0] != "decoct"]
    parts = grouped(
        [("hardware", f"{cost.hardware} ({cost.device})") for cost in costs] + versions, lambda pair: pair[0]
    )
    return {what: " and ".join(sorted({value for _, value in own})) for what, own in parts.items()}


def apart(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Names of the fields in which two tables differ, nested ones with a dot."""
    a, b = flat(first), flat(second)
    return [field for field in dict.fromkeys((*a, *b)) if a.get(field, MISSING) != b.get(field, MISSING)]


def flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A table's values by path, ``a.b``; lists are values."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{above}.{key}" if above else str(key)
        values |= flat(value, path) if isinstance(value, Mapping) and value else {path: value}
    return values


def _labelled(kind: str, a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for side, own, other in (("A", a, b), ("B", b, a)):
        if alone := [label for label in own if label not in other]:
            yield f"only {side} has the {kind}{'s' * (len(alone) > 1)} {', '.join(alone)}"
    for label in (label for label in a if label in b):
        yield from _changed(f"{kind} {label}", a[label], b[label])


def _changed(where: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterable[str]:
    first, second = flat(a), flat(b)
    for field in apart(a, b):
        told = [_word(own.get(field, MISSING)) for own in (first, second)]
        yield f"{where} {field}: {told[0]} → {told[1]}".strip()


def _word(value: Any) -> str:
    if value is MISSING or value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
