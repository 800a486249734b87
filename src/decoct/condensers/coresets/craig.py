"""CRAIG: real images whose gradients lie near those of all others, each weighted by how many it stands for."""

from typing import Literal

from torch import Tensor

from decoct.engine.coreset import Group
from decoct.engine.cover import cover
from decoct.engine.gradients import GradientCoreset, Gradients


class CRAIG(GradientCoreset):
    """Facility location on distances between gradients (Mirzasoleiman et al., 2020, arXiv:1906.01827), weighted.

    Greedy picks of each class make  Σ_i min_{s picked} ‖g_i − g_s‖  small; a pick's weight is the number of images that
    are nearest to it, itself among them. With g in the logits, p − y, the sum bounds how far the weighted gradient of
    the picks is from that of all images, as the paper derives for deep nets, up to constants. Picks are ordered, so the
    first ten of IPC 50 are the set of IPC 10; weights are not.

    Departure: the authors select anew every few epochs while the net learns. Here the set is chosen once, from a
    trained teacher, and is the same for every student.

    Attributes:
        gradient: "logits", p − y, as the paper and its authors' code; "last_layer", (p − y) ⊗ [h, 1], as DeepCore.
    """

    gradient: Literal["logits", "last_layer"] = "logits"

    def pick(self, errors: Tensor, inputs: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        """Rows that leave no gradient far from a pick's, and how many each is nearest to."""
        gradients = Gradients(errors, inputs if self.gradient == "last_layer" else None)
        return cover(gradients.distances, len(errors), group.quota)
