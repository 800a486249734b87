"""The user's labelled images, read once: pixels for students, and what is known of each file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.core.notation import from_json

TRAIN, VAL, TEST = 0, 1, 2
FACTS, IMAGES, FEATURES = "pool.json", "images.npy", "features.npy"
COLUMNS = ("labels", "split", "groups", "width", "height", "bytes", "content")


@dataclass(frozen=True, eq=False)
class Pool:
    """N labelled images, in the order in which their source lists them; arrays lie in ``folder``.

    Attributes:
        folder: where its arrays lie; ``open_pool(folder)`` gives it again, also in another process.
        source: what the user named, such as a path.
        class_names: in label order.
        labels: [N] int64.
        split: [N] int8, ``TRAIN``, ``VAL`` or ``TEST`` as the source has it; all ``TRAIN`` where it has no splits.
        groups: [N] int64 from 0; images of one group stay on one side of every split.
        width, height: [N] int32 of the upright picture, in pixels.
        bytes: [N] int64 of the file.
        content: [N] uint64, equal where the files are equal byte for byte.
        paths: of each image, relative to the source, as the user knows it.
        images: [N, C, S, S] uint8 memory map, as a student sees them.
        features: [N, d] memory map of a frozen net's features, or None.
        unreadable: files that do not decode: path, class, reason.
        facts: what else is recorded, as plain JSON: digest, how the source gives the files again.
    """

    folder: Path
    source: str
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    split: NDArray[np.int8]
    groups: NDArray[np.int64]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    bytes: NDArray[np.int64]
    content: NDArray[np.uint64]
    paths: tuple[str, ...]
    images: NDArray[np.uint8]
    features: NDArray[Any] | None = None
    unreadable: tuple[tuple[str, str, str], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """Of all that a result can depend on: pixels, features, labels, splits, groups, class names."""
        return str(self.facts["digest"])

    @property
    def size(self) -> int:
        """Side of the images, which are square."""
        return int(self.images.shape[2])

    def rows(self, *splits: int) -> NDArray[np.int64]:
        """The images of some splits, ascending."""
        return np.flatnonzero(np.isin(self.split, splits))

    def counts(self, rows: NDArray[np.int64]) -> list[int]:
        """Images of each class among some rows, in class order."""
        counts: list[int] = np.bincount(self.labels[rows], minlength=len(self.class_names)).tolist()
        return counts


def keep_pool(folder: Path, source: str, table: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write what is not pixels beside ``images.npy`` (and ``features.npy``); the facts last, which make it whole.

    Args:
        folder: that holds the arrays of pixels already.
        source: what the user named.
        table: ``COLUMNS`` by name, and ``paths``, ``class_names`` and ``unreadable``.
        facts: with the digest.
    """
    for name in COLUMNS:
        np.save(folder / f"{name}.npy", table[name], allow_pickle=False)
    said = {"source": source, "facts": facts} | {k: list(table[k]) for k in ("paths", "class_names", "unreadable")}
    scratch = folder / f".{FACTS}"
    scratch.write_text(json.dumps(said), "utf-8")
    scratch.replace(folder / FACTS)


def open_pool(folder: Path) -> Pool:
    """The pool that lies in a folder.

    Raises:
        DecoctError: there is none, or it is damaged.
    """
    try:
        said = from_json((folder / FACTS).read_text("utf-8"))
        columns = {name: arrayfile.load(folder / f"{name}.npy") for name in COLUMNS}
        images = arrayfile.read(folder / IMAGES)
        features = arrayfile.read(folder / FEATURES) if (folder / FEATURES).is_file() else None
        if {len(images), len(said["paths"]), *map(len, columns.values())} != {len(images)}:
            raise ValueError("its arrays have different lengths")
    except (OSError, ValueError, KeyError) as error:
        blame(error)
        raise DecoctError(f"the images kept in {folder} are damaged: {error}; remove that folder") from error
    return Pool(
        folder=folder,
        source=said["source"],
        class_names=tuple(said["class_names"]),
        paths=tuple(said["paths"]),
        images=images,
        features=features,
        unreadable=tuple((path, kind, why) for path, kind, why in said["unreadable"]),
        facts=said["facts"],
        **columns,
    )
