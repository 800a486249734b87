"""A set in a file of torch: a dictionary, a pair, a list of pairs as DC, DSA and DM save them, or MTT's two files."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from decoct.core.errors import DecoctError
from decoct.data.foreign.stored import SetFormat, Stored, from_arrays


def read(path: Path, how: SetFormat) -> Stored:
    """Read tensors alone (``weights_only=True``).

    These forms are known: ``{"images": …, "labels": …}``; ``(images, labels)``; ``{"data": [[images, labels], …]}`` or
    the list alone, one pair for each experiment (Dataset Condensation and its descendants); a bare tensor of images in
    ``images….pt`` with its labels beside it in ``labels….pt`` (MTT, DATM).

    Raises:
        DecoctError: truncated, more than tensors, none of these forms, or several sets and none of them named.
    """
    found = _load(path)
    if isinstance(found, dict) and isinstance(found.get("data"), (list, tuple)):
        found = found["data"]
    if _is_tensor(found):
        found = (found, _load(_labels_of(path)))
    if isinstance(found, (list, tuple)) and found and all(_is_pair(one) for one in found):
        found = _chosen(found, path, how)
    if _is_pair(found):
        found = {"images": found[0], "labels": found[1]}
    if not isinstance(found, dict):
        raise DecoctError(
            f"{path} holds a {type(found).__name__} of a form that is not known\n"
            "save {'images': tensor, 'labels': tensor}, or the pair (images, labels)"
        )
    arrays = {name: _array(value, f"{path}: '{name}'") for name, value in found.items() if _is_array(value)}
    if isinstance(names := found.get("class_names"), (list, tuple)) and all(isinstance(name, str) for name in names):
        arrays["class_names"] = np.array(names)
    return from_arrays(arrays, path, "pt")


def _load(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DecoctError(
            f"{path} holds more than tensors, and other objects are not unpickled (or it is damaged)\n"
            "save {'images': tensor, 'labels': tensor} with torch.save"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        why = " ".join(str(error).split())[:120]
        raise DecoctError(f"{path} is damaged or no file of torch ({why}): get it again") from error


def _chosen(pairs: Any, path: Path, how: SetFormat) -> Any:
    if how.number is None and len(pairs) > 1:
        raise DecoctError(f"{path} holds {len(pairs)} sets: say which with --number, from 0 to {len(pairs) - 1}")
    number = how.number or 0
    if number >= len(pairs):
        raise DecoctError(f"{path} holds {len(pairs)} sets, numbered from 0: there is none of number {number}")
    return pairs[number]


def _labels_of(path: Path) -> Path:
    beside = path.with_name(path.name.replace("images", "labels", 1))
    if beside == path or not beside.is_file():
        raise DecoctError(
            f"{path} holds images alone: put their labels beside it, in labels….pt for images….pt, or save both in one"
        )
    return beside


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _is_array(value: Any) -> bool:
    return _is_tensor(value) or (isinstance(value, (list, tuple)) and all(isinstance(x, (int, float)) for x in value))


def _is_pair(value: Any) -> bool:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    return pair and _is_tensor(value[0]) and value[0].ndim >= 3 and _is_array(value[1])


def _array(value: Any, what: str) -> Any:
    import torch

    tensor = value if _is_tensor(value) else torch.tensor(value)
    if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        raise DecoctError(f"{what} is no plain tensor of numbers")
    return (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()
