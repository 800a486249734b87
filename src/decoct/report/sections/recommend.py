"""What to use for a given number of images, bytes or seconds: the cheapest of those that none is shown to beat.

The highest mean of many is luck in part, and a test of it on the numbers that picked it would not stand. So nothing is
picked first: ``unbeaten`` leaves out what is shown to be worse than something else, the truly best one stays in
with 95 % whichever it is, and among those that stay the cost decides, which is no outcome of the students. Costs that
a timer does not order are ties, and the higher mean wins a tie.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, table, tag
from decoct.report.page.parts import accuracy_cell, block, bullets, fold, note, section, stacked
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.sections import cost
from decoct.report.sections.candidates import Candidate, ahead, candidates, unbeaten
from decoct.report.sections.cost import Measure

NAMED, LISTED = 20, 3  # of those that stay, in a sentence and in a cell
Kind = Literal["images", "bytes", "seconds"]
UNITS: dict[str, tuple[Kind, float]] = {
    **dict.fromkeys(("image", "images"), ("images", 1.0)),
    **dict.fromkeys(("b", "byte", "bytes"), ("bytes", 1.0)),
    **{f"{prefix}b": ("bytes", 1000.0**power) for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": ("bytes", 1024.0**power) for power, prefix in enumerate("kmgt", 1)},
    "ms": ("seconds", 1e-3),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("seconds", 1.0)),
    **dict.fromkeys(("min", "minute", "minutes"), ("seconds", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("seconds", 3600.0)),
}
PART = re.compile(r"\s*(\d[\d,_]*(?:\.\d+)?|\.\d+)\s*([A-Za-z]+)\s*")
SHORTEST = 1.0  # seconds that a break point is asked for: nobody has less time


@dataclass(frozen=True)
class Limit:
    """At most so many images, bytes (images and labels) or seconds (of device or processor time), above 0."""

    amount: float
    kind: Kind

    def __str__(self) -> str:
        if self.kind == "images":
            return wording.count(int(self.amount), "image").replace(f"{int(self.amount)}", f"{int(self.amount):,}")
        return wording.size(self.amount) if self.kind == "bytes" else wording.seconds(self.amount)


@dataclass(frozen=True)
class Choice:
    """A recommendation for one student.

    Attributes:
        student: its net.
        pick: the highest mean of the cheapest of ``kept``; None where nothing can be recommended.
        kept: those that none is shown to beat, by cost.
        tied: how many of them are the cheapest, see ``cost.ties``.
        highest: the one of the highest mean.
        considered: candidates within the limit that have two replicates or more.
        left_out: within the limit, with fewer.
        why: nothing can be recommended; empty otherwise.
    """

    student: str
    pick: Candidate | None
    kept: tuple[Candidate, ...]
    tied: int
    highest: Candidate | None
    considered: int
    left_out: int
    why: str


@dataclass(frozen=True)
class Recommendation:
    """What to use within a limit: one choice a student. Time has no measure where it cannot be compared."""

    limit: Limit
    measure: Measure | None
    choices: tuple[Choice, ...]

    def sentence(self) -> str:
        """All students, one after another."""
        said = ". ".join(self.of(choice) for choice in self.choices)
        return said or "No student has been trained yet: nothing can be recommended"

    def of(self, choice: Choice) -> str:
        """What is recommended for a student, or why nothing is."""
        what = {"images": "", "bytes": " of images and labels", "seconds": f" of {self.measure or 'time'}"}
        start = f"For at most {self.limit}{what[self.limit.kind]} with {choice.student}"
        if choice.pick is None:
            return f"{start} nothing can be recommended: {choice.why}"
        a = choice.pick.accuracy
        said = f"{start}, take {_named(choice.pick)}: {wording.accuracy(a.interval)} %, n = {a.interval.n}, "
        said += f"{a.steps:,} steps, {self.takes(choice.pick)}"
        rank = "cheapest" if self.measure else "smallest"
        if choice.considered == 1:
            return f"{said}. It is the only one within the limit"
        if len(choice.kept) == 1:
            rest = "the other" if choice.considered == 2 else f"each of the {choice.considered - 1} others"
            return f"{said}. Within the limit something is shown to beat {rest}"
        among = f"{len(choice.kept)} out of {choice.considered} that none is shown to beat"
        if choice.tied > 1:
            ties = "times within a second or a tenth of the least" if self.measure else "equal in size"
            said += f". It has the highest mean of the {choice.tied} {rank} ({ties}) of {among}"
        else:
            said += f". It is the {rank} of {among}"
        top = choice.highest
        if top and top != choice.pick:
            numbers = f"{wording.accuracy(top.accuracy.interval)} %, {self.takes(top)}"
            said += f"; the highest mean is that of {_named(top)}, {numbers}"
        others = [_named(k) for k in choice.kept if k not in (choice.pick, top)]
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        return said + (f"; not shown to be worse either: {', '.join(others[:NAMED])}{more}" if others else "")

    def takes(self, candidate: Candidate) -> str:
        """Images, bytes, and time before training where it can be compared."""
        known = [f"{candidate.images:,.0f} images", wording.size(candidate.bytes)]
        if self.measure and math.isfinite(candidate.seconds):
            known.append(f"{wording.seconds(candidate.seconds)} of {self.measure} before training")
        return ", ".join(part for part in known if part != wording.NONE)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; None where nothing is defined."""
        return {
            "limit": str(self.limit),
            "amount": self.limit.amount,
            "kind": self.limit.kind,
            "measure": self.measure,
            "choices": [
                {"student": c.student, "take": _plain(c.pick), "highest_mean": _plain(c.highest)}
                | {"not_shown_to_be_worse": [_plain(k) for k in c.kept], "text": f"{self.of(c)}."}
                | {"considered": c.considered, "left_out": c.left_out}
                for c in self.choices
            ],
        }


