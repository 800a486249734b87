"""The four claims of a study: does distilling beat random, beat every coreset, at what cost, and who covers the data?

Each is asked of the results at hand, for every distillation method, and worded with intervals. What is counted as shown
has its word after Holm, see ``verdict.verdicts`` and ``coverage``; intervals are each at its own level.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.page.markup import Markup, tag
from decoct.report.page.parts import block, bullets, fold, note, section
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections import cost, coverage
from decoct.report.sections.cost import Multiple
from decoct.report.sections.coverage import Coverage
from decoct.report.sections.verdict import Verdict, asked
from decoct.report.stats.comparisons import Comparison, Word

WHOM = "than every coreset"
NO_METHOD = "This study has no distillation method: nothing can be said"
UNTRAINED = "No pair of students has been trained yet: nothing can be said"
ABOUT = {
    "random": "Paired differences under the same protocol, student and budget. Better and worse: the words of the "
    "verdict, after Holm. The intervals are each at their own level; "
    "those of the smallest and the largest are of what was picked, and do not allow for that.",
    "coresets": "Better than every coreset: better than each, random included (intersection-union), after Holm over "
    "methods and settings. Worse: than at least one, after Holm over all comparisons of two methods.",
    "cost": "Device time is how long an accelerator was held; where none was, it is processor time: wall time in a "
    "busy pool means little. Geometric means over sets, with 95 % intervals from Welch's t on the logs; a single set "
    "stands as it was timed, and two single ones have no interval. What sets share, such as a teacher, was timed once "
    "and is charged in full on both sides. Small: the construction alone, as if all else were there already. A dash: "
    "unlike machines, or a time that is not known.",
    "coverage": "Coverage of the held-out images (val), beside its expectation where that was read: a coreset's images "
    "are among train. Welch's t over sets. Where a method is deterministic its one set stands as it is, and contrasts "
    "condition on it; all condition on the held-out images. Better than every coreset is intersection-union, then "
    "Holm; worse than at least one is Holm over all contrasts, one-sided at 2.5 % each. z: beside random sets.",
}


@dataclass(frozen=True)
class Claim:
    """A question, and what the results say to it.

    Attributes:
        key: random, coresets, cost or coverage.
        question: as it is asked.
        answer: one sentence over all methods.
        methods: one sentence for each distillation method.
    """

    key: str
    question: str
    answer: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Claims:
    """The four claims with the numbers behind the last two; those behind the first two are the verdicts.

    Attributes:
        all: in the order of the study's questions.
        multiples: of cost.
        coverages: of held-out data.
    """

    all: tuple[Claim, ...]
    multiples: tuple[Multiple, ...]
    coverages: tuple[Coverage, ...]

    @property
    def price(self) -> tuple[str, ...]:
        """What distilled sets took beside the coresets, in one sentence; none without a distilled set."""
        return tuple(claim.answer for claim in self.all if claim.key == "cost" and claim.methods)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; NaN where nothing is defined."""
        return {
            "questions": [asdict(claim) for claim in self.all],
            "cost": [asdict(m) for m in self.multiples],
            "coverage": [asdict(c) | {"name": c.name._asdict()} for c in self.coverages],
        }


def claims(frame: Frame, verdicts: Sequence[Verdict], covered: Sequence[Coverage]) -> Claims:
    """Ask a run the four questions."""
    distilled = [v for v in verdicts if v.family == "distillation"]
    multiples = cost.multiples(frame)
    asked = "distillation" in frame.manifest.families.values()
    takes, covers = (cost.overall(multiples), coverage.overall(covered)) if asked else (NO_METHOD, NO_METHOD)
    four = (
        _against_random(distilled),
        _against_coresets(distilled),
        Claim("cost", "At what multiple of construction cost?", takes, cost.sentences(frame, multiples)),
        Claim("coverage", "Who covers the data better?", covers, coverage.sentences(covered)),
    )
    return Claims(four, multiples, tuple(covered))


def _against_random(distilled: Sequence[Verdict]) -> Claim:
    """Paired comparisons, by the words of the verdicts."""
    question = "Does a distilled set beat random of the same size?"
    pairs = [(v, v.random) for v in distilled if v.random is not None]
    if not pairs:
        missing = "This study has no random selection: nothing can be said" if distilled else NO_METHOD
        return Claim("random", question, missing, ())
    if not any(c.n for _, c in pairs):
        return Claim("random", question, UNTRAINED, ())
    lines = []
    for method, own in grouped(pairs, lambda pair: pair[0].method).items():
        said = f"{method}: {_counts([c.verdict for _, c in own], 'than random')}"
        alike = sum(c.verdict == "equivalent" for _, c in own)
        said += f"; equivalent within the margin in {alike}" if alike else ""
        lines.append(f"{said}; {_range([(v.setting, REFERENCE, c) for v, c in own])}")
    compared = [c for _, c in pairs]
    what = _counts([c.verdict for c in compared], "than random of the same size", asked(len(pairs)))
    answer = f"Distilled sets are {what}; {_points(compared)}{_images(sum(c.on_these_images for c in compared))}"
    return Claim("random", question, _untold(compared) or answer, tuple(lines))


