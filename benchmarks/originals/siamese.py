"""Draws of differentiable Siamese augmentation as the authors make them: in DC's code, which MTT and DATM have too."""

import math

import torch
from torch import Tensor

from decoct.data.augment import dsa

STRATEGY = "color_crop_cutout_flip_scale_rotate"
OPS = {"colour": "color"}  # where a transform has another name there
PARAMS = dsa.DSA()


def uniform(drawn: dsa.Drawn) -> list[Tensor]:
    """The numbers that the authors' code would have drawn for a transform of decoct: which one, then its parameters."""
    values = drawn.values
    which = torch.tensor(STRATEGY.split("_").index(OPS.get(drawn.op, drawn.op)))
    if drawn.op == "colour":
        shift, saturation, contrast = values.unbind(1)
        numbers = [shift / PARAMS.brightness + 0.5, saturation / PARAMS.saturation, contrast - PARAMS.contrast]
    elif drawn.op == "crop":
        numbers = list(values.unbind(1))
    elif drawn.op == "cutout":
        top, left, bottom, right = values.unbind(1)
        numbers = [top + (bottom - top) // 2, left + (right - left) // 2]
    elif drawn.op == "scale":
        height, width = ((values - 1 / PARAMS.scale) / (PARAMS.scale - 1 / PARAMS.scale)).unbind(1)
        numbers = [width, height]
    elif drawn.op == "rotate":
        numbers = [values / (2 * math.radians(PARAMS.rotate)) + 0.5]
    else:
        numbers = [(~values).to(torch.get_default_dtype())]
    return [which, *numbers]
