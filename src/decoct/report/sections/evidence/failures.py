"""Failed students: stuck ones whose siblings learnt, holes that failures left, and results with and without them.

A failure that passes for a result biases it silently. Failures are named and never dropped: results include all
students, and are shown again without the stuck ones, or with the holes at chance.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

from decoct.report import wording
from decoct.report.accuracy import Runs, Setting
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import comparison_cell, content, note, place
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL, Job
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.intervals import Replicates

MAD = 1.4826  # times the median of absolute deviations is the standard deviation of normal values
LEAST = 0.05  # of accuracy, or half of what the siblings learnt where that is less: closer than that is no failure
COMMON = 8  # times the spread of all methods' students
OWN, OWN_OF_FEW = 10, 20  # times that of its siblings; the latter where they are fewer than FEW
FEW = 4
Asked = tuple[str, Setting, str]  # a method, where, and against which other


@dataclass(frozen=True)
class Stuck:
    """A student that failed although its siblings learnt.

    Attributes:
        method: its label in the study.
        setting: protocol, student, budget.
        replicate: condense and train replicate.
        accuracy: its own, a fraction.
        siblings: median accuracy of the other students of this method and setting.
    """

    method: str
    setting: Setting
    replicate: tuple[int, int]
    accuracy: float
    siblings: float

    def __str__(self) -> str:
        s, (condense, train) = self.setting, self.replicate
        number = f"replicate {condense}" + (f", student {train}" if train else "")
        what = f"{wording.percent(self.accuracy)} % beside {wording.percent(self.siblings)} %"
        return f"{self.method} under {s.protocol} with {s.student} at {wording.budget(s.budget)}, {number}: {what}"


@dataclass(frozen=True)
class Bent:
    """A comparison with all students, and without those that are stuck on either side of it."""

    method: str
    setting: Setting
    against: str
    stuck: tuple[Stuck, ...]
    with_all: Comparison
    without: Comparison


@dataclass(frozen=True)
class Filled:
    """A comparison as it is, and with the ``holes`` holes of the method ``holed`` filled by chance."""

    method: str
    setting: Setting
    against: str
    holed: str
    holes: int
    as_is: Comparison
    filled: Comparison


def stuck(runs: Runs, chance: float) -> tuple[Stuck, ...]:
    """The students that failed although their siblings learnt, of methods with three students or more in a setting.

    A student's siblings are the others of its method and setting. It is stuck if their median is above chance, and it
    lies below that median by more than each of:

    - 5 points, or half of what they are above chance if that is less;
    - ``COMMON`` times the spread of all methods' students around their own method's median in this setting;
    - ``OWN`` times the spread of its siblings; ``OWN_OF_FEW`` times where they are two or three.

    A spread is MAD times the median absolute deviation, so that one failure hides no other. Where half of the siblings
    failed, none is named.

    Of healthy students, ten methods, it names 0.03 % or fewer where effects are normal and 0.14 % where they are skewed
    down (gamma of shape 4); of one method that spreads five times wider than the others, 1.2, 0.7 and 0.1 % at 3, 5 and
    10 replicates, and 2.0, 1.7 and 0.3 % where it is skewed too. A failure of 30 points it finds in 86, 100 and 100 %
    where students spread by 0.9 points, in 55, 94 and 93 % by 2, in 22, 32 and 19 % by 4.

    Args:
        runs: accuracies by method and setting.
        chance: accuracy of a constant answer, a fraction.
    """
    found = []
    for setting, own in grouped(runs, lambda key: key[1]).items():
        students = {method: runs[method, setting] for method, _ in own}
        common = _common([list(replicates.values()) for replicates in students.values()])
        for method, replicates in students.items():
            if len(replicates) < 3:
                continue
            ordered = sorted(replicates.values())
            highest = ordered[min(len(ordered) // 2 + 1, len(ordered) - 1)]  # that a median of siblings can be
            low = {r: a for r, a in replicates.items() if highest - a > COMMON * common}
            for replicate, accuracy in low.items():
                siblings = [a for other, a in replicates.items() if other != replicate]
                middle = median(siblings)
                times = OWN if len(siblings) >= FEW else OWN_OF_FEW
                least = min(LEAST, (middle - chance) / 2)
                reach = max(least, COMMON * common, times * MAD * median(abs(a - middle) for a in siblings))
                if middle > chance and middle - accuracy > reach:
                    found.append(Stuck(method, setting, replicate, accuracy, middle))
    return tuple(found)


def without(runs: Runs, stuck: Collection[Stuck]) -> dict[tuple[str, Setting], Replicates]:
    """The runs without the stuck students; in a paired comparison their partners go unused too."""
    out = {(s.method, s.setting, s.replicate) for s in stuck}
    return {
        (method, setting): {r: a for r, a in own.items() if (method, setting, r) not in out}
        for (method, setting), own in runs.items()
    }


def bent(
    runs: Runs, stuck: Collection[Stuck], compare: Callable[[Runs], Mapping[Asked, Comparison]]
) -> tuple[Bent, ...]:
    """Every comparison that has a stuck student on either side, with and without.

    Args:
        runs: accuracies by method and setting.
        stuck: of these.
        compare: all comparisons of runs, with their words.
    """
    if not stuck:
        return ()
    before, after = compare(runs), compare(without(runs, stuck))
    sides = grouped(stuck, lambda s: (s.method, s.setting))
    asked = {key: _either(key, sides) for key in before}
    return tuple(Bent(*key, tuple(own), before[key], after[key]) for key, own in asked.items() if own)


def failed_holes(frame: Frame) -> tuple[Job, ...]:
    """Students of methods that have no result because a job failed: their own, or one that they need.

    A student whose accuracy is not a number has failed as well. Students that are not trained yet are no holes.
    """
    run, failed = frame.manifest, {job.key for job, _ in frame.failures}
    return tuple(
        job
        for job in frame.holes
        if job.labels["method"] != FULL and (run.done(job) or failed & {job.key, *run.needs(job)})
    )


def filled(runs: Runs, holes: Collection[Job], chance: float) -> dict[tuple[str, Setting], Replicates]:
    """The runs with chance as the accuracy of each hole, which is the worst case for its method."""
    added = grouped(holes, lambda job: (str(job.labels["method"]), Setting.of(job.labels)))
    return {
        key: {**runs.get(key, {}), **{_replicate(job): chance for job in added.get(key, ())}}
        for key in dict.fromkeys(chain(runs, added))
    }


def worst(
    runs: Runs, holes: Collection[Job], chance: float, compare: Callable[[Runs], Mapping[Asked, Comparison]]
) -> tuple[Filled, ...]:
    """Every comparison that has holes on either side, with those of one method at a time filled by chance.

    One method at a time: a pair with both sides at chance would show that the methods are alike.

    Args:
        runs: accuracies by method and setting.
        holes: what ``failed_holes`` gives.
        chance: accuracy of a constant answer, a fraction.
        compare: all comparisons of runs, with their words.
    """
    before, rows = compare(runs) if holes else {}, list[Filled]()
    for method, own in grouped(holes, lambda job: str(job.labels["method"])).items():
        after, places = compare(filled(runs, own, chance)), grouped(own, lambda job: Setting.of(job.labels))
        rows += [
            Filled(*key, method, len(places[key[1]]), before[key], comparison)
            for key, comparison in after.items()
            if method in (key[0], key[2]) and key[1] in places and key in before
        ]
    return tuple(rows)


@dataclass(frozen=True)
class Failed:
    """What failed in a run, and the comparisons that it affects.

    Attributes:
        stuck: students that failed although their siblings learnt.
        bent: comparisons that have one, with and without.
        holes: students without a result because a job failed.
        filled: comparisons that have one, as they are and with the holes at chance.
    """

    stuck: tuple[Stuck, ...]
    bent: tuple[Bent, ...]
    holes: tuple[Job, ...]
    filled: tuple[Filled, ...]

    def sentences(self) -> tuple[str, ...]:
        """What failed and what that changes; empty where nothing failed."""
        return tuple(filter(None, (sentence(self.stuck, self.bent), holes_sentence(self.filled, self.holes))))


def found(own: Judged) -> Failed:
    """What failed in a run."""

    def compare(runs: Runs) -> dict[Asked, Comparison]:
        judged = own.verdicts if runs is own.runs else own.judge(runs)
        pairs: dict[Asked, Comparison] = {}
        for v in (v for v in judged if not v.outside):
            for other, c in v.coresets.items():  # a pair of coresets occurs from both sides, and is compared once
                if (other, v.setting, v.method) not in pairs:
                    pairs[v.method, v.setting, other] = c
        return pairs

    failed, holes = stuck(own.runs, own.chance), failed_holes(own.frame)
    failed = tuple(s for s in failed if s.setting not in own.outside)
    return Failed(failed, bent(own.runs, failed, compare), holes, worst(own.runs, holes, own.chance, compare))


def sentence(stuck: Sequence[Stuck], bent: Sequence[Bent]) -> str:
    """How many are stuck, the one farthest below, and the words that change without them; empty where none is stuck."""
    if not stuck:
        return ""
    farthest = max(stuck, key=lambda s: s.siblings - s.accuracy)
    more = f", and {len(stuck) - 1} more" if len(stuck) > 1 else ""
    where = f"{farthest.method} under {farthest.setting.protocol} at {wording.budget(farthest.setting.budget)}"
    size = f"{wording.percent(farthest.accuracy)} %, siblings {wording.percent(farthest.siblings)} %"
    said = f"{wording.count(len(stuck), 'student')} failed ({where}: {size}{more})"
    without = "it" if len(stuck) == 1 else "them"
    return f"{said}; without {without}, {_changes([(b, b.with_all, b.without) for b in bent])}"


def holes_sentence(filled: Sequence[Filled], holes: Collection[Job]) -> str:
    """How many holes failures left, and the words that change if they are at chance; empty without holes."""
    if not holes:
        return ""
    changes = _changes([(f, f.as_is, f.filled) for f in filled])
    said = "1 student is" if len(holes) == 1 else f"{len(holes)} students are"
    return f"{said} missing because a job failed; at chance level, {changes}"


def show(view: View, bent: Sequence[Bent], filled: Sequence[Filled], stuck: Sequence[Stuck]) -> Markup:
    """The stuck students, comparisons with and without them, and with the holes filled; empty where there are none."""
    if not (stuck or filled):
        return Markup()
    parts: list[object] = []
    if stuck:
        head = columns("method", "setting", "replicate (condense, train)", "accuracy, %", "siblings' median, %")
        rows = [
            cells(view.method(s.method), place(s.setting), _number(s), *map(wording.percent, (s.accuracy, s.siblings)))
            for s in stuck
        ]
        parts.append(table(head, rows))
    if bent:
        head = columns("method", "against", "setting", "failed", "with all", "without")
        rows = [_row(view, b, _named(view, b.stuck), b.with_all, b.without) for b in bent]
        parts += [tag("h4", "With and without them"), table(head, rows)]
    if filled:
        head = columns("method", "against", "setting", "holes", "as it is", "with the holes filled by chance")
        rows = [_row(view, f, join([view.method(f.holed), f": {f.holes}"]), f.as_is, f.filled) for f in filled]
        parts += [tag("h4", "With the holes filled by chance"), table(head, rows)]
    return content(*parts, note(*_reading(bool(stuck), bool(filled))))


def _common(groups: Sequence[Sequence[float]]) -> float:
    """Spread of students around their own group's median, n / (n − 1) times since a median is close to its own."""
    wide = [g for g in groups if len(g) > 1]
    off = [abs(a - m) * len(g) / (len(g) - 1) for g, m in zip(wide, map(median, wide), strict=True) for a in g]
    return MAD * median(off) if off else 0.0


