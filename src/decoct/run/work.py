"""The work of each kind of job: what is loaded, what runs under the meter, what is left in the cell."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.kinds import Measured, Metric
from decoct.core.record import read_json, write_json
from decoct.core.spec import build, parse
from decoct.data.dataset import Dataset
from decoct.engine.teachers import Teach, restore, teach
from decoct.nets import weights, zoo
from decoct.nets.features import logits, penultimate
from decoct.nets.layout import laid_out
from decoct.nets.renormalise import Normalisation, bare
from decoct.run.cell import Cell

WEIGHTS, TEACHER, FACTS, RESULT, CORRECT, READINGS = (
    "weights.safetensors",
    "teacher.json",
    "facts.json",
    "result.json",
    "correct.npy",
    "readings.json",
)


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
    """Features of the train and val images, as memory maps."""
    ((_, key),) = cell.job.role("teacher").items()
    data, net = cell.data, load_teacher(cell.input("teacher", key), cell.data, cell.device)
    with cell.meter():
        made = {
            name: penultimate(net, split.images, data.mean, data.std, cell.device, progress=cell.progress).numpy()
            for name, split in (("train", data.train), ("val", data.val))
        }
    for name, features in made.items():
        np.save(cell.folder / f"{name}.npy", features)


def load_features(folder: Path, split: str, normalise: str = "none") -> NDArray[np.float32]:
    """Stored features [N, d] of a split, a memory map unless they are scaled to unit length."""
    features: NDArray[np.float32] = np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False)
    if normalise == "unit":
        features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return features


def make_readings(cell: Cell) -> None:
    """Measure one set on the features of every extractor."""
    job, data = cell.job, cell.data
    metrics = [parse("metric", config, job.plugins) for config in job.config["metrics"]]
    condensed = Condensed.load(cell.input("condense", job.inputs["condensed"])).materialise(data.train.images)
    images, teachers = condensed.pixels(), job.role("teacher").items()
    nets = {net: load_teacher(cell.input("teacher", key), data, cell.device) for net, key in teachers}
    real = {
        name: {split: load_features(cell.input("features", key), split) for split in ("train", "val")}
        for name, key in job.role("features").items()
    }
    rows: list[dict[str, Any]] = []
    with cell.meter():
        judged = logits(nets[zoo.HELD_OUT], images, data.mean, data.std, cell.device).numpy()
        for done, (extractor, features) in enumerate(real.items()):
            measured = Measured(
                condensed=penultimate(nets[extractor], images, data.mean, data.std, cell.device).numpy(),
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
