"""The smallest set that is shown to be within so many points, or percent, of the full data.

One-sided tests of "the full data are ahead by the limit or more" for every set of a student, corrected by Holm over all
of them, so that at most 5 % of studies call a set within the limit that is not. The accuracy of the full data is that
under the best protocol, which makes it harder to reach. It usually comes from one student: its uncertainty over test
images counts, image by image with the sets' where answers are stored; the chance of another student does not.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from decoct.core.errors import UsageError
from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.advice.candidates import Candidate, Pool, pool
from decoct.report.advice.recommend import named, plain
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.stats import moderated, power
from decoct.report.stats.answers import tally
from decoct.report.stats.comparisons import holm
from decoct.report.stats.crossed import FEWEST, Crossed, crossed
from decoct.report.stats.intervals import ALPHA
from decoct.report.stats.moderated import NONE, Prior

TEXT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%|points?)?\s*", re.ASCII)


@dataclass(frozen=True)
class Allowed:
    """How far below the full data a set may be: a fraction; of their accuracy, or of all test images."""

    amount: float
    relative: bool

    def __str__(self) -> str:
        return f"{100 * self.amount:.4g} %" if self.relative else wording.margin(self.amount)


@dataclass(frozen=True)
class Tested:
    """A set compared with the full data.

    Attributes:
        candidate: the set.
        below: full − set.
        short: the same, less a share of the full data's accuracy where the limit is one.
        limit: of ``short``.
        prior: what is usual among the student's sets.
        p: of "as far as the limit or farther", after Holm over all sets of the student; NaN below ``crossed.FEWEST``.
    """

    candidate: Candidate
    below: Crossed
    short: Crossed
    limit: float
    prior: Prior = NONE
    p: float = math.nan

    @property
    def shown(self) -> bool:
        """Whether it is within the limit, after the correction and by its own replicates."""
        return self.p < ALPHA and self.short.estimate().below(self.limit) < ALPHA

    def needed(self, family: int) -> int | None:
        """Sets that would show it with probability 80 % if mean and spread were the true ones; None beyond 1,000."""
        if self.short.n < 2 or self.short.mean >= self.limit:
            return None
        variance, _ = moderated.moderated(self.short.sets, self.short.n - 1.0, self.prior)
        spread = power.Spread(variance, self.short.images or 0.0, max(self.short.tested, 2), self.prior.df)
        return power.smallest(
            lambda n: power.not_better_power(self.short.mean, spread.error(n), self.limit, ALPHA / family)
        )

    def said(self) -> str:
        """Accuracy, difference, interval and n."""
        i, c = self.below.interval, self.candidate
        apart = f"{wording.points(-i.mean)} points {wording.bounds(-i.hi, -i.lo)}".rstrip()
        return f"{named(c)}, {wording.percent(c.mean)} %, {apart}, n = {i.n}"

    def to_json(self) -> dict[str, Any]:
        """The set, and how far it is below the full data."""
        return plain(self.candidate) | {"below": {"difference": self.below.mean} | self.below.interval.to_json()}


@dataclass(frozen=True)
class Within:
    """The answer for one student.

    Attributes:
        student: its net.
        full: the best accuracy of the full data; None where none can be read.
        students: of the full data, behind it.
        found: the smallest set that is shown to be within the limit; None where none is.
        nearest: the set of the highest mean.
        tested: sets that the correction goes over.
    """

    student: str
    full: Accuracy | None
    students: int = 0
    found: Tested | None = None
    nearest: Tested | None = None
    tested: int = 0


@dataclass(frozen=True)
class Answer:
    """The answer for each student."""

    allowed: Allowed
    students: tuple[Within, ...]

    def sentence(self) -> str:
        """All students, one after another."""
        return ". ".join(map(self.of, self.students))

    def of(self, w: Within) -> str:
        """The smallest set, or the nearest one and what showing it would take."""
        if w.full is None:
            return f"With {w.student}, the full data cannot be read, so no set can be compared with them"
        full = f"{self.allowed} of the full data with {w.student}"
        one = "one student" if w.students == 1 else f"{w.students} students"
        full += f" ({wording.percent(w.full.interval.mean)} % under {w.full.setting.protocol}, {one})"
        if w.found:
            smallest = f"{w.found.candidate.images:,.0f} images: {w.found.said()}"
            return f"The smallest set shown to be within {full}: {smallest}; after Holm over {w.tested} sets"
        return f"No set is shown to be within {full}. {self._nearest(w)}"

    def line(self, w: Within) -> str:
        """The same in one line of a terminal."""
        if w.full is None:
            return f"Within {self.allowed} of the full data, {w.student}: the full data cannot be read."
        whose = f", {w.student}" if len(self.students) > 1 else ""
        place = f"ithin {self.allowed} of the full data ({wording.percent(w.full.interval.mean)} %){whose}"
        return f"W{place}: {w.found.said()}." if w.found else f"No set is shown to be w{place}. {self._nearest(w)}."

    def _nearest(self, w: Within) -> str:
        if w.nearest is None:
            return "No set was trained, or none can be read"
        said = f"The nearest is {w.nearest.said()}"
        if w.nearest.short.mean >= w.nearest.limit:
            return f"{said}: too far below for any number of sets; larger sets are needed"
        if w.nearest.short.n < FEWEST:
            return f"{said}; a test needs {FEWEST} sets"
        needed = w.nearest.needed(w.tested)
        return f"{said}; about {needed} sets would show it" if needed else f"{said}; showing it needs more test images"

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; None where nothing is defined."""
        own = {"within": self.allowed.amount, "of": "the full data's accuracy" if self.allowed.relative else "points"}
        return wording.plain(own | {"students": [self._plain(w) for w in self.students]})

    def _plain(self, w: Within) -> dict[str, Any]:
        full = w.full and w.full.setting._asdict() | {"accuracy": w.full.interval.mean, "students": w.students}
        found, nearest = (t and t.to_json() for t in (w.found, w.nearest))
        needed = w.nearest.needed(w.tested) if w.nearest and not w.found else None
        told = {"full": full, "smallest": found, "nearest": nearest, "tested": w.tested, "needed": needed}
        return {"student": w.student} | told | {"text": f"{self.of(w)}.", "line": self.line(w)}


