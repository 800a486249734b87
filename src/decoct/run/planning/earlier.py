"""Earlier results: what cells took that are in a store, as far as they were made on the same hardware."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from decoct.core.errors import UsageError
from decoct.core.record import CELL, MEASURED, cell_dir, read_cost, read_json
from decoct.data.dataset import Dataset
from decoct.run.planning.estimates import Known
from decoct.run.planning.likeness import Shape, likeness
from decoct.run.planning.probe import size_of

RUN = "run.json"
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError)


class Done(NamedTuple):
    """A cell as it says what it is; see ``likeness.Work``."""

    kind: str
    keyed: Mapping[str, Any]
    inputs: Mapping[str, str]


@dataclass
class Earlier:
    """What stores hold.

    Attributes:
        known: what the cells took.
        damaged: cells whose ``measured.json`` or ``cell.json`` cannot be read.
        elsewhere: cells that other hardware made.
    """

    known: list[Known] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    elsewhere: int = 0


def shape_of(data: Dataset) -> Shape:
    """As much of a data set as decides how long work on it takes."""
    return Shape(tuple(data.counts()), len(data.val), data.shape, data.flip)


def earlier(root: Path, data: Dataset, device: str, hardware: str, plugins: tuple[str, ...] = ()) -> Earlier:
    """Read every cell below a folder.

    Args:
        root: of a store.
        data: that is planned for; other data's shapes are in the ``run.json`` beside the store.
        device: cells of another kind of device do not count.
        hardware: nor do those of another processor or GPU.
        plugins: files that may define specs.
    """
    found, read = Earlier(), dict[str, Done | None]()
    shapes = _shapes_beside(root) | {data.digest: shape_of(data)}

    def of(key: str) -> Done | None:
        if key not in read:  # only sets are asked for
            read[key] = _done(cell_dir(root, "condense", key)) if key else None
        return read[key]

    for folder in _cells(root):
        if not (folder / MEASURED).is_file() and _external(folder):
            continue  # external: nobody knows what it took
        try:
            cost = read_cost(folder / MEASURED)
            if cost.hardware != hardware or cost.device.partition(":")[0] != device.partition(":")[0]:
                found.elsewhere += 1
                continue
            done = Done(*(read_json(folder / CELL)[name] for name in Done._fields))
            if shape := shapes.get(done.keyed["data"]):
                like = likeness(done, of, shape, plugins)
                own = cost.seconds - cost.once, cost.cpu_seconds - cost.cpu_once
                size, peak = size_of(folder), cost.peak_memory
                found.known.append(Known(like, *own, bytes=size, peak=peak, once=cost.once, cpu_once=cost.cpu_once))
        except UNREADABLE:
            found.damaged.append(folder)
    return found


def store_in(folder: Path) -> Path:
    """The store of a run's folder, or the folder itself if it is one.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"--from {folder}: no such folder; name one that 'decoct run' made, or a store")
    return folder / "store" if (folder / "store").is_dir() else folder


def _cells(root: Path) -> Iterator[Path]:
    return (file.parent for file in sorted(root.glob(f"[a-z]*/??/*/{CELL}")))


def _done(folder: Path) -> Done | None:
    try:
        return Done(*(read_json(folder / CELL)[name] for name in Done._fields))
    except UNREADABLE:
        return None


def _external(folder: Path) -> bool:
    try:
        return "external" in read_json(folder / CELL)["keyed"]
    except UNREADABLE:
        return False


def _shapes_beside(root: Path) -> dict[str, Shape]:
    """The shape of the data of the run that a store belongs to, by digest; classes are taken to be of one size."""
    try:
        about = json.loads((root.parent / RUN).read_text("utf-8"))["data"]
        classes, images = len(about["class_names"]), about["images"]
        each, rest = divmod(images["train"], classes)
        counts = tuple(each + (c < rest) for c in range(classes))
        return {about["digest"]: Shape(counts, images["val"], tuple(about["shape"]), about["flip"])}
    except UNREADABLE:
        return {}
