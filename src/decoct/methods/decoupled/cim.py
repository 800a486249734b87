"""CIM: mosaics of real images plus a residual that brings each tile's features to those of its image at full size."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Generator, Tensor, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Draft, Inputs, Kept, Need, silent
from decoct.core.seeds import seed
from decoct.data.augment import dsa
from decoct.data.pixels import Pixels
from decoct.methods._shared.patches import mosaic
from decoct.methods._shared.presets import WithPresets
from decoct.methods._shared.starts import of_whole
from decoct.methods.decoupled._shared.invert import FixedNorms, frozen
from decoct.needs.teacher import Teacher
from decoct.nets.features import entering
from decoct.nets.precision import Precision, within
from decoct.training.learn import learn

OPS: tuple[dsa.Op, ...] = ("flip", "crop", "cutout")


class CIM(WithPresets):
    """Direct matching to real anchors (authors of LINs-lab/CIM, ECCV 2026; after their code, not their text).

    Of each class, the ipc · f² images, of ``candidates`` random ones, that the teacher finds easiest are the anchors.
    Tile k of image j is anchor k · ipc + j at S/f pixels, by nearest neighbour; a residual on the mosaic starts at 0
    and is optimised by AdamW with its usual decay, .01, all images of the class at once. At every iteration tiles are
    enlarged to S, bilinearly, anchors and tiles go through one shared flip (a coin), crop and cutout, and Σ over pairs
    of the mean of |φ(anchor) − φ(tile)| is minimised, φ the input of a child of the frozen teacher. Departures: pixels
    are clamped and rounded to 8 bits when they are stored, where the authors keep floats of any range; a class of fewer
    images than ``candidates`` gives all, where theirs come again; at 224 px an anchor is the square of a picture's
    shorter side, where theirs is the middle 7/8 of it; data that may not be mirrored are not.

    Presets: ``imagenet1k``, the authors' layer of ResNet-18 at 224 px, −4; ``small``, theirs for CIFAR and
    Tiny-ImageNet, and of every ConvNet, −1, the features; ``small_cpu``, made for two cores and equal to ``small``.

    Attributes:
        teacher: whose features are matched.
        factor: f.
        candidates: random images of a class that are considered.
        layer: which child of the net φ goes into, counted from the end.
        lr: of AdamW, on pixels from 0 to 1.
        iterations: steps; 0 leaves the mosaics as they are.
        batch: images in one forward pass of the ranking.
        precision: of the teacher's forward passes while tiles are matched; the ranking, images, losses and AdamW's
            state stay in float32.
    """

    version = 2
    family = "distillation"
    even = True
    quick = {"iterations": 20, "candidates": 50}
    presets = {
        "imagenet1k": {"layer": -4},
        "small": {"layer": -1},
        "small_cpu": {"layer": -1},
    }
    teacher: str = "teacher"
    factor: int = Field(2, ge=1)
    candidates: int = Field(300, ge=1)
    layer: int | None = Field(None, lt=0)
    lr: float = Field(0.01, gt=0)
    iterations: int = Field(200, ge=0)
    batch: int = Field(100, ge=1)
    precision: Precision = "float32"

    def at(self, size: int) -> Self:
        """As for any preset.

        Raises:
            UsageError: no such preset, or the side is not divisible by the factor.
        """
        if size % self.factor:
            raise UsageError(
                f"{self.name}: images of {size} px do not fall into {self.factor} × {self.factor} equal tiles: "
                "take a factor that divides them"
            )
        return super().at(size)

    def together(self, ipc: int) -> int | None:
        """Each class by itself."""
        return 1

    def needs(self) -> tuple[Need, ...]:
        """The teacher."""
        return (Teacher(net=self.teacher),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Class after class."""
        spec, data, pixels = self.at(inputs.data.size), inputs.data, Pixels.of(inputs.data, inputs.device)
        ipc, classes = inputs.ipc(self.name), inputs.wanted()
        shape = (len(classes), ipc, *data.shape)
        images, initial = (inputs.kept.array(name, shape) for name in ("images", "initial"))
        traces = np.zeros((len(classes), self.iterations))
        with frozen(inputs.teachers[self.teacher]) as teacher:
            for place, c in enumerate(classes):
                done = inputs.kept.load(f"class-{c}")
                if done is None:
                    done = spec._one_class(inputs, teacher, pixels, c, ipc)
                    inputs.kept.save(f"class-{c}", done)
                initial[place], images[place], traces[place] = done["initial"], done["images"], done["trace"]
                inputs.progress(place + 1, len(classes))
        ends = {"loss_first": traces[:, 0], "loss_last": traces[:, -1]} if self.iterations else {}
        return Draft.synthesised(
            images.reshape(-1, *data.shape),
            np.repeat(classes, ipc),
            steps=self.iterations * len(classes),
            initial=initial.reshape(-1, *data.shape),
            mosaic=self.factor,
            notes={name: float(losses.mean()) for name, losses in ends.items()},
        )

    def _one_class(
        self, inputs: Inputs, teacher: nn.Module, pixels: Pixels, c: int, ipc: int
    ) -> dict[str, NDArray[Any]]:
        """Start and end, [ipc, C, S, S] uint8, and the loss at each iteration."""
        data, name = inputs.data, inputs.data.class_names[c]
        anchors = self._anchors(inputs, teacher, pixels, c, ipc * self.factor**2)
        start = mosaic(anchors, self.factor, data.size) / 255
        residual = torch.zeros_like(start, requires_grad=True)
        optimiser = torch.optim.AdamW([residual], self.lr)
        rng, norms = Generator().manual_seed(seed(inputs.seed, self.name, c)), FixedNorms()
        ops = OPS if data.flip else OPS[1:]
        features = within(lambda x: entering(teacher, x, self.layer or -1), self.precision)

        def step(t: int) -> Tensor:
            made = 255 * enlarged(start + residual, self.factor)
            pairs = pixels.normalise(torch.cat([anchors, made]))
            for op in ops:
                pairs = dsa.apply(pairs, dsa.draw(1, data.size, data.flip, rng, siamese=True, ops=(op,)))
            real, made = pairs.chunk(2)
            with norms, torch.no_grad():
                target = features(real)
            with norms:
                loss = (target - features(made)).abs().flatten(1).mean(1).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            return loss.detach()

        alone = replace(inputs, kept=Kept(), progress=silent)  # a class is kept when it is finished
        trace = learn(alone, f"{self.name}, class '{name}'", optimiser, step, self.iterations, {"residual": residual})
        begun, ended = ((255 * x).round().clamp(0, 255).to(torch.uint8) for x in (start, (start + residual).detach()))
        return {"initial": begun.cpu().numpy(), "images": ended.cpu().numpy(), "trace": trace.numpy()}

    def _anchors(self, inputs: Inputs, teacher: nn.Module, pixels: Pixels, c: int, keep: int) -> Tensor:
        """The easiest of the candidates of a class, easy first, [keep, C, S, S] on the scale 0 to 255."""
        data, members = inputs.data, np.flatnonzero(inputs.data.train.labels == c)
        if keep > len(members):
            raise DecoctError(
                f"class '{data.class_names[c]}' has {len(members)} images, but {self.name} with factor {self.factor} "
                f"needs {keep} anchors: lower --ipc or factor"
            )
        rng = np.random.default_rng(seed(inputs.seed, self.name, "candidates", c))
        members = rng.permutation(members)[: max(self.candidates, keep)]
        scores = of_whole(inputs, teacher, pixels, c, members, self.batch)
        return pixels.load(data.train.images[members[np.argsort(scores, kind="stable")[:keep]]])


def enlarged(images: Tensor, factor: int) -> Tensor:
    """The tiles of mosaics [n, C, S, S] at full size, [factor² · n, C, S, S]: tile k of image j is at k · n + j."""
    size = images.shape[-1]
    parts = images.unflatten(3, (factor, -1)).unflatten(2, (factor, -1)).permute(2, 4, 0, 1, 3, 5)
    return F.interpolate(parts.flatten(0, 2), (size, size), mode="bilinear", align_corners=False)
