"""AUM: the images that lie on the wrong side of the margin for most of the training."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import RankedCoreset, area
from decoct.needs.dynamics import Traces


class AUM(RankedCoreset):
    """Area under the margin, the mean over epochs of z_y − max_{j≠y} z_j, low is hard (Pleiss et al., 2020,
    arXiv:2001.10528).

    Of logits, as in the paper; the code of CCS takes probabilities. The paper stops at the first drop of the learning
    rate; here the rate falls steadily, so all epochs count. The paper omits mislabelled images: ``trim`` does that,
    and ``keep = "easy"`` takes the other end.
    """

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The area, negative."""
        return area(traces)
