"""What every kind of source gives: which pictures there are, of which class and split, and how to get each."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.data.reading.decode import DecodeError
from decoct.shrinking.pool import TEST, TRAIN, VAL

SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
ALIASES = {"training": TRAIN, "validation": VAL, "valid": VAL, "dev": VAL, "testing": TEST}

# Where a picture is: a file, part of one (path, first byte, bytes), its bytes, its pixels [H, W] or [H, W, 3] uint8, or
# why it cannot be read.
Place = str | tuple[str, int, int] | bytes | NDArray[np.uint8] | DecodeError


@dataclass(frozen=True, eq=False)
class Listing:
    """All pictures of a source, in its order, before any is decoded.

    Attributes:
        source: what the user named.
        class_names: in label order.
        labels: [N] int64.
        split: [N] int8.
        paths: of each, as the user knows it.
        place: gives where a row's picture is.
        state: a digest that changes with the source; None where only its pixels can tell.
        facts: its ``kind``, and what that needs to give a file again.
        columns: what else the source says of each picture, by name.
        arrays: [N, …] that the pool is to keep.
        held: pictures come through this process, so fewer of them are taken at a time.
        shape: width and height of all pictures, where the source knows it.
        later: where labels are known only then, gives class names and labels of those that decode, by a mask [N].
    """

    source: str
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    split: NDArray[np.int8]
    paths: Sequence[str]
    place: Callable[[int], Place]
    state: str | None
    facts: dict[str, Any]
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    held: bool = False
    shape: tuple[int, int] | None = None
    later: Callable[[NDArray[np.bool_]], tuple[tuple[str, ...], NDArray[np.int64]]] | None = None

    def __len__(self) -> int:
        return len(self.paths)


def by_name(names: Sequence[str], also: Iterable[str] = ()) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names in order, numbers by their value and other words by their letters, and the label of each picture.

    Args:
        names: the class of each picture.
        also: classes that need have no picture.
    """
    known = set(names).union(also)
    numbers = all(name.isdecimal() for name in known)
    order = tuple(sorted(known, key=(lambda name: (int(name), name)) if numbers else None))
    place = {name: label for label, name in enumerate(order)}
    return order, np.fromiter(map(place.__getitem__, names), dtype=np.int64, count=len(names))


def check_classes(
    class_names: Sequence[str], labels: NDArray[np.int64], split: NDArray[np.int8], where: str, lack: str = "no images"
) -> None:
    """Refuse a source that cannot be learnt or tested: classes match by name, and each split has all of them.

    Raises:
        DecoctError: no picture, one class, no train split, or a class that is missing in a split.
    """
    if len(class_names) < 2:
        only = f"only one class, '{class_names[0]}'" if class_names else "no classes"
        raise DecoctError(f"{where} holds {only}: at least two are needed, to be distinguished from each other")
    counts = np.zeros((len(SPLITS), len(class_names)), dtype=np.int64)
    np.add.at(counts, (split, labels), 1)
    if not counts[TRAIN].any():
        raise DecoctError(f"{where} has no train split: images to choose from are needed")
    for name, row in SPLITS.items():
        missing = np.flatnonzero(counts[row] == 0)
        if not counts[row].any() or not len(missing):
            continue
        first = class_names[int(missing[0])]
        more = f" ({len(missing)} classes are like that)" if len(missing) > 1 else ""
        if name == "train":
            raise DecoctError(
                f"{where}: class '{first}' has {lack} in train{more}\n"
                "add some, or remove the class: what is not in train cannot be learnt"
            )
        raise DecoctError(
            f"{where}: class '{first}' has {lack} in {name}, but in train{more}\n"
            f"add some, or leave {name} out: images are then held out from train"
        )


def state_of(files: Iterable[str], *more: str) -> str:
    """A digest of names, sizes and times of files, and of further words; a file that is not there has none."""
    sha = hashlib.sha256("\0".join(more).encode())
    for file in files:
        try:
            seen = os.stat(file)  # noqa: PTH116, a million of them
            sha.update(f"{file}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
        except (OSError, ValueError):
            sha.update(f"{file}\n".encode())
    return sha.hexdigest()


def split_named(word: str) -> int | None:
    """The split that a word means, such as "train" or "validation"."""
    word = word.strip().lower()
    return SPLITS.get(word, ALIASES.get(word))


def said(path: Path) -> str:
    """The absolute path, as a pool keeps it."""
    return str(path.expanduser().absolute())
