"""DELT: the images of a class join the optimisation one group after the other, which makes them diverse."""

from collections.abc import Hashable

import torch
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Inputs, Need
from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import Block, Crops, median_rows, whole
from decoct.methods.decoupled._shared.invert import curriculum
from decoct.methods.decoupled._shared.recovery import BATCH, Recovery, Workpiece, teachers

COMMON = {"lr": 0.25, "r": 0.01, "jitter": 0, "block": 100}


class DELT(Recovery):
    """Diversity-driven early-late training (Shen et al., 2025, arXiv:2411.19946).

    The images of a class start at its real images around the median of the teacher's confidence. The iterations fall
    into ``rounds`` of equal length and the images into as many groups, the first ones larger by one where they are not
    equal: 2 2 1 1 1 1 1 1 at IPC 10, five groups of 1 at IPC 5. Group g joins at round g: the first is optimised
    throughout, the last of as many groups as rounds in the last round alone. One Adam along one cosine serves all
    rounds; the moments of an image that waits are 0 and its steps are counted. The loss is taken over the images that
    have joined; at IPC 1 there is one round. Crops follow CDA's curriculum over all iterations. A block of late images
    alone has the iterations from their round on, with a cosine and a curriculum of their length. Blocks are class after
    class: whole classes where they fit, where the authors' batches of 100 may end within one. Starts are the data's
    squares; the authors' are the middle 7/8 of a picture's shorter side.

    Presets: ``imagenet1k``, the authors', who publish no others; ``small``, made for 28 to 64 px: 1,000 iterations and
    a smallest crop of .5; ``small_cpu``, made for two cores and equal to ``small``.

    Attributes:
        rounds: of equal length.
        ranker: net that ranks real images by difficulty.
    """

    version = 2
    by_class = True
    presets = {
        "imagenet1k": {**COMMON, "iterations": 4000, "scale": (0.08, 1.0)},
        "small": {**COMMON, "iterations": 1000, "scale": (0.5, 1.0)},
        "small_cpu": {**COMMON, "iterations": 1000, "scale": (0.5, 1.0)},
    }
    rounds: int = Field(8, ge=1)
    ranker: str = "teacher"

    def alike(self, inputs: Inputs, block: Block) -> Hashable:
        """Blocks side by side must join at the same rounds."""
        return block.ids

    def needs(self) -> tuple[Need, ...]:
        """The net, and who ranks images."""
        return teachers(*self.committee, self.ranker)

    def crops(self, inputs: Inputs, pixels: Pixels, c: int, ipc: int) -> Crops | None:
        """Real images of median difficulty."""
        rows = median_rows(inputs, inputs.teachers[self.ranker], pixels, c, ipc, self.batch or BATCH)
        return whole(rows, inputs.data.size)

    def low(self, t: Tensor) -> Tensor | None:
        """CDA's curriculum."""
        assert self.scale is not None and self.iterations is not None
        return curriculum(t, self.scale[0], self.iterations)

    def optimise(self, work: Workpiece, images: Tensor) -> Tensor:
        """All iterations; an image takes part from its round on."""
        ipc, total = work.inputs.ipc(self.name), self.iterations or 1
        rounds = self.rounds if ipc > 1 else 1
        since = torch.tensor([total * joining(i, ipc, rounds) // rounds for i in work.blocks[0].ids])
        left = total - int(since.min())
        work.spec = self.model_copy(update={"iterations": left})  # rate and crops go over what a late block has left
        return work.stage(images, 0, left, since - since.min())


def joining(i: int, ipc: int, rounds: int) -> int:
    """The round that image number i of ``ipc`` joins at: groups of ⌊ipc/rounds⌋ images, the first ones of one more."""
    each, more = divmod(ipc, rounds)
    return i // (each + 1) if i < more * (each + 1) else (i - more) // each
