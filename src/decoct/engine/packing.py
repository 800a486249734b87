"""Views in few bytes: what was drawn, in the smallest integers that hold it."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decoct.data.augmentation.augment import Mix
from decoct.engine.quantise import Arrays, smallest
from decoct.engine.views import TENSORS, View


def pack(views: list[View]) -> Arrays:
    """Views of single batches as small arrays."""
    whole = View.join(views)
    arrays: Arrays = {"sizes": _small(np.array(whole.sizes))}
    for name in TENSORS:
        value = getattr(whole, name)
        if value is not None:
            arrays[name] = np.packbits(value.numpy()) if value.dtype == torch.bool else _small(value.numpy())
    if whole.mixes:
        boxed = any(mix is not None and mix.box is not None for mix in whole.mixes)
        none = (0, 0, 0, 0) if boxed else None
        mixes = [mix or Mix(torch.arange(n), 1.0, none) for mix, n in zip(whole.mixes, whole.sizes, strict=True)]
        arrays["partners"] = _small(np.concatenate([mix.order.numpy() for mix in mixes]))
        if boxed:
            arrays["areas"] = _small(np.array([mix.box for mix in mixes]))
        else:
            arrays["shares"] = np.array([mix.share for mix in mixes])
    return arrays


def shapes(views: dict[str, Any], batches: int, images: int, boxed: bool) -> dict[str, tuple[int, ...]]:
    """Of the arrays that ``pack`` makes.

    Args:
        views: the recipe's fields that say what is drawn.
        batches: how many.
        images: of all batches.
        boxed: CutMix's boxes say how a batch is mixed, not shares.
    """
    found: dict[str, tuple[int, ...]] = {"sizes": (batches,), "rows": (images,)}
    if views["scale"]:
        found["boxes"] = (images, 4)
    elif views["pad"]:
        found["corners"] = (images, 2)
    if views["flip"]:
        found["mirrored"] = (math.ceil(images / 8),)
    if views["shuffle"] > 1:
        found["tiles"] = (images, 2, views["shuffle"])
    if views["cutmix"] or views["mixup"]:
        found["partners"] = (images,)
        found["areas" if boxed else "shares"] = (batches, 4) if boxed else (batches,)
    return found


def unpack(arrays: Arrays, span: slice, batch: int, size: int) -> View:
    """The view of one batch of images of a size: rows ``span`` of arrays by view, row ``batch`` of arrays by batch."""
    drawn: dict[str, Any] = {}
    for name in TENSORS:
        if name == "mirrored" and name in arrays:
            first = span.start // 8
            bits = np.unpackbits(arrays[name][first : math.ceil(span.stop / 8)])[span.start - 8 * first :]
            drawn[name] = torch.from_numpy(bits[: span.stop - span.start].astype(bool))
        elif name in arrays:
            drawn[name] = torch.from_numpy(arrays[name][span].astype(np.int64))
    mixes: tuple[Mix, ...] = ()
    if "partners" in arrays:
        order = torch.from_numpy(arrays["partners"][span].astype(np.int64))
        if "areas" in arrays:
            top, bottom, left, right = box = tuple(arrays["areas"][batch].tolist())
            mixes = (Mix(order, 1 - (bottom - top) * (right - left) / size**2, box),)
        else:
            mixes = (Mix(order, float(arrays["shares"][batch])),)
    return View(sizes=(span.stop - span.start,), mixes=mixes, **drawn)


def _small(values: NDArray[np.int64]) -> NDArray[np.unsignedinteger[Any]]:
    return values.astype(smallest(int(values.max(initial=0))))
