"""What a long construction keeps: whole or not at all, in a folder that is gone when the cell is there."""

import errno
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from decoct.core import scratch, tensorfile
from decoct.core.budget import Budget
from decoct.core.record import CELL, MEASURED
from decoct.core.spec import parse
from decoct.needs.teacher import Teach
from decoct.run.execute import execute
from decoct.run.graph import Planner
from decoct.run.storage import kept as kept_module
from decoct.run.storage.kept import KeptOnDisk
from decoct.run.storage.store import Store

KILLED = """
    import os, signal, sys
    from pathlib import Path

    from decoct.run.execute import execute
    from decoct.run.jobs import Job
    from decoct.run.storage.kept import KeptOnDisk

    save, left = KeptOnDisk.save, int(sys.argv[3])

    def save_then_die(self, name, arrays):
        global left
        save(self, name, arrays)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    KeptOnDisk.save, KeptOnDisk.due = save_then_die, lambda self: True
    execute(Path(sys.argv[1]), Job.model_validate_json(Path(sys.argv[2]).read_text()))
"""


@pytest.fixture
def kept(tmp_path):
    return KeptOnDisk(tmp_path / "job")


def test_what_was_saved_is_loaded_and_what_was_not_is_none(kept):
    assert kept.load("a") is None
    arrays = {"x": np.arange(6.0).reshape(2, 3).T, "y": np.array([1, 2]), "number": np.array(3)}
    kept.save("a", arrays)
    found = KeptOnDisk(kept.folder).load("a")
    for name, value in arrays.items():
        assert np.array_equal(found[name], value)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
    kept.save("a", {"x": np.zeros(1)})
    assert kept.load("a").keys() == {"x"}
    assert [path.name for path in kept.folder.iterdir()] == ["a.safetensors"]


def test_whoever_is_killed_in_the_midst_of_saving_leaves_what_was_saved_before(kept, monkeypatch):
    kept.save("a", {"x": np.arange(3.0)})

    def killed(arrays, path):
        path.write_bytes(b"half a fi")
        raise KeyboardInterrupt

    monkeypatch.setattr(tensorfile, "save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        kept.save("a", {"x": np.zeros(3)})
    assert kept.load("a")["x"].tolist() == [0.0, 1.0, 2.0]


def test_what_is_saved_is_on_disk_before_it_takes_its_place(kept, disk):
    kept.save("a", {"x": np.arange(3.0)})
    file = kept.folder / "a.safetensors"
    assert disk.synced(file, last=disk.moved(file))


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"", lambda b: b"\xff" * 8 + b[8:]], ids=["cut off", "empty", "header"]
)
def test_a_damaged_file_counts_as_none(kept, damage):
    kept.save("a", {"x": np.arange(100.0)})
    file = kept.folder / "a.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    assert kept.load("a") is None


def test_it_is_due_when_the_time_is_over_and_not_just_after_a_saving(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(kept_module.time, "monotonic", lambda: now[0])
    kept = KeptOnDisk(tmp_path, every=300)
    now[0] = 299.0
    assert not kept.due()
    now[0] = 300.0
    assert kept.due()
    kept.save("a", {"x": np.zeros(1)})
    assert not kept.due()


def test_the_room_of_two_processes_is_not_the_same(tmp_path):
    """Both make one cell: neither may clear what the other has filled."""
    one, other = (KeptOnDisk(tmp_path / "job").array("images", (2, 3)) for _ in range(2))
    one[:] = 1
    assert (other == 0).all()
    other[:] = 2
    assert (one == 1).all()
    assert isinstance(one, np.memmap)
    assert list((tmp_path / "job").iterdir()) == []  # nothing to sweep behind a process that was killed


def test_room_is_of_the_type_that_is_asked_for_and_empty(kept):
    room = kept.array("images", (2, 3), np.float32)
    assert (room.dtype, room.shape, room.any()) == (np.float32, (2, 3), False)
    assert kept.array("images", (2, 3)).dtype == np.uint8


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system does not reserve room")
def test_a_disk_without_room_says_so_before_the_work(kept, monkeypatch):
    """A page of a map that the disk has no place for would kill the process."""

    def full(descriptor, start, length):
        assert (start, length, os.fstat(descriptor).st_size) == (0, 6, 0)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        kept.array("images", (2, 3))
    assert list(kept.folder.iterdir()) == []


def test_a_folder_that_is_cleared_while_it_is_saved_to_fails_nothing(kept, monkeypatch):
    def clear(path):
        path.unlink()
        path.parent.rmdir()

    monkeypatch.setattr(scratch, "sync", clear)
    kept.save("a", {"x": np.zeros(1)})
    assert kept.load("a") is None


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MEASURED}


