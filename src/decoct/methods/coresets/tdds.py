"""TDDS: the images whose probabilities move most unevenly from epoch to epoch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.errors import DecoctError
from decoct.methods.coresets._shared.scores import RankedCoreset
from decoct.needs.dynamics import Traces


class TDDS(RankedCoreset):
    """Temporal dual-depth scoring: how the shift Σ_j |p_j log(p_j / q_j)| between epochs varies (Zhang et al., 2024,
    arXiv:2311.13613).

    In each window the norm of the shifts' deviations from their mean; over windows, an average that decays backwards.
    A training that is shorter than ``window`` is one window. What moves in the first epochs is what is learnt then; an
    image with a wrong label moves when it is memorised, if those epochs are read. The authors' code adds 1e-8 to
    the probabilities; what DUAL's code calls TDDS reads its first window again and again. The paper is pooled; here per
    class.

    Attributes:
        until: epochs that are read, from the first on; the paper's number depends on the data and on how much is kept.
        window: epochs in a window.
        decay: weight of the last window; of the k-th before it, ``decay`` (1 − ``decay``)^k.
    """

    until: int = Field(10, ge=3)
    window: int = Field(10, ge=3)
    decay: float = Field(0.9, gt=0, le=1)

    def difficulty(self, traces: Traces) -> NDArray[Any]:
        """The decaying average."""
        return traces.mean(lambda run: depth(run.shift[: self.until - 1], self.window, self.decay))


def depth(shift: NDArray[Any], window: int, decay: float) -> NDArray[np.float64]:
    """[N] Σ_k decay (1 − decay)^{K−1−k} ‖s_k − mean s_k‖₂ over the K windows s_k of shifts.

    Args:
        shift: [T − 1, N] between T epochs.
        window: epochs in a window, so one shift less; all, if there are fewer.
        decay: weight of the last window.

    Raises:
        DecoctError: less than two shifts, which cannot vary.
    """
    if len(shift) < 2:
        raise DecoctError(f"tdds needs a training of three epochs at least, not {len(shift) + 1}: raise epochs")
    length = min(window - 1, len(shift))
    total = np.zeros(shift.shape[1])
    for start in range(len(shift) - length + 1):
        one = np.asarray(shift[start : start + length], np.float64)
        total = (1 - decay) * total + decay * np.linalg.norm(one - one.mean(0), axis=0)
    return total
