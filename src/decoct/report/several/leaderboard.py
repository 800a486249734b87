"""Several runs as one leaderboard: methods over data sets and budgets, for each protocol and student."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from decoct.core.errors import UsageError
from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.grouped import grouped
from decoct.report.judged import Judged, judge
from decoct.report.page.plot import Panel
from decoct.report.read.frame import FLOAT, INT, STRING, Frame, schema
from decoct.report.read.manifest import CONTROL, FULL, Manifest
from decoct.report.sections.evidence import ranks
from decoct.report.sections.evidence.ranks import Block, Ranks
from decoct.report.several.aggregate import Aggregate, aggregates
from decoct.report.several.compare import apart, bounds, labelled
from decoct.report.several.together import Together, together
from decoct.report.stats.intervals import Interval

ROWS = schema(
    (STRING, "data run method family protocol student budget"),
    (FLOAT, "accuracy lo hi"),
    (INT, "n students images steps images_seen label_bytes"),
)


@dataclass(frozen=True)
class Entry:
    """One run of the board, or several that are pooled.

    Attributes:
        run: its manifest.
        data: the unique name of its data set on the board.
        judged: its accuracies and verdicts.
        trained, planned: students.
    """

    run: Manifest
    data: str
    judged: Judged
    trained: int
    planned: int

    @property
    def folders(self) -> tuple[Path, ...]:
        """Of the run, or of those that are pooled."""
        return tuple(run.folder for run in (self.run.pooled.runs if self.run.pooled else (self.run,)))

    @property
    def accuracies(self) -> tuple[Accuracy, ...]:
        """Of methods and of the full data."""
        return self.judged.accuracies


@dataclass(frozen=True)
class Board:
    """The results of several runs.

    Attributes:
        entries: the runs, in the order given.
        methods: label to family, in the order in which the runs name them.
        deterministic: methods that have one set in a run.
        panels: accuracies by protocol and student, then by data set and budget, then by method.
        full: accuracies of the full data by protocol and student, then by data set.
        together: what the runs say of distilled sets, for each data set and over all.
        aggregates: over data sets and budgets, where there are sets enough, by protocol and student.
        ranks: over data sets and budgets, by protocol and student.
        over_data: over data sets alone, where there are two or more.
        unlike: labels that mean different settings in different runs; a line each.
    """

    entries: tuple[Entry, ...]
    methods: Mapping[str, str]
    deterministic: frozenset[str]
    panels: Mapping[Panel, Mapping[Block, Mapping[str, Accuracy]]]
    full: Mapping[Panel, Mapping[str, Accuracy]]
    together: Together
    aggregates: Mapping[Panel, Aggregate]
    ranks: Mapping[Panel, Ranks]
    over_data: Mapping[Panel, Ranks]
    unlike: tuple[str, ...]

    @property
    def data(self) -> tuple[str, ...]:
        """The data sets."""
        return tuple(dict.fromkeys(entry.data for entry in self.entries))

    @property
    def pooled(self) -> tuple[str, ...]:
        """A line for each entry that pools runs."""
        return tuple(f"{e.run.name}: {e.run.pooled.sentence()}" for e in self.entries if e.run.pooled)

    def table(self) -> pa.Table:
        """One row for each method, setting and data set."""
        rows = [_row(entry, a, self.methods) for entry in self.entries for a in entry.accuracies]
        return pa.Table.from_pylist(rows, schema=ROWS)

    def to_json(self, page: Path) -> dict[str, Any]:
        """For ``json.dumps``; what is not defined is None."""
        accuracies = self.table().to_pylist()
        for row in accuracies:
            row["ci95"] = bounds(Interval(row["accuracy"], row.pop("lo"), row.pop("hi"), row["n"]))
        runs = [
            {"folder": str(e.run.folder), "name": e.run.name, "data": e.data, "digest": e.run.data["digest"]}
            | {"planned": e.planned, "trained": e.trained}
            | {"pooled": e.run.pooled.to_json() if e.run.pooled else None}
            for e in self.entries
        ]
        told = {"report": str(page), "data": self.data, "runs": runs, "methods": self.methods, "unlike": self.unlike}
        ranked = {"ranks": self.ranks, "ranks_over_data_sets": self.over_data}
        told |= {name: [_ranks(*own) for own in by_panel.items()] for name, by_panel in ranked.items()}
        told["interquartile_means"] = [
            {"protocol": panel[0], "student": panel[1], **own.to_json()} for panel, own in self.aggregates.items()
        ]
        return wording.plain(told | {"verdicts": self.together.to_json(), "accuracy": accuracies})


def leaderboard(frames: Sequence[Frame]) -> Board:
    """Put runs side by side.

    Runs on the same data are one data set and complete each other, as long as nothing in them is twice and what they
    call the same is the same.

    Raises:
        UsageError: a run is named twice, or two runs on the same data hold the same method in the same setting, or call
            the same what is not.
    """
    runs = [frame.manifest for frame in frames]
    for a, b in combinations(runs, 2):
        if a.folder.resolve() == b.folder.resolve():
            raise UsageError(f"{b.folder} is the same run twice: name each once")
    called = _called(runs)
    entries = [_entry(frame, data) for frame, data in zip(frames, called, strict=True)]
    for first, second in combinations(entries, 2):
        if first.data == second.data:
            _refuse_collisions(first, second)
    methods = {label: family for run in reversed(runs) for label, family in run.families.items()}
    methods = {label: methods[label] for run in runs for label in run.methods}  # as the first run says that has it
    panels, full = _panels(entries)
    contenders = [label for label, family in methods.items() if family != CONTROL]
    means = {
        panel: {block: {m: a.interval.mean for m, a in own.items()} for block, own in blocks.items()}
        for panel, blocks in panels.items()
    }
    several, judged = len(set(called)) > 1, [(entry.data, entry.judged) for entry in entries]
    return Board(
        tuple(entries),
        methods,
        frozenset[str]().union(*(run.deterministic for run in runs)),
        panels,
        full,
        together(judged, methods),
        aggregates(judged, contenders),
        {panel: ranks.ranked(blocks, contenders, "block") for panel, blocks in means.items()},
        {panel: ranks.over_data(blocks, contenders) for panel, blocks in means.items()} if several else {},
        tuple(_unlike(runs)),
    )


def _entry(frame: Frame, data: str) -> Entry:
    run = frame.manifest
    return Entry(run, data, judge(frame), frame.results.num_rows, len(run.of_kind("train")))


def _called(runs: Sequence[Manifest]) -> list[str]:
    """A name for each run's data, the same where the data are: the data set's own, with more where two share one."""
    names = {}
    for name, own in grouped(runs, lambda run: str(run.data["name"])).items():
        studies = {run.data["digest"]: run.name for run in reversed(own)}
        for digest, study in studies.items():
            more = study if list(studies.values()).count(study) == 1 else digest[:6]
            names[digest] = name if len(studies) == 1 else f"{name} ({more})"
    return [names[run.data["digest"]] for run in runs]


def _refuse_collisions(a: Entry, b: Entry) -> None:
    both = f"{a.run.folder} and {b.run.folder}, both on {a.data},"
    compare = f"`decoct compare {a.run.folder} {b.run.folder}` says what changed between them"
    for what, fields in _otherwise([a.run, b.run]):
        raise UsageError(f"{both} set the {what} differently: {fields}\n{compare}")
    cells = [{(x.method, *x.setting) for x in entry.accuracies if x.method != FULL} for entry in (a, b)]
    if twice := sorted(cells[0] & cells[1]):
        method, protocol, student, budget = twice[0]
        more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
        what = f"{method} under {protocol} with {student} at {budget}{more}"
        studies = ({k: v for k, v in entry.run.study.items() if k != "name"} for entry in (a, b))
        fields = ", ".join(apart(*studies))
        why = (
            f"; only runs that differ in nothing but their seed are pooled, and these differ in {fields}"
            if fields
            else ""
        )
        raise UsageError(f"{both} have {what}, which a leaderboard takes once{why}\n{compare}")


def _panels(
    entries: Sequence[Entry],
) -> tuple[dict[Panel, dict[Block, dict[str, Accuracy]]], dict[Panel, dict[str, Accuracy]]]:
    panels: dict[Panel, dict[Block, dict[str, Accuracy]]] = {}
    full: dict[Panel, dict[str, Accuracy]] = {}
    for entry in entries:
        order = entry.run.budget_order
        for a in sorted(entry.accuracies, key=lambda a: order(a.setting.budget)):
            panel = a.setting.protocol, a.setting.student
            if a.ceiling:
                full.setdefault(panel, {}).setdefault(entry.data, a)
            elif a.method != FULL:
                panels.setdefault(panel, {}).setdefault((entry.data, a.setting.budget), {})[a.method] = a
    return panels, full


def _unlike(runs: Sequence[Manifest]) -> Iterable[str]:
    alike = grouped(_otherwise(runs), lambda own: own[1])
    labels = {fields: [what.partition(" ")[2] for what, _ in own] for fields, own in alike.items()}
    if said := "; ".join(f"{fields} of {wording.joined(own)}" for fields, own in labels.items()):
        yield f"The runs set differently: {said}"
    margins = dict.fromkeys(run.margin for run in runs)
    if len(margins) > 1:
        yield f"The margins differ: {', '.join('by default' if m is None else f'{m:g}' for m in margins)}"


def _otherwise(runs: Sequence[Manifest]) -> Iterable[tuple[str, str]]:
    """Labels whose fields differ from those in the first run that has them: ``method rded``, the fields."""
    for kind in ("method", "protocol"):
        tables = [labelled(run)[kind] for run in runs]
        for label in dict.fromkeys(label for own in tables for label in own):
            there = [own[label] for own in tables if label in own]
            if fields := dict.fromkeys(field for other in there[1:] for field in apart(there[0], other)):
                yield f"{kind} {label}", ", ".join(fields)


def _ranks(panel: Panel, own: Ranks) -> dict[str, Any]:
    test = {"p": own.p, "critical_difference": own.critical, "not_told_apart": own.groups, "text": own.sentences()}
    blocks = {"blocks": own.blocks, "incomplete": own.incomplete, "not_ranked": own.absent}
    return {"protocol": panel[0], "student": panel[1], "mean": own.mean, **blocks, **test}


def _row(entry: Entry, a: Accuracy, methods: Mapping[str, str]) -> dict[str, Any]:
    i, family = a.interval, methods.get(a.method, FULL)
    row = {"data": entry.data, "run": str(entry.run.folder), "family": family, **a.setting._asdict()}
    row |= {"accuracy": i.mean, "lo": i.lo, "hi": i.hi, "n": i.n}
    own = ("method", "students", "images", "steps", "images_seen", "label_bytes")
    return row | {field: getattr(a, field) for field in own}
