"""The four claims of a study: does distilling beat random, beat every coreset, at what cost, and who covers the data?

Each question is answered for every distillation method, with intervals. What counts as shown is shown after correction
over a named family, see ``verdict``, ``conclusion`` and ``coverage``; each interval is at its own level.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decoct.report import conclusion, wording
from decoct.report.accuracy import Setting
from decoct.report.conclusion import Beside, Conclusion, beside_random, conclude, ours, random_sentence
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections.beyond._agreed import Coverage
from decoct.report.sections.beyond.consistent import Consistent, consistencies, sentences
from decoct.report.sections.beyond.coverage import coverage_sentences, overall_coverage
from decoct.report.sections.cost import equal as equal_cost
from decoct.report.sections.cost import multiples as cost
from decoct.report.sections.cost.equal import Equal, equal_costs
from decoct.report.sections.cost.multiples import Multiple
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.crossed import FEWEST
from decoct.report.verdict import Verdict

NO_METHOD = "This study has no distillation method: nothing can be said"
UNTRAINED = "No pair of students has been trained yet: nothing can be said"


@dataclass(frozen=True)
class Claim:
    """A question and its answer: one sentence over all methods, and one for each distillation method."""

    key: str
    question: str
    answer: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Claims:
    """The four claims with the numbers behind them, beside the verdicts.

    Attributes:
        all: the claims.
        conclusion: of all distilled sets beside the best coreset.
        beside_random: every distilled set beside random.
        multiples: of cost.
        equal: distilled sets beside coresets at equal cost.
        coverages: in every extractor's features.
        consistent: coverage over all budgets and independent extractors, by method.
    """

    all: tuple[Claim, ...]
    conclusion: Conclusion
    beside_random: tuple[Beside, ...]
    multiples: tuple[Multiple, ...]
    equal: tuple[Equal, ...]
    coverages: tuple[Coverage, ...]
    consistent: tuple[Consistent, ...]

    def of(self, key: str) -> Claim:
        """The claim of a key."""
        return next(claim for claim in self.all if claim.key == key)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; NaN where nothing is defined."""
        return {
            "questions": [asdict(claim) for claim in self.all],
            "conclusion": self.conclusion.to_json(),
            "beside_random": conclusion.to_json(self.beside_random),
            "equal_cost": [e.to_json() for e in self.equal],
            "covers_less": [asdict(c) for c in self.consistent],
            "cost": [asdict(m) for m in self.multiples],
            "coverage": [asdict(c) | {"name": c.name._asdict()} for c in self.coverages],
        }


def claims(judged: Judged, covered: Sequence[Coverage]) -> Claims:
    """Ask a run the four questions."""
    frame, run = judged.frame, judged.frame.manifest
    families, data = run.families, str(run.data["name"])
    distilled = [v for v in judged.verdicts if v.family == "distillation"]
    reached, random = conclude({data: judged.verdicts}), beside_random(judged.verdicts, data)
    multiples, equal = cost.multiples(frame), equal_costs(judged)
    less = consistencies(covered)
    takes = [cost.overall(multiples), equal_cost.overall(equal), cost.uncounted(frame)]
    covers = [overall_coverage(covered), *sentences(c for c in less if c.behind)]
    if "distillation" not in families.values():
        takes = covers = [NO_METHOD]
    costs = *cost.sentences(frame, multiples), *equal_cost.sentences(equal)
    coverage = *coverage_sentences(covered), *sentences(less)
    four = (
        _against_random(distilled, random),
        _against_coresets(distilled, reached, ours(families)),
        Claim("cost", "At what multiple of construction cost?", ". ".join(filter(None, takes)), costs),
        Claim("coverage", "Who covers the data better?", "; ".join(covers), coverage),
    )
    return Claims(four, reached, random, multiples, equal, tuple(covered), less)


