"""What to use for a given number of images, bytes or seconds: the highest mean, and a cheaper choice close to it.

The highest of many means is partly luck, so its interval allows for having been picked. If anything within the margin
of it costs less, the cheapest of these is named too. With it goes the set of all that may still be the best.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from decoct.report import costs, wording
from decoct.report.advice.candidates import Candidate, Pool, pool, unbeaten
from decoct.report.advice.limits import Kind, Limit, limit, rounded
from decoct.report.costs import Measure
from decoct.report.judged import Judged
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats import selected
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.crossed import FEWEST
from decoct.report.stats.intervals import Interval, clip
from decoct.report.stats.pairwise import Pairs

NAMED, LISTED = 20, 3  # of those that may be best, in a sentence and in a cell
SHORTEST = 1.0  # seconds of the first recommendation by time: nobody has less


@dataclass(frozen=True)
class Choice:
    """A recommendation for one student.

    Attributes:
        student: its net.
        pick: the highest mean; None where nothing can be recommended.
        interval: of its accuracy, 95 %, corrected for having been picked; without bounds where it is not sure.
        cheaper: the cheapest within the margin of the pick; None where nothing within the margin is cheaper.
        difference: pick − cheaper, by itself.
        kept: those that may still be the best, highest mean first.
        within: those that took part: all within the limit of ``crossed.FEWEST`` sets or more; all, if none has as many.
        left_out: within the limit, with fewer.
        why: nothing can be recommended; empty otherwise.
    """

    student: str
    pick: Candidate | None = None
    interval: Interval | None = None
    cheaper: Candidate | None = None
    difference: Comparison | None = None
    kept: tuple[Candidate, ...] = ()
    within: tuple[Candidate, ...] = ()
    left_out: int = 0
    why: str = ""

    @property
    def sure(self) -> bool:
        """Whether anything was tested."""
        return self.pick is not None and self.pick.crossed.n >= FEWEST

    @property
    def random(self) -> Candidate | None:
        """Random sets to compare the pick with, unless the pick is random."""
        if self.pick is None or self.pick.accuracy.method == REFERENCE:
            return None
        place = REFERENCE, self.pick.accuracy.setting
        return next((c for c in self.within if (c.accuracy.method, c.accuracy.setting) == place), None)

    def says(self) -> tuple[object, ...]:
        """What distinguishes this choice from another; how many took part does not."""
        picks = (c and named(c) for c in (self.pick, self.cheaper))
        return *picks, frozenset(map(named, self.kept)), self.why


@dataclass(frozen=True)
class Recommendation:
    """What to use within a limit: one choice per student. Time has no measure where it cannot be compared."""

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
        if choice.pick is None or choice.interval is None:
            return f"{start} nothing can be recommended: {choice.why}"
        a, others = choice.pick.accuracy, len(choice.within) - 1
        said = f"{start}, take {named(choice.pick)}: {_percent(choice.interval)}, n = {choice.interval.n}, "
        said += f"{a.steps:,} steps, {self.takes(choice.pick)}. "
        said += f"It has the highest of {others + 1} means" if others else "It is the only one within the limit"
        if not choice.sure:
            return f"{said}. This is uncertain: it takes {FEWEST} sets to distinguish one from another"
        if choice.cheaper and choice.difference:
            c = choice.difference
            said += f". Cheaper and within {wording.margin(c.margin)} of it: {named(choice.cheaper)}, "
            said += f"{wording.percent(choice.cheaper.mean)} %, {self.takes(choice.cheaper)}"
            said += f"; the difference is {wording.difference(c)}, n = {c.n}" if c.n else "; they share no replicate"
        if not others:
            return said
        if choice.kept == (choice.pick,):
            return f"{said}. It is shown to be the best of them"
        rest = [named(k) for k in choice.kept if k not in (choice.pick, choice.cheaper)]
        more = f" and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
        listed = f": this one, {', '.join(rest[:NAMED])}{more}" if rest else ""
        return f"{said}. {len(choice.kept)} of them may still be the best{listed}"

    def line(self, choice: Choice) -> str:
        """The same in one line of a terminal."""
        whose = f", {choice.student}" if len(self.choices) > 1 else ""
        start = f"For {self.limit}{whose}, take "
        if choice.pick is None or choice.interval is None:
            return f"For {self.limit}{whose}, nothing can be recommended: {choice.why}."
        said = f"{start}{self._short(choice, choice.pick)}, {_percent(choice.interval)}"
        random = choice.random
        said += f" (random {wording.percent(random.mean)})" if random and random != choice.cheaper else ""
        if not choice.sure:
            return f"{said}; uncertain, n = {choice.interval.n}."
        if choice.cheaper and choice.difference:
            c = choice.difference
            said += f", or the cheaper {self._short(choice, choice.cheaper)}, {wording.percent(choice.cheaper.mean)} %"
            shown = c.lo > 0 or c.hi < 0
            return f"{said}, {wording.difference(c)} points apart." if shown else f"{said}; which is better is open."
        if len(choice.within) == 1:
            return f"{said}; nothing else fits."
        if choice.kept == (choice.pick,):
            return f"{said}: the best of {len(choice.within)}."
        return f"{said}; {wording.count(len(choice.kept) - 1, 'other choice')} may be as good."

    def _short(self, choice: Choice, c: Candidate) -> str:
        protocols = {k.accuracy.setting.protocol for k in choice.within}
        named = f"{c}" if len(protocols) > 1 else c.accuracy.method
        whole = self.limit.kind == "images" and c.images == self.limit.amount
        return named if whole else f"{named} at {wording.budget(c.accuracy.setting.budget)}"

    def takes(self, candidate: Candidate) -> str:
        """Images, bytes, and time before training where it can be compared."""
        known = [f"{candidate.images:,.0f} images", wording.size(candidate.bytes)]
        if self.measure and math.isfinite(candidate.seconds):
            known.append(f"{wording.seconds(candidate.seconds)} of {self.measure} before training")
        return ", ".join(part for part in known if part != wording.NONE)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; None where nothing is defined."""
        return wording.plain(
            {
                "limit": str(self.limit),
                "amount": self.limit.amount,
                "kind": self.limit.kind,
                "measure": self.measure,
                "choices": [self._plain(choice) for choice in self.choices],
            }
        )

    def _plain(self, c: Choice) -> dict[str, Any]:
        take = plain(c.pick) | {"ci95_alone": c.pick.crossed.interval.to_json()["ci95"]} if c.pick else None
        if take and c.interval:
            take |= c.interval.to_json()
        apart = c.difference
        return {
            "student": c.student,
            "take": take,
            "sure": c.sure,
            "cheaper": plain(c.cheaper) if c.cheaper else None,
            "difference": {"difference": apart.mean, "margin": apart.margin} | apart.interval.to_json()
            if apart
            else None,
            "may_be_best": [plain(k) for k in c.kept],
            "considered": len(c.within),
            "left_out": c.left_out,
            "text": f"{self.of(c)}.",
            "line": self.line(c),
        }


