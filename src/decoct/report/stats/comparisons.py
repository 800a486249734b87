"""Comparisons in one word, words that hold over many of them, what their replicates can find; and Welch's t."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import nctdtr, nctdtrinc, stdtr, stdtrit

from decoct.report.stats.intervals import ALPHA, By, Interval, moments, t_interval

Word = Literal["better", "worse", "equivalent", "undecided"]
POWER = 0.8


@dataclass(frozen=True)
class Comparison:
    """One method minus another, paired over condense replicates; accuracies and differences are fractions.

    Attributes:
        n: pairs.
        mean: mean difference; NaN without pairs.
        lo, hi: 95 % interval; NaN below two pairs.
        lo90, hi90: 90 % interval: inside ±margin exactly where both one-sided tests of equivalence reject at 5 %.
        sd: standard deviation of the differences; NaN below two pairs.
        margin: differences smaller than this do not matter.
        p_better, p_worse: one-sided p of "no better", of "no worse".
        p_equivalent: larger p of the two one-sided tests.
        verdict: see ``compare``; of one among several, see ``corrected``.
        family: comparisons that the word is corrected over.
        by: where the intervals and p-values come from, "t" or "bootstrap".
        over_images: the same difference as it would move with other test images; None where that is not known.
    """

    n: int
    mean: float
    lo: float
    hi: float
    lo90: float
    hi90: float
    sd: float
    margin: float
    p_better: float
    p_worse: float
    p_equivalent: float
    verdict: Word
    family: int = 1
    by: By = "t"
    over_images: Interval | None = None

    @property
    def alone(self) -> Word:
        """The word were this the only comparison."""
        return decided(self.p_better, self.p_worse, self.p_equivalent)

    @cached_property
    def needed(self) -> int | None:
        """Replicates that would decide an undecided comparison; None if decided, unknown or beyond 1,000."""
        if self.verdict != "undecided" or self.n < 2:
            return None
        return replicates_to_decide(self.mean, self.sd, self.margin, alpha=ALPHA / self.family)

    @property
    def on_these_images(self) -> bool:
        """Better or worse by replicates, on these test images: over test images, the interval includes 0."""
        i = self.over_images
        return self.verdict in ("better", "worse") and i is not None and i.lo <= 0 <= i.hi

    @property
    def detectable(self) -> float:
        """The smallest difference that as many replicates with this spread would find in four of five studies."""
        return detectable(self.sd, self.n)


@dataclass(frozen=True)
class Contrast:
    """Mean of one group minus mean of another.

    Attributes:
        mean: NaN if a group is empty.
        lo, hi: 95 % interval; NaN where no spread is known.
        n: values in each group.
        p_better: one-sided p of "the first is no higher".
        p_worse: one-sided p of "the first is no lower".
    """

    mean: float
    lo: float
    hi: float
    n: tuple[int, int]
    p_better: float
    p_worse: float


def compare(differences: Sequence[float], margin: float = 0.01, floor: float = 0.0) -> Comparison:
    """Paired t interval, two one-sided tests (Schuirmann, 1987), and the verdict in one word.

    *equivalent* if both one-sided tests reject at 5 %; else *better* or *worse* if the 95 % interval excludes 0; else
    *undecided*. A difference that is certain but certainly smaller than the margin is therefore *equivalent*: the
    margin is the study's own statement of what does not matter, and the difference is printed beside the word.

    Args:
        differences: one per condense replicate, as fractions.
        margin: above 0.
        floor: the smallest standard deviation to believe, see ``grid_floor``.

    Raises:
        ValueError: a difference is not finite, or the margin is not above 0.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be above 0, not {margin}")
    n, mean, sd = moments(differences, floor)
    if n < 2:
        nan = math.nan
        return Comparison(n, mean, nan, nan, nan, nan, nan, margin, nan, nan, nan, "undecided")
    wide, narrow = t_interval(differences, 1 - ALPHA, floor), t_interval(differences, 1 - 2 * ALPHA, floor)
    se = sd / math.sqrt(n)
    p_better, p_worse = _tail(mean, se, n - 1), _tail(-mean, se, n - 1)
    p_equivalent = max(_tail(margin + mean, se, n - 1), _tail(margin - mean, se, n - 1))
    word = decided(p_better, p_worse, p_equivalent)
    bounds = (wide.lo, wide.hi, narrow.lo, narrow.hi)
    return Comparison(n, mean, *bounds, sd, margin, p_better, p_worse, p_equivalent, word)


def decided(p_better: float, p_worse: float, p_equivalent: float) -> Word:
    """The word that three p-values give; see ``compare``."""
    if p_equivalent < ALPHA:
        return "equivalent"
    if min(p_better, p_worse) < ALPHA / 2:
        return "better" if p_better < p_worse else "worse"
    return "undecided"


def corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with words that hold over all of them: those of ``decided``, by p-values after Holm.

    Holm goes over differences of either sign, and over equivalences. So any false "better" or "worse" in the family has
    a chance of 5 % at most, and so has any false "equivalent". Which of a pair comes first makes no difference.
    """
    apart, alike = holm([min(c.p_better, c.p_worse) for c in family]), holm([c.p_equivalent for c in family])
    return [
        replace(c, verdict=decided(*((p, 1.0) if c.p_better < c.p_worse else (1.0, p)), q), family=len(family))
        for c, p, q in zip(family, apart, alike, strict=True)
    ]


def apart(values: Sequence[float], mean: float, sd: float, n: int) -> float:
    """Two-sided p of "the values are more of the same as n others": Student's t with the pooled spread.

    Exact, for one value as well, where the values spread as the others do; too sure where they spread more.

    Args:
        values: independent.
        mean, sd: of the n others.
        n: at least 2, else NaN.
    """
    m, own, spread = moments(values, 0.0)
    if m == 0 or n < 2 or not math.isfinite(sd):
        return math.nan
    squares = (n - 1) * sd**2 + ((m - 1) * spread**2 if m > 1 else 0.0)
    return 2 * _tail(abs(own - mean), math.sqrt(squares / (m + n - 2) * (1 / m + 1 / n)), m + n - 2)


def welch(
    a: Sequence[float], b: Sequence[float], floor: float = 0.0, known: tuple[bool, bool] = (False, False)
) -> Contrast:
    """mean(a) − mean(b), t with the degrees of freedom of Welch (1947) and Satterthwaite (1946).

    A group of one value has no spread. Where that value is *known*, such as the reading of the one set that a
    deterministic method gives, it stands as it is, and the t is that of the other group alone: the contrast then
    conditions on that value. Two single values, or one that is not known, give a difference without an interval.

    Args:
        a, b: independent values.
        floor: the smallest standard deviation to believe, of a group of two or more.
        known: whether a single value of the first, of the second group is taken as it is.

    Raises:
        ValueError: a value is not finite.
    """
    groups = [np.asarray(group, dtype=np.float64) for group in (a, b)]
    if not all(np.isfinite(x).all() for x in groups):
        raise ValueError("cannot compare values that are not finite")
    n, nan = (len(groups[0]), len(groups[1])), math.nan
    mean = float(groups[0].mean() - groups[1].mean()) if all(n) else nan
    if min(n) == 0 or max(n) < 2 or any(size < 2 and not sure for size, sure in zip(n, known, strict=True)):
        return Contrast(mean, nan, nan, n, nan, nan)
    parts = [(max(float(x.std(ddof=1)), floor) ** 2 / len(x), len(x) - 1) for x in groups if len(x) > 1]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Contrast(mean, mean, mean, n, *((0.5, 0.5) if mean == 0 else (float(mean < 0), float(mean > 0))))
    df = 1 / sum((part / variance) ** 2 / own for part, own in parts)  # in shares: squares of a tiny variance are 0
    se = math.sqrt(variance)
    half, t = float(stdtrit(df, 1 - ALPHA / 2)) * se, mean / se
    return Contrast(mean, mean - half, mean + half, n, float(stdtr(df, -t)), float(stdtr(df, t)))


def replicates_to_decide(
    mean: float, sd: float, margin: float, power: float = POWER, limit: int = 1000, alpha: float = ALPHA
) -> int | None:
    """Smallest n at which a new study would decide with the given power, were the observed mean and sd the true ones.

    Decided means: the 95 % interval excludes 0 on the side of ``mean`` (noncentral t), or both one-sided tests of
    equivalence reject (noncentral t approximation of Phillips, 1990). The larger of the two powers counts.

    Args:
        mean, sd: true difference, and true standard deviation of the differences; fractions.
        margin: of equivalence.
        power: probability to decide.
        limit: give up above.
        alpha: level of the tests; the 95 % interval is that of 5 %.

    Returns:
        n ≥ 2, or None beyond the limit.
    """

    def decides(n: int) -> bool:
        return max(difference_power(mean, sd, n, alpha), equivalence_power(mean, sd, margin, n, alpha)) >= power

    high = 2
    while not decides(high):
        if high >= limit:
            return None
        high = min(2 * high, limit)
    return bisect.bisect_left(range(high), True, lo=2, key=decides) if high > 2 else 2  # power grows with n


def difference_power(mean: float, sd: float, n: int, alpha: float = ALPHA) -> float:
    """Probability that a two-sided paired t finds a true difference on its own side; nc = |mean| √n / sd."""
    if sd == 0:
        return float(mean != 0)
    return float(1 - nctdtr(n - 1, abs(mean) * math.sqrt(n) / sd, stdtrit(n - 1, 1 - alpha / 2)))


def detectable(sd: float, n: int, power: float = POWER) -> float:
    """Smallest true difference that a paired t at 5 % two-sided finds with the given power; NaN below two pairs."""
    if n < 2 or not math.isfinite(sd):
        return math.nan
    return float(nctdtrinc(n - 1, 1 - power, stdtrit(n - 1, 1 - ALPHA / 2))) * sd / math.sqrt(n)


def equivalence_power(mean: float, sd: float, margin: float, n: int, alpha: float = ALPHA) -> float:
    """Probability that both one-sided tests reject; noncentral t approximation of Phillips (1990)."""
    if sd == 0:
        return float(abs(mean) < margin)
    t, scale = stdtrit(n - 1, 1 - alpha), math.sqrt(n) / sd
    below, above = nctdtr(n - 1, (mean - margin) * scale, -t), nctdtr(n - 1, (mean + margin) * scale, t)
    return max(0.0, float(below - above))


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
    """The verdict against every one of several references, so that none has to be picked as the best.

    *better*: better than each. *worse*: worse than at least one. *equivalent*: better than or equivalent to each,
    equivalent to at least one. Else, or with nothing to compare, *undecided*.
    """
    words = [c.verdict for c in comparisons]
    if "worse" in words:
        return "worse"
    if not words or not set(words) <= {"better", "equivalent"}:
        return "undecided"
    return "equivalent" if "equivalent" in words else "better"


def _tail(x: float, se: float, df: int) -> float:
    """P(T > x / se); with no spread at all the sign decides."""
    if se == 0:
        return 0.5 if x == 0 else float(x < 0)
    return float(stdtr(df, -x / se))
