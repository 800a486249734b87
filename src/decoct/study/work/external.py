"""External sets and their labels as cells: keyed by their content, without a measured cost."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from decoct.core.budget import Budget
from decoct.core.condensed import NAMES, Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Draft
from decoct.core.record import CELL, write_json
from decoct.core.spec import digest
from decoct.data.dataset import Dataset
from decoct.study.jobs import ExternalJob
from decoct.study.store.store import Store
from decoct.study.work.sets import keep
from decoct.training.softlabels import StoredLabels


def set_job(condensed: Condensed, data: Dataset, labels: Mapping[str, str | int]) -> ExternalJob:
    """A set as a job that is done once ``put_set`` has put it into a store.

    Raises:
        DecoctError: the set has other classes or another image shape than the data, or picks from other data.
    """
    check_fit(condensed, data)
    keyed = {"budget": budget_of(condensed).model_dump(), **content(condensed, data.digest)}
    return ExternalJob(kind="condense", keyed=keyed, labels=dict(labels), config={}, data=str(data.folder))


def content(condensed: Condensed, data_digest: str) -> dict[str, str]:
    """What the key of an external set digests: its arrays, and the data that it stands for."""
    condensed = _bare(condensed)
    sha = hashlib.sha256()
    for name in NAMES:
        value = getattr(condensed, name)
        if value is not None:
            sha.update(f"{name} {value.dtype} {value.shape}".encode())
            sha.update(np.ascontiguousarray(value).data)
    if condensed.mosaic > 1:  # the same pixels train otherwise then
        sha.update(f"mosaic {condensed.mosaic}".encode())
    if condensed.rate is not None:
        sha.update(f"rate {condensed.rate!r}".encode())
    return {"content": sha.hexdigest(), "data": data_digest}


def put_set(job: ExternalJob, condensed: Condensed, data: Dataset, store: Store) -> None:
    """Put a set into the store, unless it is there."""
    if not store.has(job.kind, job.key):
        with store.writing(job.kind, job.key) as folder:
            write_set(folder, job, condensed, data)


def write_set(folder: Path, job: ExternalJob, condensed: Condensed, data: Dataset) -> None:
    """The files of its cell."""
    keep(folder, _bare(condensed), data, Draft())
    keyed = {"external": condensed.provenance.method}
    write_json(folder / CELL, {"key": job.key, "kind": job.kind, "keyed": keyed, "inputs": {}})


def labels_job(labels: StoredLabels, said: Mapping[str, str | int] | None = None) -> ExternalJob:
    """Stored labels as a job that is done once ``put_labels`` has put them into a store."""
    sha = hashlib.sha256(digest(labels.facts).encode())
    for name, array in sorted(labels.arrays.items()):
        sha.update(f"{name} {array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return ExternalJob(kind="labels", keyed={"content": sha.hexdigest()}, labels=dict(said or {}), config={}, data="")


def put_labels(job: ExternalJob, labels: StoredLabels, store: Store) -> None:
    """Put labels into the store, unless they are there."""
    if not store.has(job.kind, job.key):
        with store.writing(job.kind, job.key) as folder:
            labels.save(folder)
            write_json(folder / CELL, {"key": job.key, "kind": job.kind, "keyed": {"external": True}, "inputs": {}})


def budget_of(condensed: Condensed) -> Budget:
    """What a set keeps to: as many images of each class, or so many in all."""
    counts = Counter(condensed.labels.tolist())
    if len(counts) == len(condensed.class_names) and len(set(counts.values())) == 1:
        return Budget(ipc=counts[0])
    return Budget(images=len(condensed), balanced=False)


def check_fit(condensed: Condensed, data: Dataset) -> None:
    """Raise a DecoctError unless the set can train students for the data."""
    if condensed.class_names != data.class_names:
        ours, theirs = set(data.class_names), set(condensed.class_names)
        if ours == theirs:
            raise DecoctError("the set has the classes of the data in another order: labels would be mixed up")
        raise DecoctError(
            f"the set has other classes than {data.name}\n"
            f"only in the set: {', '.join(sorted(theirs - ours)[:5]) or 'none'}; "
            f"only in the data: {', '.join(sorted(ours - theirs)[:5]) or 'none'}"
        )
    if condensed.indices is not None and condensed.provenance.data_digest != data.digest:
        raise DecoctError(
            f"the set picks images of another version of '{condensed.provenance.data}' than the data given here\n"
            "give the data that it was made from, or make the set again"
        )
    if condensed.images is not None and condensed.images.shape[1:] != data.shape:
        raise DecoctError(f"the set's images are {condensed.images.shape[1:]} (C, H, W), the data's {data.shape}")


def _bare(condensed: Condensed) -> Condensed:
    return replace(condensed, images=None) if condensed.indices is not None else condensed  # the picks say it all
