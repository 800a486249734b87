"""EL2N: the images that a net early in its training errs on most, by the norm of the error."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import EarlyCoreset
from decoct.needs.dynamics import Traces


class EL2N(EarlyCoreset):
    """Error L2-norm, mean over runs of ‖p − e_y‖₂ early in training (Paul et al., 2021, arXiv:2107.07075).

    The paper takes ten nets after 20 of 200 epochs; a training of another length is read at the same share of it, in
    whole epochs, so one of ten after its first. Its learning rate falls sooner. The paper is pooled; here per class.
    """

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The error norm."""
        return traces.mean(lambda run: run.error[run.after(self.after)])
