"""A mean with its standard error and degrees of freedom; its interval and its tails by Student's t."""

import math
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Estimate:
    """A mean whose error is Student's t.

    Attributes:
        mean: NaN where there is nothing.
        se: standard error; NaN where it cannot be told, 0 where nothing varies.
        df: degrees of freedom of the error.
    """

    mean: float
    se: float
    df: float

    def bounds(self, level: float) -> tuple[float, float]:
        """Its two-sided interval."""
        half = float(stdtrit(self.df, (1 + level) / 2)) * self.se
        return self.mean - half, self.mean + half

    def above(self, x: float = 0.0) -> float:
        """One-sided p of "no higher than x"; where nothing varies the sign decides."""
        return self._tail(self.mean - x)

    def below(self, x: float = 0.0) -> float:
        """One-sided p of "no lower than x"."""
        return self._tail(x - self.mean)

    def _tail(self, distance: float) -> float:
        if math.isnan(self.se) or math.isnan(distance):
            return math.nan
        if self.se == 0:
            return 0.5 if distance == 0 else float(distance < 0)
        return float(stdtr(self.df, -distance / self.se))


NOTHING = Estimate(math.nan, math.nan, math.nan)


def summed(mean: float, parts: tuple[tuple[float, float], ...]) -> Estimate:
    """A mean whose variance is a sum of independent ones, with the degrees of freedom of Satterthwaite (1946).

    Args:
        mean: of it all.
        parts: variance and degrees of freedom of each.
    """
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        return Estimate(mean, variance, math.inf)  # NaN stays NaN
    df = 1 / sum((part / variance) ** 2 / own for part, own in parts if part)  # in shares: tiny squares would be 0
    return Estimate(mean, math.sqrt(variance), df)
