"""Sets that decoct did not make, in whatever file they come, as ``Condensed`` for a data set."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.condensed import FACTS, Condensed, finite
from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import Cost, Provenance
from decoct.data.dataset import Dataset
from decoct.data.foreign import npz, order, parquet, pixels, safetensors, torch_file
from decoct.data.foreign.class_folder import read_class_folder
from decoct.data.foreign.stored import SetFormat, Stored
from decoct.data.reading.snapshot import HUB, snapshot
from decoct.data.reading.tree import split_folders

READERS: dict[str, Callable[[Path, SetFormat], Stored]] = {
    ".npz": npz.read,
    ".safetensors": safetensors.read,
    ".pt": torch_file.read,
    ".pth": torch_file.read,
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
    """
    word = str(path)
    folder = snapshot(word) if word.startswith(HUB) else Path(path)
    if folder.is_file():
        if folder.suffix.lower() not in READERS:
            raise UsageError(f"{folder} is no set: a file is one of {', '.join(READERS)}")
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
    found = read_class_folder(root, data.class_names, data.shape)
    return found if root == folder else _called(found, title)


def interpret(stored: Stored, data: Dataset, how: SetFormat, title: str) -> Condensed:
    """What a file holds as a set for the data: pixels in the data's scale, labels in the data's order.

    Raises:
        DecoctError: it does not fit the data.
    """
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
        cost=own.get("cost"),
    )


def spec(said: Mapping[str, Any]) -> dict[str, Any]:
    """How a set was read, as its provenance keeps it."""
    return {"name": "external", "version": 1, "fields": dict(said)}


def soft_labels(
    stored: NDArray[Any], images: int, classes: int, place: list[int] | None
) -> tuple[NDArray[np.float32], str]:
    """Soft labels [n, classes] as probabilities in the data's order, and what they were.

    Rows without a negative value that sum to 1 are probabilities; all others are logits, as DATM learns them (Guo et
    al., 2024, arXiv:2310.05773), and go through a softmax.

    Args:
        stored: [n, classes].
        images: n.
        classes: of the data.
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


def _called(found: Condensed, title: str) -> Condensed:
    return replace(found, provenance=found.provenance.model_copy(update={"method": title}))


def _own(said: Mapping[str, Any]) -> dict[str, Any]:
    """What decoct wrote into a set that it exported; nothing where that is of another version, or not decoct's."""
    try:
        found: dict[str, Any] = {"provenance": Provenance(**said["provenance"]), "mosaic": int(said["mosaic"])}
        return found | ({"cost": Cost(**said["cost"])} if said.get("cost") else {})
    except (KeyError, TypeError, ValueError):
        return {}
