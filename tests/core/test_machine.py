"""Trouble of the machine is told as itself: whoever reads of damage throws away what is whole."""

import errno
import os
import resource
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file

from decoct.core import integrity
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame, trouble
from decoct.core.record import CELL, Provenance, write_json
from decoct.core.spec import digest
from decoct.data import cache
from decoct.data.dataset import open_dataset
from decoct.data.external import arrays
from decoct.data.external.stored import SetFormat
from decoct.data.imagenet import tarfiles
from decoct.data.sources.tiny_imagenet import opened
from decoct.needs.dynamics import Trace
from decoct.needs.features import mapped
from decoct.nets import weights
from decoct.report.read.manifest import Manifest
from decoct.shrinking.pool import open_pool
from decoct.shrinking.reading.blocks import bytes_of
from decoct.study.store.store import KeptOnDisk
from decoct.training.softlabels import StoredLabels

HOW = SetFormat()


@contextmanager
def no_file_to_spare():
    """A process that may open no further file, as after ``ulimit -n``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def cell(folder):
    keyed = {"a": 1}
    key = digest({"kind": "train", "keyed": keyed, "inputs": {}})
    made = folder / "train" / key[:2] / key
    made.mkdir(parents=True)
    (made / "result.json").write_text("{}")
    write_json(made / CELL, {"kind": "train", "key": key, "keyed": keyed, "inputs": {}})
    integrity.seal(made)
    return made


def npz(folder):
    np.savez(folder / "a.npz", images=np.zeros((1, 4, 4), np.uint8), labels=np.zeros(1, np.int64))
    return folder / "a.npz"


def condensed(folder):
    Condensed(np.zeros(1, np.int64), ("a",), Provenance(method="x"), np.zeros(1, np.int64)).save(folder)
    return folder


def checkpoint(folder):
    torch.save({"a": torch.zeros(1)}, folder / "a.pt")
    return folder / "a.pt"


def safetensors(folder):
    save_file({"images": np.zeros((1, 4, 4), np.uint8), "labels": np.zeros(1, np.int64)}, folder / "a.safetensors")
    return folder / "a.safetensors"


def text(name, content="{}"):
    def made(folder):
        (folder / name).write_text(content)
        return folder

    return made


def zipped(folder):
    zipfile.ZipFile(folder / "a.zip", "w").close()
    return folder / "a.zip"


def features(folder):
    np.save(folder / "a.npy", np.zeros((2, 2), np.float32))
    return folder / "a.npy"


READERS = {
    "cell": (cell, integrity.faults),
    "condensed": (condensed, Condensed.load),
    "npz": (npz, lambda path: arrays.read_npz(path, HOW)),
    "safetensors": (safetensors, lambda path: arrays.read_safetensors(path, HOW)),
    "torch": (checkpoint, lambda path: arrays.read_torch(path, HOW)),
    "weights": (checkpoint, weights.read),
    "data set": (text("data.json"), open_dataset),
    "link": (text("a.json"), lambda folder: cache.read_link(folder / "a.json", folder)),
    "tar": (text("a.tar"), lambda folder: list(tarfiles.members(folder / "a.tar"))),
    "zip": (zipped, lambda path: opened(path).__enter__()),
    "features": (features, mapped),
    "traces": (text("a"), Trace.load),
    "run": (text("run.json"), Manifest.read),
    "pool": (text("facts.json"), open_pool),
    "labels": (text("labels.json"), StoredLabels.load),
    "checkpoint": (safetensors, weights.read),
    "picture": (text("a.png"), lambda folder: bytes_of(str(folder / "a.png"))),
    "kept": (safetensors, lambda path: KeptOnDisk(path.parent).load("a")),
}


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_NOFILE"), reason="no such limit")
@pytest.mark.parametrize("name", READERS)
def test_too_many_open_files_are_no_damage(tmp_path, name):
    make, read = READERS[name]
    made = make(tmp_path)
    try:
        read(made)  # whatever that imports is there now, whether or not the content is whole
    except Exception as error:
        assert "ulimit" not in str(error)
    integrity._sums.cache_clear()
    integrity._sha256.cache_clear()
    with no_file_to_spare(), pytest.raises(DecoctError, match=r"too many open files: raise `ulimit -n`") as caught:
        read(made)
    assert "damaged" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_each_trouble_names_the_file_and_the_way_out(number):
    error = OSError(number, os.strerror(number), "/data/a.npz")
    with pytest.raises(DecoctError, match=r"^/data/a\.npz: .*(again|continues)$") as caught:
        blame(error)
    assert caught.value.__cause__ is error
    assert (trouble(error, STRAINED) is None) == (number in (errno.ENOSPC, errno.EROFS, errno.EACCES))


def test_a_library_in_rust_gives_the_text_alone_and_what_a_file_lacks_is_not_the_machines():
    assert "ulimit" in str(trouble(SafetensorError("I/O error: Too many open files (os error 24)")))
    for error in (FileNotFoundError(errno.ENOENT, "no", "x"), OSError("cannot identify image"), ValueError("bad")):
        blame(error)
        assert trouble(error) is None
