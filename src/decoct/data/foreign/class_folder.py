"""A condensed set that is a class-folder of pictures, made by decoct or by anyone."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.condensed import WEIGHTS, Condensed, folder_names
from decoct.core.errors import DecoctError
from decoct.core.record import Provenance
from decoct.data.foreign.order import BY_NAME, folders
from decoct.data.reading.decode import DecodeError, decode
from decoct.data.reading.tree import classes


def read_class_folder(folder: Path, class_names: tuple[str, ...], shape: tuple[int, int, int]) -> Condensed:
    """Read ``folder/CLASS/*`` for data with these classes and this image shape.

    Pictures of another size are resized and cropped as the data's own were; PNGs of the data's size are exact. Weights
    are read from ``folder/weights.csv`` if it is there, as ``Condensed.export`` writes it.

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
    found = classes(folder, folder, sparse=True)  # a small budget may leave classes without an image
    names = list(found)
    exported = folder_names(class_names)
    if set(names) == set(exported) != set(class_names):
        place, told = [exported.index(name) for name in names], BY_NAME
    else:
        place, told = folders(names, class_names, folder)
    images, labels, files = [], [], []
    for label, name in sorted(zip(place, names, strict=True)):
        for file in found[name]:
            try:
                images.append(decode((folder / file).read_bytes(), shape[1], shape[0]))
            except (DecodeError, OSError) as error:
                raise DecoctError(f"{folder / file}: {error}; replace or remove it") from error
            labels.append(label)
            files.append(Path(file).as_posix())
    return Condensed(
        labels=np.array(labels, dtype=np.int64),
        class_names=class_names,
        provenance=Provenance(method=folder.name or "unknown", spec=_read_by(told)),
        images=np.stack(images),
        weights=_weights(folder / WEIGHTS, files) if (folder / WEIGHTS).is_file() else None,
    )


def _read_by(told: str) -> dict[str, Any]:
    """What the provenance says of folders that are numbers: nobody can tell whether the order is the data's."""
    fields = {"format": "class folders", "classes": told}
    return {} if told == BY_NAME else {"name": "external", "version": 1, "fields": fields}


def _weights(path: Path, files: list[str]) -> NDArray[np.float32]:
    """The weight of each file, from rows of file and weight below a heading."""
    try:
        with path.open(newline="", encoding="utf-8") as rows:
            found = {row["file"]: float(row["weight"]) for row in csv.DictReader(rows)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DecoctError(f"{path} holds no file and weight a row ({error}): mend or remove it") from error
    if without := [file for file in files if file not in found]:
        raise DecoctError(f"{path} has no weight of {without[0]}: add it, or remove the file to count all images alike")
    return np.array([found[file] for file in files], np.float32)
