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
from decoct.report.findings import coverage, price
from decoct.report.findings.coverage import Coverage
from decoct.report.findings.price import Multiple
from decoct.report.findings.verdict import Setting, Verdict
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats.comparisons import Comparison

WHOM = "than every coreset"
NO_METHOD = "This study has no distillation method: nothing can be said"
UNTRAINED = "No pair of students has been trained yet: nothing can be said"


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
    multiples = price.multiples(frame)
    none = all(method["family"] != "distillation" for method in frame.manifest.methods.values())
    cost = NO_METHOD if none else price.overall(multiples)
    covers = NO_METHOD if none else coverage.overall(covered)
    asked = (
        _against_random(distilled),
        _against_coresets(distilled),
        Claim("cost", "At what multiple of construction cost?", cost, price.sentences(frame, multiples)),
        Claim("coverage", "Who covers the data better?", covers, coverage.sentences(covered)),
    )
    return Claims(asked, multiples, tuple(covered))


def _against_random(distilled: Sequence[Verdict]) -> Claim:
    """Paired comparisons, by the words of the verdicts."""
    question = "Does a distilled set beat random of the same size?"
    found = [(v, v.random) for v in distilled if v.random is not None]
    if not found:
        missing = "This study has no random selection: nothing can be said" if distilled else NO_METHOD
        return Claim("random", question, missing, ())
    if not any(c.n for _, c in found):
        return Claim("random", question, UNTRAINED, ())
    better, worse, alike = ([c.verdict == word for _, c in found] for word in ("better", "worse", "equivalent"))
    lines = []
    for method in dict.fromkeys(v.method for v, _ in found):
        own = [i for i, (v, _) in enumerate(found) if v.method == method]
        said = f"{method}: {_counts([better[i] for i in own], [worse[i] for i in own], 'than random')}"
        said += f"; equivalent within the margin in {n}" if (n := sum(alike[i] for i in own)) else ""
        lines.append(f"{said}; {_range([(found[i][0].setting, REFERENCE, found[i][1]) for i in own])}")
    what = _counts(better, worse, "than random of the same size", _asked(len(found)))
    answer = f"Distilled sets are {what}; {_points([c for _, c in found])}"
    answer += _images(sum(c.on_these_images for (_, c), b, w in zip(found, better, worse, strict=True) if b or w))
    return Claim("random", question, _untold([c for _, c in found]) or answer, tuple(lines))


def _against_coresets(distilled: Sequence[Verdict]) -> Claim:
    """Better than each coreset, worse than at least one, by the words of the verdicts."""
    question = "Does any distilled set beat every coreset?"
    found = [v for v in distilled if v.coresets]
    if not found:
        missing = "This study has no coreset: nothing can be said" if distilled else NO_METHOD
        return Claim("coresets", question, missing, ())
    if not any(c.n for v in found for c in v.coresets.values()):
        return Claim("coresets", question, UNTRAINED, ())
    better, worse = ([v.against_coresets == word for v in found] for word in ("better", "worse"))
    lines = []
    for method in dict.fromkeys(v.method for v in found):
        own = [i for i, v in enumerate(found) if v.method == method]
        least = [(found[i].setting, *_least(found[i])) for i in own]
        said = f"{method}: {_counts([better[i] for i in own], [worse[i] for i in own], WHOM)}"
        lines.append(f"{said}; to the coreset that does best beside it, {_range(least)}")
    answer = f"Distilled sets are {_counts(better, worse, WHOM, _asked(len(found)))}"
    winners = Counter(v.method for v, sure in zip(found, better, strict=True) if sure)
    answer += f": {', '.join(f'{m} in {n}' for m, n in winners.items())}" if winners else ""
    answer += _images(
        sum(any(c.on_these_images for c in v.coresets.values()) for v, b in zip(found, better, strict=True) if b)
    )
    return Claim("coresets", question, _untold([c for v in found for c in v.coresets.values()]) or answer, tuple(lines))


def _counts(better: Sequence[bool], worse: Sequence[bool], whom: str, what: str = "") -> str:
    what = what or wording.count(len(better), "setting")
    than = " than at least one" if whom == WHOM else ""
    return f"better {whom} in {sum(better) or 'none'} of {what} and worse{than} in {sum(worse) or 'none'}, after Holm"


def _images(number: int) -> str:
    return f"; {number} of these on these test images only: others might not show it" if number else ""


def _asked(number: int) -> str:
    return f"{number} comparisons (method × protocol × student × budget)" if number > 1 else "the one comparison made"


def _least(verdict: Verdict) -> tuple[str, Comparison]:
    """The coreset with the smallest difference; one without a pair only where there is no other."""
    return min(verdict.coresets.items(), key=lambda item: math.inf if item[1].n == 0 else item[1].mean)


def _untold(found: Sequence[Comparison]) -> str:
    """What is said where no comparison can show anything; empty if one can."""
    alone = max(c.n for c in found) < 2
    return "One replicate shows no difference, whatever it is: it takes two or more" if alone else ""


def _points(found: Sequence[Comparison]) -> str:
    means = [c.mean for c in found if c.n]
    ends = [wording.points(x) for x in (min(means), max(means))]
    return f"differences {ends[0]} to {ends[1]} points" if len(means) > 1 else f"difference {ends[0]} points"


def _range(found: Sequence[tuple[Setting, str, Comparison]]) -> str:
    """The smallest and the largest difference, each with its own interval, n, and where it is."""
    known = [each for each in found if each[2].n]
    if not known:
        return "no pair of students has been trained yet"
    low, high = (pick(known, key=lambda each: each[2].mean) for pick in (min, max))
    if len(known) == 1:
        return f"difference {_said(*low)}"
    return f"differences {_said(*low)} to {_said(*high)}"


def _said(setting: Setting, whom: str, c: Comparison) -> str:
    where = f"{setting.protocol}, {setting.student}, {wording.budget(setting.budget)}"
    against = "" if whom == REFERENCE else f"{whom}, "
    bounds = wording.bounds(c.lo, c.hi)
    return f"{wording.points(c.mean)} points{' ' * bool(bounds)}{bounds} ({against}{where}, n = {c.n})"
