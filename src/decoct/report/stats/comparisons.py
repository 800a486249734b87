"""Two methods compared in one word; words that hold over a family of comparisons; and what more replicates find."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from decoct.report.stats import moderated, power
from decoct.report.stats.crossed import Crossed
from decoct.report.stats.estimate import Estimate
from decoct.report.stats.intervals import ALPHA, Interval
from decoct.report.stats.moderated import NONE, Prior

Word = Literal["better", "worse", "same", "leans better", "leans worse", "open"]
WORDS: tuple[Word, ...] = ("better", "same", "worse", "leans better", "leans worse", "open")
TURNED: dict[Word, Word] = {
    "better": "worse",
    "worse": "better",
    "leans better": "leans worse",
    "leans worse": "leans better",
}
SHOWN: tuple[Word, ...] = ("better", "same", "worse")  # words that a family's correction confirms


@dataclass(frozen=True)
class Comparison:
    """One method minus another, paired over sets and test images; accuracies and differences are fractions.

    The interval is this comparison's own. The p-values behind the words of a family borrow the usual spread from that
    family, see ``moderated``; a word holds only where the comparison's own interval agrees.

    Attributes:
        difference: mean, and what sets and test images add to its variance.
        margin: differences smaller than this do not matter.
        prior: of the variances of its kind.
        verdict: see ``corrected``.
        family: comparisons that the word is corrected over; 0 where it is outside every family.
    """

    difference: Crossed
    margin: float
    prior: Prior = NONE
    verdict: Word = "open"
    family: int = 1

    @property
    def n(self) -> int:
        """Pairs of sets."""
        return self.difference.n

    @property
    def mean(self) -> float:
        """Mean difference; NaN without pairs."""
        return self.difference.mean

    @cached_property
    def own(self) -> Estimate:
        """By its own replicates alone."""
        return self.difference.estimate()

    @cached_property
    def pooled(self) -> Estimate:
        """By its own replicates and the usual spread among comparisons of its kind."""
        return self.difference.estimate(self.prior)

    @cached_property
    def interval(self) -> Interval:
        """95 % interval over sets and test images, see ``Crossed.interval``."""
        return self.difference.interval

    @property
    def lo(self) -> float:
        """Lower bound of the interval; NaN below two pairs."""
        return self.interval.lo

    @property
    def hi(self) -> float:
        """Upper bound of the interval."""
        return self.interval.hi

    @cached_property
    def inner(self) -> tuple[float, float]:
        """90 % interval: within ± margin exactly where both one-sided tests of sameness reject (Schuirmann, 1987)."""
        return self.own.bounds(1 - 2 * ALPHA)

    @property
    def sd(self) -> float:
        """Standard deviation of the difference between single sets, with their students; NaN below two."""
        return math.sqrt(self.difference.sets)

    @property
    def over_sets(self) -> Interval:
        """The sets' part of the interval."""
        return self.difference.over_sets

    @property
    def over_images(self) -> Interval | None:
        """The test images' part of the interval; None where the answers by image are not known."""
        return self.difference.over_images

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``; NaN where nothing is defined."""
        sets, images = self.over_sets, self.over_images
        return {
            "verdict": self.verdict,
            "difference": self.mean,
            "ci95": (self.lo, self.hi),
            "by": self.interval.by,
            **{name: getattr(self, name) for name in ("n", "family", "margin", "needed", "detectable")},
            "ci95_over_sets": (sets.lo, sets.hi),
            "ci95_over_images": (images.lo, images.hi) if images else None,
        }

    @property
    def p_better(self) -> float:
        """One-sided p of "no better"."""
        return self.pooled.above()

    @property
    def p_worse(self) -> float:
        """One-sided p of "no worse"."""
        return self.pooled.below()

    @property
    def p_same(self) -> float:
        """Larger p of the two one-sided tests of "a margin apart or more"."""
        return _larger(self.pooled.above(-self.margin), self.pooled.below(self.margin))

    @property
    def p_not_better(self) -> float:
        """One-sided p of "better by the margin or more"."""
        return self.pooled.below(self.margin)

    @cached_property
    def alone(self) -> Word:
        """What it would show by its own replicates as the only comparison: better, worse, same or open."""
        return decided(
            self.own.above(), self.own.below(), _larger(self.own.above(-self.margin), self.own.below(self.margin))
        )

    @cached_property
    def needed(self) -> int | None:
        """Sets with which a new study would decide an open comparison, by the same test after the same correction.

        None where decided, unknown, outside every family, or beyond 1,000, where only another test set could decide.
        """
        if self.verdict in SHOWN or self.n < 2 or self.family == 0:
            return None
        return power.sets_to_decide(self.mean, self.spread, self.margin, self.level)

    @cached_property
    def detectable(self) -> float:
        """The smallest true difference that as many sets find in four of five studies, by the same test after the same
        correction; NaN where nothing can be tested.
        """
        return power.detectable(self.spread, self.n, self.level)

    @property
    def level(self) -> float:
        """The two-sided level of the strictest test of its family."""
        return ALPHA / max(self.family, 1)

    @property
    def spread(self) -> power.Spread:
        """The variance of further replicates."""
        variance, _ = moderated.moderated(self.difference.sets, self.n - 1.0, self.prior)
        return power.Spread(variance, self.difference.images or 0.0, max(self.difference.tested, 2), self.prior.df)


def compare(difference: Crossed, margin: float = 0.01) -> Comparison:
    """One comparison with the word that it has by itself.

    Raises:
        ValueError: the margin is not above 0.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be above 0, not {margin}")
    c = Comparison(difference, margin)
    return replace(c, verdict=c.alone)


