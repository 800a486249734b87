"""Where each image lies in an exported folder: under the names that it had, and never outside that folder."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from decoct.data.reading.tree import SPLITS
from decoct.shrinking.pool import TRAIN, Pool

LONGEST, DIGEST = 255, 8  # bytes of a name that file systems take; digits that distinguish cut names
WINDOWS = re.compile(r"^[A-Za-z]:(?=[\\/])|^\\\\")  # a drive, or a share


def places(
    pool: Pool, rows: NDArray[np.int64], endings: Sequence[str] = (), reserved: Iterable[str] = (), folded: bool = False
) -> list[str]:
    """A relative path for each image, with ``/``; no two are the same, and none is a folder of another.

    Where every image lies in a folder of its class (below that of its split, if the source has splits), all keep their
    paths. Else, as with a table of paths, each goes into such a folder, with the folders that not all images share.
    Drives, roots and ``..`` are dropped; a name that is taken gets a number. Which other images are exported changes a
    path only where two clash.

    Args:
        pool: of the images.
        rows: that are exported.
        endings: of each image, such as ".png", where it has no file of its own; empty to leave the name as it is.
        reserved: paths that are taken.
        folded: names that differ only in case or in the form of their accents are the same, as on many machines.
    """
    splits = bool((pool.split != TRAIN).any())
    tree, above = _layout(pool, splits)
    folders, taken = folder_names(pool.class_names, folded), _Taken(reserved, folded)
    found = []
    for at, row in enumerate(rows.tolist()):
        own = parts(pool.paths[row])
        if not tree:
            head = (SPLITS[pool.split[row]],) if splits else ()
            own = (*head, folders[int(pool.labels[row])], *(own[above:] or (f"{row}",)))
        found.append(taken.take(_ended(own, endings[at] if endings else "")))
    return found


def parts(path: str) -> tuple[str, ...]:
    """Names that a path is made of, without what leads out of a folder: roots, drives, ``.`` and ``..``."""
    if WINDOWS.match(path) or ("\\" in path and "/" not in path):
        path = WINDOWS.sub("", path).replace("\\", "/")
    names = (_short(name) for name in path.replace("\0", "_").split("/"))
    return tuple(name for name in names if name not in ("", ".", ".."))


def folder_names(class_names: Sequence[str], folded: bool = False, reserved: Iterable[str] = ()) -> list[str]:
    """A folder's name for each class: its own, where a folder can have it and no file of ``reserved`` has."""
    taken = _Taken(reserved, folded)
    plain = (_short(re.sub(r"[/\\\0]", "_", name)) for name in class_names)
    return [taken.take((re.sub(r"^\.", "_", name) or "_",)) for name in plain]


class _Taken:
    """Paths that are taken, as files and as folders."""

    def __init__(self, files: Iterable[str], folded: bool) -> None:
        self.folded = folded
        self.files, self.folders = {self._key(path) for path in files}, set[str]()
        self.numbers: dict[str, int] = {}  # the last that a path got, so that many equal ones take no time

    def take(self, names: Sequence[str]) -> str:
        """The path, or the first with a number before its ending that is free, or whose folder is no file."""
        own = list(names)
        for k in range(len(own) - 1):
            while self._key("/".join(own[: k + 1])) in self.files:  # a file has this folder's name
                own[k] = _short(f"{own[k]}_")
        first = path = "/".join(own)
        last = PurePosixPath(own[-1])
        while (key := self._key(path)) in self.files or key in self.folders:
            self.numbers[first] = number = self.numbers.get(first, 1) + 1
            path = "/".join((*own[:-1], _short(f"{last.stem}-{number}{last.suffix}")))
        self.files.add(key)
        self.folders |= {self._key("/".join(own[:k])) for k in range(1, len(own))}
        return path

    def _key(self, path: str) -> str:
        return unicodedata.normalize("NFC", path).casefold() if self.folded else path


def _layout(pool: Pool, splits: bool) -> tuple[bool, int]:
    """Whether all images lie in folders of their classes, and how many folders all paths begin with."""
    tree, shared = True, None
    for path, label, split in zip(pool.paths, pool.labels.tolist(), pool.split.tolist(), strict=True):
        *own, _ = parts(path) or ("",)
        name, part = pool.class_names[label], SPLITS[split]
        tree = tree and (own[:2] == [part, name] or (own[:1] == [name] and not splits))
        shared = own if shared is None else _common(shared, own)
    return tree, len(shared or ())


def _common(a: list[str], b: list[str]) -> list[str]:
    """What both begin with."""
    if a == b[: len(a)]:
        return a
    return a[: next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(b))]


def _ended(names: Sequence[str], ending: str) -> Sequence[str]:
    """The names with this ending, where the last has not got it."""
    same = PurePosixPath(names[-1]).suffix.lower().replace(".jpeg", ".jpg") == ending.lower().replace(".jpeg", ".jpg")
    return names if same or not ending else (*names[:-1], _short(names[-1] + ending))


def _short(name: str) -> str:
    """A name that a file system takes: one that is too long is cut before its ending, with digits of the whole."""
    if len(name.encode()) <= LONGEST:
        return name
    stem, ending = PurePosixPath(name).stem, PurePosixPath(name).suffix
    ending = ending if len(ending.encode()) < 16 else ""
    told = f"-{hashlib.sha256(name.encode()).hexdigest()[:DIGEST]}{ending}"
    return stem.encode()[: LONGEST - len(told.encode())].decode(errors="ignore") + told
