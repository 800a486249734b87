"""Any map-style data set in Python: ``data[i]`` gives a picture and a label, or both by these names.

torchvision's class folders, which have ``samples``, are read as files. Of any other, pictures are asked for once, in
order, and again when they are exported: it must give the same each time, and is held in this process until then.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import STRAINED, blame
from decoct.data.reading.decode import DecodeError, flat
from decoct.shrinking.pool import TRAIN
from decoct.shrinking.reading.sources import hub
from decoct.shrinking.reading.sources.listing import Listing, Place, by_name, check_classes, said, split_named, state_of

KEPT_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # that PNG holds as they are
PICTURE = ("image", "img")  # what it is called where an item has names
_HELD: dict[str, tuple[str, dict[str, Any]]] = {}  # by the folder of a pool: how it was asked for, and the data sets


def listing(source: Any) -> Listing:
    """The pictures of a data set, or of several by split, ``{"train": …, "test": …}``.

    Raises:
        UsageError: it is no data set, or a key names no split.
        DecoctError: labels or pictures are of no known kind.
    """
    parts = by_split(source)
    name = " + ".join(dict.fromkeys(type(part).__name__ for part in parts.values()))
    if all(hasattr(part, "column_names") and hasattr(part, "features") for part in parts.values()):
        return hub.of_tables(name, parts, None, {"kind": "mapped"})
    splits = {key: split_named(str(key)) for key in parts}
    if wrong := [key for key, split in splits.items() if split is None]:
        raise UsageError(f'\'{wrong[0]}\' is no split: give data sets as {{"train": …, "val": …, "test": …}}')
    for part in parts.values():
        if not (hasattr(part, "__getitem__") and hasattr(part, "__len__")) or isinstance(part, str | bytes):
            raise UsageError(f"{type(part).__name__} is no map-style data set: it needs len(data) and data[i]")
        if not len(part):
            raise DecoctError(f"{type(part).__name__} is empty")
    split = np.concatenate([np.full(len(part), splits[key] or TRAIN, np.int8) for key, part in parts.items()])
    files = {key: _files(part) for key, part in parts.items()}
    if all(files.values()):
        return _of_files(name, parts, {key: each for key, each in files.items() if each}, split)
    return _of_items(name, parts, split)


def by_split(source: Any) -> dict[str, Any]:
    """Data sets by split; one alone is train."""
    return {str(key): part for key, part in source.items()} if isinstance(source, Mapping) else {"train": source}


def hold(folder: Path, asked: str, source: Any) -> None:
    """Remember what a pool was made of, for ``original`` and for being asked for again."""
    _HELD[str(folder)] = asked, by_split(source)


def held(asked: str, source: Any) -> Path | None:
    """The pool that was made of these very objects, asked for in the same way."""
    mine = by_split(source)
    for folder, (how, parts) in _HELD.items():
        if how == asked and parts.keys() == mine.keys() and all(parts[key] is mine[key] for key in mine):
            return Path(folder)
    return None


def original(folder: str, path: str) -> Image.Image | NDArray[np.uint8] | bytes:
    """The picture of a pool's image as its data set gives it, by "SPLIT/ROW"; bytes where it is stored as a file.

    Raises:
        DecoctError: the data set is not in this process.
    """
    if folder not in _HELD:
        raise DecoctError(
            "the pictures are in a Python data set that this process does not have: shrink and export in one program"
        )
    parts = _HELD[folder][1]
    key, _, row = path.rpartition("/")
    if hasattr(parts[key], "column_names"):
        return hub.bytes_of(hub.undecoded_of(parts[key]), path, int(row))
    picture, _ = _pair(parts[key][int(row)])
    return picture if isinstance(picture, Image.Image) and picture.mode in KEPT_MODES else pixels(picture)


def pixels(picture: Any) -> NDArray[np.uint8]:
    """A PIL image, an array or a tensor as [H, W] or [H, W, 3] uint8.

    Arrays are [H, W], [H, W, C] or [C, H, W], with C 1, 3 or 4; uint8, or floating-point from 0 to 1.

    Raises:
        DecodeError: it is none of these.
    """
    if isinstance(picture, Image.Image):
        return np.asarray(flat(picture))
    array = np.asarray(picture.detach().cpu() if hasattr(picture, "detach") else picture)
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)):
        raise DecodeError(f"a picture is [H, W], [H, W, C] or [C, H, W], not {type(picture).__name__} {array.shape}")
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise DecodeError("floating-point pixels are from 0 to 1: leave Normalize out of its transform")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise DecodeError(f"pixels are uint8, or floating-point from 0 to 1, not {array.dtype}")
    array = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    return np.asarray(flat(Image.fromarray(np.ascontiguousarray(array))))


def _of_items(source: str, parts: Mapping[str, Any], split: NDArray[np.int8]) -> Listing:
    """Labels are known when all pictures have been asked for."""
    rows = [(key, row) for key, part in parts.items() for row in range(len(part))]
    names: list[str] = [""] * len(rows)

    def place(number: int) -> Place:
        key, row = rows[number]
        try:
            picture, label = _pair(parts[key][row])
        except Exception as error:  # whatever the user's code raises
            blame(error, STRAINED)
            return DecodeError(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        names[number] = _named(label, parts[key])
        try:
            return pixels(picture)
        except DecodeError as error:
            return error
        except OSError as error:  # a lazy PIL image that is damaged
            blame(error, STRAINED)
            return DecodeError(str(error))

    return Listing(
        source,
        (),
        np.zeros(len(rows), dtype=np.int64),
        split,
        [f"{key}/{row}" for key, row in rows],
        place,
        None,
        {"kind": "mapped"},
        held=True,
        later=lambda read: by_name([name for name, good in zip(names, read, strict=True) if good]),
    )


def _pair(item: Any) -> tuple[Any, Any]:
    """Picture and label of an item: its first two values, or those called so."""
    if not isinstance(item, Mapping):
        return item[0], item[1]
    picture = next((name for name in PICTURE if name in item), None)
    if picture is None or "label" not in item:
        raise KeyError(f"an item has {', '.join(map(str, item))}, not image and label")
    return item[picture], item["label"]


def _of_files(
    source: str, parts: Mapping[str, Any], files: Mapping[str, list[tuple[str, int]]], split: NDArray[np.int8]
) -> Listing:
    paths = [said(Path(path)) for each in files.values() for path, _ in each]
    class_names, labels = by_name([_named(label, parts[key]) for key, each in files.items() for _, label in each])
    check_classes(class_names, labels, split, source)
    state = state_of(paths, *class_names, str(labels.tolist()), str(split.tolist()))
    return Listing(source, class_names, labels, split, paths, paths.__getitem__, state, {"kind": "folder", "root": "/"})


def _files(part: Any) -> list[tuple[str, int]] | None:
    """File and label of each picture, where a data set, or the one that it is a part of, has torchvision's samples."""
    if hasattr(part, "indices") and hasattr(part, "dataset"):
        whole = _files(part.dataset)
        return whole and [whole[int(row)] for row in part.indices]
    samples = getattr(part, "samples", None)
    if not isinstance(samples, list) or len(samples) != len(part):
        return None
    given = all(isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str) for each in samples)
    return samples if given and Path(samples[0][0]).is_file() else None


def _named(label: Any, part: Any) -> str:
    """The class of a label, by name where the data set has ``classes``.

    Raises:
        DecoctError: it is no number and no word.
    """
    while not hasattr(part, "classes") and hasattr(part, "dataset"):  # a part of another
        part = part.dataset
    value = label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise DecoctError(f"a label is a whole number or a word, not {type(label).__name__}: give one class per image")
    classes = getattr(part, "classes", None)
    named = isinstance(classes, list | tuple) and 0 <= value < len(classes)
    return str(classes[value]) if named else str(value)  # type: ignore[index]
