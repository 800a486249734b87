"""CIM: mosaics of real images plus a residual that brings each tile's features to those of its image at full size."""

from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Condenser, Draft, Inputs, Need, Teacher
from decoct.core.seeds import seed
from decoct.data import dsa
from decoct.engine.invert import EVERY, frozen
from decoct.engine.patches import difficulty, easiest, mosaic
from decoct.engine.pixels import Pixels
from decoct.engine.starts import whole
from decoct.nets.layout import as_input

OPS: tuple[dsa.Op, ...] = ("crop", "cutout", "flip")


class CIM(Condenser):
    """Direct matching to real anchors (authors of LINs-lab/CIM, ECCV 2026; from their code, the text differs).

    Of each class, the ipc · f² images, of the first ``candidates``, that the teacher finds easiest are the anchors.
    Tile k of image j is anchor k · ipc + j at S/f pixels; a residual on the mosaic starts at 0 and is optimised by
    AdamW, all images of the class at once: tiles are enlarged to S, anchors and tiles go through one shared crop,
    cutout or flip, and the mean of |φ(anchor) − φ(tile)| over pairs is minimised, φ the input of a child of the
    frozen teacher. Pixels are clamped once, when they are stored. The code reads the first images of a class in
    folder order; here too.

    Attributes:
        teacher: whose features are matched.
        factor: f.
        candidates: images of a class that are looked at.
        layer: which child of the net φ goes into, counted from the end; None for −1 up to 64 px, the pooled features,
            and −4 above, as for ResNet-18 on ImageNet-1K.
        lr: of AdamW, on pixels from 0 to 1.
        iterations: steps.
        batch: images in one forward pass of the ranking.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "distillation"
    quick: ClassVar[dict[str, Any]] = {"iterations": 20, "candidates": 50}
    teacher: str = "teacher"
    factor: int = Field(2, ge=1)
    candidates: int = Field(300, ge=1)
    layer: int | None = Field(None, lt=0)
    lr: float = Field(0.01, gt=0)
    iterations: int = Field(200, ge=1)
    batch: int = Field(100, ge=1)

    def at(self, size: int) -> Self:
        """The layer of the resolution.

        Raises:
            UsageError: the side is not divisible by the factor.
        """
        if size % self.factor:
            raise UsageError(
                f"{self.name}: images of {size} px do not fall into {self.factor} × {self.factor} equal tiles: "
                "take a factor that divides them"
            )
        return self.model_copy(update={"layer": self.layer or (-1 if size <= 64 else -4)})

    def together(self, ipc: int) -> int | None:
        """Each class by itself."""
        return 1

    def needs(self) -> tuple[Need, ...]:
        """The teacher."""
        return (Teacher(net=self.teacher),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Class after class."""
        spec, data, pixels = self.at(inputs.data.size), inputs.data, Pixels.of(inputs.data, inputs.device)
        (ipc, *_), classes, factor = inputs.quotas(), inputs.wanted(), self.factor
        shape = (len(classes), ipc, *data.shape)
        images, initial = (inputs.kept.array(name, shape) for name in ("images", "initial"))
        losses = np.zeros((2, len(classes)))
        with frozen(inputs.teachers[self.teacher]) as teacher:
            for place, c in enumerate(classes):
                done = inputs.kept.load(f"class-{c}")
                if done is None:
                    begun, ended, first, last = spec._one_class(inputs, teacher, pixels, c, ipc, factor)
                    done = {"initial": begun, "images": ended, "loss": np.array([first, last])}
                    inputs.kept.save(f"class-{c}", done)
                initial[place], images[place], losses[:, place] = done["initial"], done["images"], done["loss"]
                inputs.progress(place + 1, len(classes))
        first, last = losses.mean(1).tolist()
        return Draft.synthesised(
            images.reshape(-1, *data.shape),
            np.repeat(classes, ipc),
            steps=self.iterations * len(classes),
            initial=initial.reshape(-1, *data.shape),
            mosaic=factor,
            notes={"loss_first": first, "loss_last": last},
        )

    def _one_class(
        self, inputs: Inputs, teacher: nn.Module, pixels: Pixels, c: int, ipc: int, factor: int
    ) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Start and end [ipc, C, S, S] uint8, and the first and last loss."""
        data, keep = inputs.data, ipc * factor**2
        members = np.flatnonzero(data.train.labels == c)
        if keep > len(members):
            raise DecoctError(
                f"class '{data.class_names[c]}' has {len(members)} images, but {self.name} with factor {factor} needs "
                f"{keep} anchors: lower --ipc or factor"
            )
        members = members[: max(self.candidates, keep)]
        _, boxes = whole(members, data.size)
        scores = difficulty(teacher, data.train.images, members, boxes[:, None], c, data.size, pixels, self.batch)
        best, _ = easiest(scores, keep)
        anchors = pixels.load(data.train.images[members[best]])
        side = data.size // factor
        start = mosaic(F.interpolate(anchors, (side, side), mode="bilinear", antialias=True), factor, data.size) / 255
        residual = torch.zeros_like(start, requires_grad=True)
        optimiser = torch.optim.AdamW([residual], self.lr)
        rng, trace = Generator().manual_seed(seed(inputs.seed, self.name, c)), []
        ops = OPS if data.flip else OPS[:-1]
        for t in range(self.iterations):
            drawn = dsa.draw(1, data.size, data.flip, rng, siamese=True, ops=ops)
            pairs = dsa.apply(pixels.normalise(torch.cat([anchors, 255 * enlarged(start + residual, factor)])), drawn)
            real, made = features(teacher, pairs, self.layer or -1).chunk(2)
            loss = (real.detach() - made).abs().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            trace.append(loss.detach())
            if t % EVERY == EVERY - 1 or t + 1 == self.iterations:
                self._check_finite(torch.stack(trace), data.class_names[c])
        begun, ended = ((255 * x).round().clamp(0, 255).to(torch.uint8) for x in (start, (start + residual).detach()))
        return begun.cpu().numpy(), ended.cpu().numpy(), float(trace[0]), float(trace[-1])

    def _check_finite(self, trace: Tensor, name: str) -> None:
        bad = (~trace.isfinite()).nonzero()
        if len(bad):
            t = int(bad[0])
            before = f"it was {float(trace[t - 1]):.4g} the iteration before" if t else "from the start"
            raise DecoctError(
                f"{self.name}: the loss of class '{name}' is not finite at iteration {t + 1} of {self.iterations} "
                f"({before}): lower lr"
            )


def enlarged(images: Tensor, factor: int) -> Tensor:
    """The tiles of mosaics [n, C, S, S] at full size, [factor² · n, C, S, S]: tile k of image j is at k · n + j."""
    size = images.shape[-1]
    parts = images.unflatten(3, (factor, -1)).unflatten(2, (factor, -1)).permute(2, 4, 0, 1, 3, 5)
    return F.interpolate(parts.flatten(0, 2), (size, size), mode="bilinear", align_corners=False)


class _Reached(Exception):  # noqa: N818, no error
    """The forward pass has come as far as it has to."""


def features(net: nn.Module, images: Tensor, layer: int) -> Tensor:
    """What goes into a child of the net, counted from the end; the rest of the net is not run."""
    children = list(net.children())
    if len(children) < -layer:
        raise UsageError(f"cim: {type(net).__name__} has {len(children)} children, none at layer {layer}: raise layer")
    seen: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0])
        raise _Reached

    handle = children[layer].register_forward_pre_hook(keep)
    try:
        net(as_input(images, net))
    except _Reached:
        pass
    finally:
        handle.remove()
    return seen[0]
