"""EDC: G-VBSM's matching from real images, half of it on the statistics of the images' classes."""

from pydantic import Field

from decoct.core.interfaces import Inputs, Need
from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import Crops, random_rows, ranked_crops, whole
from decoct.methods.decoupled._shared.invert import Alignment
from decoct.methods.decoupled._shared.recovery import Recovery, Workpiece, teachers
from decoct.needs.statistics import LayerStatistics

LITTLE = ("resnet18", "mobilenetv2_100", "shufflenet_v2_x0_5", "convnet3_bn")
COMMON = {"lr": 0.05, "r": 0.01, "jitter": 0, "scale": (0.5, 1.0), "block": 100, "factor": 1, "decay": 0.8}
LARGE = {
    **COMMON,
    "nets": ("resnet18", "mobilenetv2_100", "efficientnet_b0", "shufflenet_v2_x0_5", "alexnet"),
    **{"iterations": 1000, "r": 0.1, "block": 80, "factor": 2},
}


class EDC(Recovery):
    """Elucidating the design space of dataset condensation (Shao et al., 2024, arXiv:2404.13733).

    As in G-VBSM, one net per iteration and the statistics of batch norms and convolutions, without densification, but:
    images start at RDED's mosaics (at real images up to 64 px); ``share`` of the matching is with the class statistics,
    averaged over the images' labels; averages over iterations decay by .8; crops keep at least half of the area, and
    nothing rolls. In the authors' code the class-wise patch means and variances are swapped when they are saved, and
    the tiles of a start change places at random; not here. The flatness term, 0 in their ImageNet-1K code, is left out.

    Presets: ``imagenet1k``, the authors'; ``imagenet10``, theirs for ten classes of it, where nothing is averaged, with
    the nets of ``imagenet1k``; ``tiny`` and ``small``, theirs for Tiny-ImageNet and CIFAR-10 with the nets
    of ``g_vbsm``, and 1,000 iterations for CIFAR instead of the 75 of their IPC-1 script; ``small_cpu``, made for two
    cores: nets that are cheap at 28 px, 500 iterations.

    Attributes:
        factor: tiles on a side of the mosaic that an image starts at; 1 starts at real images.
        decay: of the averages of statistics over iterations.
        share: of the matching that is with the statistics of the classes.
        ranker: net that ranks crops for the mosaics.
    """

    quick = {"iterations": 20, "preset": "small_cpu"}
    in_turn = True
    by_class = True
    presets = {
        "imagenet1k": LARGE,
        "imagenet10": {**LARGE, "iterations": 50, "r": 0.01, "decay": 0.0},
        "tiny": {**COMMON, "nets": LITTLE, "iterations": 2000},
        "small": {**COMMON, "nets": LITTLE, "iterations": 1000},
        "small_cpu": {**COMMON, "nets": ("convnet3_bn", "resnet10t", "test_resnet"), "iterations": 500},
    }
    factor: int | None = Field(None, ge=1)  # tiles per side of a start; 1 starts at real images
    decay: float | None = Field(None, ge=0, lt=1)
    share: float = Field(0.5, ge=0, le=1)
    ranker: str = "teacher"

    def needs(self) -> tuple[Need, ...]:
        """The nets, their statistics, and who ranks crops."""
        ranker = (self.ranker,) if (self.factor or 1) > 1 else ()
        statistics = (LayerStatistics(net=net) for net in dict.fromkeys(self.committee))
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
        targets = statistics.targets(judge)
        return Alignment(
            judge,
            work.groups,
            targets,
            decay=self.decay or 0.0,
            by_class={name: statistics.by_class[name] for name in targets},
            labels=work.labels,
            share=self.share,
        )
