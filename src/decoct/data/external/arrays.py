"""Sets that are a few named arrays in one file: .npz, .safetensors, or .pt and .pth of torch."""

import math
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from safetensors import safe_open

from decoct.core import tensorfile
from decoct.core.errors import DecoctError
from decoct.core.notation import from_json
from decoct.data.external.stored import IMAGES, LABELS, NAMES, RATE, SOFT, WEIGHTS, SetFormat, Stored, readable

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
SAVE = "save {'images': tensor, 'labels': tensor}"


def read_npz(path: Path, how: SetFormat) -> Stored:
    """``np.savez(file, images=…, labels=…)`` and any other arrays in it, without unpickling."""
    hint = "get it again, or save plain arrays of numbers: Python objects are not unpickled"
    with readable(path, "no NumPy archive", hint):
        arrays = in_npz(path)
    return from_arrays(arrays, path, "npz")


def in_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name; it raises whatever NumPy's parser stumbles on."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:  # noqa: TID251
        _check_sizes(archive.zip)
        return {name: archive[name] for name in archive.files}


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Raise a ValueError of an array whose header states another size than its bytes have, or of more than memory."""
    members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if (total := sum(info.file_size for info in members)) > (free := psutil.virtual_memory().available):
        raise ValueError(f"its arrays take {total / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB of memory are free")
    for info in members:
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            header = HEADERS.get(version)
            if header is None:
                raise ValueError(f"'{info.filename}' has a header of version {version}")
            shape, _, dtype = header(member)
            if (size := math.prod(shape) * dtype.itemsize) != info.file_size - member.tell():
                raise ValueError(f"the header of '{info.filename}' states {size:,} bytes, and it has others")


def read_safetensors(path: Path, how: SetFormat) -> Stored:
    """The tensors; class names may stand in the file's metadata as JSON, under ``class_names``."""
    with readable(path, "not to be read as safetensors", "get it again, or save float32"):
        arrays = dict(tensorfile.read(path))
        with safe_open(path, framework="numpy") as file:
            names = from_json((file.metadata() or {}).get("class_names", "null"))
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise DecoctError(f"{path}: class_names in its metadata must be a JSON list of names")
    return from_arrays(arrays | ({"class_names": names} if names else {}), path, "safetensors")


def read_torch(path: Path, how: SetFormat) -> Stored:
    """Tensors alone (``weights_only=True``).

    These forms are known: ``{"images": …, "labels": …}``; ``(images, labels)``; ``{"data": [[images, labels], …]}`` or
    the list alone, one pair for each experiment (Dataset Condensation and its descendants); a bare tensor of images in
    ``images….pt`` with its labels beside it in ``labels….pt`` (MTT, DATM), and its learnt rate in ``lr….pt`` (DATM).

    Raises:
        DecoctError: truncated, more than tensors, none of these forms, or several sets and none of them named.
    """
    held = _load(path)
    if isinstance(held, dict) and isinstance(held.get("data"), (list, tuple)):
        held = held["data"]
    if _is_tensor(held):
        beside = path.with_name(path.name.replace("images", "lr", 1))
        rate = {"rate": _load(beside)} if beside != path and beside.is_file() else {}
        held = {"images": held, "labels": _load(_labels_of(path)), **rate}
    if isinstance(held, (list, tuple)) and held and all(_is_pair(one) for one in held):
        held = _chosen(held, path, how)
    if _is_pair(held):
        held = {"images": held[0], "labels": held[1]}
    if not isinstance(held, dict):
        raise DecoctError(
            f"{path} holds a {type(held).__name__} of a form that is not known\n{SAVE}, or the pair (images, labels)"
        )
    arrays = {name: _array(value, f"{path}: '{name}'") for name, value in held.items() if _is_array(value)}
    if isinstance(names := held.get("class_names"), (list, tuple)) and all(isinstance(name, str) for name in names):
        arrays["class_names"] = np.array(names)
    return from_arrays(arrays, path, "pt")


def from_arrays(arrays: Mapping[str, Any], where: object, format: str) -> Stored:
    """The set that named arrays make; labels with two axes are soft ones, and the largest of a row is its class.

    Raises:
        DecoctError: no images, no labels, or two arrays that could both be them.
    """
    images, labels = _one(arrays, IMAGES, where), _one(arrays, (*LABELS, *SOFT), where, several=True)
    soft, weights, names, rate = (_one(arrays, words, where, needed=False) for words in (SOFT, WEIGHTS, NAMES, RATE))
    if rate is not None and np.size(rate) != 1:
        raise DecoctError(f"{where} holds {np.size(rate)} learnt rates: a set has one, a number")
    parts = {"images": images, "labels": labels, "soft_labels": soft, "weights": weights, "rate": rate}
    for name, value in parts.items():
        array = np.asarray(() if value is None else value)
        if array.dtype.kind not in ("biufU" if name == "labels" else "biuf"):
            raise DecoctError(f"{where}: {name.replace('_', ' ')} are of the type {array.dtype}, which is no number")
        if array.ndim == 0 and name != "rate":
            raise DecoctError(f"{where}: {name.replace('_', ' ')} are a single value, not an array")
    labels, soft = hard_and_soft(np.asarray(labels), None if soft is None else np.asarray(soft))
    return Stored(
        images=np.asarray(images),
        labels=labels.tolist() if labels.dtype.kind == "U" else labels,
        format=format,
        class_names=None if names is None else tuple(map(str, np.asarray(names).tolist())),
        soft_labels=soft,
        weights=None if weights is None else np.asarray(weights),
        rate=None if rate is None else float(np.asarray(rate).reshape(())),
    )


def hard_and_soft(labels: NDArray[Any], soft: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Classes [n] and soft labels [n, classes], or None, of labels that may be either."""
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind == "f":
        return labels.argmax(1), labels if soft is None else soft
    if labels.ndim == 2 and labels.shape[1] > 1 and set(np.unique(labels).tolist()) <= {0, 1}:
        return labels.argmax(1), soft  # one-hot
    return labels.reshape(-1) if labels.ndim == 2 else labels, soft


def _one(
    arrays: Mapping[str, Any], words: Sequence[str], where: object, needed: bool = True, several: bool = False
) -> Any:
    """The array under one of the names."""
    there = [word for word in words if word in arrays]
    if not there and needed:
        names = ", ".join(map(str, list(arrays)[:8])) or "nothing"
        raise DecoctError(f"{where} holds {names}: it needs '{words[0]}' (or {', '.join(words[1:])})")
    if len(there) > 1 and not several:
        raise DecoctError(f"{where} holds '{there[0]}' and '{there[1]}', which could both be meant: leave one out")
    return arrays[there[0]] if there else None


def _load(path: Path) -> Any:
    import torch

    with readable(path, "no file of torch", "get it again"):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise DecoctError(
                f"{path} holds more than tensors, and other objects are not unpickled (or it is damaged)\n"
                f"{SAVE} with torch.save"
            ) from error


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
        raise DecoctError(f"{what} is not a plain tensor of numbers")
    return (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()