@dataclass(frozen=True)
class Adviser:
    """Recommends from a run, for any limit.

    Attributes:
        candidates: by student.
        ahead: one-sided p of "the column is no better than the row" among a student's candidates.
        measure: of time; None where times cannot be compared.
    """

    candidates: Mapping[str, Sequence[Candidate]]
    ahead: Mapping[str, NDArray[np.float64]]
    measure: Measure | None

    @classmethod
    def of(cls, frame: Frame, accuracies: Sequence[Accuracy]) -> "Adviser":
        """The adviser of a run."""
        every, measure = candidates(frame, accuracies)
        own = grouped(every, lambda c: c.accuracy.setting.student)
        p = {student: ahead([c.runs for c in each], frame.floor) for student, each in own.items()}
        return cls(own, p, measure)

    def recommend(self, asked: Limit) -> Recommendation:
        """What to use within a limit."""
        return Recommendation(asked, self.measure, tuple(self._choice(student, asked) for student in self.candidates))

    def break_points(self) -> tuple[Recommendation, ...]:
        """For each size of set of the study, and a few round numbers of bytes and of seconds."""
        every = [c for own in self.candidates.values() for c in own]
        sizes: dict[Kind, list[float]] = {
            "images": sorted({c.images for c in every if math.isfinite(c.images)}),
            "bytes": rounded(c.bytes for c in every),
            "seconds": rounded(max(c.seconds, SHORTEST) for c in every),
        }
        return tuple(self.recommend(Limit(amount, kind)) for kind, amounts in sizes.items() for amount in amounts)

    def _choice(self, student: str, asked: Limit) -> Choice:
        def nothing(why: str, out: int = 0) -> Choice:
            return Choice(student, None, (), 0, None, 0, out, why)

        own = self.candidates[student]
        if asked.kind == "seconds" and self.measure is None:
            return nothing("the sets were made on unlike machines, or a time is not known; ask for images or bytes")
        within = [i for i, c in enumerate(own) if getattr(c, asked.kind) <= asked.amount]
        if not within:
            least = min((getattr(c, asked.kind) for c in own), default=math.inf)
            more = f"; the least is {Limit(least, asked.kind)}" if math.isfinite(least) else ""
            return nothing(f"nothing that was trained fits{more}")
        sure = [i for i in within if own[i].accuracy.interval.n > 1]
        if not sure:
            return nothing("it takes two replicates or more to tell one from another", len(within))
        stay = unbeaten(self.ahead[student][np.ix_(sure, sure)])
        kept = sorted((own[i] for i, stays in zip(sure, stay, strict=True) if stays), key=_cost)
        tied = _cheapest(kept)
        top = min((own[i] for i in sure), key=_rank)
        return Choice(student, tied[0], tuple(kept), len(tied), top, len(sure), len(within) - len(sure), "")


