"""A store at a URL: as safe as a folder, and equal to it byte for byte."""

import errno
import json
import time

import numpy as np
import pytest

from decoct.core import remote as remote_module
from decoct.core.errors import DecoctError
from decoct.core.integrity import DamagedError
from decoct.core.mirror import PARTS, MirroredCells
from decoct.core.record import CELL, complete
from decoct.core.remote import Remote
from decoct.report.write import write_report
from decoct.run.run import run
from decoct.run.storage import remote as module
from decoct.run.storage.kept import KeptOnDisk
from decoct.run.storage.remote import RemoteStore
from decoct.run.storage.store import open_store

KEY = "ab" * 16


def write(store, text="1", key=KEY, kind="labels"):
    with store.writing(kind, key) as folder:
        (folder / "sub").mkdir()
        (folder / "a.txt").write_text(text)
        (folder / "sub" / "b.txt").write_text(text * 3)
        (folder / "measured.json").write_text("{}")
        (folder / CELL).write_text(json.dumps({"key": key, "kind": kind, "keyed": {"external": True}, "inputs": {}}))


@pytest.fixture
def there(url):
    """Every file at the URL that belongs to a cell, but what was measured."""

    def read():
        remote = Remote(url)
        names = [n for n in remote.list() if n.split("/")[0] not in ("data", "studies") and "measured.json" not in n]
        return {name: remote.read(name) for name in names}

    return read


def test_a_cell_that_one_machine_wrote_another_reads(url, machine):
    machine("one")
    store = open_store(url)
    assert isinstance(store, RemoteStore) and store.where == url
    store.prepare()
    assert not store.has("labels", KEY) and store.present("labels") == set()
    write(store)
    assert store.has("labels", KEY) and store.present("labels") == {KEY}
    machine("other")
    other = open_store(url)
    assert not complete(other.path("labels", KEY)) and other.has("labels", KEY)
    folder = other.cell("labels", KEY)
    assert folder == other.path("labels", KEY) and complete(folder)
    assert (folder / "sub" / "b.txt").read_text() == "111"
    assert list(other.root.glob(".tmp-*")) == []
    assert (store.path("labels", KEY) / CELL).read_bytes() == (folder / CELL).read_bytes()


def test_a_single_file_is_fetched_alone(url, machine):
    machine("one")
    write(open_store(url))
    machine("other")
    other = MirroredCells(url)
    assert other.size("labels", KEY, "sub/b.txt") == 3
    assert other.file("labels", KEY, "a.txt").read_text() == "1"
    assert not other.file("labels", KEY, "no.txt").exists()
    assert sorted(path.name for path in (other.root / PARTS).rglob("*.*")) == ["a.txt", CELL]
    assert not complete(other.path("labels", KEY))


def test_without_its_record_there_is_no_cell(url, machine, monkeypatch):
    machine("one")
    store = open_store(url)
    store.prepare()

    def die(self, name, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "create", die)
        with pytest.raises(KeyboardInterrupt):
            write(store)
    assert Remote(url).exists(f"labels/ab/{KEY}/a.txt")  # half of it is there
    assert not store.has("labels", KEY) and store.present("labels") == set()
    assert not complete(store.path("labels", KEY))
    with pytest.raises(DecoctError, match="lacks the labels cell"):
        open_store(url).cell("labels", KEY)
    store.sweep()
    assert Remote(url).exists(f"labels/ab/{KEY}/a.txt")  # its writer may live
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr(module.time, "time", lambda: now + module.LONG + 60)
        store.sweep()
    assert Remote(url).list("labels") == {}
    write(store)
    assert store.has("labels", KEY)


@pytest.mark.parametrize("text", ["1", "2"])
def test_two_writers_of_one_cell_leave_one_good_cell(url, machine, monkeypatch, text):
    """The second sends its files while the first sends its record; with the same bytes, and with others."""
    machine("one")
    create, raced = Remote.create, []

    def create_late(self, name, content):
        if not raced:
            raced.append(name)
            machine("other")
            write(open_store(url), text)
            Remote(url).write(f"labels/ab/{KEY}/a.txt", b"1")  # of the first one, which came later
            machine("one")
        return create(self, name, content)

    monkeypatch.setattr(Remote, "create", create_late)
    write(open_store(url), "1")
    machine("third")
    folder = open_store(url).cell("labels", KEY)
    assert {(folder / "a.txt").read_text(), (folder / "sub" / "b.txt").read_text()[0]} == {"1"}
    assert len(raced) == 1


def test_who_comes_when_the_cell_is_there_sends_nothing(url, machine):
    machine("one")
    write(open_store(url), "first")
    machine("other")
    write(open_store(url), "second")
    machine("third")
    assert (open_store(url).cell("labels", KEY) / "a.txt").read_text() == "first"


def test_a_cell_that_was_altered_there_is_read_by_nobody(url, machine):
    machine("one")
    write(open_store(url))
    machine("other")
    Remote(url).write(f"labels/ab/{KEY}/a.txt", b"2")
    for read in (lambda s: s.cell("labels", KEY), lambda s: s.file("labels", KEY, "a.txt")):
        store = open_store(url)
        with pytest.raises(DamagedError, match=f"{url}/labels/ab/{KEY} is damaged: a.txt .*verify --repair {url}"):
            read(store)
        assert not complete(store.path("labels", KEY))
    Remote(url).write(f"labels/ab/{KEY}/a.txt", b"1")
    assert open_store(url).file("labels", KEY, "a.txt").read_text() == "1"


def test_a_copy_that_was_altered_here_is_fetched_again(url, machine):
    machine("one")
    store = open_store(url)
    write(store)
    (store.path("labels", KEY) / "a.txt").write_text("22")
    assert (store.cell("labels", KEY) / "a.txt").read_text() == "1"