def _against_random(distilled: Sequence[Verdict], beside: Sequence[Beside]) -> Claim:
    """For each protocol, how many distilled sets fail to beat random, and how many beat it."""
    question = "Does a distilled set beat random of the same size?"
    pairs = [(v, v.random) for v in distilled if v.random is not None]
    if not pairs:
        missing = "This study has no random selection: nothing can be said" if distilled else NO_METHOD
        return Claim("random", question, missing, ())
    if why := _untold([c for _, c in pairs]):
        return Claim("random", question, why, ())
    counted = grouped(beside, lambda b: b.method)
    lines = tuple(
        f"{method}: {_counts(counted[method], 'than random')}; {_range([(v.setting, REFERENCE, c) for v, c in own])}"
        for method, own in grouped([p for p in pairs if not p[0].outside], lambda pair: pair[0].method).items()
    )
    said = random_sentence(beside) or "No setting can be read: nothing can be said"
    return Claim("random", question, f"{said[0].upper()}{said[1:]}{_left_out(distilled)}", lines)


def _against_coresets(distilled: Sequence[Verdict], reached: Conclusion, ours: str) -> Claim:
    """Better than every coreset, or shown not to be better than the best by more than the margin."""
    question = "Is any distilled set better than the best coreset, or shown not to be by more than the margin?"
    if not distilled:
        return Claim("coresets", question, NO_METHOD, ())
    if not any(v.coresets for v in distilled):
        return Claim("coresets", question, "This study has no coreset: nothing can be said", ())
    if why := _untold([c for v in distilled for c in v.coresets.values()]):
        return Claim("coresets", question, why, ())
    counted = grouped(reached.each, lambda b: b.method)
    lines = tuple(
        f"{method}: {_counts(counted[method], 'than every coreset')}; against the coreset with the highest mean, "
        f"{_range([(v.setting, *_least(v)) for v in own])}"
        for method, own in grouped((v for v in distilled if v.coresets and not v.outside), lambda v: v.method).items()
    )
    return Claim("coresets", question, f"{reached.text}. This holds for {ours}", lines)


def _counts(own: Sequence[Beside], whom: str) -> str:
    words, shown = Counter(b.word for b in own), sum(b.shown for b in own)
    best = "random" if whom == "than random" else "the best coreset"
    return (
        f"better {whom} in {words['better']} of {wording.count(len(own), 'setting')}, not better than {best} "
        f"by more than {wording.margins(b.margin for b in own)} in {shown}, worse in {words['worse']}, after Holm"
    )


def _left_out(distilled: Sequence[Verdict]) -> str:
    outside = conclusion.left_out(distilled)
    return f"; left out: {wording.count(outside, 'setting')} ({conclusion.UNREADABLE})" if outside else ""


def _least(verdict: Verdict) -> tuple[str, Comparison]:
    """The coreset with the smallest difference; one without a pair only if there is no other."""
    return min(verdict.coresets.items(), key=lambda item: math.inf if item[1].n == 0 else item[1].mean)


def _untold(compared: Sequence[Comparison]) -> str:
    """Why no comparison can show anything; empty if one can."""
    most = max((c.n for c in compared), default=0)
    if most == 0:
        return UNTRAINED
    return f"It takes {FEWEST} sets per method to show anything; this study has {most}" if most < FEWEST else ""


def _range(compared: Sequence[tuple[Setting, str, Comparison]]) -> str:
    """The smallest and the largest difference, each with its own interval, n and setting."""
    known = [each for each in compared if each[2].n]
    if not known:
        return "no pair of students has been trained yet"
    low, high = (pick(known, key=lambda each: each[2].mean) for pick in (min, max))
    return f"difference {_said(*low)}" if len(known) == 1 else f"differences {_said(*low)} to {_said(*high)}"


def _said(setting: Setting, whom: str, c: Comparison) -> str:
    against = "" if whom == REFERENCE else f"{whom}, "
    bounds = wording.bounds(c.lo, c.hi)
    return f"{wording.points(c.mean)} points{' ' * bool(bounds)}{bounds} ({against}{setting}, n = {c.n})"
