"""Entropy: the images for which the trained net's prediction has the largest entropy."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import RankedCoreset
from decoct.needs.dynamics import Traces


class Entropy(RankedCoreset):
    """Largest entropy of the probabilities, at the end of the training.

    An active learner's rule, as a coreset: Coleman et al., 2020, arXiv:1906.11829, who pool; here per class.
    Labels are not used, so an image that is mislabelled and memorised counts as easy.
    """

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The entropy."""
        return traces.mean(lambda run: run.entropy[-1])