@pytest.fixture(scope="module")
def jobs(digits):
    """Constructions of several runs and stages with the teacher and statistics that they need."""

    def make(name, shards=1):
        fields = {
            "fadrm": {"nets": ["convnet2_bn"], "iterations": 24, "block": 5, "batch": 5},
            "edc": {"nets": ["convnet2_bn"], "iterations": 12, "block": 4, "batch": 4},
            "cim": {"iterations": 4, "candidates": 20},
        }[name]
        planner = Planner(digits, teachings={"convnet2_bn": Teach(net="convnet2_bn", epochs=1)})
        planner.condense(name, parse("condenser", {"name": name, **fields}), Budget(ipc=2), 0, shards)
        return list(planner.jobs.values())

    return make


@pytest.mark.parametrize(("name", "savings", "how"), [("fadrm", 7, "killed"), ("edc", 4, "ended"), ("cim", 3, "ended")])
def test_killed_and_resumed_it_ends_as_if_it_never_was(jobs, dies, name, savings, how, tmp_path, monkeypatch):
    """After so many savings, one by SIGKILL; the folder is used, and gone at the end."""
    *needs, job = jobs(name)
    smooth, broken = (Store(tmp_path / which) for which in ("smooth", "broken"))
    for need in needs:
        execute(smooth.root, need)
    broken.root.mkdir()
    for kind in {need.kind for need in needs}:
        (broken.root / kind).symlink_to(smooth.root / kind)
    execute(smooth.root, job)
    if how == "ended":
        dies(broken.root, job, savings)
    else:
        (tmp_path / "job.json").write_text(job.model_dump_json())
        died = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), broken.root, tmp_path / "job.json", str(savings)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            check=False,
        )
        assert died.returncode == -signal.SIGKILL, died.stderr
    folder = broken.unfinished("condense", job.key)
    assert [path.suffix for path in folder.iterdir()] and not broken.has("condense", job.key)
    found, load = [], KeptOnDisk.load

    def watched(self, name):
        arrays = load(self, name)
        if arrays is not None:
            found.append(name)
        return arrays

    monkeypatch.setattr(KeptOnDisk, "load", watched)
    execute(broken.root, job)
    assert found  # it did go on from there
    assert not folder.exists()
    assert contents(broken.path("condense", job.key)) == contents(smooth.path("condense", job.key))


def test_what_is_damaged_is_made_again(jobs, tmp_path):
    *needs, job = jobs("cim")
    store, other = Store(tmp_path / "a"), Store(tmp_path / "b")
    for need in [*needs, job]:
        execute(store.root, need)
    other.root.mkdir()
    (other.root / "teacher").symlink_to(store.root / "teacher")
    folder = other.unfinished("condense", job.key)
    folder.mkdir(parents=True)
    (folder / "class-3.safetensors").write_bytes(b"half a fi")
    execute(other.root, job)
    assert contents(other.path("condense", job.key)) == contents(store.path("condense", job.key))
    assert not folder.exists()


def test_a_failed_construction_keeps_what_it_had(jobs, tmp_path, monkeypatch):
    *needs, job = jobs("cim")
    for need in needs:
        execute(tmp_path, need)
    store, save = Store(tmp_path), KeptOnDisk.save

    def fail(self, name, arrays):
        if name == "class-2":
            raise OSError("no space left on device")
        save(self, name, arrays)

    monkeypatch.setattr(KeptOnDisk, "save", fail)
    with pytest.raises(OSError, match="no space"):
        execute(tmp_path, job)
    folder = store.unfinished("condense", job.key)
    assert sorted(path.name for path in folder.iterdir()) == ["class-0.safetensors", "class-1.safetensors"]
    assert not (store.path("condense", job.key) / CELL).exists()


def test_shards_keep_apart_and_leave_nothing(jobs, tmp_path):
    for job in jobs("cim", shards=2):
        execute(tmp_path, job)
    assert [path for path in (tmp_path / "unfinished").rglob("*") if path.name.endswith((".safetensors", ".npy"))] == []
    assert list((tmp_path / "unfinished" / "shard").iterdir()) == []


def test_whoever_brings_files_elsewhere_is_told_of_each(tmp_path):
    told = []
    kept = KeptOnDisk(tmp_path / "job", saved=lambda path: told.append((path.name, path.is_file())))
    kept.save("a", {"x": np.zeros(1)})
    kept.save("a", {"x": np.ones(1)})
    kept.drop("a")
    kept.drop("a")
    assert told == [("a.safetensors", True), ("a.safetensors", True), ("a.safetensors", False)]


def test_what_is_kept_is_a_file_of_its_own_folder(tmp_path):
    kept = KeptOnDisk(tmp_path / "job")
    for act in (
        lambda: kept.save("../evil", {"a": np.zeros(1)}),
        lambda: kept.load("../evil"),
        lambda: kept.drop("../evil"),
        lambda: kept.array("../evil", (1,)),
    ):
        with pytest.raises(ValueError, match="without slashes"):
            act()
    assert not list(tmp_path.glob("*evil*"))