def decided(p_better: float, p_worse: float, p_same: float) -> Word:
    """The word that three p-values give.

    It is *same* if ``p_same`` is below 5 %; otherwise *better* or *worse* if the smaller of the other two is below
    2.5 %; otherwise *open*. A difference that is certain but certainly below the margin is *same*: the margin is the
    study's own statement of what does not matter.
    """
    if p_same < ALPHA:
        return "same"
    if min(p_better, p_worse) < ALPHA / 2:
        return "better" if p_better < p_worse else "worse"
    return "open"


def leaning(word: Word) -> Word:
    """The word that is left of a comparison where the correction does not confirm it."""
    return "leans better" if word == "better" else "leans worse" if word == "worse" else "open"


def corrected(family: Sequence[Comparison], kinds: Sequence[object] = ()) -> list[Comparison]:
    """The comparisons with words that hold over all of them, and with the prior of their kind.

    Holm goes over differences of either sign, and over samenesses. So any false *better* or *worse* in the family has a
    chance of 5 % at most, and so has any false *same*. A word that Holm confirms must also be the word of the
    comparison's own interval. The order within a pair makes no difference.

    Args:
        family: comparisons.
        kinds: of each, such as how many of its two sides are fixed sets; all are of one kind by default.
    """
    of = list(kinds) or [None] * len(family)
    wide = {kind: [c for c, k in zip(family, of, strict=True) if k == kind and c.n > 1] for kind in dict.fromkeys(of)}
    priors = {k: moderated.prior([c.difference.sets for c in own], [c.n - 1.0 for c in own]) for k, own in wide.items()}
    pooled = [replace(c, prior=priors[kind], family=len(family)) for c, kind in zip(family, of, strict=True)]
    apart, alike = holm([_smaller(c.p_better, c.p_worse) for c in pooled]), holm([c.p_same for c in pooled])
    return [replace(c, verdict=_worded(c, p, q)) for c, p, q in zip(pooled, apart, alike, strict=True)]


def turned(c: Comparison) -> Comparison:
    """The same comparison seen from the other side."""
    return replace(c, difference=c.difference.turned(), verdict=TURNED.get(c.verdict, c.verdict))


def outside(c: Comparison) -> Comparison:
    """A comparison outside every family, which can only lean."""
    return replace(c, verdict=leaning(c.alone), family=0)


def _worded(c: Comparison, p: float, q: float) -> Word:
    word = decided(*((p, 1.0) if c.p_better < c.p_worse else (1.0, p)), q)
    agrees = word == c.alone or (word in ("better", "worse") and _outside_zero(c))
    return word if word != "open" and agrees else leaning(c.alone)


def _outside_zero(c: Comparison) -> bool:
    return c.lo > 0 or c.hi < 0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of Holm (1979), in the order given; a NaN stays NaN and counts as a test made."""
    order = sorted(range(len(p_values)), key=lambda i: (math.isnan(p_values[i]), p_values[i]))
    adjusted, worst = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        if not math.isnan(p_values[i]):
            worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
            adjusted[i] = worst
    return adjusted


def against_all(comparisons: Sequence[Comparison]) -> Word:
    """The word against every one of several references, so that none has to be picked as the best.

    *better*: better than each. *worse*: worse than at least one. *same*: better than or the same as each, the same as
    at least one. *leans better*, *leans worse*: likewise, where a word leans. Otherwise, or without comparisons,
    *open*.
    """
    words = {c.verdict for c in comparisons}
    if "worse" in words:
        return "worse"
    if words and words <= {"better", "same"}:
        return "same" if "same" in words else "better"
    if "leans worse" in words:
        return "leans worse"
    return "leans better" if words and words <= {"better", "leans better"} else "open"


def _larger(a: float, b: float) -> float:
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)


def _smaller(a: float, b: float) -> float:
    return math.nan if math.isnan(a) or math.isnan(b) else min(a, b)
