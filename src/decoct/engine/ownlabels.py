"""The soft labels that travel with a set, as a training reads them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from decoct.core.condensed import Condensed
from decoct.core.kinds import TrainProtocol
from decoct.engine.views import View

LEAST = torch.finfo(torch.float32).tiny  # the logarithm of 0 times 0 would be no number


@dataclass(frozen=True, eq=False)
class OwnLabels:
    """One label an image, whatever the view of it.

    Attributes:
        probabilities: [N, classes] float32.
    """

    probabilities: Tensor

    def views(self, first: int, last: int, seed: int) -> View | None:
        """None: the labels fit any view."""
        return None

    def logits(self, first: int, last: int, seed: int, view: View) -> Tensor:
        """[M, classes] logarithms of the labels; of two images that are mixed, of the mixture by area."""
        parts = self.probabilities[view.rows.cpu()].split(view.sizes)
        labels = [
            part if mix is None else torch.lerp(part[mix.order.cpu()], part, mix.share)
            for part, mix in zip(parts, view.mixes or [None] * len(parts), strict=True)
        ]
        return torch.cat(labels).clamp_min(LEAST).log()


def own_labels(protocol: TrainProtocol, condensed: Condensed | None) -> OwnLabels | None:
    """The labels that a set brings along, if it has some and the protocol learns from them."""
    if condensed is None or condensed.soft_labels is None or not protocol.takes_own_labels():
        return None
    return OwnLabels(torch.from_numpy(condensed.soft_labels))
