"""EDC: G-VBSM's matching from real images, half of it on the statistics of the images' classes."""

from typing import Literal

from pydantic import Field

from decoct.core.interfaces import Inputs, Need
from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import Crops, random_rows, ranked_crops, whole
from decoct.methods.decoupled._shared.invert import Alignment
from decoct.methods.decoupled._shared.recovery import Recovery, Workpiece, teachers
from decoct.needs.statistics import LayerStatistics

LITTLE = ("resnet18", "convnet3", "mobilenetv2_050", "shufflenet_v2_x0_5")
COMMON = {"lr": 0.05, "jitter": 0, "scale": (0.5, 1.0), "decay": 0.8}
FOUR = ("resnet18.tv_in1k", "mobilenet_v2.tv_in1k", "efficientnet_b0.ra_in1k", "shufflenet_v2_x0_5.tv_in1k")
LARGE = {
    **COMMON,
    "nets": (*FOUR, "alexnet.tv_in1k"),  # torchvision's first weights; its EfficientNet-B0 is a copy of timm's
    **{"iterations": 1000, "r": 0.1, "block": 20, "factor": 2, "tile": 16},
}
TINY = {
    **COMMON,
    "nets": LITTLE,
    **{"iterations": 2000, "r": 0.01, "block": 25, "factor": 1, "tile": 4},
}
CIFAR = {**TINY, "nets": (*LITTLE, "convnet1", "convnet2", "convnet3_w32")}


class EDC(Recovery):
    """Elucidating the design space of dataset condensation (Shao et al., 2024, arXiv:2404.13733).

    As in G-VBSM, one net per iteration and the statistics of batch norms and convolutions, without densification, but:
    images start at RDED's mosaics (at real images up to 64 px); ``share`` of the matching is with the class statistics,
    averaged over the images' labels; crops keep at least half of the area, 8 % in ``cifar10``, and nothing rolls. The
    variance of a class is over its images and their pixels, as the paper's statistics given a class are read here; the
    authors' code takes the mean over images of the variance within an image: ``variance = "within_image"``. In their
    code the class-wise patch means and variances are swapped when they are saved, and averages start at 0 and are
    carried from one batch of images to the next; not here. The flatness term, off in all their scripts, is left out.

    Presets: the numbers of the authors' scripts, with ``block`` the images of one of their processes: ``imagenet1k``;
    ``imagenet10``, three nets and no averages; ``tiny``; ``cifar100``; ``cifar10``, of IPC 1. Below 65 px WRN-16-2 is
    left out, and the other nets are those of timm and torchvision that are nearest to theirs. Without a script:
    ``small``, ``cifar100`` with nets that fit any small image; ``small_cpu``, made for two cores: ``small`` with nets
    that are cheap at 28 px, 500 iterations.

    Attributes:
        factor: tiles on a side of the mosaic that an image starts at; 1 starts at real images.
        decay: of the averages of statistics over iterations.
        share: of the matching that is with the statistics of the classes.
        variance: that is meant by a class's: "class", over all its images, or "within_image", the mean over them.
        tile: side in pixels of the tiles of patch statistics.
        ranker: net that ranks crops for the mosaics.
    """

    version = 2
    quick = {"iterations": 20, "preset": "small_cpu"}
    in_turn = True
    by_class = True
    presets = {
        "imagenet1k": LARGE,
        "imagenet10": {
            **LARGE,
            "nets": ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5"),
            **{"iterations": 50, "r": 0.01, "block": 100, "decay": 0.0},
        },
        "tiny": TINY,
        "cifar100": CIFAR,
        "cifar10": {**CIFAR, "iterations": 75, "scale": (0.08, 1.0), "block": 10},
        "small": {**TINY, "nets": ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "convnet3_bn")},
        "small_cpu": {**TINY, "nets": ("convnet3_bn", "resnet10t", "test_resnet"), "iterations": 500},
    }
    factor: int | None = Field(None, ge=1)  # tiles per side of a start; 1 starts at real images
    decay: float | None = Field(None, ge=0, lt=1)
    share: float = Field(0.5, ge=0, le=1)
    variance: Literal["class", "within_image"] = "class"
    tile: int | None = Field(None, ge=1)
    ranker: str = "teacher"

    def needs(self) -> tuple[Need, ...]:
        """The nets, their statistics, and who ranks crops."""
        ranker = (self.ranker,) if (self.factor or 1) > 1 else ()
        statistics = (LayerStatistics(net=net, tile=self.tile) for net in dict.fromkeys(self.committee))
        return (*teachers(*self.committee, *ranker), *statistics)

    def crops(self, inputs: Inputs, pixels: Pixels, c: int, ipc: int) -> Crops | None:
        """Those of RDED's mosaics, or real images."""
        if (factor := self.factor or 1) == 1:
            return whole(random_rows(inputs, self.name, c, ipc), inputs.data.size)
        judge = inputs.teachers[self.ranker]
        return ranked_crops(inputs, judge, pixels, c, ipc * factor**2, names=(self.name, "start"), factor=factor)

    def alignment(self, work: Workpiece, net: str) -> Alignment:
        """Half of the whole train split, half of the classes."""
        statistics, judge = work.inputs.statistics[net], work.inputs.teachers[net]
        tile = self.tile or statistics.tile
        targets = statistics.targets(judge, tile)
        classes = statistics.by_class if self.variance == "class" else statistics.within
        return Alignment(
            judge,
            work.groups,
            targets,
            tile=tile,
            decay=self.decay or 0.0,
            by_class={name: classes[name] for name in targets},
            labels=work.labels,
            share=self.share,
        )
