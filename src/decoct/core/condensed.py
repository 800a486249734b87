"""Condensed: a small training set, as safetensors + JSON on disk and as a class-folder of pictures for people."""

import csv
import io
import json
import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError

from decoct.core import tensorfile
from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.core.record import Cost, Provenance, read_json, write_json
from decoct.core.sheets import quoted

ARRAYS, FACTS, COST = "condensed.safetensors", "condensed.json", "cost.json"
NAMES = ("labels", "indices", "images", "soft_labels", "weights")  # of the arrays
PICKS, IMAGES = "picks.csv", "images"  # of a set that was made for people to look at
WEIGHTS = "weights.csv"  # of an exported set, beside its class folders
WEIGHED = ("file", "weight")  # its columns
RATE = "rate.json"  # of an exported set with a learnt rate, beside its class folders
BLOCK = 2**24  # bytes that are looked at together


@dataclass(frozen=True, eq=False)
class Condensed:
    """A small labelled training set: picks from the train split, or images, with their provenance.

    Attributes:
        labels: [n] int64 class of each image.
        class_names: names in class order; training refuses data whose names differ.
        provenance: method, hyper-parameters, seed, source digest.
        indices: [n] int64 into the train split, in order of picking within a class; or None.
        images: [n, C, H, W] uint8, or float32 in [0, 1] data space (not clipped); or None for bare picks. Of a set that
            was loaded, a read-only map of its file.
        soft_labels: [n, classes] float32; or None.
        weights: [n] float32 sample weights, none negative and not all 0; or None. They count relative to their mean.
        mosaic: tiles per side that each image is made of; 1 for whole images.
        rate: learning rate that was learnt with the images, finite and above 0; or None.
        cost: what its construction took, shared parts in full; None if unknown.

    Raises:
        DecoctError: shapes, types or labels do not fit together.

    Example:
        >>> made = decoct.condense("random", "digits", ipc=1)
        >>> made.save("random1")
        >>> again = decoct.Condensed.load("random1")
        >>> len(again), len(again.to_torch())
        (10, 10)
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    provenance: Provenance
    indices: NDArray[np.int64] | None = None
    images: NDArray[Any] | None = None
    soft_labels: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None
    mosaic: int = 1
    rate: float | None = None
    cost: Cost | None = None

    def __post_init__(self) -> None:
        n, classes = len(self.labels), len(self.class_names)
        if n == 0:
            raise DecoctError("a condensed set needs at least one image")
        if self.indices is None and self.images is None:
            raise DecoctError("a condensed set holds indices, or images, or both")
        for name, dtype in (("labels", np.int64), ("indices", np.int64), ("weights", np.float32)):
            value = getattr(self, name)
            if value is not None and (value.ndim != 1 or value.dtype != dtype):
                what = f"{list(value.shape)} {value.dtype}"
                raise DecoctError(f"{name} must be [n] {np.dtype(dtype)}, not {what}")
        if self.labels.min() < 0 or self.labels.max() >= classes:
            raise DecoctError(f"labels run from {self.labels.min()} to {self.labels.max()}; there are {classes} names")
        if self.images is not None and (self.images.ndim != 4 or self.images.dtype not in (np.uint8, np.float32)):
            what = f"{list(self.images.shape)} {self.images.dtype}"
            raise DecoctError(f"images must be [n, C, H, W] uint8 or float32, not {what}")
        for name in NAMES[1:]:
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise DecoctError(f"{len(value)} {name.replace('_', ' ')} for {n} labels")
            if value is not None and not finite(value):
                raise DecoctError(f"the {name.replace('_', ' ')} hold values that are not finite")
        if self.weights is not None:
            if (self.weights < 0).any():
                raise DecoctError(f"a weight is {self.weights.min():g}: leave an image out, or let it count 0 or more")
            if not self.weights.any():
                raise DecoctError("all weights are 0, so no image counts: leave the weights out to count all alike")
        if self.soft_labels is not None and self.soft_labels.shape != (n, classes):
            raise DecoctError(f"soft labels must be [{n}, {classes}], not {list(self.soft_labels.shape)}")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise DecoctError(
                f"the learnt rate is {self.rate:g}, and no student can train at it: make the set with a lower lr_lr, "
                "or leave the rate out"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def member(self) -> bool:
        """Whether every image is one of the train split."""
        return self.indices is not None

    def materialise(self, train_images: Any) -> "Condensed":
        """The same set with its pixels: the rows of ``train_images`` [N, C, H, W] uint8 that were picked."""
        if self.images is not None or self.indices is None:
            return self
        return replace(self, images=np.ascontiguousarray(train_images[self.indices]))

    def to_torch(self) -> Any:
        """A ``torch.utils.data.TensorDataset`` of (float32 images in [0, 1] [C, H, W], label or soft label).

        A weighted set gives each image's weight as a third, relative to the mean: average weight × loss over a batch.

        Raises:
            DecoctError: bare picks; call ``materialise(data.train.images)`` first.
        """
        import torch

        images = torch.from_numpy(np.array(self.pixels()))
        scaled = images.float() / 255 if images.dtype == torch.uint8 else images
        labels = self.labels if self.soft_labels is None else self.soft_labels
        tensors = [scaled, torch.from_numpy(np.array(labels))]
        if self.weights is not None:
            tensors.append(torch.from_numpy(relative(self.weights)))
        return torch.utils.data.TensorDataset(*tensors)

    def save(self, folder: Path | str) -> None:
        """Write ``condensed.safetensors`` and ``condensed.json``, and ``cost.json`` if the cost is known."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: value for name in NAMES if (value := getattr(self, name)) is not None}
        tensorfile.write(folder / ARRAYS, arrays)
        facts = {"class_names": list(self.class_names), "provenance": self.provenance.model_dump(mode="json")}
        more: dict[str, Any] = {} if self.weights is None else {"weighted": True}
        more |= {} if self.rate is None else {"rate": self.rate}
        write_json(folder / FACTS, {"format": 1, "images": len(self), "mosaic": self.mosaic, **more, **facts})
        if self.cost is not None:
            write_json(folder / COST, self.cost.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path | str) -> "Condensed":
        """Read what ``save`` wrote.

        Raises:
            DecoctError: not a saved set, or a damaged one.
        """
        folder = Path(folder)
        if not (folder / FACTS).is_file():
            raise DecoctError(f"{folder} holds no {FACTS}: not a saved set")
        try:
            facts = read_json(folder / FACTS)
            stored = tensorfile.read(folder / ARRAYS)
            arrays: dict[str, Any] = {k: v if k == "images" else np.array(v) for k, v in stored.items()}
            cost = folder / COST
            return cls(
                class_names=tuple(facts["class_names"]),
                provenance=Provenance(**facts["provenance"]),
                mosaic=int(facts.get("mosaic", 1)),
                rate=facts.get("rate"),
                cost=Cost(**read_json(cost)) if cost.is_file() else None,
                **arrays,
            )
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            blame(error)
            why = " ".join(str(error).split())[:200]  # pydantic's complaints run over many lines
            raise DecoctError(f"{folder} is damaged: {why}; make the set again") from error

    def export(self, folder: Path | str) -> None:
        """Write the images as ``folder/CLASS/RANK.png``; exact for uint8, quantised for floats with a warning.

        The weights of a weighted set go beside them, into ``folder/weights.csv``, and a learnt rate into ``rate.json``.

        Raises:
            DecoctError: bare picks, or a ``weights.csv`` or ``rate.json`` there that is of something else.
        """
        images, folder = to_bytes(self.pixels()), Path(folder)
        weights, rate = folder / WEIGHTS, folder / RATE
        for beside, start in ((weights, ",".join(WEIGHED)), (rate, '{"rate":')):
            if beside.is_file() and not beside.read_bytes().startswith(start.encode()):
                raise DecoctError(f"{beside} is not of a set that decoct exported: export to another folder")
        files = {}
        for c, name in enumerate(folder_names(self.class_names)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for rank, row in enumerate(np.flatnonzero(self.labels == c)):
                files[f"{name}/{rank:05d}.png"] = row
                picture(images[row]).save(folder / name / f"{rank:05d}.png")
        for beside in (weights, rate):
            beside.unlink(missing_ok=True)  # of a set that was there before
        if self.rate is not None:
            rate.write_text(json.dumps({"rate": self.rate}) + "\n", "utf-8")
        if self.weights is not None:
            rows = [(file, float(self.weights[row])) for file, row in files.items()]
            with weights.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([WEIGHED, *rows])

    def write_picks(self, path: Path | str, files: Sequence[str] | None = None) -> None:
        """Write a selection as CSV: index into the train split, class, source file and weight where there are any.

        No spreadsheet runs a name in it, see ``decoct.core.sheets``.
        """
        if self.indices is None:
            raise DecoctError(f"{self.provenance.method} makes new images; it has no picks")
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            weights = [] if self.weights is None else [self.weights.tolist()]
            rows.writerow(["index", "class", "source", *(["weight"] if weights else [])])
            for index, label, *weight in zip(self.indices.tolist(), self.labels.tolist(), *weights, strict=True):
                rows.writerow([index, quoted(self.class_names[label]), quoted(files[index]) if files else "", *weight])

    def image_bytes(self, train_images: Any = None) -> int:
        """Bytes of the images as PNG files, of bare picks those of ``train_images`` [N, C, H, W]; floats as stored.

        Raises:
            DecoctError: bare picks, and no pixels.
        """
        if self.images is None and self.indices is not None and train_images is not None:
            return sum(len(png(train_images[index])) for index in self.indices)
        images = self.pixels()
        return sum(len(png(image)) for image in images) if images.dtype == np.uint8 else images.nbytes

    def pixels(self) -> NDArray[Any]:
        """The images, [n, C, H, W].

        Raises:
            DecoctError: bare picks.
        """
        if self.images is None:
            raise DecoctError("these are bare picks: call materialise(data.train.images) for their pixels")
        return self.images


def finite(values: NDArray[Any]) -> bool:
    """Whether no value is infinite or NaN; a few images at a time, so that a map of a large file fills no memory."""
    if values.dtype.kind in "biu" or not values.size:
        return True
    step = max(1, BLOCK * len(values) // values.nbytes)
    return all(np.isfinite(values[at : at + step]).all() for at in range(0, len(values), step))


def relative(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights scaled to the mean 1; where all are alike, exactly 1."""
    scaled: NDArray[np.float32] = (weights / weights.mean(dtype=np.float64)).astype(np.float32)
    return scaled


def picture(image: NDArray[np.uint8]) -> Image.Image:
    """A Pillow image of [C, H, W] uint8 with one or three channels."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def png(image: NDArray[np.uint8]) -> bytes:
    """A [C, H, W] image as a PNG file."""
    buffer = io.BytesIO()
    picture(image).save(buffer, "png")
    return buffer.getvalue()


def to_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 images as they are; floats in [0, 1] quantised, with a warning that states the largest error."""
    if images.dtype == np.uint8:
        return images
    quantised: NDArray[np.uint8] = np.clip(np.rint(images * 255), 0, 255).astype(np.uint8)
    worst = float(np.abs(quantised / 255.0 - images).max())
    warnings.warn(f"float images quantised to 8 bits; largest error {worst:.4f} of 1", stacklevel=3)
    return quantised


def folder_names(class_names: Sequence[str]) -> list[str]:
    """Folder names that cannot leave their parent and sort in class order; plain names stay as they are."""
    plain = all(re.fullmatch(r"\w([\w .()+-]{0,58}[\w()+-])?", name) for name in class_names)
    distinct = len({name.casefold() for name in class_names}) == len(class_names)
    if plain and distinct and list(class_names) == sorted(class_names):
        return list(class_names)
    width = len(str(len(class_names) - 1))
    safe = [re.sub(r"[^\w-]+", "_", name)[:60] for name in class_names]
    return [f"{c:0{width}d}_{name}" for c, name in enumerate(safe)]
