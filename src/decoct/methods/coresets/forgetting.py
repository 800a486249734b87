"""Forgetting: the images that a training learns and forgets most often."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import RankedCoreset, forgotten
from decoct.needs.dynamics import Traces


class Forgetting(RankedCoreset):
    """Number of times that a learnt image is forgotten (Toneva et al., 2019, arXiv:1812.05159).

    An image that is never learnt ranks as the hardest, as in the paper (DeepCore counts it as never forgotten): it gets
    T in a training of T epochs, more than any other can. Counts are whole numbers, so many are equal; those come in
    random order. The paper checks each image when its minibatch comes up; here all are checked after each epoch. It
    trains for 200 epochs: in ten, few images are forgotten at all.
    """

    stochastic = True

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """How often the image is forgotten."""
        return traces.mean(lambda run: forgotten(run.correct))
