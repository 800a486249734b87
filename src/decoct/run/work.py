"""The work of each kind of job: what is loaded, what runs under the meter, what is left in the cell."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.kinds import Measured, Metric
from decoct.core.record import read_json, write_json
from decoct.core.spec import build, parse
from decoct.data.dataset import Dataset
from decoct.engine.coreset import unit
from decoct.engine.extract import Extract, brought, fitting, in_blocks, store
from decoct.engine.teachers import Teach, restore, teach
from decoct.nets import backbone, weights, zoo
from decoct.nets.backbone import Backbone, embed
from decoct.nets.features import logits, penultimate, penultimate_blocks
from decoct.nets.layout import laid_out
from decoct.nets.renormalise import Normalisation, bare
from decoct.run.cell import Cell

WEIGHTS, TEACHER, EXTRACTOR, FACTS, RESULT, CORRECT, READINGS = (
    "weights.safetensors",
    "teacher.json",
    "extractor.json",
    "facts.json",
    "result.json",
    "correct.npy",
    "readings.json",
)
Blocks = Mapping[str, Iterator[Any]]  # features by split, some rows at a time


def make_teacher(cell: Cell) -> None:
    """Train a teacher, or load pretrained weights or a checkpoint that the user supplied."""
    spec = build(Teach, {k: v for k, v in cell.job.config.items() if k != "name"}, "teacher")
    compute = cell.job.keyed["compute"]
    with cell.meter():
        net, facts = teach(
            spec,
            cell.data,
            seed=cell.job.keyed["seed"],
            device=cell.device,
            precision=compute["precision"],
            compiled=compute["compile"],
            progress=cell.progress,
            checkpoint=cell.checkpoint(),
        )
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
    if teachers := job.role("teacher"):
        ((net, key),) = teachers.items()
        extract = Extract(**(job.config or {"name": net}))
        blocks = _of_teacher(cell, load_teacher(cell.input("teacher", key), data, cell.device))
    else:
        extract = Extract(**job.config)
        if extract.pinned() != extract:
            raise DecoctError(f"{extract.name} has changed since its features were planned: run the same again")
        blocks = _of_backbone(cell, extract) if extract.origin == "timm" else _of_files(cell, extract)
    with cell.meter():
        for split, made in blocks.items():
            rows = len(getattr(data, split))
            store(cell.folder / f"{split}.npy", map(np.asarray, made), rows, extract.dtype, extract.name)


def _of_teacher(cell: Cell, net: nn.Module) -> Blocks:
    data, device = cell.data, cell.device
    images = {"train": data.train.images, "val": data.val.images}
    return {
        name: penultimate_blocks(net, part, data.mean, data.std, device, progress=cell.progress)
        for name, part in images.items()
    }


def _of_backbone(cell: Cell, extract: Extract) -> Blocks:
    net, facts = backbone.load(extract.net, extract.file, extract.size)
    weights.write(cell.folder / WEIGHTS, net.net, (), Normalisation.of(facts["mean"], facts["std"]))
    write_json(cell.folder / EXTRACTOR, {"extractor": extract.title, **facts})
    laid_out(net.to(cell.device))
    images = {"train": cell.data.train.images, "val": cell.data.val.images}
    return {name: embed(net, part, cell.device, cell.progress) for name, part in images.items()}


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


def load_backbone(folder: Path, device: str) -> Backbone:
    """The frozen net behind stored features, on ``device``.

    Raises:
        DecoctError: its weights are damaged.
    """
    stored = weights.read(folder / WEIGHTS)
    net = backbone.restore(read_json(folder / EXTRACTOR), stored.state, str(folder))
    laid_out(net.to(device))
    return net


def make_readings(cell: Cell) -> None:
    """Measure one set on the features of every extractor."""
    job, data = cell.job, cell.data
    metrics = [parse("metric", config, job.plugins) for config in job.config["metrics"]]
    condensed = Condensed.load(cell.input("condense", job.inputs["condensed"])).materialise(data.train.images)
    images, teachers = condensed.pixels(), job.role("teacher").items()
    nets: dict[str, nn.Module]
    nets = {net: load_teacher(cell.input("teacher", key), data, cell.device) for net, key in teachers}
    stored = {name: cell.input("features", key) for name, key in job.role("features").items()}
    nets |= {
        name: load_backbone(folder, cell.device) for name, folder in stored.items() if (folder / WEIGHTS).is_file()
    }
    real = {name: splits_of(folder) for name, folder in stored.items()}
    rows: list[dict[str, Any]] = []
    with cell.meter():
        judged = logits(nets[zoo.HELD_OUT], images, data.mean, data.std, cell.device).numpy()
        for done, (extractor, features) in enumerate(real.items()):
            seen = seen_by(nets.get(extractor), features["train"], condensed, data, cell.device)
            measured = Measured(
                condensed=fitting(seen, features["train"].dtype, extractor),
                labels=condensed.labels,
                real=features,
                real_labels={"train": data.train.labels, "val": data.val.labels},
                class_names=data.class_names,
                member=condensed.member,
                logits=judged,
            )
            for metric in metrics:
                if metric.on == "features":
                    rows += readings(metric, measured, extractor)
                elif done == 0:
                    rows += readings(metric, measured, zoo.HELD_OUT)
            cell.progress(done + 1, len(real))
    write_json(cell.folder / READINGS, rows)


def splits_of(folder: Path, **how: Any) -> dict[str, NDArray[Any]]:
    """Stored features of train, and of val where there are some, by split; ``how`` is for ``load_features``."""
    there = [split for split in ("train", "val") if (folder / f"{split}.npy").is_file()]
    return {split: load_features(folder, split, **how) for split in there}


def seen_by(
    net: nn.Module | None, train: NDArray[Any], condensed: Condensed, data: Dataset, device: str
) -> NDArray[Any]:
    """Features [n, d] of a set's images, made as those of the train images were.

    Args:
        net: a teacher or a backbone; None where the user brought the features.
        train: features of the train images.
        condensed: the set, with its pixels.
        data: that it stands for.
        device: where to compute.

    Raises:
        DecoctError: the set has images that are not in train, and there is no net to look at them.
    """
    if isinstance(net, Backbone):
        return torch.cat(list(embed(net, condensed.pixels(), device))).numpy()
    if net is not None:
        return penultimate(net, condensed.pixels(), data.mean, data.std, device).numpy()
    if condensed.indices is None:
        raise DecoctError(
            "features from a .npy file are of the train images, and this set has images of its own\n"
            "measure it with an extractor that can look at them: a teacher, or timm:NAME"
        )
    return np.asarray(train[condensed.indices])


def readings(metric: Metric, measured: Measured, extractor: str) -> list[dict[str, Any]]:
    """A metric's readings as rows, with its traits; what is not defined is null."""
    return [
        {
            **vars(reading),
            "value": reading.value if math.isfinite(reading.value) else None,
            "extractor": extractor,
            "axis": metric.axis,
            "higher_is_better": metric.higher_is_better[reading.metric],
        }
        for reading in metric(measured)
    ]
