"""How often a study finds a true difference, and with how many sets: by the tests behind its words."""

import bisect
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr, stdtrit

from decoct.report.stats import moderated
from decoct.report.stats.estimate import NOTHING, Estimate
from decoct.report.stats.intervals import ALPHA

Kind = Literal["better", "same", "not better"]
POWER, MOST = 0.8, 1000
SHARES = (np.arange(100) + 0.5) / 100  # shares of the studies that see a smaller variance


class Spread(NamedTuple):
    """The variance of a difference.

    Attributes:
        sets: variance between single sets, with their students.
        images: variance that the test images add to the mean, however many sets there are.
        tested: test images.
        borrowed: degrees of freedom that a family adds from ``moderated.FEWEST_SETS`` sets on.
    """

    sets: float
    images: float = 0.0
    tested: int = 2
    borrowed: float = 0.0

    def error(self, n: int) -> Estimate:
        """The error of a mean over n sets."""
        df = n - 1.0 + (self.borrowed if n >= moderated.FEWEST_SETS else 0.0)
        return Estimate(0.0, ((self.sets / n, df), (self.images, self.tested - 1.0)))


def found(distance: float, error: Estimate, alpha: float) -> float:
    """Probability that a one-sided test finds a true distance in its direction.

    The mean is normal. The bound of the test depends on the variance that the study observes between its sets, and the
    probability is the mean over its distribution. With one source of error that is the noncentral t.
    """
    if error.se == 0:
        return float(distance > 0)
    return float(ndtr((distance - _bounds(error, alpha)) / error.se).mean())


def difference_power(mean: float, error: Estimate, alpha: float = ALPHA) -> float:
    """Probability that a two-sided test finds a true difference on its own side."""
    return found(abs(mean), error, alpha / 2)


def same_power(mean: float, error: Estimate, margin: float, alpha: float = ALPHA) -> float:
    """Probability that both one-sided tests reject."""
    if error.se == 0:
        return float(abs(mean) < margin)
    room = margin - _bounds(error, alpha)  # on either side of 0, where the mean must fall
    inside = ndtr((room - mean) / error.se) - ndtr((-room - mean) / error.se)
    return float(np.maximum(inside, 0.0).mean())


def not_better_power(mean: float, error: Estimate, margin: float, alpha: float = ALPHA) -> float:
    """Probability to show "not better by the margin or more"."""
    return found(margin - mean, error, alpha)


def detectable(spread: Spread, n: int, alpha: float = ALPHA) -> float:
    """Smallest true difference that a two-sided test finds with 80 %; NaN where there is no test."""
    error = spread.error(n) if n > 2 else NOTHING
    if not math.isfinite(error.se) or error.se == 0:
        return 0.0 if error.se == 0 else math.nan
    most = error.half(alpha / 2) * 10
    return float(brentq(lambda x: difference_power(x, error, alpha) - POWER, 0.0, most, xtol=1e-6 * most))


def sets_to_decide(mean: float, spread: Spread, margin: float, alpha: float = ALPHA) -> int | None:
    """Smallest number of sets at which a new study would show *better*, *worse* or *same* with 80 %, if the observed
    mean and spread were the true ones; None beyond 1,000.
    """
    if not math.isfinite(spread.sets):
        return None

    def decides(n: int) -> float:
        error = spread.error(n)
        return max(difference_power(mean, error, alpha), same_power(mean, error, margin, alpha))

    return smallest(decides)


def sets_to_show(
    kind: Kind, sd: float, margin: float, comparisons: int, references: int, difference: float = 0.03
) -> int | None:
    """Sets at which a study shows one of its comparisons with 80 %; None beyond 1,000.

    For the comparison that it shows last, if the spreads are so alike that they borrow the most, with fixed test
    images.

    Args:
        kind: *better*, for a true difference of ``difference``; *same*, or *not better* than the best of the references
            by more than the margin, for no true difference.
        sd: of the difference between single sets, a fraction.
        margin: a fraction.
        comparisons: that *better* and *same* are corrected over.
        references: that *not better* goes over.
    """
    spread = Spread(sd**2, borrowed=moderated.CAP if comparisons >= moderated.FEWEST else 0.0)
    alpha = ALPHA / (references if kind == "not better" else comparisons)

    def shows(n: int) -> float:
        error = spread.error(n)
        if kind == "better":
            return difference_power(difference, error, alpha)
        return (same_power if kind == "same" else not_better_power)(0.0, error, margin, alpha)

    return smallest(shows)


def smallest(power: Callable[[int], float], least: int = 3) -> int | None:
    """Smallest number of sets at which a growing power reaches 80 %; None beyond 1,000."""
    high = least
    while power(high) < POWER:
        if high >= MOST:
            return None
        high = min(2 * high, MOST)
    return bisect.bisect_left(range(high), True, lo=least, key=lambda n: power(n) >= POWER) if high > least else least


def _bounds(error: Estimate, alpha: float) -> NDArray[np.float64]:
    """The bound of a one-sided test in studies that see a small variance between sets, a larger one, and so on."""
    (variance, df), *rest = error.parts
    seen = variance * chdtri(df, 1 - SHARES) / df
    return np.asarray(
        np.sqrt(stdtrit(df, 1 - alpha) ** 2 * seen + sum(stdtrit(own, 1 - alpha) ** 2 * v for v, own in rest))
    )