def stretches(advice: Sequence[Recommendation], student: str) -> list[tuple[Recommendation, Recommendation, Choice]]:
    """The first and the last of consecutive limits of one kind under which the same is said to a student."""
    alike: list[tuple[Recommendation, Recommendation, Choice]] = []
    for r, choice in ((each, c) for each in advice for c in each.choices if c.student == student):
        if alike and alike[-1][1].limit.kind == r.limit.kind and alike[-1][2] == choice:
            alike[-1] = (alike[-1][0], r, choice)
        else:
            alike.append((r, r, choice))
    return alike


def recommend(frame: Frame, accuracies: Sequence[Accuracy], text: str) -> Recommendation:
    """What to use for "100 images", "2 MB" (images and labels) or "60 s" (of all that is made before training).

    Raises:
        UsageError: the text is no budget.
    """
    asked = limit(text)
    return Adviser.of(frame, accuracies).recommend(asked)


def limit(text: str) -> Limit:
    """The limit that a text such as "100 images", "2 MB", "60 s" or "1 h 30 min" stands for.

    Raises:
        UsageError: it stands for none.
    """
    parts, at = [], 0
    while at < len(text) and (part := PART.match(text, at)):
        parts.append(part.groups())
        at = part.end()
    said = "say a number and images, B, kB, MB, GB, s, min or h, such as '100 images', '2 MB' or '60 s'"
    if not parts or at < len(text):
        raise UsageError(f"'{text}' is no budget: {said}")
    for _, unit in parts:
        if unit.lower() not in UNITS:
            raise UsageError(f"'{unit}' in '{text}' is no unit: {said}")
    kinds = {UNITS[unit.lower()][0] for _, unit in parts}
    if len(kinds) > 1:
        raise UsageError(f"'{text}' mixes {' and '.join(sorted(kinds))}: ask for one at a time")
    amount = sum(float(re.sub("[,_]", "", number)) * UNITS[unit.lower()][1] for number, unit in parts)
    kind = kinds.pop()
    if not (0 < amount < math.inf) or (kind == "images" and amount < 1):
        raise UsageError(f"'{text}' is no budget: it must be above 0")
    return Limit(math.floor(amount) if kind == "images" else amount, kind)


def rounded(values: Iterable[float], most: int = 4) -> list[float]:
    """A few round numbers (1, 2, 5, 10 …) from the smallest value, which the first holds, to the largest."""
    known = sorted(v for v in values if math.isfinite(v) and v > 0)
    if not known:
        return []
    powers = range(math.floor(math.log10(known[0])), math.ceil(math.log10(known[-1])) + 1)
    steps = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    first = next(i for i, step in enumerate(steps) if step >= known[0])
    last = next((i for i, step in enumerate(steps) if step >= known[-1]), len(steps) - 1)
    number = min(most, last - first + 1)
    return [steps[first + round(k * (last - first) / max(number - 1, 1))] for k in range(number)]


def _cheapest(kept: Sequence[Candidate]) -> list[Candidate]:
    """Those that tie with the least time, or with the fewest images and bytes where no time is known; best first."""
    near = [c for c, tied in zip(kept, cost.ties([c.seconds for c in kept]), strict=True) if tied]
    if not any(math.isfinite(c.seconds) for c in near):
        fewest = min(_cost(c)[:3] for c in near)
        near = [c for c in near if _cost(c)[:3] == fewest]
    return sorted(near, key=_rank)


def _rank(candidate: Candidate) -> tuple[float | str, ...]:
    return -candidate.accuracy.interval.mean, *_cost(candidate)


def _cost(candidate: Candidate) -> tuple[float | str, ...]:
    """Time, images, bytes, and the name, so that no order of rows decides."""
    return candidate.seconds, candidate.images, candidate.bytes, _named(candidate)


