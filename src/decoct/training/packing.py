"""Soft labels and their views in few bytes: the largest logits in half precision or 8 bits, and small integers."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decoct.data.augment.augment import Mix
from decoct.training.views import TENSORS, View

Arrays = dict[str, NDArray[Any]]

LARGEST = float(np.finfo(np.float16).max)


def encode(logits: NDArray[np.float32], bits: int, top_k: int | None = None, temperature: float = 1.0) -> Arrays:
    """Logits [V, C] as small arrays of V rows each.

    With ``top_k``, the k largest logits of a row are kept with their classes; the others share one logit, such that
    they keep their mass at the temperature that the student learns at (marginal smoothing; Shen & Xing, 2022,
    arXiv:2112.01528). With 8 bits instead of 16, a row runs in 255 equal steps from its least to its largest value.
    """
    arrays, values = Arrays(), logits
    if top_k is not None and top_k < logits.shape[1]:
        kept = np.argpartition(-logits, top_k - 1, axis=1)[:, :top_k]
        kept.sort(axis=1)
        arrays["classes"] = kept.astype(smallest(logits.shape[1] - 1))
        largest = np.take_along_axis(logits, kept, 1)
        others = logits.astype(np.float64) / temperature
        np.put_along_axis(others, kept, -np.inf, 1)
        peak = others.max(1, keepdims=True)
        mean = np.exp(others - peak).sum(1, keepdims=True) / (logits.shape[1] - top_k)
        rest = temperature * (peak + np.log(mean))
        values = np.concatenate([largest, rest.astype(np.float32)], 1)
    if bits == 16:
        return arrays | {"values": values.clip(-LARGEST, LARGEST).astype(np.float16)}
    low = values.min(1, keepdims=True).clip(-LARGEST, LARGEST).astype(np.float16)
    span = np.maximum(values.max(1, keepdims=True) - low.astype(np.float32), 0)
    step = (span / 255).clip(0, LARGEST).astype(np.float16)
    width = np.where(step > 0, step, 1).astype(np.float32)
    codes = np.rint((values - low.astype(np.float32)) / width).clip(0, 255).astype(np.uint8)
    return arrays | {"codes": codes, "range": np.concatenate([low, step], 1)}


def decode(arrays: Arrays, classes: int) -> NDArray[np.float32]:
    """Logits [V, classes] of what ``encode`` gave, or of some of its rows."""
    if "values" in arrays:
        values = arrays["values"].astype(np.float32)
    else:
        low, step = arrays["range"].astype(np.float32).T[:, :, None]
        values = low + arrays["codes"].astype(np.float32) * step
    if "classes" not in arrays:
        return values
    logits = np.repeat(values[:, -1:], classes, 1)
    np.put_along_axis(logits, arrays["classes"].astype(np.int64), values[:, :-1], 1)
    return logits


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
    """Of the arrays that ``pack`` makes of batches with so many images in all; ``boxed`` if they are mixed by CutMix.

    ``views`` are the recipe's fields that say what is drawn.
    """
    mixed = views["cutmix"] or views["mixup"]
    drawn: dict[str, tuple[Any, tuple[int, ...]]] = {
        "sizes": (True, (batches,)),
        "rows": (True, (images,)),
        "boxes": (views["scale"], (images, 4)),
        "corners": (views["pad"] and not views["scale"], (images, 2)),
        "mirrored": (views["flip"], (math.ceil(images / 8),)),
        "tiles": (views["shuffle"] > 1, (images, 2, views["shuffle"])),
        "partners": (mixed, (images,)),
        "areas": (mixed and boxed, (batches, 4)),
        "shares": (mixed and not boxed, (batches,)),
    }
    return {name: shape for name, (is_there, shape) in drawn.items() if is_there}


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


def smallest(largest: int) -> type[np.unsignedinteger[Any]]:
    """The smallest unsigned type that holds numbers up to ``largest``."""
    return next(kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if largest <= np.iinfo(kind).max)


def _small(values: NDArray[np.int64]) -> NDArray[np.unsignedinteger[Any]]:
    return values.astype(smallest(int(values.max(initial=0))))
