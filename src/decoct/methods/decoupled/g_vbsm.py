"""G-VBSM: a committee's batch norms and convolutions, one net per iteration, and diverse images within a class."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Need
from decoct.data.send import send
from decoct.methods.decoupled._shared.invert import Alignment
from decoct.methods.decoupled._shared.recovery import Recovery, Workpiece
from decoct.needs.statistics import LayerStatistics

LARGE = {"lr": 0.1, "iterations": 4000, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0), "block": 80}
LITTLE = {"lr": 0.05, "iterations": 4000, "r": 0.01, "jitter": 4, "scale": (0.5, 1.0), "block": 100}


class GVBSM(Recovery):
    """Generalised various backbone and statistical matching (Shao et al., 2024, arXiv:2311.17950).

    The nets judge in turn, one per iteration. At each, the channel statistics of every batch norm and every convolution
    are matched, and the patch statistics of convolutions over tiles of 16 × 16 pixels; statistics are averaged over
    iterations with α = ``decay``. Blocks are class after class, and within each class the spectrum of the images is
    flattened (data densification): the images, pooled to 32 px, have Gram eigenvalues λ, and
    KL(softmax(λ/τ) ‖ softmax(λ)) is added, its target held fixed. The authors' code starts the averages at 0 and
    carries them from one batch of images to the next; here they start at the first statistics of each block.

    Presets: ``imagenet1k``, the authors'; ``small``, theirs for CIFAR and Tiny-ImageNet, without WRN-16-2, and with the
    crop of ``sre2l`` up to 64 px; ``small_cpu``, made for two cores: ``small`` with nets that are cheap at 28 px, 1,000
    iterations.

    Attributes:
        decay: of the averages of statistics over iterations.
        densification: weight of the term that keeps images of a class apart; 0 for none.
        tau: temperature of that term.
    """

    quick = {"iterations": 20, "preset": "small_cpu"}
    in_turn = True
    by_class = True  # densification needs several images of a class
    penalty = "densification"
    presets = {
        "imagenet1k": {**LARGE, "nets": ("resnet18", "mobilenetv2_100", "efficientnet_b0", "shufflenet_v2_x0_5")},
        "small": {**LITTLE, "nets": ("resnet18", "mobilenetv2_100", "shufflenet_v2_x0_5", "convnet3_bn")},
        "small_cpu": {**LITTLE, "nets": ("convnet3_bn", "resnet10t", "test_resnet"), "iterations": 1000},
    }
    decay: float = Field(0.4, ge=0, lt=1)
    densification: float = Field(1.0, ge=0)
    tau: float = Field(4.0, gt=1)

    def needs(self) -> tuple[Need, ...]:
        """The nets, and the statistics of their convolutions."""
        return (*super().needs(), *(LayerStatistics(net=net) for net in dict.fromkeys(self.committee)))

    def alignment(self, work: Workpiece, net: str) -> Alignment:
        """Batch norms and convolutions, averaged over the iterations."""
        judge = work.inputs.teachers[net]
        return Alignment(judge, work.groups, work.inputs.statistics[net].targets(judge), decay=self.decay)

    def extra(self, work: Workpiece, seen: Tensor) -> Tensor:
        """Densification of each block: the sum over its classes."""
        if not self.densification:
            return seen.new_zeros(work.groups)
        blocks = zip(seen.unflatten(0, (work.groups, -1)), work.active, strict=True)
        sums = [
            sum((densify(images[rows], self.tau) for rows in each_class(labels, seen)), seen.new_zeros(()))
            for images, labels in blocks
        ]
        return self.densification * torch.stack(sums)


def each_class(labels: Tensor, like: Tensor) -> Iterator[Tensor]:
    """Where the images of each class are, of labels [B] on the host, on the device of a tensor."""
    return (send((labels == c).nonzero()[:, 0], like) for c in labels.unique())


def densify(images: Tensor, tau: float) -> Tensor:
    """KL(softmax(λ/τ) ‖ softmax(λ)) of the Gram eigenvalues λ of images [n, C, S, S], pooled to 32 px at most."""
    if len(images) < 2:
        return images.new_zeros(())
    side = min(32, images.shape[-1])
    flat = F.adaptive_avg_pool2d(images, side).flatten(1)
    values = torch.linalg.eigvalsh(flat @ flat.T)
    return F.kl_div(values.log_softmax(0), (values.detach() / tau).softmax(0), reduction="sum")