def _either(asked: Asked, sides: Mapping[tuple[str, Setting], list[Stuck]]) -> list[Stuck]:
    method, setting, against = asked
    return [*sides.get((method, setting), ()), *sides.get((against, setting), ())]


def _replicate(job: Job) -> tuple[int, int]:
    return job.labels["condense_replicate"], job.labels["train_replicate"]


def _changes(rows: Sequence[tuple[Bent | Filled, Comparison, Comparison]]) -> str:
    """How many words change, and the first comparison of them with its new word."""
    changed = [row for row in rows if row[1].verdict != row[2].verdict]
    if not changed:
        return "no verdict changes"
    who, _, after = changed[0]
    changes = "1 verdict changes" if len(changed) == 1 else f"{len(changed)} verdicts change"
    return f"{changes} ({who.method} against {who.against}: {after.verdict})"


def _number(stuck: Stuck) -> str:
    return "{}, {}".format(*stuck.replicate)


def _named(view: View, stuck: Sequence[Stuck]) -> Markup:
    return join([join([view.method(s.method), f" {_number(s)}"]) for s in stuck], "; ")


def _row(view: View, who: Bent | Filled, failed: Markup, before: Comparison, after: Comparison) -> list[Markup]:
    names = view.method(who.method), view.method(who.against), place(who.setting)
    return cells(*names, failed, comparison_cell(before), comparison_cell(after))


def _reading(stuck: bool, filled: bool) -> list[str]:
    said = []
    if stuck:
        said.append(
            "A student counts as failed if it lies below the median of its siblings (same method and setting) by more "
            f"than {100 * LEAST:g} points (or half of their distance from chance if that is less), {COMMON} times the "
            f"spread of all methods' students there, and {OWN} times that of its siblings ({OWN_OF_FEW} times for "
            "two or three siblings). No result leaves it out; the results without it are shown here. If half of the "
            "siblings failed, none is named. "
        )
    if filled:
        said.append(
            "A hole is a student whose job failed, or a job that it needs. Chance, what a constant answer reaches, "
            "is the worst case; the holes of one method are filled at a time."
        )
    return said


SECTION = Section("Failed students", 8, lambda s: show(s, s.failed.bent, s.failed.filled, s.failed.stuck))
