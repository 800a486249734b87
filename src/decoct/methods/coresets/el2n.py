"""EL2N: the images with the largest error norm early in a training."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import EarlyCoreset
from decoct.needs.dynamics import Traces


class EL2N(EarlyCoreset):
    """Error L2-norm, mean over runs of ‖p − e_y‖₂ early in training (Paul et al., 2021, arXiv:2107.07075).

    The paper takes ten nets after 20 of 200 epochs; a training of another length is read at the same share, in
    whole epochs: one of ten epochs after the first. Its learning rate falls sooner. The paper is pooled; here per
    class.
    """

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The error norm."""
        return traces.mean(lambda run: run.error[run.after(self.after)])
