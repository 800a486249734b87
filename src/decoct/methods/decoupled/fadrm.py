"""FADRM: short stages at changing sizes; after each, the real patch is mixed back in."""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from decoct.methods.decoupled._shared.recovery import FromPatches, Workpiece

LARGE = {
    **{"lr": 0.25, "iterations": 2000, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0), "block": 100},
    **{"stages": 4, "shrink": 200 / 224},
}
LITTLE = {**LARGE, "jitter": 4, "shrink": 1.0}
PLUS = ("resnet18.tv_in1k", "densenet121.tv_in1k", "shufflenet_v2_x1_0.tv_in1k", "mobilenet_v2.tv_in1k")


class FADRM(FromPatches):
    """Fast and accurate data residual matching (Cui et al., 2025, arXiv:2506.24125).

    An image starts at a real patch P and is optimised in ``stages`` of equal length, each with a fresh Adam, along one
    cosine: at S pixels in the last stage, at ``shrink`` · S in the one before it, and so on in turn. After each stage
    but the last it is resized to the next size, and the next one starts at  α x + (1 − α) P  of that size. Several nets
    (FADRM+) judge in turn, one per iteration. Patches are RDED's crops, taken around the median, since the authors' own
    are a download; nets compute in float32 unless ``precision`` says otherwise; theirs run in half precision. Up to 64
    px the presets keep one size; nets that know one size, such as ConvNets, need ``shrink = 1``.

    Presets: ``imagenet1k``, ``imagenette``, ``imagewoof``, ``tiny`` and ``cifar100``, the authors' for one net;
    ``imagenet1k_plus``, FADRM+ (at IPC 1 theirs has MobileNet, ShuffleNet and AlexNet behind ResNet-18);
    ``small``, made for 28 to 64 px: ``cifar100`` with a crop of (.5, 1); ``small_cpu``, made for two cores: ``small``
    with three nets in turn that are cheap at 28 px, 500 iterations.

    Attributes:
        stages: of equal length.
        shrink: size in every other stage, as a share of the images'.
        alpha: α, share of the image in making when the patch is mixed back in.
    """

    in_turn = True
    presets = {
        "imagenet1k": LARGE,
        "imagenet1k_plus": {**LARGE, "nets": PLUS},
        "imagenette": {**LARGE, "lr": 0.05, "block": 10},
        "imagewoof": {**LARGE, "block": 10},
        "tiny": {**LITTLE, "lr": 0.01, "iterations": 1000, "stages": 2},
        "cifar100": LITTLE,
        "small": {**LITTLE, "scale": (0.5, 1.0)},
        "small_cpu": {
            **LITTLE,
            **{"nets": ("convnet3_bn", "resnet10t", "test_resnet"), "iterations": 500, "scale": (0.5, 1.0)},
        },
    }
    stages: int | None = Field(None, ge=1)
    shrink: float | None = Field(None, gt=0, le=1)
    alpha: float = Field(0.5, ge=0, le=1)

    def optimise(self, work: Workpiece, images: Tensor) -> Tensor:
        """Stages, with the residual between them."""
        stages, total, size = self.stages or 1, self.iterations or 1, images.shape[-1]
        small = round(size * (self.shrink or 1.0))
        sizes = [size if (stages - 1 - k) % 2 == 0 else small for k in range(stages)]  # the last is whole
        x = resize(images, sizes[0])
        for k in range(stages):
            x = work.stage(x, total * k // stages, total * (k + 1) // stages)
            if k + 1 < stages:
                x = residual(resize(x, sizes[k + 1]), resize(images, sizes[k + 1]), self.alpha)
        return x


def residual(x: Tensor, patch: Tensor, alpha: float) -> Tensor:
    """α x + (1 − α) P."""
    return torch.lerp(patch, x, alpha)


def resize(images: Tensor, size: int) -> Tensor:
    """[G, B, C, S, S] to another S, bilinearly."""
    if images.shape[-1] == size:
        return images
    flat = F.interpolate(images.flatten(0, 1), (size, size), mode="bilinear", align_corners=False)
    whole: Tensor = flat.unflatten(0, images.shape[:2])
    return whole