@dataclass(frozen=True)
class Adviser:
    """Recommends from a run, for any limit.

    Attributes:
        pool: what there is to choose among.
        pairs: every difference of two of a student's candidates.
    """

    pool: Pool
    pairs: Mapping[str, Pairs]

    @classmethod
    def of(cls, judged: Judged) -> "Adviser":
        """The adviser of a run."""
        own = pool(judged)
        return cls(own, {student: own.pairs(student) for student in own.candidates})

    def recommend(self, asked: Limit) -> Recommendation:
        """What to use within a limit."""
        choices = (self._choice(student, asked) for student in self.pool.candidates)
        return Recommendation(asked, self.pool.measure, tuple(choices))

    def break_points(self) -> tuple[Recommendation, ...]:
        """For each size of set of the study, and a few round numbers of bytes and of seconds."""
        every = [c for own in self.pool.candidates.values() for c in own]
        sizes: dict[Kind, list[float]] = {
            "images": sorted({c.images for c in every if math.isfinite(c.images)}),
            "bytes": rounded(c.bytes for c in every),
            "seconds": rounded(max(c.seconds, SHORTEST) for c in every),
        }
        return tuple(self.recommend(Limit(amount, kind)) for kind, amounts in sizes.items() for amount in amounts)

    def _choice(self, student: str, asked: Limit) -> Choice:
        own = self.pool.candidates[student]
        if not own:
            reasons = {why: 0 for s, why in self.pool.judged.outside.items() if s.student == student}
            return Choice(student, why=f"none of its settings counts: {'; '.join(reasons)}")
        if asked.kind == "seconds" and self.pool.measure is None:
            why = "the sets were made on different machines, or a time is not known; ask for images or bytes"
            return Choice(student, why=why)
        fits = [i for i, c in enumerate(own) if getattr(c, asked.kind) <= asked.amount]
        if not fits:
            least = min((getattr(c, asked.kind) for c in own), default=math.inf)
            more = f"; the least is {Limit(least, asked.kind)}" if math.isfinite(least) else ""
            return Choice(student, why=f"nothing that was trained fits{more}")
        tested = [i for i in fits if own[i].crossed.n >= FEWEST]
        part = tested or fits
        within = tuple(own[i] for i in part)
        top = leader(within)
        stay = unbeaten(self.pairs[student], part)
        kept = sorted((c for c, stays in zip(within, stay, strict=True) if stays), key=_rank)
        margin = self.pool.judged.margins[top.accuracy.setting]
        less = cheapest(within, top, margin) if tested else None
        return Choice(
            student,
            top,
            _picked(top, len(within)),
            less,
            self.pool.difference(top, less, margin) if less else None,
            tuple(kept),
            within,
            len(fits) - len(part),
        )


