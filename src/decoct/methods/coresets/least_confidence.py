"""Least confidence: the images whose most probable class has the least probability under the trained net."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import RankedCoreset
from decoct.needs.dynamics import Traces


class LeastConfidence(RankedCoreset):
    """Smallest probability of the likeliest class, at the end of the training.

    An active learner's rule, as a coreset: Coleman et al., 2020, arXiv:1906.11829, who pool; here per class.
    Labels are not used, so an image that is mislabelled and memorised counts as easy.
    """

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """1 − p₁."""
        return traces.mean(lambda run: 1 - run.confidence[-1])
