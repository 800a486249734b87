"""Views: all random draws for some batches, and the resulting images.

Draws are made on the CPU, so that they are the same on every device, and can be stored beside soft labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from decoct.core.seeds import seed as derive
from decoct.data.augment import colour, dsa
from decoct.data.augment.augment import Mix, draw_boxes, draw_crops, draw_cutmix, draw_mixup
from decoct.data.augment.shuffle import draw_shuffle, shuffle
from decoct.data.send import send
from decoct.training.images import Images
from decoct.training.recipe import Recipe

TENSORS = ("rows", "corners", "boxes", "mirrored", "tiles")  # of a view, one row an image


@dataclass(frozen=True)
class View:
    """The draws for one or more batches, M images in all.

    Attributes:
        rows: [M] which images.
        sizes: images of each batch; they add up to M.
        corners: [M, 2] crops out of the padded image; None for none.
        boxes: [M, 4] crops that are resized (top, left, height, width); None for none.
        mirrored: [M] bool; None mirrors none.
        mixes: of each batch; None leaves it unmixed.
        tiles: of the patch shuffle, as ``decoct.data.augment.shuffle`` draws them; None for none.
        jitter: of the colour jitter; None for none.
        lighting: of the PCA lighting; None for none.
        siamese: of differentiable Siamese augmentation, one a batch; empty for none.
    """

    rows: Tensor
    sizes: tuple[int, ...]
    corners: Tensor | None = None
    boxes: Tensor | None = None
    mirrored: Tensor | None = None
    mixes: tuple[Mix | None, ...] = ()
    tiles: Tensor | None = None
    jitter: colour.Jitter | None = None
    lighting: Tensor | None = None
    siamese: tuple[dsa.Drawn, ...] = ()

    def split(self) -> list["View"]:
        """The view of each batch by itself; only of what soft labels can be stored for: crops, flips, tiles, mixing.

        Raises:
            ValueError: colours or Siamese augmentation were drawn.
        """
        if self.jitter is not None or self.lighting is not None or self.siamese:
            raise ValueError("views with colour or Siamese augmentation are not stored")
        drawn = {name: getattr(self, name) for name in TENSORS}
        parts: dict[str, Any] = {name: value.split(self.sizes) for name, value in drawn.items() if value is not None}
        return [
            View(sizes=(size,), mixes=self.mixes[i : i + 1], **{name: value[i] for name, value in parts.items()})
            for i, size in enumerate(self.sizes)
        ]

    @classmethod
    def join(cls, views: Sequence["View"]) -> "View":
        """The view of the batches of several; all drawn by one recipe."""
        drawn = [name for name in TENSORS if getattr(views[0], name) is not None]
        whole: dict[str, Any] = {name: torch.cat([getattr(view, name) for view in views]) for name in drawn}
        return cls(
            sizes=tuple(size for view in views for size in view.sizes),
            mixes=tuple(mix for view in views for mix in view.mixes),
            **whole,
        )


class Draws:
    """Draws views of images of a size by a recipe; its state is that of two generators."""

    def __init__(self, recipe: Recipe, size: int, seed: int) -> None:
        self.recipe, self.size = recipe, size
        self.single = Generator().manual_seed(derive(seed, "augment"))  # what every image has of its own
        self.whole = Generator().manual_seed(derive(seed, "mix"))  # what a batch has

    def __call__(self, batches: Sequence[Tensor]) -> View:
        """A view of each of some batches of row numbers."""
        recipe, rows = self.recipe, torch.cat(list(batches))
        count, sizes = len(rows), tuple(len(batch) for batch in batches)
        drawn: dict[str, Any] = {}
        if recipe.cutmix:  # of every batch that has two images to mix
            mixes = (draw_cutmix(n, self.size, recipe.cutmix, self.whole) if n > 1 else None for n in sizes)
            drawn["mixes"] = tuple(mixes)
        elif recipe.mixup:
            drawn["mixes"] = tuple(draw_mixup(n, recipe.mixup, self.whole) if n > 1 else None for n in sizes)
        if recipe.dsa:
            siamese = tuple(dsa.draw(n, self.size, recipe.flip, self.single) for n in sizes)
            return View(rows, sizes, siamese=siamese, **drawn)
        if recipe.shuffle > 1:
            drawn["tiles"] = draw_shuffle(count, recipe.shuffle, self.single)
        if recipe.scale is not None:
            drawn["boxes"] = draw_boxes(count, self.size, recipe.scale, self.single)
        elif recipe.pad:
            drawn["corners"] = draw_crops(count, recipe.pad, self.single)
        if recipe.flip:
            drawn["mirrored"] = torch.rand(count, generator=self.single) < 0.5
        if recipe.jitter:
            drawn["jitter"] = colour.draw_jitter(count, recipe.jitter, self.single)
        if recipe.lighting:
            drawn["lighting"] = colour.draw_lighting(count, recipe.lighting, self.single)
        return View(rows, sizes, **drawn)

    def state(self) -> dict[str, Tensor]:
        """Of both generators."""
        return {"single": self.single.get_state(), "whole": self.whole.get_state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a ``state``."""
        self.single.set_state(state["single"])
        self.whole.set_state(state["whole"])


def render(images: Images, view: View, pad: int = 0) -> Tensor:
    """The batches of a view as input of a net: [M, C, S, S] normalised floats on the device, cropped after ``pad``."""
    x = _cut(images, view, pad)
    if view.jitter is not None or view.lighting is not None:
        x = x / images.white
        x = x if view.jitter is None else colour.jitter(x, view.jitter)
        x = x if view.lighting is None else colour.lighting(x, view.lighting)
        x = x * images.white
    x = images.normalise(x)
    if view.siamese:
        parts = zip(x.split(view.sizes), view.siamese, strict=True)
        x = torch.cat([dsa.apply(part, drawn) for part, drawn in parts])
    if view.mixes:
        mixed = zip(x.split(view.sizes), view.mixes, strict=True)
        x = torch.cat([part if mix is None else mix(part) for part, mix in mixed])
    return x


def _cut(images: Images, view: View, pad: int) -> Tensor:
    """Tiles shuffled, cropped, mirrored: on the stored scale."""
    if view.tiles is not None:  # then whole images are needed first
        x = shuffle(images.rows(view.rows), view.tiles)
        images, view = replace(images, stored=x, padded=None), replace(view, rows=torch.arange(len(x)))
    if view.corners is not None:
        return images.cropped(view.rows, view.corners, pad, view.mirrored)
    if view.boxes is not None:
        return images.resized(view.rows, view.boxes, view.mirrored)
    x = images.rows(view.rows)
    return x if view.mirrored is None else torch.where(send(view.mirrored, x)[:, None, None, None], x.flip(3), x)