def leader(within: Sequence[Candidate]) -> Candidate:
    """The highest mean; of equal ones fewer images, then fewer bytes, then the name."""
    return min(within, key=_rank)


def cheapest(within: Sequence[Candidate], top: Candidate, margin: float) -> Candidate | None:
    """The cheapest within a margin of the highest mean; None if that is the highest mean itself.

    Times that a timer does not order are ties (``costs.ties``); fewer images win a tie, then fewer bytes, by more than
    a tenth, then the higher mean. Where no time is known all tie.
    """
    near = [c for c in within if c.mean >= top.mean - margin - 1e-9]
    near = [c for c, tied in zip(near, costs.ties([c.seconds for c in near]), strict=True) if tied]
    fewest = min(c.images for c in near)
    near = [c for c in near if c.images == fewest]
    least = min(c.bytes for c in near)
    near = [c for c in near if c.bytes <= least * (1 + costs.TENTH)]
    best = min(near, key=_rank)
    return None if best == top else best


def stretches(advice: Sequence[Recommendation], student: str) -> list[tuple[Recommendation, Recommendation, Choice]]:
    """The first and the last of consecutive limits of one kind under which a student gets the same recommendation.

    The choice is that of the last, whose interval is corrected over the most.
    """
    alike: list[tuple[Recommendation, Recommendation, Choice]] = []
    for r, choice in ((each, c) for each in advice for c in each.choices if c.student == student):
        if alike and alike[-1][1].limit.kind == r.limit.kind and alike[-1][2].says() == choice.says():
            alike[-1] = (alike[-1][0], r, choice)
        else:
            alike.append((r, r, choice))
    return alike


def recommend(judged: Judged, text: str) -> Recommendation:
    """What to use for "100 images", "2 MB" (images and labels) or "60 s" (of all that is made before training).

    Raises:
        UsageError: the text is not a limit.
    """
    asked = limit(text)
    return Adviser.of(judged).recommend(asked)


def _picked(top: Candidate, of: int) -> Interval:
    i = top.accuracy.interval
    if top.crossed.n < FEWEST:
        return replace(i, lo=math.nan, hi=math.nan)
    lo, hi = selected.highest(top.estimate, of)
    return clip(replace(i, lo=lo, hi=hi), 0, 1)


def _rank(candidate: Candidate) -> tuple[float | str, ...]:
    """By mean, then images, bytes, and the name: neither a timer nor the order of rows decides."""
    return -candidate.mean, candidate.images, candidate.bytes, named(candidate)


def named(candidate: Candidate) -> str:
    """Method, protocol and budget."""
    return f"{candidate} at {wording.budget(candidate.accuracy.setting.budget)}"


def _percent(i: Interval) -> str:
    return f"{wording.percent(i.mean)} % {wording.bounds(i.lo, i.hi)}".rstrip()


def plain(candidate: Candidate) -> dict[str, Any]:
    """A candidate for ``json.dumps``."""
    a, seconds = candidate.accuracy, candidate.seconds
    own: dict[str, Any] = {name: getattr(a, name) for name in ("method", "steps", "images_seen", "images")}
    own |= a.setting._asdict() | {"accuracy": a.interval.mean, **a.interval.to_json(), "bytes": a.total_bytes}
    return own | {"seconds_before_training": seconds if math.isfinite(seconds) else None}
