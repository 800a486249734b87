"""The work on sets: a condenser runs, or its shards are put together; the set is kept with its facts and pictures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.core import tensorfile
from decoct.core.budget import Budget
from decoct.core.condensed import Condensed, picture
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Condenser, Draft, Inputs, Need
from decoct.core.record import CELL, Provenance, read_json, write_json
from decoct.core.spec import find, parse
from decoct.data.dataset import Dataset
from decoct.nets.room import room
from decoct.study.cell import Cell
from decoct.study.store.store import KeptOnDisk

SHARD, NOTES, FACTS = "shard.safetensors", "shard.json", "facts.json"
ARRAYS = ("indices", "images", "labels", "soft_labels", "weights", "initial")


def make_condensed(cell: Cell) -> None:
    """Run a condenser on what it needs, or put its shards together; keep the set, its provenance and its picture.

    Files:
        condensed.safetensors: labels, and indices or images; soft labels, weights
        condensed.json: class names, provenance
        facts.json: images, bytes of images (as PNG) and labels, optimiser steps, the method's notes, such as its losses
        picks.csv: of a selection: index, class, source file, weight if there are any
        preview.png: the set
        initial.png: what an optimised one started from
    """
    job, data = cell.job, cell.data
    method = parse("condenser", job.config, job.plugins)
    budget = Budget(**job.keyed["budget"])
    cell.estimate = check_room(method, data, budget, cell.device)
    shards = [cell.input("shard", key) for _, key in sorted(job.role("shard").items(), key=lambda each: int(each[0]))]
    with cell.meter():
        draft = merged(shards, cell.kept()) if shards else method(needed(cell, method))
    made_of = behind(cell)
    provenance = Provenance(
        method=method.name,
        spec=method.identity(),
        data=data.name,
        data_digest=data.digest,
        budget=str(budget),
        seed=job.keyed["seed"],
        inputs={role: key for role, key in job.inputs.items() if not role.startswith("shard:")},
        not_counted=tuple(name for need, name, record in made_of if need.uncounted(record)),
        seen={name: said for need, name, record in made_of if (said := need.saw(record)) is not None},
        key=job.key,
    )
    made = from_draft(draft, data, provenance)
    if len(made) != (asked := sum(budget.per_class(data.counts(), data.class_names))):
        raise DecoctError(f"{method.name} made {len(made)} images where the budget {budget} gives {asked}")
    keep(cell.folder, made, data, draft)


def make_shard(cell: Cell) -> None:
    """Run a condenser for some of the classes, or for some images of each.

    Files:
        shard.safetensors: a draft of these: its arrays
        shard.json: its steps and notes, and which images of each class it has, where not all
    """
    method = parse("condenser", cell.job.config, cell.job.plugins)
    cell.estimate = check_room(method, cell.data, Budget(**cell.job.keyed["budget"]), cell.device)
    with cell.meter():
        draft = method(needed(cell, method))
    if draft.rate is not None:
        raise DecoctError(f"{method.name} learns a rate for some classes: leave together() out, so that it sees all")
    arrays = {name: value for name in ARRAYS if (value := getattr(draft, name)) is not None}
    tensorfile.write(cell.folder / SHARD, arrays)
    facts = {"steps": draft.steps, "mosaic": draft.mosaic, "notes": dict(draft.notes)}
    write_json(cell.folder / NOTES, {**facts, "numbers": cell.job.keyed.get("numbers")})


def needed(cell: Cell, method: Condenser) -> Inputs:
    """What a method gets: its needs from the store, its seed, what it makes of a shard, and room for that."""
    given: dict[str, dict[Any, Any]] = {}
    for need in method.needs():
        for name, values in need.load(cell).items():
            given.setdefault(name, {}).update(values)
    job, compute = cell.job, cell.job.keyed.get("compute", {})  # none of a probe of an external set
    part: dict[str, Any] = {key: tuple(job.keyed[key]) for key in ("classes", "numbers") if key in job.keyed}
    return Inputs(
        cell.data,
        Budget(**job.keyed["budget"]),
        job.keyed["seed"] or 0,
        cell.device,
        compute.get("precision", "float32"),
        compute.get("compile", False) or cell.device.startswith("cuda"),  # what that changes, the device does as well
        kept=cell.kept(),
        progress=cell.progress,
        **(part | given),
    )


def behind(cell: Cell) -> list[tuple[type[Need], str, dict[str, Any]]]:
    """The needs behind a set whose cells have a record, with names and records of those; what they read comes last."""
    todo = [(role, key) for role, key in cell.job.inputs.items() if not role.startswith("shard:")]
    records: dict[str, tuple[type[Need], str, dict[str, Any]]] = {}
    for role, key in todo:  # which grows meanwhile
        kind, _, name = role.partition(":")
        need: type[Need] = find("need", kind, cell.job.plugins)
        if need.record and role not in records:
            record = cell.store.file(kind, key, need.record)
            records[role] = need, name, read_json(record) if record.is_file() else {}
        todo += read_json(cell.store.file(kind, key, CELL))["inputs"].items()
    return list(records.values())


def merged(shards: list[Path], kept: KeptOnDisk) -> Draft:
    """The drafts of shards, put together as memory maps; notes are means over the images."""
    parts = [tensorfile.read(shard / SHARD) for shard in shards]
    facts = [read_json(shard / NOTES) for shard in shards]
    numbers = [fact.get("numbers") for fact in facts]
    sizes = [len(part["labels" if "labels" in part else "indices"]) for part in parts]
    whole: dict[str, Any] = {}
    for name in (name for name in ARRAYS if name in parts[0]):
        arrays = [part[name] for part in parts]
        room = kept.array(name, (sum(map(len, arrays)), *arrays[0].shape[1:]), np.result_type(*arrays))
        whole[name] = woven(arrays, numbers, room) if all(numbers) else np.concatenate(arrays, out=room)
    return Draft(
        **whole,
        steps=sum(fact["steps"] for fact in facts),
        mosaic=facts[0]["mosaic"],
        notes=averaged([fact["notes"] for fact in facts], sizes),
    )


def woven(parts: Sequence[NDArray[Any]], numbers: Sequence[tuple[int, int]], room: NDArray[Any]) -> NDArray[Any]:
    """Fill ``room`` [classes · ipc, …], class after class, with parts that have some images of some classes.

    Args:
        parts: each [k · (b − a), …]: of k classes the images a to b; those of the same classes follow each other.
        numbers: a and b of each part.
        room: for all.
    """
    ipc, at = max(b for _, b in numbers), 0
    for part, (a, b) in zip(parts, numbers, strict=True):
        classes = len(part) // (b - a)
        here = room[at : at + classes * ipc].reshape(classes, ipc, *room.shape[1:])
        here[:, a:b] = part.reshape(classes, b - a, *part.shape[1:])
        at += classes * ipc if b == ipc else 0
    return room


def averaged(notes: list[Mapping[str, float]], sizes: list[int]) -> dict[str, float]:
    """Means weighted by images."""
    names = notes[0].keys()
    return {name: sum(n[name] * size for n, size in zip(notes, sizes, strict=True)) / sum(sizes) for name in names}


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
        rate=draft.rate,
    )


def keep(folder: Path, condensed: Condensed, data: Dataset, draft: Draft) -> None:
    """Write a set into a cell, with its facts, its picks and its pictures."""
    condensed.save(folder)
    if condensed.member:
        condensed.write_picks(folder / "picks.csv", data.train.files)
    images, picks = condensed.images, None
    if images is None:  # of a selection, single images are read
        images, picks = data.train.images, condensed.indices
    facts = {
        "images": len(condensed),
        "image_bytes": condensed.image_bytes(data.train.images),
        "label_bytes": label_bytes(condensed),
        "steps": draft.steps,
        "notes": dict(draft.notes),
    }
    write_json(folder / FACTS, facts)
    grid(images, condensed.labels, len(data.class_names), picks=picks).save(folder / "preview.png")
    if draft.initial is not None:
        grid(draft.initial, condensed.labels, len(data.class_names)).save(folder / "initial.png")


def label_bytes(condensed: Condensed) -> int:
    """Bytes of the labels that travel with a set: whole bytes for a class, plus stored soft labels and weights."""
    hard = len(condensed) * max(1, math.ceil(math.log(len(condensed.class_names), 256)))
    return hard + sum(part.nbytes for part in (condensed.soft_labels, condensed.weights) if part is not None)


GAP = 1  # pixels between images


def grid(
    images: NDArray[Any],
    labels: NDArray[np.int64],
    classes: int,
    most: int = 10,
    picks: NDArray[np.int64] | None = None,
) -> Image.Image:
    """One row per class, up to ``most`` of each, on a mid-grey ground; only these images are read.

    Images are [N, C, S, S] uint8, or float32 in [0, 1]; ``picks`` [n] says to which each of ``labels`` [n] belongs.
    """
    rows = [np.flatnonzero(labels == c)[:most] for c in range(min(classes, most))]
    channels, height, width = images.shape[1:]
    columns = max(map(len, rows), default=1)
    sheet = np.full((channels, len(rows) * (height + GAP) + GAP, columns * (width + GAP) + GAP), 128, dtype=np.uint8)
    for r, members in enumerate(rows):
        for c, member in enumerate(members):
            top, left = GAP + r * (height + GAP), GAP + c * (width + GAP)
            image = images[member if picks is None else picks[member]]
            if image.dtype != np.uint8:
                image = np.clip(np.rint(image * 255), 0, 255)
            sheet[:, top : top + height, left : left + width] = image
    return picture(sheet)


def check_room(method: Condenser, data: Dataset, budget: Budget, device: str) -> str:
    """The estimated peak memory of a construction, in words; empty without an estimate.

    Raises:
        DecoctError: more than the device has.
    """
    ipc = max(budget.per_class(data.counts(), data.class_names))
    need, have = method.at(data.size).memory(data.shape, len(data.class_names), ipc), room(device)
    channels, height, width = data.shape
    said = (
        f"{method.name} of {len(data.class_names)} classes × {ipc} images of {channels} × {height} × {width} is "
        f"estimated to take {need / 2**30:,.1f} GiB"
    )
    if need > have:
        raise DecoctError(
            f"{said}; {device} has {have / 2**30:,.1f} GiB\n"
            "lower the budget, take a smaller net or smaller batches, or a machine with more memory"
        )
    return said if need else ""
