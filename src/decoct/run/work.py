"""The work of each kind of job: what is loaded, what runs under the meter, what is left in the cell."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.kinds import Draft, Features, Inputs, Measured, Metric, Teacher
from decoct.core.record import CELL, Provenance, read_json, write_json
from decoct.core.spec import build, parse
from decoct.data.dataset import Dataset
from decoct.engine.teachers import Teach, restore, teach
from decoct.nets import weights, zoo
from decoct.nets.features import logits, penultimate
from decoct.nets.layout import laid_out
from decoct.nets.renormalise import Normalisation, bare
from decoct.run.cell import Cell
from decoct.run.pictures import grid

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


def make_condensed(cell: Cell) -> None:
    """Run a condenser on what it needs; keep the set, its provenance, its size in bytes and its picture."""
    job, data = cell.job, cell.data
    method = parse("condenser", job.config, job.plugins)
    teachers, features = {}, {}
    for need in method.needs():
        if isinstance(need, Teacher):
            key = job.role("teacher")[zoo.resolve(need.net, data.size)]
            teachers[need.net] = load_teacher(cell.input("teacher", key), data, cell.device)
        elif isinstance(need, Features):
            key = job.role("features")[zoo.resolve(need.extractor, data.size)]
            features[need] = load_features(cell.input("features", key), "train", need.normalise)
    budget = Budget(**job.keyed["budget"])
    inputs = Inputs(data, budget, job.keyed["seed"] or 0, cell.device, teachers, features, cell.progress)
    with cell.meter():
        draft = method(inputs)
    provenance = Provenance(
        method=method.name,
        spec=method.identity(),
        data=data.name,
        data_digest=data.digest,
        budget=str(budget),
        seed=job.keyed["seed"],
        inputs=job.inputs,
        not_counted=supplied(cell),
        key=job.key,
    )
    made = from_draft(draft, data, provenance)
    if len(made) != (asked := sum(inputs.quotas())):
        raise DecoctError(f"{method.name} made {len(made)} images where the budget {budget} gives {asked}")
    keep(cell.folder, made, data, draft)


def supplied(cell: Cell) -> tuple[str, ...]:
    """Nets behind a set's teachers and features whose weights the user brought, so that their cost is not known."""
    keys = cell.job.role("teacher")
    for features in cell.job.role("features").values():
        needed: dict[str, str] = read_json(cell.input("features", features) / CELL)["inputs"]
        keys |= {role.removeprefix("teacher:"): key for role, key in needed.items()}
    return tuple(net for net, key in keys.items() if read_json(cell.input("teacher", key) / TEACHER)["checkpoint"])


def from_draft(draft: Draft, data: Dataset, provenance: Provenance) -> Condensed:
    """The draft as a set.

    Raises:
        DecoctError: neither indices nor images with labels, picks outside of the train split, or images of another
            shape than the data's.
    """
    picks, images = draft.indices, draft.images
    if picks is None and (images is None or draft.labels is None):
        raise DecoctError(f"{provenance.method} returned neither indices nor images with labels")
    if picks is not None and ((picks < 0) | (picks >= len(data.train))).any():
        raise DecoctError(f"{provenance.method} picked images that the train split does not have")
    if picks is None and images is not None and images.shape[1:] != data.shape:
        raise DecoctError(f"{provenance.method} made images of shape {images.shape[1:]}; the data's are {data.shape}")
    labels = data.train.labels[picks] if picks is not None else draft.labels
    return Condensed(
        labels=np.asarray(labels, dtype=np.int64),
        class_names=data.class_names,
        provenance=provenance,
        indices=picks,
        images=None if picks is not None else images,
        soft_labels=draft.soft_labels,
        weights=draft.weights,
        mosaic=draft.mosaic,
    )


def keep(folder: Path, condensed: Condensed, data: Dataset, draft: Draft) -> None:
    """Write a set into a cell, with its facts, its picks and its pictures."""
    condensed.save(folder)
    if condensed.member:
        condensed.write_picks(folder / "picks.csv", data.train.files)
    whole = condensed.materialise(data.train.images)
    facts = {
        "images": len(condensed),
        "image_bytes": whole.image_bytes(),
        "label_bytes": label_bytes(condensed),
        "steps": draft.steps,
        "notes": dict(draft.notes),
    }
    write_json(folder / FACTS, facts)
    grid(whole.pixels(), whole.labels, len(data.class_names)).save(folder / "preview.png")
    if draft.initial is not None:
        grid(draft.initial, whole.labels, len(data.class_names)).save(folder / "initial.png")


def label_bytes(condensed: Condensed) -> int:
    """Bytes of the labels that travel with a set: whole bytes for a class, plus stored soft labels."""
    hard = len(condensed) * max(1, math.ceil(math.log(len(condensed.class_names), 256)))
    return hard + (0 if condensed.soft_labels is None else condensed.soft_labels.nbytes)


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
