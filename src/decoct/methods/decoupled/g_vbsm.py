"""G-VBSM: a committee's batch norms and convolutions, one net per iteration, and diverse images within a class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from decoct.core.interfaces import Need
from decoct.core.seeds import seed
from decoct.data.send import send
from decoct.methods._shared.starts import Block, in_order
from decoct.methods.decoupled._shared.invert import Alignment
from decoct.methods.decoupled._shared.recovery import Recovery, Workpiece
from decoct.needs.statistics import LayerStatistics

COMMON = {"iterations": 4000, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0)}
LARGE = {
    **COMMON,
    "nets": ("resnet18.tv_in1k", "mobilenet_v2.tv_in1k", "efficientnet_b0.ra_in1k", "shufflenet_v2_x0_5.tv_in1k"),
    **{"lr": 0.1, "block": 40, "decay": 0.4, "drop": 0.0, "tile": 16, "pad": 0},
}
CIFAR = {
    **COMMON,
    "nets": ("resnet18", "convnet3", "mobilenetv2_050", "shufflenet_v2_x0_5"),
    **{"lr": 0.05, "block": 100, "decay": 0.8, "drop": 0.4, "tile": 4, "pad": 4},
}


class GVBSM(Recovery):
    """Generalised various backbone and statistical matching (Shao et al., 2024, arXiv:2311.17950).

    The nets judge in turn, one per iteration. At each, the channel statistics of every batch norm and every convolution
    are matched, and the patch statistics of convolutions over square tiles; statistics are averaged over iterations
    with α = ``decay``, and of convolutions ``drop`` are left out at an iteration. Blocks are class after class, and
    within each class the spectrum of a block's images is flattened (data densification): the images, pooled to 32 px,
    have Gram eigenvalues λ, and KL(softmax(λ/τ) ‖ softmax(λ)) is added, its target held fixed. The authors' code starts
    the averages at 0 and carries them from one batch of images to the next; here they start at the first statistics of
    each block. It densifies over all processes of a batch, here over a block: the same at the IPC of all their scripts.

    Presets: the numbers of the authors' scripts, with ``block`` the images of one of their processes: ``imagenet1k``;
    ``cifar10``; ``cifar100``; ``tiny``, ten images of a class at a time. Below 65 px crops are of a padded border,
    WRN-16-2 is left out, and the other nets are those of timm and torchvision that are nearest to theirs. Without a
    script: ``small``, ``cifar10`` with nets that fit any small image; ``small_cpu``, made for two cores: ``small`` with
    nets that are cheap at 28 px, 1,000 iterations.

    Attributes:
        decay: of the averages of statistics over iterations.
        drop: chance of a convolution to be left out at an iteration.
        tile: side in pixels of the tiles of patch statistics.
        pad: pixels that a crop of the images' own size may lie over their border; 0 for crops of ``scale``. Up to 8 px
            a preset's is 1.
        at_once: images of a class that a block holds at most; None for as many as it has room for.
        densification: weight of the term that keeps images of a class apart; 0 for none.
        tau: temperature of that term.
    """

    version = 2
    quick = {"iterations": 20, "preset": "small_cpu"}
    in_turn = True
    by_class = True  # densification needs several images of a class
    penalty = "densification"
    presets = {
        "imagenet1k": LARGE,
        "cifar10": CIFAR,
        "cifar100": {**CIFAR, "block": 50},
        "tiny": {**CIFAR, "block": 50, "pad": 8, "at_once": 10},
        "small": {**CIFAR, "nets": ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "convnet3_bn")},
        "small_cpu": {**CIFAR, "nets": ("convnet3_bn", "resnet10t", "test_resnet"), "iterations": 1000},
    }
    decay: float | None = Field(None, ge=0, lt=1)
    drop: float | None = Field(None, ge=0, lt=1)
    tile: int | None = Field(None, ge=1)
    pad: int | None = Field(None, ge=0)
    at_once: int | None = Field(None, ge=1)
    densification: float = Field(1.0, ge=0)
    tau: float = Field(4.0, gt=1)

    def known(self, size: int) -> dict[str, Any]:
        """The preset; up to 8 px its roll and border are 1 pixel."""
        known = super().known(size)
        return known | ({"pad": 1} if size <= 8 and known.get("pad") else {})

    def needs(self) -> tuple[Need, ...]:
        """The nets, and the statistics of their convolutions."""
        nets = dict.fromkeys(self.committee)
        return (*super().needs(), *(LayerStatistics(net=net, tile=self.tile) for net in nets))

    def blocks(self, classes: Sequence[int], ipc: int) -> list[Block]:
        """Class after class, ``at_once`` images of each, then the next of each."""
        most, size = min(self.at_once or ipc, ipc), self.block or 1
        blocks = []
        for first in range(0, ipc, most):
            some = min(most, ipc - first)
            each = in_order(classes, some, min(size, max(1, size // most) * some))
            blocks += [Block(block.classes, tuple(first + i for i in block.ids)) for block in each]
        return blocks

    def border(self) -> int | None:
        """As the field says."""
        return self.pad or None

    def alignment(self, work: Workpiece, net: str) -> Alignment:
        """Batch norms and convolutions, averaged over the iterations."""
        statistics, judge = work.inputs.statistics[net], work.inputs.teachers[net]
        tile = self.tile or statistics.tile
        targets = statistics.targets(judge, tile)
        convolutions = [name for name, target in targets.items() if target.patch_mean is not None]

        def kept(t: int) -> Mapping[str, Tensor]:
            drawn = []
            for block in work.blocks:  # of its own, so that a run that goes on draws the same
                rng = Generator().manual_seed(seed(work.inputs.seed, self.name, *block.name, "drop", t))
                drawn.append(torch.rand(len(convolutions), generator=rng) >= (self.drop or 0))
            counts = send(torch.stack(drawn, 1).to(torch.get_default_dtype()), work.labels)
            return dict(zip(convolutions, counts, strict=True))

        return Alignment(
            judge, work.groups, targets, tile=tile, decay=self.decay or 0.0, kept=kept if self.drop else None
        )

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
