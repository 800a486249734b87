"""Sets that the store did not make: put into a cell under the digest of their content."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from decoct.core.condensed import FACTS, Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Draft
from decoct.core.record import CELL, write_json
from decoct.core.spec import digest
from decoct.data.class_folder import read_class_folder
from decoct.data.dataset import Dataset
from decoct.engine.softlabels import StoredLabels
from decoct.run.graph import Made
from decoct.run.storage.store import Store
from decoct.run.work.sets import keep


def load_set(path: Path, data: Dataset) -> Condensed:
    """A set from disk: what ``decoct condense`` saved, or a class-folder of pictures.

    Raises:
        UsageError: no such folder.
        DecoctError: damaged, or of other classes than the data.
    """
    if not path.is_dir():
        raise UsageError(f"no set at {path}: give a folder that 'decoct condense' made, or a class-folder of images")
    return Condensed.load(path) if (path / FACTS).is_file() else read_class_folder(path, data.class_names, data.shape)


def adopt(condensed: Condensed, data: Dataset, store: Store) -> Made:
    """Store a set, unless it is there, and say where.

    Raises:
        DecoctError: the set has other classes or another image shape than the data, or picks from other data.
    """
    check_fit(condensed, data)
    if condensed.indices is not None:
        condensed = replace(condensed, images=None)  # the picks say it all
    sha = hashlib.sha256()
    for name in ("labels", "indices", "images", "soft_labels", "weights"):
        value = getattr(condensed, name)
        if value is not None:
            sha.update(f"{name} {value.dtype} {value.shape}".encode())
            sha.update(np.ascontiguousarray(value).data)
    if condensed.mosaic > 1:  # the same pixels train otherwise then
        sha.update(f"mosaic {condensed.mosaic}".encode())
    key = digest({"kind": "condense", "content": sha.hexdigest(), "data": data.digest})
    who = condensed.provenance
    if not store.has("condense", key):
        with store.writing("condense", key) as folder:
            keep(folder, condensed, data, Draft())
            write_json(folder / CELL, {"key": key, "kind": "condense", "keyed": {"adopted": who.method}, "inputs": {}})
    return Made(key, {"method": who.method, "budget": who.budget, "condense_replicate": 0})


def adopt_labels(labels: StoredLabels, store: Store) -> str:
    """Store labels, unless they are there, and say under which key."""
    sha = hashlib.sha256(digest(labels.facts).encode())
    for name, array in sorted(labels.arrays.items()):
        sha.update(f"{name} {array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    key = digest({"kind": "labels", "content": sha.hexdigest()})
    if not store.has("labels", key):
        with store.writing("labels", key) as folder:
            labels.save(folder)
            write_json(folder / CELL, {"key": key, "kind": "labels", "keyed": {"adopted": True}, "inputs": {}})
    return key


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
