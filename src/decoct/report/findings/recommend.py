"""What to use for a given number of images, bytes or seconds: the cheapest of those that none is shown to beat.

The highest mean of many is luck in part, and a test of it on the numbers that picked it would not stand. So nothing is
picked first: ``best.unbeaten`` leaves out what is shown to be worse than something else, the truly best one stays in
with 95 % whichever it is, and among those that stay the cost decides, which is no outcome of the students. Costs that
a timer does not order are ties, and the higher mean wins a tie.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.report import wording
from decoct.report.findings import best, limit, price
from decoct.report.findings.accuracy import Accuracy
from decoct.report.findings.candidates import Candidate, candidates
from decoct.report.findings.limit import Kind, Limit
from decoct.report.findings.price import Measure
from decoct.report.read.frame import Frame
from decoct.report.stats import intervals

NAMED = 20  # of those that stay, in a sentence
SHORTEST = 1.0  # seconds that a break point is asked for: nobody has less time


@dataclass(frozen=True)
class Choice:
    """A recommendation for one student.

    Attributes:
        student: its net.
        pick: the highest mean of the cheapest of ``kept``; None where nothing can be recommended.
        kept: those that none is shown to beat, by cost.
        tied: how many of them are the cheapest, see ``price.ties``.
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
    """What to use within a limit, for each student.

    Attributes:
        limit: what one can afford.
        measure: of time; None where times cannot be compared.
        choices: one a student.
    """

    limit: Limit
    measure: Measure | None
    choices: tuple[Choice, ...]

    def sentence(self) -> str:
        """All students, one after another."""
        said = ". ".join(self.of(choice) for choice in self.choices)
        return said or "No student has been trained yet: nothing can be recommended"

    def of(self, choice: Choice) -> str:
        """What is recommended for a student, or why nothing is."""
        start = f"For {self._limit} with {choice.student}"
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
        """Plain lists and dicts; NaN where nothing is defined."""
        return {
            "limit": str(self.limit),
            "amount": self.limit.amount,
            "kind": self.limit.kind,
            "measure": self.measure,
            "choices": [
                {
                    "student": c.student,
                    "take": _plain(c.pick),
                    "not_shown_to_be_worse": [_plain(k) for k in c.kept],
                    "highest_mean": _plain(c.highest),
                    "considered": c.considered,
                    "left_out": c.left_out,
                    "text": f"{self.of(c)}.",
                }
                for c in self.choices
            ],
        }

    @property
    def _limit(self) -> str:
        what = {"images": "", "bytes": " of images and labels", "seconds": f" of {self.measure or 'time'}"}
        return f"at most {self.limit}{what[self.limit.kind]}"


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
        found, measure = candidates(frame, accuracies)
        students = dict.fromkeys(c.accuracy.setting.student for c in found)
        own = {student: [c for c in found if c.accuracy.setting.student == student] for student in students}
        tests = min((row["test_images"] for row in frame.results.to_pylist()), default=0)
        floor = intervals.grid_floor(tests)
        return cls(own, {student: best.ahead([c.runs for c in each], floor) for student, each in own.items()}, measure)

    def recommend(self, asked: Limit) -> Recommendation:
        """What to use within a limit."""
        return Recommendation(asked, self.measure, tuple(self._choice(student, asked) for student in self.candidates))

    def break_points(self) -> tuple[Recommendation, ...]:
        """For each size of set of the study, and a few round numbers of bytes and of seconds."""
        every = [c for own in self.candidates.values() for c in own]
        sizes: dict[Kind, list[float]] = {
            "images": sorted({c.images for c in every if math.isfinite(c.images)}),
            "bytes": limit.rounded(c.bytes for c in every),
            "seconds": limit.rounded(max(c.seconds, SHORTEST) for c in every),
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
        stay = best.unbeaten(self.ahead[student][np.ix_(sure, sure)])
        kept = sorted((own[i] for i, stays in zip(sure, stay, strict=True) if stays), key=_cost)
        tied = _cheapest(kept)
        top = min((own[i] for i in sure), key=_rank)
        return Choice(student, tied[0], tuple(kept), len(tied), top, len(sure), len(within) - len(sure), "")


def stretches(advice: Sequence[Recommendation], student: str) -> list[tuple[Recommendation, Recommendation, Choice]]:
    """The first and the last of consecutive limits of one kind under which the same is said to a student."""
    found: list[tuple[Recommendation, Recommendation, Choice]] = []
    for r in advice:
        for choice in (c for c in r.choices if c.student == student):
            if found and found[-1][1].limit.kind == r.limit.kind and found[-1][2] == choice:
                found[-1] = (found[-1][0], r, choice)
            else:
                found.append((r, r, choice))
    return found


def recommend(frame: Frame, accuracies: Sequence[Accuracy], text: str) -> Recommendation:
    """What to use for "100 images", "2 MB" (images and labels) or "60 s" (of all that is made before training).

    Raises:
        UsageError: the text is no budget.
    """
    asked = limit.read(text)
    return Adviser.of(frame, accuracies).recommend(asked)


def _cheapest(kept: Sequence[Candidate]) -> list[Candidate]:
    """Those that tie with the least time, or with the fewest images and bytes where no time is known; best first."""
    near = [c for c, tied in zip(kept, price.ties([_seconds(c) for c in kept]), strict=True) if tied]
    if not any(math.isfinite(_seconds(c)) for c in near):
        fewest = min(_cost(c)[:3] for c in near)
        near = [c for c in near if _cost(c)[:3] == fewest]
    return sorted(near, key=_rank)


def _rank(candidate: Candidate) -> tuple[float | str, ...]:
    return -candidate.accuracy.interval.mean, *_cost(candidate)


def _cost(candidate: Candidate) -> tuple[float | str, ...]:
    """Time, images, bytes, and the name, so that no order of rows decides."""
    return _seconds(candidate), candidate.images, candidate.bytes, _named(candidate)


def _seconds(candidate: Candidate) -> float:
    return candidate.seconds if math.isfinite(candidate.seconds) else math.inf


def _named(candidate: Candidate) -> str:
    return f"{candidate} at {wording.budget(candidate.accuracy.setting.budget)}"


def _plain(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    a = candidate.accuracy
    return {
        "method": a.method,
        **a.setting._asdict(),
        "accuracy": a.interval.mean,
        "ci95": [a.interval.lo, a.interval.hi],
        "n": a.interval.n,
        "steps": a.steps,
        "images_seen": a.images_seen,
        "images": a.images,
        "bytes": a.total_bytes,
        "seconds_before_training": candidate.seconds,
    }
