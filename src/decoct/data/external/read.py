"""External sets, made by decoct or not, from files of any supported kind, as ``Condensed`` for a data set."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.condensed import FACTS, RATE, WEIGHTS, Condensed, finite, folder_names
from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import blame
from decoct.core.record import Cost, Provenance, read_json
from decoct.data.dataset import Dataset
from decoct.data.external import arrays, order, parquet, pixels
from decoct.data.external.stored import SetFormat, Stored
from decoct.data.reading.decode import DecodeError, decode
from decoct.data.reading.snapshot import HUB, snapshot
from decoct.data.reading.tree import classes, split_folders

READERS: dict[str, Callable[[Path, SetFormat], Stored]] = {
    ".npz": arrays.read_npz,
    ".safetensors": arrays.read_safetensors,
    ".pt": arrays.read_torch,
    ".pth": arrays.read_torch,
    ".parquet": parquet.read,
}
AS_IT_IS = SetFormat()
ROUNDING = 1e-3  # by which the sum of a row of probabilities may miss 1, in half precision


def load_set(path: Path | str, data: Dataset, how: SetFormat = AS_IT_IS) -> Condensed:
    """A set from disk or from the hub's cache, for a data set.

    Args:
        path: what ``decoct condense`` saved; a folder of class folders or of Parquet files; a file .npz, .safetensors,
            .pt, .pth or .parquet; or ``hub:OWNER/NAME``.
        data: that the set stands for.
        how: what the file does not say.

    Raises:
        UsageError: nothing there, or of no known kind.
        DecoctError: damaged; other classes, shape or range than the data and ``how`` say.

    Example:
        >>> decoct.condense("random", "digits", ipc=1).export("pictures")  # folders of PNGs
        >>> theirs = decoct.load_set("pictures", decoct.load_data("digits"))
        >>> len(theirs)
        10
    """
    word = str(path)
    folder = snapshot(word) if word.startswith(HUB) else Path(path)
    if folder.is_file():
        if folder.suffix.lower() not in READERS:
            raise UsageError(f"{folder} is not a set: a file is one of {', '.join(READERS)}")
        return interpret(READERS[folder.suffix.lower()](folder, how), data, how, folder.stem)
    if not folder.is_dir():
        raise UsageError(
            f"no set at {folder}: give a folder that 'decoct condense' made, class folders of images, Parquet, "
            f"a file ({', '.join(READERS)}) or hub:OWNER/NAME"
        )
    if (folder / FACTS).is_file():
        return Condensed.load(folder)
    title = word.rpartition("/")[2] if word.startswith(HUB) else folder.name
    if parquet.files_in(folder):
        return interpret(parquet.read(folder, how), data, how, title)
    root = folder / how.split if how.split in split_folders(folder) else folder
    condensed = read_class_folder(root, data.class_names, data.shape)
    if root == folder:
        return condensed
    return replace(condensed, provenance=condensed.provenance.model_copy(update={"method": title}))


def read_class_folder(folder: Path, class_names: tuple[str, ...], shape: tuple[int, int, int]) -> Condensed:
    """Read ``folder/CLASS/*`` for data with these classes and this image shape.

    Pictures of another size are resized and cropped as the data's own were; PNGs of the data's size are exact. Weights
    are read from ``folder/weights.csv`` if it is there, and a learnt rate from ``folder/rate.json``, as
    ``Condensed.export`` writes them.

    Args:
        folder: class folders, named as the classes, as ``Condensed.export`` names them, by WordNet id where the data
            are of ImageNet's classes, or by the index of the class from 0, zero-padded or not; the provenance says
            where it was the index.
        class_names: of the data, in order.
        shape: (C, H, W) of the data.

    Raises:
        DecoctError: unreadable, classes that the data do not have or that are missing, a damaged picture, or
            weights that do not fit.
    """
    pictures = classes(folder, folder, sparse=True)  # a small budget may leave classes without an image
    names = list(pictures)
    exported = folder_names(class_names)
    if set(names) == set(exported) != set(class_names):
        place, told = [exported.index(name) for name in names], order.BY_NAME
    else:
        place, told = order.folders(names, class_names, folder)
    images, labels, files = [], [], []
    for label, name in sorted(zip(place, names, strict=True)):
        for file in pictures[name]:
            try:
                images.append(decode((folder / file).read_bytes(), shape[1], shape[0]))
            except (DecodeError, OSError) as error:
                blame(error)
                raise DecoctError(f"{folder / file}: {error}; replace or remove it") from error
            labels.append(label)
            files.append(Path(file).as_posix())
    said = {} if told == order.BY_NAME else spec({"format": "class folders", "classes": told})  # nobody can tell then
    return Condensed(
        labels=np.array(labels, dtype=np.int64),
        class_names=class_names,
        provenance=Provenance(method=folder.name or "unknown", spec=said),
        images=np.stack(images),
        weights=_weights(folder / WEIGHTS, files) if (folder / WEIGHTS).is_file() else None,
        rate=_rate(folder / RATE) if (folder / RATE).is_file() else None,
    )


def interpret(stored: Stored, data: Dataset, how: SetFormat, title: str) -> Condensed:
    """What a file holds as a set for the data: pixels in the data's scale, labels in the data's order."""
    if len(stored.images) != len(stored.labels):
        raise DecoctError(f"the set has {len(stored.images)} images and {len(stored.labels)} labels")
    if len(stored.images) == 0:
        raise DecoctError("the set is empty: it holds no image")
    labels, place, told = order.in_order(stored.labels, stored.class_names, data.class_names)
    if isinstance(stored.images, np.ndarray):
        images, said = pixels.from_array(stored.images, data, how)
    else:
        images, said = pixels.from_pictures(stored.images, data, how)
    said = {"format": stored.format, "classes": told, **said}
    soft = None
    if stored.soft_labels is not None:
        soft, said["soft_labels"] = soft_labels(stored.soft_labels, len(labels), len(data.class_names), place)
    weights = None if stored.weights is None else np.asarray(stored.weights, np.float32)
    own = _own(stored.said)
    return Condensed(
        labels=labels,
        class_names=data.class_names,
        provenance=own.get("provenance") or Provenance(method=title or "unknown", spec=spec(said)),
        images=images,
        soft_labels=soft,
        weights=weights,
        mosaic=own.get("mosaic", 1),
        rate=stored.rate if stored.rate is not None else own.get("rate"),
        cost=own.get("cost"),
    )


def spec(said: Mapping[str, Any]) -> dict[str, Any]:
    """How a set was read, as its provenance keeps it."""
    return {"name": "external", "version": 1, "fields": dict(said)}


def soft_labels(
    stored: NDArray[Any], images: int, classes: int, place: list[int] | None
) -> tuple[NDArray[np.float32], str]:
    """Soft labels [n, classes] as probabilities in the data's order, and what they were before.

    Rows without a negative value that sum to 1 are probabilities; all others are logits, as DATM learns them (Guo et
    al., 2024, arXiv:2310.05773), and go through a softmax.

    Args:
        place: the data's class of each column; None for the data's order.

    Raises:
        DecoctError: another shape, or not finite.
    """
    if stored.shape != (images, classes):
        raise DecoctError(f"soft labels must be [{images}, {classes}], not {list(stored.shape)}")
    if stored.dtype.kind != "f" or not finite(stored):
        raise DecoctError("the soft labels must be float numbers, and finite")
    rows = stored.astype(np.float64)
    what = "probabilities"
    if (rows < 0).any() or (np.abs(rows.sum(1) - 1) > ROUNDING).any():
        powers = np.exp(rows - rows.max(1, keepdims=True))
        rows, what = powers / powers.sum(1, keepdims=True), "softmax of the logits"
    ordered = np.empty_like(rows)
    ordered[:, place or range(classes)] = rows
    return ordered.astype(np.float32), what


def _weights(path: Path, files: list[str]) -> NDArray[np.float32]:
    """The weight of each file, from rows of file and weight below a heading."""
    try:
        with path.open(newline="", encoding="utf-8") as rows:
            given = {row["file"]: float(row["weight"]) for row in csv.DictReader(rows)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        blame(error)
        raise DecoctError(f"{path} holds no file and weight a row ({error}): mend or remove it") from error
    if without := [file for file in files if file not in given]:
        raise DecoctError(f"{path} has no weight of {without[0]}: add it, or remove the file to count all images alike")
    return np.array([given[file] for file in files], np.float32)


def _rate(path: Path) -> float:
    """The learnt rate beside class folders."""
    try:
        return float(read_json(path)["rate"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        blame(error)
        raise DecoctError(f"{path} holds no rate ({error}): mend or remove it") from error


def _own(said: Mapping[str, Any]) -> dict[str, Any]:
    """What decoct wrote into a set that it exported; nothing where that is of another version, or not decoct's."""
    try:
        own: dict[str, Any] = {"provenance": Provenance(**said["provenance"]), "mosaic": int(said["mosaic"])}
        own |= {"rate": float(said["rate"])} if "rate" in said else {}
        return own | ({"cost": Cost(**said["cost"])} if said.get("cost") else {})
    except (KeyError, TypeError, ValueError):
        return {}