def _against_coresets(distilled: Sequence[Verdict]) -> Claim:
    """Better than each coreset, worse than at least one, by the words of the verdicts."""
    question = "Does any distilled set beat every coreset?"
    beside = [v for v in distilled if v.coresets]
    every = [c for v in beside for c in v.coresets.values()]
    if not beside:
        missing = "This study has no coreset: nothing can be said" if distilled else NO_METHOD
        return Claim("coresets", question, missing, ())
    if not any(c.n for c in every):
        return Claim("coresets", question, UNTRAINED, ())
    lines = []
    for method, own in grouped(beside, lambda v: v.method).items():
        least = _range([(v.setting, *_least(v)) for v in own])
        said = _counts([v.against_coresets for v in own], WHOM)
        lines.append(f"{method}: {said}; to the coreset that does best beside it, {least}")
    won = [v for v in beside if v.against_coresets == "better"]
    answer = f"Distilled sets are {_counts([v.against_coresets for v in beside], WHOM, asked(len(beside)))}"
    answer += f": {', '.join(f'{m} in {n}' for m, n in Counter(v.method for v in won).items())}" if won else ""
    answer += _images(sum(any(c.on_these_images for c in v.coresets.values()) for v in won))
    return Claim("coresets", question, _untold(every) or answer, tuple(lines))


def _counts(words: Sequence[Word | None], whom: str, what: str = "") -> str:
    what = what or wording.count(len(words), "setting")
    better, worse = (words.count(word) or "none" for word in ("better", "worse"))
    than = " than at least one" if whom == WHOM else ""
    return f"better {whom} in {better} of {what} and worse{than} in {worse}, after Holm"


def _images(number: int) -> str:
    return f"; {number} of these on these test images only: others might not show it" if number else ""


def _least(verdict: Verdict) -> tuple[str, Comparison]:
    """The coreset with the smallest difference; one without a pair only where there is no other."""
    return min(verdict.coresets.items(), key=lambda item: math.inf if item[1].n == 0 else item[1].mean)


def _untold(compared: Sequence[Comparison]) -> str:
    """What is said where no comparison can show anything; empty if one can."""
    alone = max(c.n for c in compared) < 2
    return "One replicate shows no difference, whatever it is: it takes two or more" if alone else ""


def _points(compared: Sequence[Comparison]) -> str:
    means = [c.mean for c in compared if c.n]
    ends = [wording.points(x) for x in (min(means), max(means))]
    return f"differences {ends[0]} to {ends[1]} points" if len(means) > 1 else f"difference {ends[0]} points"


def _range(compared: Sequence[tuple[Setting, str, Comparison]]) -> str:
    """The smallest and the largest difference, each with its own interval, n, and where it is."""
    known = [each for each in compared if each[2].n]
    if not known:
        return "no pair of students has been trained yet"
    low, high = (pick(known, key=lambda each: each[2].mean) for pick in (min, max))
    return f"difference {_said(*low)}" if len(known) == 1 else f"differences {_said(*low)} to {_said(*high)}"


def _said(setting: Setting, whom: str, c: Comparison) -> str:
    against = "" if whom == REFERENCE else f"{whom}, "
    bounds = wording.bounds(c.lo, c.hi)
    return f"{wording.points(c.mean)} points{' ' * bool(bounds)}{bounds} ({against}{setting}, n = {c.n})"


def show(view: View, claims: Claims) -> Markup:
    """One block for each question; nothing but the answer where there is nothing to say of a method."""
    behind = {"cost": cost.multiples_table(view, claims.multiples), "coverage": coverage.show(view, claims.coverages)}
    blocks = []
    for claim in claims.all:
        more = bullets(claim.methods), behind.get(claim.key, ""), note(ABOUT[claim.key])
        details = fold("Method by method", *more) if claim.methods else ""
        blocks.append(block(tag("h3", claim.question), tag("p", f"{claim.answer}."), details))
    return section("claims", "Four questions", *blocks)