def _named(candidate: Candidate) -> str:
    return f"{candidate} at {wording.budget(candidate.accuracy.setting.budget)}"


def _plain(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    a, seconds = candidate.accuracy, candidate.seconds
    own: dict[str, Any] = {name: getattr(a, name) for name in ("method", "steps", "images_seen", "images")}
    own |= a.setting._asdict() | {"accuracy": a.interval.mean, **a.interval.to_json(), "bytes": a.total_bytes}
    return own | {"seconds_before_training": seconds if math.isfinite(seconds) else None}


def show(view: View, advice: Sequence[Recommendation]) -> Markup:
    """A table for each student over the study's sizes and a few round numbers of bytes and seconds."""
    students = dict.fromkeys(choice.student for r in advice for choice in r.choices)
    blocks = [_table(view, advice, student, len(students) > 1) for student in students]
    if not blocks:
        return Markup()
    measure = next((r.measure for r in advice), None)
    time = (
        f"Time is {measure} of all that must be there before a student trains: the set, what it stands on, the "
        "protocol's teachers and stored labels, each in full; training the student is not in it. "
        if measure
        else "The sets were made on unlike machines, or a time is not known: nothing is said for seconds. "
    )
    ties = "within a second or a tenth of the least time" if measure else "of one size"
    about = note(
        "Any method under any protocol at any budget that fits. The highest mean of many is luck in part, so it is "
        "not picked and then tested: what is left out is what something else within the limit is shown to beat (paired "
        "t, Holm over its rivals, 5 %). The truly best one stays in with 95 % whichever it is. Of those that stay, the "
        f"{'cheapest' if measure else 'smallest'} is recommended, and of several {ties} the highest mean: not shown "
        "to be worse, which is not the same as "
        "equal. With few replicates little is shown, and the cheapest may lie far below the highest mean: both stand "
        "here. ",
        time,
        "Bytes are images and stored labels; the weights of online teachers are not in them. For another limit: "
        'decoct report DIR --for "100 images".',
    )
    return section("recommend", "What to use", *blocks, about)


def _table(view: View, advice: Sequence[Recommendation], student: str, named: bool) -> Markup:
    same = stretches(advice, student)
    head = columns(
        "at most", "take", "protocol", "budget", "accuracy", "takes", "highest mean", "not shown to be worse"
    )
    heading = tag("h3", facets.student(student)) if named else ""
    sentences = fold("Every recommendation as a sentence", bullets(r.of(choice) for r, _, choice in same))
    return block(heading, table(head, [_row(view, *stretch) for stretch in same]), sentences)


def _row(view: View, first: Recommendation, last: Recommendation, choice: Choice) -> list[Markup]:
    upto = f"{first.limit}" if first is last else f"{first.limit} to {last.limit}"
    if choice.pick is None:
        return [tag("th", upto, scope="row"), tag("td", f"nothing: {choice.why}", colspan=7, class_="names")]
    a = choice.pick.accuracy
    takes = [tag("small", part) for part in first.takes(choice.pick).split(", ")]
    return cells(
        upto,
        view.method(a.method),
        facets.protocol(a.setting.protocol),
        facets.budget(a.setting.budget),
        accuracy_cell(a),
        stacked(join(takes), f"{a.steps:,} steps, {a.images_seen:,} images seen"),
        _highest(choice),
        _kept(choice),
    )


def _highest(choice: Choice) -> Markup:
    top = choice.highest
    if top is None or top == choice.pick:
        return Markup("the same" if top else wording.NONE)
    named = tag("small", tag("bdi", _named(top)), class_="names")
    return stacked(join([accuracy_cell(top.accuracy), named]))


def _kept(choice: Choice) -> Markup:
    others = [k for k in choice.kept if k not in (choice.pick, choice.highest)]
    means = [f" {wording.percent(k.accuracy.interval.mean)} %" for k in others[:LISTED]]
    lines = [tag("small", tag("bdi", _named(k)), mean, class_="names") for k, mean in zip(others, means, strict=False)]
    more = f"and {len(others) - LISTED} more, named below" if len(others) > LISTED else ""
    return stacked(join([f"{len(choice.kept)} of {choice.considered}", *lines]), more)
