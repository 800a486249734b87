"""Not better by more than the margin: one method against several references, and a family of methods.

Source:
    Bonferroni over references, so that none is picked as the best and then tested on the same numbers; over a family
    the intersection-union test of Berger (1982), whose p is the largest.
"""

import math
from collections.abc import Iterable, Sequence

from decoct.report.stats import power
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.intervals import ALPHA

Against = Sequence[Comparison]  # one method minus each of its references


def not_better(against: Against) -> float:
    """p of "better than every reference by the margin or more": the smallest over the references times their number.

    As with words, the spread of the family and the comparison's own spread must both show it.

    Returns:
        NaN where nothing can be tested.
    """
    ps = [c.p_not_better if not c.own.below(c.margin) >= ALPHA else 1.0 for c in against]
    known = [p for p in ps if not math.isnan(p)]
    return min(1.0, len(ps) * min(known)) if known else math.nan


def everywhere(p_values: Iterable[float]) -> float:
    """p of "it fails somewhere": the largest; NaN if any is NaN, or without any."""
    ps = list(p_values)
    return math.nan if any(map(math.isnan, ps)) else max(ps, default=math.nan)


def sets_to_settle(open_: Sequence[Against], asked: int, at: int) -> int | None:
    """Smallest number of sets at which a new study would settle all that is open with 80 %.

    The observed means and spreads are taken as the true ones. Settled means that each method is shown to be not better
    by the margin or more, or better than every one of its references.

    The chances to miss add up over the methods, and over the references of a method that is better.

    Args:
        open_: of each method that is open, its comparisons with its references.
        asked: methods that Holm goes over.
        at: sets that did not settle it.

    Returns:
        None beyond 1,000, where a spread is unknown, and where nothing is open.
    """
    known = [[c for c in against if math.isfinite(c.spread.sets)] for against in open_]
    if not known or not all(known):
        return None

    def settled(n: int) -> float:
        return 1 - sum(
            1 - max(_shows_not_better(own, len(against), n), _shows_better(own, ALPHA / asked, n))
            for own, against in zip(known, open_, strict=True)
        )

    return power.smallest(settled, max(3, at + 1))


def _shows_not_better(known: Against, references: int, n: int) -> float:
    return max(power.not_better_power(c.mean, c.spread.error(n), c.margin, ALPHA / references) for c in known)


def _shows_better(known: Against, alpha: float, n: int) -> float:
    return 1 - sum(1 - power.found(c.mean, c.spread.error(n), alpha / 2) for c in known)
