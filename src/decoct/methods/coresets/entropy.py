"""Entropy: the images whose class the trained net is least sure of, by the entropy."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import RankedCoreset
from decoct.needs.dynamics import Traces


class Entropy(RankedCoreset):
    """Largest entropy of the probabilities, at the end of the training.

    An active learner's rule, as a coreset: Coleman et al., 2020, arXiv:1906.11829, who pool; here per class.
    Labels play no part, so an image that is mislabelled and memorised is an easy one.
    """

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The entropy."""
        return traces.mean(lambda run: run.entropy[-1])
