"""Evaluation: which images a trained net classifies correctly. Only here do students see test images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from decoct.data.dataset import Dataset, Split
from decoct.data.pixels import Pixels
from decoct.nets.features import at_once
from decoct.nets.room import Halving

ON_CPU, ON_GPU = 128, 1000  # images at once; maps of 128 stay in the cache, which makes narrow nets twice as fast


@torch.inference_mode()
def correct(net: nn.Module, split: Split, data: Dataset, device: str, batch: int | None = None) -> NDArray[np.bool_]:
    """[N] whether the top class of a net, in eval mode on ``device``, is the label, for a split of the data.

    The split is read block by block in one pass, ``batch`` images at a time: as many as the device
    likes, fewer where they are large.
    """
    pixels = Pixels.seen(data, device)
    right, halving = np.empty(len(split), dtype=bool), Halving("evaluation", device)

    def top(block: NDArray[np.uint8]) -> NDArray[np.int64]:
        best: NDArray[np.int64] = net(pixels.normalise(pixels.load(np.array(block)))).argmax(1).cpu().numpy()
        return best

    height, width = split.images.shape[-2:]
    batch = batch or at_once(height, width, ON_CPU if device == "cpu" else ON_GPU)
    for rows, block in split.batches(batch, alone=device == "cpu"):
        right[rows] = np.concatenate(list(halving(top, block))) == split.labels[rows]
    return right