def test_a_removed_cell_is_removed_here_and_there(url, machine):
    machine("one")
    store = open_store(url)
    write(store)
    store.remove("labels", KEY)
    assert Remote(url).list() == {} and not store.path("labels", KEY).exists()
    write(store, "again")
    assert (store.cell("labels", KEY) / "a.txt").read_text() == "again"


def test_whoever_is_killed_while_a_cell_is_removed_leaves_no_cell(url, machine, monkeypatch):
    machine("one")
    store, remove = open_store(url), Remote.remove
    write(store)

    def remove_then_die(self, names):
        remove(self, names)
        raise KeyboardInterrupt

    monkeypatch.setattr(Remote, "remove", remove_then_die)
    with pytest.raises(KeyboardInterrupt):
        store.remove("labels", KEY)
    left = {name.removeprefix(f"labels/ab/{KEY}/") for name in Remote(url).list("labels")}
    assert left == {"a.txt", "sub/b.txt", "measured.json"}  # the record went first, by itself
    assert not open_store(url).has("labels", KEY)


def test_what_a_killed_construction_kept_goes_on_elsewhere(url, machine):
    machine("one")
    store = open_store(url)
    kept = KeptOnDisk(store.unfinished("condense", KEY).with_suffix(""), saved=store.saved)
    for name in ("old", "new"):
        kept.save(name, {"x": np.arange(3.0)})
    kept.drop("old")
    machine("other")
    other = open_store(url)
    again = KeptOnDisk(other.unfinished("condense", KEY).with_suffix(""), saved=other.saved)
    again.save("stale", {"x": np.zeros(1)})
    Remote(url).remove([name for name in Remote(url).list() if "stale" in name])
    other.resume("condense", KEY)
    assert again.load("old") is None and again.load("stale") is None
    assert np.array_equal(again.load("new")["x"], np.arange(3.0))
    other.finish("condense", KEY)
    assert Remote(url).list("unfinished") == {} and again.load("new") is None


def test_the_data_go_there_once_and_come_from_there(url, machine, digits, tmp_path, monkeypatch):
    store = open_store(url)
    store.offer(digits.folder)
    sent = Remote(url).list("data")
    store.offer(digits.folder)
    assert Remote(url).list("data") == sent
    assert store.dataset(digits.folder) == digits.folder
    machine("other")
    other = open_store(url)
    gone = tmp_path / "not here" / digits.folder.name
    found = other.dataset(gone)
    assert found == tmp_path / "machines" / "other" / "data" / digits.folder.name
    assert {p.name: p.read_bytes() for p in found.iterdir()} == {
        p.name: p.read_bytes() for p in digits.folder.iterdir()
    }
    assert other.dataset(gone) == found
    with pytest.raises(DecoctError, match="neither here nor at"):
        other.dataset(tmp_path / "unknown")


def test_a_disk_that_is_full_here_is_said_to_be(url, machine, monkeypatch):
    machine("one")
    write(open_store(url))
    machine("other")
    store = open_store(url)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.remote.fs, "get", full)
    with pytest.raises(OSError, match="No space left"):
        store.cell("labels", KEY)
    assert not complete(store.path("labels", KEY))


def test_a_place_that_cannot_be_written_is_said_before_anything_runs(machine, monkeypatch):
    machine("one")
    store = open_store("memory://closed/store")

    def closed(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Access Denied")

    monkeypatch.setattr(type(store.remote.fs), "pipe_file", closed)
    with pytest.raises(DecoctError, match="permission denied"):
        store.prepare()


def test_many_cells_are_found_in_one_listing(machine, monkeypatch):
    machine("one")
    store = open_store("memory://many/store")
    keys = {f"{i:032x}" for i in range(20)}
    for key in keys:
        write(store, key=key)
    asked, find = [], type(store.remote.fs).find
    monkeypatch.setattr(type(store.remote.fs), "find", lambda *a, **k: asked.append(a) or find(*a, **k))
    monkeypatch.setattr(remote_module.Remote, "exists", None)  # whoever asks for one cell fails
    assert store.present("labels") == keys
    assert len(asked) == 1


def test_a_study_leaves_the_same_cells_there_as_in_a_folder(url, there, machine, study_of, contents, tmp_path):
    study = study_of("random", "good", replicates=2)
    assert run(study, tmp_path / "here") == {}
    assert run(study, tmp_path / "out", store=url) == {}
    assert there() == contents(tmp_path / "here" / "store")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["store"] == url
    machine("reader")  # has nothing of it
    assert write_report(tmp_path / "out").trained == write_report(tmp_path / "here").trained == 4
    assert (tmp_path / "out" / "results.csv").read_bytes() == (tmp_path / "here" / "results.csv").read_bytes()
    read = {path.name for path in (MirroredCells(url).root / PARTS).rglob("*") if path.is_file()}
    assert "result.json" in read and not any(name.endswith(".safetensors") for name in read)
    machine("third")
    did = []
    assert run(study, tmp_path / "out", store=url, on_done=lambda job, error: did.append(job)) == {}
    assert did == []


def test_workers_share_a_store_at_s3(bucket, machine, study_of, contents, tmp_path):
    study, url = study_of("random", replicates=2), f"{bucket}/{tmp_path.name}/store"
    assert run(study, tmp_path / "here") == {}
    assert run(study, tmp_path / "out", store=url, workers=2) == {}
    remote = Remote(url)
    names = [n for n in remote.list() if n.split("/")[0] not in ("data", "studies") and "measured.json" not in n]
    assert {n: remote.read(n) for n in names} == contents(tmp_path / "here" / "store")
