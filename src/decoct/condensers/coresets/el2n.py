"""EL2N: the images that a net early in its training errs on most, by the norm of the error."""

from typing import Any, ClassVar

from numpy.typing import NDArray
from pydantic import Field

from decoct.engine.dynamics import Traces
from decoct.engine.scores import RankedCoreset


class EL2N(RankedCoreset):
    """Error L2-norm, mean over runs of ‖p − e_y‖₂ early in training (Paul et al., 2021, arXiv:2107.07075).

    The paper takes ten nets after 20 of 200 epochs; a training of another length is read at the same share of it, in
    whole epochs, so one of ten after its first. Its learning rate falls sooner. The paper is pooled; here per class.

    Attributes:
        after: share of the training after which the net is asked.
    """

    quick: ClassVar[dict[str, Any]] = {"runs": 2}

    runs: int = Field(10, ge=1)
    after: float = Field(0.1, gt=0, le=1)

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The error norm."""
        return traces.mean(lambda run: run.error[run.after(self.after)])
