"""Stand-ins for what a job reads: cells of the right form at little cost, since time hangs on shapes, not on values."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from decoct.core import tensorfile
from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.kinds import Draft, Inputs, Machine, Task, silent
from decoct.core.record import CELL, Provenance, write_json
from decoct.core.spec import parse
from decoct.data.dataset import Dataset, Split, open_dataset
from decoct.engine.gradients import TRIED
from decoct.engine.relabel import relabel
from decoct.needs.trajectory import WEIGHTS as EXPERT
from decoct.run.cell import Cell
from decoct.run.execute import sign, work_of
from decoct.run.jobs import ExternalJob, Job
from decoct.run.storage.store import Store
from decoct.run.work.external import put_set
from decoct.run.work.sets import ARRAYS, NOTES, SHARD, from_draft, keep
from decoct.run.work.students import given

BLOCK = 2**28  # bytes that are drawn at a time
FEW = 4  # images of each class that a stand-in is made from at least
ONE_FORM = ("teacher", "generator")  # kinds whose result has one form however long they train
ONE_EPOCH = {"epochs": 1, "stop_at": None, "check_every": None}


def supply(store: Store, own: Store | None, job: Job, behind: Mapping[str, Job], device: str) -> None:
    """Lay out what a job reads: the study's own cells where there are some, else stand-ins."""
    for key, other in behind.items():
        if own and not store.path(other.kind, key).exists() and own.has(other.kind, key):
            store.path(other.kind, key).parent.mkdir(parents=True, exist_ok=True)
            store.path(other.kind, key).symlink_to(own.cell(other.kind, key).resolve())
    for key in job.inputs.values():
        stand_in(store, key, behind, device)


def stand_in(store: Store, key: str, jobs: Mapping[str, Job], device: str) -> None:
    """Leave a cell in the store that can be read in place of a job's; nothing where there is a cell.

    A teacher, and all that comes from training, is the job's own work on a few images of each class, for one epoch
    where the result's form allows it; rows of images are repeated up to the number of the train split. A set is made of
    the first real images of each class; stored labels say nothing, but of the right views. The store is for stand-ins
    alone: they lie under the keys of what they stand for.

    Raises:
        DecoctError: external labels, of views that nobody knows.
    """
    job = jobs[key]
    if store.has(job.kind, key):
        return None
    if job.kind in ("trajectory", "dynamics"):  # one is enough for all seeds: a method may need a hundred experts
        for other in jobs.values():
            if (other.kind, other.config) == (job.kind, job.config) and store.has(job.kind, other.key):
                with store.writing(job.kind, key) as folder:
                    for file in store.path(job.kind, other.key).iterdir():
                        (folder / file.name).symlink_to(file.resolve())
                    (folder / CELL).unlink()
                    sign(folder, job)
                return None
    for needed in () if job.kind in ("condense", "shard") else job.inputs.values():
        stand_in(store, needed, jobs, device)
    if isinstance(job, ExternalJob) and job.kind != "condense":
        raise DecoctError("labels that were brought along have no stand-in: the first run tells")
    data = open_dataset(Path(job.data))
    if isinstance(job, ExternalJob):
        return put_set(job, _drawn(job, data)[1], data, store)
    try:
        _write(store, job, few(data), data, device)
    except DecoctError:
        if job.kind != "features":
            raise
        _write(store, job, data, data, device)  # rows that the user brought are of all images, and soon copied
    return None


def few(data: Dataset) -> Dataset:
    """The same data with the images that are ``picked`` alone."""

    def cut(split: Split) -> Split:
        picks = picked(split, len(data.class_names))
        files = None if split.files is None else tuple(split.files[i] for i in picks)
        return Split(np.ascontiguousarray(split.images[picks]), split.labels[picks], files)

    return replace(data, train=cut(data.train), val=cut(data.val), test=cut(data.test))


def picked(split: Split, classes: int) -> NDArray[np.int64]:
    """Rows of the first images of each class, and of those by which a method sees that features are a teacher's."""
    first = [np.flatnonzero(split.labels == c)[:FEW] for c in range(classes)]
    return np.unique(np.concatenate([*first, np.linspace(0, len(split) - 1, TRIED).astype(np.int64)]))