def allowed(text: str) -> Allowed:
    """What "5", "5 points" (of accuracy) or "5 %" (of the full data's accuracy) means.

    Raises:
        UsageError: the text is not a distance.
    """
    found = TEXT.fullmatch(text)
    if not found or not 0 < float(found[1]) < 100:
        raise UsageError(
            f"'{text}' is not a distance: give points above 0, such as '5', or '5 %' of the full data's accuracy"
        )
    return Allowed(float(found[1]) / 100, found[2] == "%")


def within(judged: Judged, text: str) -> Answer:
    """The smallest set shown within "5" points or "5 %" of the full data, for every student.

    Settings that are outside take no part; nor do the full data under a protocol that is outside at all budgets.

    Raises:
        UsageError: the text is not a distance, or no student of the full data was trained.
    """
    asked = allowed(text)
    if not any(a.ceiling for a in judged.accuracies):
        raise UsageError("--within compares with the full data, on which no student was trained: set ceiling = true")
    every = pool(judged)
    light = {setting.panel for setting in judged.settings if setting not in judged.outside}
    ceilings = [a for a in judged.accuracies if a.ceiling and a.setting.panel in light]
    full = grouped(ceilings, lambda a: a.setting.student)
    best = {student: max(own, key=lambda a: a.interval.mean) for student, own in full.items()}
    students = dict.fromkeys([*every.candidates, *best])
    return Answer(asked, tuple(_answer(every, student, best.get(student), asked) for student in students))


def _answer(every: Pool, student: str, full: Accuracy | None, asked: Allowed) -> Within:
    if full is None:
        return Within(student, None)
    tested = _corrected([_tested(every, c, full, asked) for c in every.candidates.get(student, ())])
    nearest = min(tested, key=lambda t: (-t.candidate.mean, *_size(t)), default=None)
    shown = (t for t in tested if t.shown)
    found = min(shown, key=lambda t: (t.candidate.images, -t.candidate.mean, *_size(t)), default=None)
    return Within(student, full, full.students, found, nearest, len(tested))


def _tested(every: Pool, c: Candidate, full: Accuracy, asked: Allowed) -> Tested:
    weight, limit = (1 - asked.amount, 0.0) if asked.relative else (1.0, asked.amount)
    below = _below(every, c, full, 1.0)
    return Tested(c, below, below if weight == 1 else _below(every, c, full, weight), limit)


def _below(every: Pool, c: Candidate, full: Accuracy, weight: float) -> Crossed:
    """weight · full − set: sets vary, the student of the full data is fixed, test images vary under both."""
    reference, own = (every.judged.answers.keys[a.method, a.setting] for a in (full, c.accuracy))
    values = {at: weight * full.interval.mean - accuracy for at, accuracy in c.runs.items()}
    floor = every.judged.frame.floor / math.sqrt(2)
    answers = [every.judged.answers.load(key) for key in reference.values()]
    known = [x for x in answers if x is not None]
    if len(known) == len(answers) and len({len(x) for x in known}) == 1:
        right = np.float32(weight) * np.stack(known).mean(0, dtype=np.float32)
        loaded = ((at[0], every.judged.answers.load(key)) for at, key in sorted(own.items()))
        by_image = tally(
            ((s, None if x is None or len(x) != len(right) else right - x) for s, x in loaded), signed=True
        )
        if by_image is not None:
            return crossed(values, by_image, floor)
    alone, images = crossed(values, None, floor), full.interval.n
    # Without answers by image the two sides are taken as independent, which makes the error larger than it is.
    apart = sum(w**2 * p * (1 - p) for w, p in ((weight, full.interval.mean), (1.0, c.mean))) / images
    return Crossed(alone.n, alone.mean, alone.sets, apart, images)


def _corrected(tested: Sequence[Tested]) -> list[Tested]:
    known = grouped((t for t in tested if t.short.n > 1), lambda t: t.candidate.fixed)
    priors: Mapping[bool, Prior] = {
        fixed: moderated.prior([t.short.sets for t in own], [t.short.n - 1.0 for t in own])
        for fixed, own in known.items()
    }
    own = [priors.get(t.candidate.fixed, NONE) for t in tested]
    p = holm([t.short.estimate(prior).below(t.limit) for t, prior in zip(tested, own, strict=True)])
    return [
        Tested(t.candidate, t.below, t.short, t.limit, prior, each)
        for t, prior, each in zip(tested, own, p, strict=True)
    ]


def _size(t: Tested) -> tuple[float | str, ...]:
    return t.candidate.images, t.candidate.bytes, named(t.candidate)
