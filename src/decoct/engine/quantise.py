"""Soft labels in few bytes: half precision, 8 bits, the largest classes alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

LARGEST = float(np.finfo(np.float16).max)


def encode(logits: NDArray[np.float32], bits: int, top_k: int | None = None, temperature: float = 1.0) -> Arrays:
    """Logits [V, C] as small arrays of V rows each.

    With ``top_k``, the k largest logits of a row are kept with their classes; the others share one logit, such that
    they keep their mass at the temperature that the student learns at (marginal smoothing; Shen & Xing, 2022,
    arXiv:2112.01528). With 8 bits, a row runs in 255 equal steps from its least to its largest value.

    Args:
        logits: finite.
        bits: 16 or 8.
        top_k: classes to keep; None, or as many as there are, keeps all.
        temperature: of the softmax under which the mass of the others counts.
    """
    arrays: Arrays = {}
    values = logits
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


def smallest(largest: int) -> type[np.unsignedinteger[Any]]:
    """The smallest unsigned type that holds numbers up to ``largest``."""
    return next(kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if largest <= np.iinfo(kind).max)
