"""Stand-ins for what a job reads: cells of the right form at little cost, since time hangs on shapes, not on values."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.core import tensorfile
from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.kinds import Draft, Inputs, silent
from decoct.core.record import CELL, Provenance, read_json, write_json
from decoct.core.spec import parse
from decoct.data.dataset import Dataset, Split, open_dataset
from decoct.engine.gradients import TRIED
from decoct.engine.matching.experts import WEIGHTS as EXPERT
from decoct.engine.relabel import relabel
from decoct.run.cell import Cell
from decoct.run.execute import WORK
from decoct.run.jobs import ExternalJob, Job
from decoct.run.storage.store import Store
from decoct.run.work.external import write_set
from decoct.run.work.sets import NOTES, SHARD, from_draft, keep
from decoct.run.work.students import given, task_of

FEW = 4  # images of each class that a stand-in is made from at least
BLOCK = 65536  # rows that are drawn at a time
ONCE = ("teacher", "generator")  # their result has one form however long they train


def stand_in(store: Store, key: str, jobs: Mapping[str, Job], device: str) -> None:
    """Leave a cell in the store that can be read in place of a job's; nothing where there is a cell.

    A teacher, and all that comes from training, is the job's own work on a few images of each class, for one epoch
    where the result's form allows it; rows of images are repeated up to the number of the train split. A set is made of
    the first real images of each class; stored labels say nothing, but of the right views.

    Args:
        store: for stand-ins alone: they lie under the keys of what they stand for.
        key: of the job.
        jobs: it and those behind it, by key.
        device: where to compute.
    """
    job = jobs[key]
    if store.has(job.kind, key):
        return
    if twin := _twin(store, job, jobs):
        _link(store.path(job.kind, twin), store.path(job.kind, key), job)
        return
    for needed in job.inputs.values():
        stand_in(store, needed, jobs, device)
    if isinstance(job, ExternalJob):
        _given(store, job)
        return
    data = open_dataset(Path(job.data))
    try:
        _write(store, _brief(job), few(data), data, device)
    except DecoctError:
        if job.kind != "features":
            raise
        _write(store, job, data, data, device)  # rows that the user brought are of all images, and soon copied


def _given(store: Store, job: ExternalJob) -> None:
    """In place of an external set, one of as many real images.

    Raises:
        DecoctError: external labels, of views that nobody knows.
    """
    if job.kind != "condense":
        raise DecoctError("external labels have no stand-in: the first run tells")
    data = open_dataset(Path(job.data))
    asked = Inputs(data, Budget(**job.keyed["budget"]))
    picks = np.concatenate([rows[:n] for rows, n in zip(asked.members(), asked.quotas(), strict=True)])
    made = from_draft(
        Draft.synthesised(data.train.images[picks], data.train.labels[picks]), data, Provenance(method="stand-in")
    )
    with store.writing(job.kind, job.key) as folder:
        write_set(folder, job, made, data)


def _twin(store: Store, job: Job, jobs: Mapping[str, Job]) -> str | None:
    """Key of a cell of another seed, which one stand-in is enough for: a method may need a hundred experts."""
    if job.kind not in ("trajectory", "dynamics"):
        return None
    others = (other for other in jobs.values() if other.kind == job.kind and other.config == job.config)
    return next((other.key for other in others if store.has(other.kind, other.key)), None)


def _link(twin: Path, folder: Path, job: Job) -> None:
    """A cell of a job from the files of another one; what was summed up of those is true of these."""
    folder.mkdir(parents=True)
    for file in twin.iterdir():
        if file.name != CELL:
            (folder / file.name).symlink_to(file.resolve())
    said = {"key": job.key, **job.model_dump(mode="json", include={"kind", "keyed", "inputs"})}
    write_json(folder / CELL, read_json(twin / CELL) | said)


def picked(split: Split, classes: int) -> NDArray[np.int64]:
    """Rows of the first images of each class, and of those by which a method sees that features are a teacher's."""
    first = [np.flatnonzero(split.labels == c)[:FEW] for c in range(classes)]
    spread = np.linspace(0, len(split) - 1, TRIED).astype(np.int64)
    return np.unique(np.concatenate([*first, spread]))


def few(data: Dataset) -> Dataset:
    """The same data with the images that are ``picked`` alone."""

    def cut(split: Split) -> Split:
        picks = picked(split, len(data.class_names))
        files = None if split.files is None else tuple(split.files[i] for i in picks)
        return Split(np.ascontiguousarray(split.images[picks]), split.labels[picks], files)

    return replace(data, train=cut(data.train), val=cut(data.val), test=cut(data.test))


def _write(store: Store, job: Job, small: Dataset, data: Dataset, device: str) -> None:
    with store.writing(job.kind, job.key) as folder:
        if job.kind in ("condense", "shard"):
            _drawn(Cell(job, store, folder, data, device, silent))
        elif job.kind == "labels":
            _labelled(Cell(job, store, folder, data, device, silent))
        else:
            WORK[job.kind](Cell(job, store, folder, small, device, silent))
        if job.kind in ENLARGED and small is not data:
            ENLARGED[job.kind](folder, small, data)
        write_json(folder / CELL, {"key": job.key, **job.model_dump(mode="json", include={"kind", "keyed", "inputs"})})


