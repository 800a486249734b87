"""Evaluation: which images a trained net classifies correctly. Only here do students see test images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from decoct.data.dataset import Dataset, Split
from decoct.data.pixels import Pixels
from decoct.nets.features import at_once
from decoct.nets.room import Halving


@torch.inference_mode()
def correct(net: nn.Module, split: Split, data: Dataset, device: str, batch: int | None = None) -> NDArray[np.bool_]:
    """[N] whether the top class of a net, in eval mode on ``device``, is the label, for a split of the data.

    The split is read block by block in one pass, ``batch`` images at a time: 1,000, or fewer where they are large.
    """
    pixels = Pixels.seen(data, device)
    right, halving = np.empty(len(split), dtype=bool), Halving("evaluation", device)

    def top(block: NDArray[np.uint8]) -> NDArray[np.int64]:
        best: NDArray[np.int64] = net(pixels.normalise(pixels.load(np.array(block)))).argmax(1).cpu().numpy()
        return best

    height, width = split.images.shape[-2:]
    for rows, block in split.batches(batch or at_once(height, width, 1000), alone=device == "cpu"):
        right[rows] = np.concatenate(list(halving(top, block))) == split.labels[rows]
    return right