def _write(store: Store, job: Job, small: Dataset, data: Dataset, device: str) -> None:
    with store.writing(job.kind, job.key) as folder:
        if job.kind == "condense":
            draft, condensed = _drawn(job, data)
            keep(folder, condensed, data, draft)
        elif job.kind == "shard":
            draft, _ = _drawn(job, data)
            arrays = {name: value for name in ARRAYS if (value := getattr(draft, name)) is not None}
            tensorfile.write(folder / SHARD, arrays)
            write_json(folder / NOTES, {"steps": 0, "mosaic": 1, "notes": {}})
        elif job.kind == "labels":
            _labelled(Cell(job, store, folder, data, device, silent))
        else:
            if job.kind in ONE_FORM and not any(map(job.config.get, ("pretrained", "checkpoint", "digest"))):
                brief = {name: value for name, value in ONE_EPOCH.items() if name in job.config}
                job = job.model_copy(update={"config": job.config | brief})  # on which its key does not hang
            work_of(job)(Cell(job, store, folder, small, device, silent))
        if job.kind == "trajectory":
            np.save(folder / EXPERT, _shaken(np.load(folder / EXPERT, allow_pickle=False)))
        for file in folder.glob("*.npy") if job.kind == "dynamics" else ():
            np.save(file, _enlarge(file, 1, small.train, data.train))
        for split in ("train", "val") if job.kind == "features" and small is not data else ():
            rows = _enlarge(folder / f"{split}.npy", 0, getattr(small, split), getattr(data, split))
            rows[picked(getattr(data, split), len(data.class_names))] = np.load(folder / f"{split}.npy")
            np.save(folder / f"{split}.npy", rows)
        sign(folder, job)


def _enlarge(file: Path, axis: int, few: Split, all_: Split) -> NDArray[Any]:
    """What was made of a few images along an axis, as of all of them: each around that of an image of its class."""
    made, like = np.load(file, allow_pickle=False), np.empty(len(all_), np.int64)
    for c in np.unique(all_.labels):
        rows = np.flatnonzero(all_.labels == c)
        like[rows] = np.resize(np.flatnonzero(few.labels == c), len(rows))
    return _shaken(np.take(made, like, axis))


def _shaken(array: NDArray[Any]) -> NDArray[Any]:
    """Floats as far from each other as they lie apart; near copies would make exact neighbours dear, and experts still.

    Where an expert stands nearly still, matching divides by nearly nothing.
    """
    rng, spread = np.random.default_rng(0), array.std(dtype=np.float32) if array.dtype.kind == "f" else 0
    for part in np.array_split(array, 1 + array.nbytes // BLOCK) if spread else ():
        part += (spread * rng.standard_normal(part.shape, np.float32)).astype(array.dtype)
    return array


def _drawn(job: Job, data: Dataset) -> tuple[Draft, Condensed]:
    """A set, or a shard, of the first real images of each class: a selection's indices, or pixels."""
    classes = job.keyed.get("classes")
    asked = Inputs(data, Budget(**job.keyed["budget"]), classes=tuple(classes) if classes else None)
    picks = np.concatenate([rows[:n] for rows, n in zip(asked.members(), asked.quotas(), strict=True)])
    draft = Draft.synthesised(data.train.images[picks], data.train.labels[picks])
    if job.config and parse("condenser", job.config, job.plugins).family == "coreset":  # a set that is brought has none
        draft = Draft.selected(picks)
    return draft, from_draft(draft, data, Provenance(method="stand-in", data_digest=data.digest))


def _labelled(cell: Cell) -> None:
    """Labels of the right views, by a teacher that knows nothing and takes no time."""
    job, data = cell.job, cell.data
    protocol = parse("protocol", job.config, job.plugins)
    condensed, images = given(cell)
    recipe = protocol.recipe(Task.of(data, condensed))
    ignorant = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(data.shape[0], len(data.class_names)))
    teachers, seed, machine = [ignorant.to(cell.device).eval()], job.keyed["seed"], Machine(cell.device)
    made = relabel(images, recipe, teachers, protocol.storing(), data.class_names, seed=seed, machine=machine)
    made.save(cell.folder)
