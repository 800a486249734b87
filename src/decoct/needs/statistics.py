"""Statistics of the input of every batch norm and convolution, over the train split and over each class.

They are taken of the views that a teacher is trained on, as the running statistics of batch norms were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Generator, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Progress, silent
from decoct.core.machine import blame
from decoct.core.needs import Need, Part, Plan, Work
from decoct.core.tensorfile import openable
from decoct.data.augment.augment import draw_boxes, draw_crops
from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.data.send import send
from decoct.needs.teacher import Teacher, load_teacher
from decoct.nets import zoo
from decoct.nets.layout import as_input
from decoct.nets.moments import Moments, Sums, flatten, layers, of_each, on_inputs, running, unflatten
from decoct.nets.room import Halving
from decoct.training.images import Images
from decoct.training.recipe import augmentation
from decoct.training.views import View, render

FILE, TILE = "statistics.safetensors", "tile"


class LayerStatistics(Need):
    """Moments of the input of each batch norm and convolution of a teacher, over the train split and by class.

    Attributes:
        net: of the teacher; ``"teacher"`` is the default label teacher.
        tile: side in pixels of the tiles of patch statistics, at most that of the images; None for 4 up to 64 px and 16
            above, as in the code of G-VBSM and EDC.
    """

    version = 2

    net: str = "teacher"
    tile: int | None = Field(None, ge=1)

    def check(self) -> None:
        """Raise a UsageError if nobody knows the teacher."""
        Teacher(net=self.net).check()

    def parts(self, plan: Plan) -> tuple[Part, ...]:
        """One pass over the train split, each image as it is seen at one draw of the teacher's crop and mirror.

        Raises:
            UsageError: a tile is larger than the images.
        """
        size = plan.data.size
        net, tile = zoo.resolve(self.net, size), self.tile_at(size)
        if tile > size:
            raise UsageError(
                f"statistics of {net} over tiles of {tile} px, but images have {size} px a side: lower tile"
            )
        drawn = plan.derive(self.name, net, anew=False)
        spec = self.model_copy(update={"net": net, "tile": tile})
        reads, labels = (Teacher(net=self.net),), {"net": net}
        return (Part(f"{net}/{tile}", spec, {"seed": drawn}, reads=reads, labels=labels),)

    def tile_at(self, size: int) -> int:
        """Side of a tile at a resolution."""
        return self.tile or (4 if size <= 64 else 16)

    @classmethod
    def make(cls, work: Work) -> None:
        """Collect the moments of a teacher over the train split.

        Files:
            statistics.safetensors: moments of what goes into each batch norm and convolution, whole and by class
        """
        spec, data = cls.again(work.job.config), work.data
        (folder,) = work.cells("teacher").values()
        net, pixels = load_teacher(folder, data, work.device), Pixels.of(data, work.device)
        views = draw_views(len(data.train), data.size, data.flip, work.job.keyed["seed"])
        with work.meter():
            made = collect(
                net,
                data.train,
                data.class_names,
                pixels,
                tile=spec.tile_at(data.size),
                views=views,
                progress=work.progress,
            )
        made.save(work.folder)

    def load(self, work: Work) -> dict[str, dict[str, "Statistics"]]:
        """By the name that the need gives the net."""
        size = work.data.size
        folder = work.cell("statistics", f"{zoo.resolve(self.net, size)}/{self.tile_at(size)}")
        return {"statistics": {self.net: Statistics.load(folder, work.device)}}


@dataclass(frozen=True)
class Statistics:
    """Moments of layer inputs, by layer in order of registration.

    Attributes:
        whole: over the train split, [C] and, at convolutions, [P].
        by_class: over each class, [classes, C] and [classes, P].
        within: the same with the mean over a class's images of the variance within an image.
        tile: side of the tiles of patch statistics.
    """

    whole: Mapping[str, Moments]
    by_class: Mapping[str, Moments]
    within: Mapping[str, Moments]
    tile: int

    def targets(self, net: nn.Module, tile: int) -> dict[str, Moments]:
        """The targets of a batch: a batch norm's own running statistics, and those of the convolutions' inputs.

        Raises:
            DecoctError: the statistics are over tiles of another side.
        """
        if tile != self.tile:
            raise DecoctError(
                f"statistics over tiles of {self.tile} px are no target for tiles of {tile} px: "
                f"make them with LayerStatistics(tile={tile})"
            )
        own = running(net) if any(not convolution for convolution in layers(net).values()) else {}
        return {name: own.get(name) or self.whole[name] for name in layers(net)}

    def save(self, folder: Path) -> None:
        """Write one safetensors file."""
        parts = {"whole": self.whole, "class": self.by_class, "within": self.within}
        tensors = {
            f"{kind}/{k}": v.cpu().contiguous()
            for kind, part in parts.items()
            for k, v in flatten(part).items()
            if kind != "within" or k.endswith("variance")  # means are those of the class
        }
        save_file({**tensors, TILE: torch.tensor(self.tile)}, folder / FILE)

    @classmethod
    def load(cls, folder: Path, device: str) -> "Statistics":
        """Read what ``save`` wrote.

        Raises:
            DecoctError: missing or damaged.
        """
        try:
            tensors = load_file(openable(folder / FILE))
            tile = int(tensors.pop(TILE))
            kinds: dict[str, dict[str, torch.Tensor]] = {"whole": {}, "class": {}, "within": {}}
            for name, value in tensors.items():
                kind, _, rest = name.partition("/")
                kinds[kind][rest] = value.to(device)
            by_class, within = kinds["class"], kinds["class"] | kinds["within"]
            return cls(unflatten(kinds["whole"]), unflatten(by_class), unflatten(within), tile)
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            blame(error)
            raise DecoctError(f"the statistics in {folder} are damaged: {error}; remove that folder") from error


def draw_views(count: int, size: int, flip: bool, seed: int) -> View:
    """The crop of each of ``count`` images, as ``augmentation`` crops where teachers are trained, and its mirror."""
    rng, how = Generator().manual_seed(seed), augmentation(size)
    boxes = draw_boxes(count, size, how["scale"], rng) if "scale" in how else None
    corners = draw_crops(count, how["pad"], rng) if "pad" in how else None
    mirrored = torch.rand(count, generator=rng) < 0.5 if flip else None
    return View(torch.arange(count), (count,), corners, boxes, mirrored)


@torch.inference_mode()
def collect(
    net: nn.Module,
    split: Split,
    classes: Sequence[str],
    pixels: Pixels,
    *,
    tile: int = 16,
    views: View | None = None,
    batch: int = 100,
    progress: Progress = silent,
) -> Statistics:
    """One pass over a split, batch by batch: memory is that of one batch.

    Patch statistics are taken at convolutions, where images are resized up to whole tiles first.

    Args:
        net: in eval mode on the device of ``pixels``.
        split: the train split.
        classes: their names.
        pixels: the data's scale.
        tile: side of a tile.
        views: of all images, as ``draw_views`` gives them; None for the images as they are.
        batch: images in one forward pass.
        progress: called with (images, of all).
    """
    convolution, sums, device = layers(net), Sums(len(classes)), pixels.mean.device
    halving, done = Halving("layer statistics", device), 0

    def seen(
        rows: NDArray[np.int64], images: NDArray[np.uint8], some: NDArray[np.int64]
    ) -> tuple[int, list[tuple[str, torch.Tensor]]]:
        made: list[tuple[str, torch.Tensor]] = []  # counted in when the net is through: it may run out of memory
        stored = torch.from_numpy(np.array(images[some])).to(device)
        x = render(Images(stored, pixels.mean, pixels.std, device), _of(views, rows[some]), pad)
        with on_inputs(net, convolution, lambda name, x: made.extend(of_each(name, x, tile * convolution[name]))):
            net(as_input(x, net))
        return len(some), made

    pad = augmentation(split.images.shape[-1]).get("pad", 0)
    for rows, images in split.batches(batch, alone=device.type == "cpu"):
        labels = send(torch.tensor(split.labels[rows]), device)
        for count, made in halving(partial(seen, rows, images), np.arange(len(rows))):
            for key, new in made:
                sums.count(key, new, labels[:count])
            labels = labels[count:]
        progress(done := done + len(rows), len(split))
    whole, by_class = sums.moments(by_class=False), sums.moments(by_class=True)
    return Statistics(whole, by_class, sums.moments(by_class=True, within=True), tile)


def _of(views: View | None, rows: NDArray[np.int64]) -> View:
    """The views of some images, which stand alone."""
    at, every = torch.from_numpy(rows), torch.arange(len(rows))
    if views is None:
        return View(every, (len(rows),))
    corners, boxes, mirrored = (
        None if drawn is None else drawn[at] for drawn in (views.corners, views.boxes, views.mirrored)
    )
    return View(every, (len(rows),), corners, boxes, mirrored)
