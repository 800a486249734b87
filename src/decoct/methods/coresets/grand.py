"""GraNd: the images with the largest gradient early in a training, of the last layer alone."""

from typing import Any

from numpy.typing import NDArray

from decoct.methods.coresets._shared.scores import EarlyCoreset
from decoct.needs.dynamics import Traces


class GraNd(EarlyCoreset):
    """Gradient norm, mean over runs, of the last layer's weights and bias (Paul et al., 2021, arXiv:2107.07075).

    ‖∇ℓ‖ = ‖p − e_y‖₂ √(1 + ‖h‖²) in closed form, h being what the last layer sees. The paper's norm is over all
    weights, which takes a backward pass per image; DeepCore also takes the last layer. Read after the same share of the
    training as EL2N: at initialisation, the paper's other choice, the scores did not hold up (Kirsch, 2023,
    arXiv:2303.14753). The paper is pooled; here per class.
    """

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The gradient norm."""
        return traces.mean(lambda run: run.gradient[run.after(self.after)])
