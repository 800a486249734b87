"""How likely is better? P(A > B): the chance that a new set of A gives more than a new set of B, their students paired.

Source:
    Bouthillier et al., 2021, "Accounting for variance in machine learning benchmarks" (arXiv:2103.03098), section 5.
"""

from dataclasses import replace

from decoct.report.stats import intervals
from decoct.report.stats.intervals import Interval, Replicates

TIE = 1e-12  # differences that rounding alone makes of equal accuracies


def ahead(differences: Replicates) -> Interval:
    """Share of pairs of sets in which A is ahead, ties half, with Wilson's interval over the pairs.

    The source uses a percentile bootstrap, which gives [1, 1] for five pairs that agree; Wilson's is [0.57, 1].

    Args:
        differences: A − B by (condense, train) replicate; students of one set are averaged first.

    Returns:
        NaN without a pair.
    """
    means = intervals.condense_means(differences)
    won = sum(1.0 if x > TIE else 0.5 if x >= -TIE else 0.0 for x in means)
    return replace(intervals.wilson(won, len(means)), by="sets")