def _brief(job: Job) -> Job:
    """The job with one epoch; its key does not hang on its config."""
    supplied = job.config.get("pretrained") or job.config.get("checkpoint") or job.config.get("digest")
    if job.kind not in ONCE or supplied:
        return job
    once = {"epochs": 1, "stop_at": None, "check_every": None}
    return job.model_copy(update={"config": job.config | {k: v for k, v in once.items() if k in job.config}})


def _features(folder: Path, small: Dataset, data: Dataset) -> None:
    """Rows for all images, each around that of an image of its class, as far off as rows lie from each other.

    Images that are ``picked`` keep their own. Near copies would make exact neighbours dear: many would be too close to
    each other to be told apart cheaply.
    """
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        rows = np.load(folder / f"{split}.npy", allow_pickle=False)
        like = _of_class(getattr(small, split).labels, getattr(data, split).labels)
        made = np.empty((len(like), rows.shape[1]), rows.dtype)
        spread = rows.std(0, dtype=np.float32)
        for at in range(0, len(like), BLOCK):
            some = like[at : at + BLOCK]
            made[at : at + BLOCK] = rows[some] + spread * rng.standard_normal((len(some), rows.shape[1]), np.float32)
        made[picked(getattr(data, split), len(data.class_names))] = rows
        np.save(folder / f"{split}.npy", made)


def _traces(folder: Path, small: Dataset, data: Dataset) -> None:
    """Traces [epochs, N] of all images, each that of an image of its class, a little moved so that ties are rare."""
    rng, like = np.random.default_rng(0), _of_class(small.train.labels, data.train.labels)
    for file in sorted(folder.glob("*.npy")):
        made = np.load(file, allow_pickle=False)[:, like]
        if made.dtype.kind == "f":
            for epoch in made:
                epoch *= 1 + 0.01 * rng.standard_normal(len(epoch), np.float32)
        np.save(file, made)


def _experts(folder: Path, small: Dataset, data: Dataset) -> None:
    """Weights [epochs + 1, P] that move: where an expert stands nearly still, matching divides by nearly nothing."""
    weights = np.load(folder / EXPERT, allow_pickle=False)
    step = np.float32(0.1 * weights[0].std())
    weights[1:] += step * np.random.default_rng(0).standard_normal(weights[1:].shape, np.float32).cumsum(0)
    np.save(folder / EXPERT, weights)


def _of_class(few: NDArray[np.int64], all_: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each label a row of the few with the same label, in turn."""
    found = np.zeros(len(all_), np.int64)
    for c in np.unique(all_):
        own = np.flatnonzero(few == c)
        found[all_ == c] = np.resize(own, int((all_ == c).sum()))
    return found


def _drawn(cell: Cell) -> None:
    """A set, or a shard, of real images: a selection's indices, or pixels."""
    job, data = cell.job, cell.data
    method = parse("condenser", job.config, job.plugins)
    budget, classes = Budget(**job.keyed["budget"]), job.keyed.get("classes")
    asked = Inputs(data, budget, classes=tuple(classes) if classes else None)
    picks = np.concatenate([rows[:n] for rows, n in zip(asked.members(), asked.quotas(), strict=True)])
    labels = data.train.labels[picks]
    draft = Draft.selected(picks)
    if method.family != "coreset":
        draft = Draft.synthesised(data.train.images[picks], labels)
    if job.kind == "shard":
        arrays: dict[str, Any] = {"indices": picks} if draft.images is None else {"images": draft.images}
        tensorfile.write(cell.folder / SHARD, arrays | ({} if draft.images is None else {"labels": labels}))
        write_json(cell.folder / NOTES, {"steps": 0, "mosaic": 1, "notes": {}})
        return
    known = Provenance(method=method.name, spec=method.identity(), data=data.name, data_digest=data.digest)
    keep(cell.folder, from_draft(draft, data, known), data, draft)


def _labelled(cell: Cell) -> None:
    """Labels of the right views, by a teacher that knows nothing and takes no time."""
    job, data = cell.job, cell.data
    protocol = parse("protocol", job.config, job.plugins)
    condensed, images = given(cell)
    recipe = protocol.recipe(task_of(condensed, data, batch_norm=True))
    made = relabel(
        images,
        recipe,
        [Ignorant(len(data.class_names)).to(cell.device).eval()],
        protocol.labels,
        data.class_names,
        seed=job.keyed["seed"],
        device=cell.device,
    )
    made.save(cell.folder)


class Ignorant(nn.Module):
    """Gives every class of every image [B, C, H, W] the same logit."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(classes), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        """[B, classes] zeros."""
        return self.logits.expand(len(images), -1)


# Kinds whose cells, made of a few images, are not yet such as those of all images.
ENLARGED = {"features": _features, "dynamics": _traces, "trajectory": _experts}
