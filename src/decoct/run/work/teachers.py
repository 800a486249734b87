"""The work on teachers and features: what is loaded, what runs under the meter, what is left in the cell."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.record import read_json, write_json
from decoct.core.spec import build
from decoct.data.dataset import Dataset
from decoct.engine.coreset import unit
from decoct.engine.extract import Extract, brought, in_blocks, store
from decoct.engine.teachers import Teach, restore, teach
from decoct.nets import backbone, weights
from decoct.nets.backbone import embed
from decoct.nets.features import penultimate_blocks
from decoct.nets.layout import laid_out
from decoct.nets.renormalise import Normalisation, bare
from decoct.run.cell import Cell
from decoct.run.work.plane import keep_plane

WEIGHTS, TEACHER, EXTRACTOR, FACTS, RESULT, CORRECT = (
    "weights.safetensors",
    "teacher.json",
    "extractor.json",
    "facts.json",
    "result.json",
    "correct.npy",
)
Blocks = Mapping[str, Iterator[Any]]  # features by split, some rows at a time


def make_teacher(cell: Cell) -> None:
    """Train a teacher, or load pretrained weights or a checkpoint that the user supplied."""
    spec = build(Teach, {k: v for k, v in cell.job.config.items() if k != "name"}, "teacher")
    with cell.meter():
        net, facts = teach(spec, cell.data, seed=cell.job.keyed["seed"], machine=cell.machine())
    weights.write(cell.folder / WEIGHTS, bare(net), facts["class_names"], Normalisation.of(**facts["input"]))
    write_json(cell.folder / TEACHER, facts)


def load_teacher(folder: Path, data: Dataset, device: str) -> nn.Module:
    """A stored teacher: eval mode, frozen, on ``device``.

    Raises:
        DecoctError: it was taught other classes or another order, or its weights are damaged.
    """
    stored = weights.read(folder / WEIGHTS)
    net = restore(read_json(folder / TEACHER), stored.state, data, str(folder))
    return laid_out(net.to(device)).eval().requires_grad_(False)


def make_features(cell: Cell) -> None:
    """Features of the train and val images, each block written as it comes; what is no teacher leaves its facts.

    The meter runs over the writing as well, since the two take turns.
    """
    job, data = cell.job, cell.data
    extract = Extract(**job.config)
    if teachers := job.role("teacher"):
        (key,) = teachers.values()
        blocks = _of_teacher(cell, load_teacher(cell.input("teacher", key), data, cell.device))
    else:
        if extract.pinned() != extract:
            raise DecoctError(f"{extract.name} has changed since its features were planned: run the same again")
        blocks = _of_backbone(cell, extract) if extract.origin == "timm" else _of_files(cell, extract)
    with cell.meter():
        for split, made in blocks.items():
            part = getattr(data, split)
            order = None if extract.origin == "rows" else part.order
            store(cell.folder / f"{split}.npy", map(np.asarray, made), len(part), extract.dtype, extract.name, order)
    # For the page alone, so it is on nobody's bill.
    keep_plane(cell.folder, load_features(cell.folder, "train"), np.asarray(data.train.labels))


def _of_teacher(cell: Cell, net: nn.Module) -> Blocks:
    data, device = cell.data, cell.device
    parts = {"train": data.train, "val": data.val}
    return {
        name: penultimate_blocks(net, part, data.mean, data.std, device, progress=cell.progress)
        for name, part in parts.items()
    }


def _of_backbone(cell: Cell, extract: Extract) -> Blocks:
    net, facts = backbone.load(extract.net, extract.file, extract.size)
    weights.write(cell.folder / WEIGHTS, net.net, (), Normalisation.of(facts["mean"], facts["std"]))
    write_json(cell.folder / EXTRACTOR, {"extractor": extract.title, **facts})
    laid_out(net.to(cell.device))
    parts = {"train": cell.data.train, "val": cell.data.val}
    return {name: embed(net, part, cell.device, cell.progress) for name, part in parts.items()}


def _of_files(cell: Cell, extract: Extract) -> Blocks:
    write_json(cell.folder / EXTRACTOR, {"extractor": extract.title})
    return {name: in_blocks(rows) for name, rows in brought(extract, cell.data).items()}


def load_features(
    folder: Path, split: str, normalise: str = "none", room: Callable[..., NDArray[Any]] = np.empty
) -> NDArray[Any]:
    """Stored features [N, d] of a split: a memory map, or scaled to unit length in the room that is made for them.

    Args:
        folder: of their cell.
        split: "train" or "val".
        normalise: "none" or "unit".
        room: (shape, type) -> array.
    """
    features: NDArray[Any] = np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False)
    if normalise == "none":
        return features
    scaled, done = room(features.shape, np.result_type(features.dtype, np.float32)), 0
    for rows in in_blocks(features):
        scaled[done : done + len(rows)] = unit(rows)
        done += len(rows)
    return scaled


def splits_of(folder: Path, **how: Any) -> dict[str, NDArray[Any]]:
    """Stored features of train, and of val where there are some, by split; ``how`` is for ``load_features``."""
    there = [split for split in ("train", "val") if (folder / f"{split}.npy").is_file()]
    return {split: load_features(folder, split, **how) for split in there}
