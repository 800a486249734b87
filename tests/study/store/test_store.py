"""Present means complete: a cell is there whole or not at all, whatever happens to who writes it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from decoct.core import scratch, tensorfile
from decoct.core.budget import Budget
from decoct.core.cells import MirroredCells
from decoct.core.errors import DecoctError
from decoct.core.integrity import DamagedError
from decoct.core.record import CELL, MEASURED, complete
from decoct.core.remote import Remote
from decoct.core.scratch import here
from decoct.core.spec import parse
from decoct.needs.teacher import Teach
from decoct.report.write import write_report
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.run import run
from decoct.study.store import store as store_module
from decoct.study.store.store import KeptOnDisk, RemoteStore, Store, open_store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.root.mkdir()
    return store


def leftovers(store):
    return list(store.root.glob(".tmp-*"))


def write(store, key="abcdef", text="1"):
    with store.writing("train", key) as folder:
        (folder / "a.txt").write_text(text)
        (folder / CELL).write_text("{}")


def test_a_cell_is_there_once_it_is_written(store):
    assert not store.has("train", "abcdef")
    write(store)
    assert store.has("train", "abcdef")
    assert (store.root / "train" / "ab" / "abcdef" / "a.txt").read_text() == "1"
    assert leftovers(store) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_whoever_raises_leaves_no_cell(store, error):
    with pytest.raises(error), store.writing("train", "abcdef") as folder:
        (folder / CELL).write_text("{}")
        raise error
    assert not store.has("train", "abcdef")
    assert leftovers(store) == []


def test_a_cell_without_its_own_record_is_refused(store):
    with pytest.raises(RuntimeError, match=CELL), store.writing("train", "abcdef") as folder:
        (folder / "a.txt").write_text("1")
    assert not store.has("train", "abcdef")


def test_whoever_is_killed_leaves_no_cell_and_what_is_left_is_swept(store):
    script = f"""
import sys
from decoct.study.store.store import Store
with Store({str(store.root)!r}).writing("train", "abcdef") as folder:
    (folder / {CELL!r}).write_text("{{}}")
    print("writing", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    store.sweep()
    assert len(leftovers(store)) == 1  # its writer lives
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not store.has("train", "abcdef")
    assert len(leftovers(store)) == 1
    store.sweep()
    assert leftovers(store) == []
    write(store)
    assert store.has("train", "abcdef")


def test_what_a_job_kept_goes_once_its_cell_is_there_though_it_was_stopped_before_that(store):
    done, open_ = KEY, KEY[::-1]
    for key in (done, open_):
        KeptOnDisk(store.unfinished("condense", key)).save("run", {"x": np.arange(3.0)})
    with store.writing("condense", done) as folder:
        (folder / CELL).write_text("{}")
    store.finish_late()
    assert [key for _, key in store.begun()] == [open_]


def test_a_killed_writer_that_nobody_waited_for_is_dead(store):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (store.root / f".tmp-{process.pid}-abcdef-12345678@{here()}").mkdir()
    store.sweep()
    assert len(leftovers(store)) == 1
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended and stays a zombie
    store.sweep()
    assert leftovers(store) == []
    process.communicate()


def test_underway_is_what_living_processes_write(store):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    mine, dead, theirs = (letter * 32 for letter in "abc")
    (store.root / f".tmp-{process.pid}-{dead}-01234567@{here()}").mkdir()
    (store.root / f".tmp-{process.pid}-{theirs}-01234567@01234567").mkdir()  # alive for what can be seen from here
    (store.root / f".tmp-{os.getpid()}-probe-01234567@{here()}").touch()
    with store.writing("train", mine) as folder:
        assert store.underway() == {mine, theirs}
        (folder / CELL).write_text("{}")
    assert store.underway() == {theirs}


def test_two_containers_of_one_name_do_not_sweep_each_other_s_work(store):
    """Each counts its processes from 1: a number of one says nothing in the other."""
    contain = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*contain, "true"], capture_output=True).returncode:
        pytest.skip("no further PID namespaces here")
    script = f"""
import os, sys
from decoct.study.store.store import Store
with Store({str(store.root)!r}).writing("train", "abcdef") as folder:
    (folder / {CELL!r}).write_text("{{}}")
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""
    later = [*contain, "sh", "-c", 'for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done; "$0" -c "$1"; exit $?']
    sweep = f"from decoct.study.store.store import Store; Store({str(store.root)!r}).prepare()"
    command = [*later, sys.executable, script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert int(writer.stdout.readline()) > 9  # a number that nobody has where the other sweeps
        subprocess.run([*contain, sys.executable, "-c", sweep], check=True)
        left = len(leftovers(store))
        writer.communicate("")
    assert left == 1 and writer.returncode == 0 and store.has("train", "abcdef") and leftovers(store) == []


def test_sweeping_leaves_alone_what_no_writer_left(store):
    for name in (".tmp-someone-else", ".tmp-x", f".tmp-{os.getpid()}-mine"):
        (store.root / name).mkdir()
    store.sweep()
    assert len(leftovers(store)) == 3


def test_of_two_writers_of_one_cell_the_first_to_finish_wins(store):
    meet = threading.Barrier(2, timeout=10)

    def work(text):
        with store.writing("train", "abcdef") as folder:
            (folder / "a.txt").write_text(text)
            (folder / CELL).write_text("{}")
            meet.wait()

    threads = [threading.Thread(target=work, args=(text,)) for text in ("1", "2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (store.path("train", "abcdef") / "a.txt").read_text() in ("1", "2")
    assert leftovers(store) == []


def test_a_finished_cell_is_not_replaced(store):
    write(store, text="first")
    write(store, text="second")
    assert (store.path("train", "abcdef") / "a.txt").read_text() == "first"


def test_a_cell_that_somebody_took_apart_is_made_anew(store):
    write(store)
    (store.path("train", "abcdef") / CELL).unlink()
    assert not store.has("train", "abcdef")
    write(store, text="again")
    assert (store.path("train", "abcdef") / "a.txt").read_text() == "again"


def test_a_full_disk_leaves_the_store_as_it_was(store, monkeypatch):
    write(store, "aaaaaa")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DecoctError, match="free some space"):
            write(store, "bbbbbb")
    assert store.has("train", "aaaaaa")
    assert not store.has("train", "bbbbbb")
    assert leftovers(store) == []
    write(store, "bbbbbb")
    assert store.has("train", "bbbbbb")


def test_what_another_machine_writes_is_not_swept(store):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    (store.root / f".tmp-{process.pid}-abcdef-01234567@01234567").mkdir()
    (store.root / f".tmp-{process.pid}-abcdef-01234567@{here()}").mkdir()
    store.sweep()
    assert [path.name.rpartition("@")[2] for path in leftovers(store)] == ["01234567"]


def test_present_are_the_complete_cells_of_a_kind(store):
    write(store)
    write(store, "fedcba")
    (store.path("train", "fedcba") / CELL).unlink()
    assert store.present("train") == {"abcdef"} and store.present("teacher") == set()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_closed_store_is_said_to_be_before_anything_is_written(tmp_path, monkeypatch, number):
    store = Store(tmp_path / "store")
    store.root.mkdir()

    def closed(path, *args, **kwargs):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "mkdir", closed)
    monkeypatch.setattr(Path, "write_bytes", closed)
    for act in (store.prepare, lambda: write(store)):
        with pytest.raises(
            DecoctError, match=r"cannot be written \(.*make it writable, or name another --store"
        ) as caught:
            act()
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_a_closed_store(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DecoctError, match=r"cannot be made .*another --store"):
            Store(tmp_path / "store").prepare()
    finally:
        tmp_path.chmod(0o700)


def test_an_error_of_the_work_is_not_taken_for_the_store_s(store):
    with pytest.raises(PermissionError), store.writing("train", "abcdef"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/weights.pt")


def test_data_that_are_not_on_this_machine_are_said_to_be_missing(store, tmp_path):
    with pytest.raises(DecoctError, match="share, or run the study with --store URL"):
        store.dataset(tmp_path / "gone")


def test_a_removed_cell_is_gone_whole(store):
    write(store)
    store.remove("train", "abcdef")
    store.remove("train", "abcdef")
    assert not store.path("train", "abcdef").exists() and leftovers(store) == []


def test_a_cell_is_on_disk_before_it_takes_its_place_and_its_place_after_that(store, disk):
    with store.writing("train", "abcdef") as folder:
        (folder / "sub").mkdir()
        for name in ("a.txt", "sub/b.txt"):
            (folder / name).write_text(name)
        (folder / CELL).write_text("{}")
    cell = store.path("train", "abcdef")
    move = disk.moved(cell)
    for path in (cell, *cell.rglob("*")):
        assert disk.synced(path, last=move), path.name
    assert disk.synced(cell.parent, first=move)


def test_a_cell_is_none_from_the_first_moment_of_its_removal_on(store, monkeypatch):
    write(store)

    def killed(path, **options):
        assert (path / CELL).is_file()  # whole, under a name that nobody reads
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store.remove("train", "abcdef")
    assert not store.path("train", "abcdef").exists()


# At a URL: as safe as a folder, and equal to it byte for byte

KEY = "ab" * 16


def send(store, text="1", key=KEY, kind="labels"):
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
    send(store)
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
    send(open_store(url))
    machine("other")
    other = MirroredCells(url)
    assert other.size("labels", KEY, "sub/b.txt") == 3
    assert other.file("labels", KEY, "a.txt").read_text() == "1"
    assert not other.file("labels", KEY, "no.txt").exists()
    assert sorted(path.name for path in other.path("labels", KEY).iterdir()) == ["a.txt", CELL]
    assert (other.cell("labels", KEY) / "sub" / "b.txt").read_text() == "111"  # the rest, when it is asked for


def test_without_its_record_there_is_no_cell(url, machine, monkeypatch):
    machine("one")
    store = open_store(url)
    store.prepare()

    def die(self, name, content, new=False):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "write", die)
        with pytest.raises(KeyboardInterrupt):
            send(store)
    assert Remote(url).read(f"labels/ab/{KEY}/a.txt") == b"1"  # half of it is there
    assert not store.has("labels", KEY) and store.present("labels") == set()
    assert not complete(store.path("labels", KEY))
    with pytest.raises(DecoctError, match="lacks the labels cell"):
        open_store(url).cell("labels", KEY)
    store.sweep()
    assert Remote(url).read(f"labels/ab/{KEY}/a.txt") == b"1"  # its writer may live
    send(store, "2")
    assert store.has("labels", KEY)
    machine("other")
    assert (open_store(url).cell("labels", KEY) / "a.txt").read_text() == "2"


@pytest.mark.parametrize("text", ["1", "2"])
def test_two_writers_of_one_cell_leave_one_good_cell(url, machine, monkeypatch, text):
    """The second sends its files while the first sends its record; with the same bytes, and with others."""
    machine("one")
    put, raced = Remote.write, []

    def put_late(self, name, content, new=False):
        if new and not raced:
            raced.append(name)
            machine("other")
            send(open_store(url), text)
            Remote(url).write(f"labels/ab/{KEY}/a.txt", b"1")  # of the first one, which came later
            machine("one")
        return put(self, name, content, new)

    monkeypatch.setattr(Remote, "write", put_late)
    send(open_store(url), "1")
    machine("third")
    folder = open_store(url).cell("labels", KEY)
    assert {(folder / "a.txt").read_text(), (folder / "sub" / "b.txt").read_text()[0]} == {"1"}
    assert len(raced) == 1


def test_a_cell_that_is_replaced_loses_its_record_first(url, machine, monkeypatch):
    """Another one's files and record come while this one sends its own, of other bytes."""
    machine("one")
    put, seen = Remote.put, []

    def put_and_look(self, files):
        seen.append(self.read(f"labels/ab/{KEY}/{CELL}") is not None)
        put(self, files)
        if len(seen) == 1:
            machine("other")
            send(open_store(url), "2")
            machine("one")

    monkeypatch.setattr(Remote, "put", put_and_look)
    send(open_store(url), "1")
    assert seen == [False] * 3  # of this one, of the other, and of this one again
    machine("third")
    assert (open_store(url).cell("labels", KEY) / "a.txt").read_text() == "1"


def test_who_comes_when_the_cell_is_there_sends_nothing(url, machine):
    machine("one")
    send(open_store(url), "first")
    machine("other")
    send(open_store(url), "second")
    machine("third")
    assert (open_store(url).cell("labels", KEY) / "a.txt").read_text() == "first"


def test_a_cell_that_was_altered_there_is_read_by_nobody(url, machine):
    machine("one")
    send(open_store(url))
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
    send(open_store(url))
    machine("other")
    store = open_store(url)
    file = store.cell("labels", KEY) / "a.txt"
    for read in (lambda: store.cell("labels", KEY) / "a.txt", lambda: store.file("labels", KEY, "a.txt")):
        before = file.stat()
        file.write_text("2")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a flipped bit leaves it
        assert read().read_text() == "1"


def test_files_of_a_cell_that_was_made_again_are_fetched_again_and_others_are_not(machine, monkeypatch):
    url, cell = "memory://again/store", ("labels", KEY)
    machine("one")
    send(open_store(url), "1")
    machine("other")
    MirroredCells(url).prefetch([cell], lambda name: name == "a.txt")
    machine("one")
    open_store(url).remove(*cell)
    send(open_store(url), "2")
    machine("other")
    cells, fetched, get = MirroredCells(url), [], Remote.get
    monkeypatch.setattr(Remote, "get", lambda self, files: fetched.append(len(files)) or get(self, files))
    for _ in range(2):
        cells.prefetch([cell], lambda name: name == "a.txt")
        assert cells.file(*cell, "a.txt").read_text() == "2"
    assert fetched == [2, 0]


def test_a_removed_cell_is_removed_here_and_there(url, machine):
    machine("one")
    store = open_store(url)
    send(store)
    store.remove("labels", KEY)
    assert Remote(url).list() == {} and not store.path("labels", KEY).exists()
    send(store, "again")
    assert (store.cell("labels", KEY) / "a.txt").read_text() == "again"


def test_whoever_is_killed_while_a_cell_is_removed_leaves_no_cell(url, machine, monkeypatch):
    machine("one")
    store, remove = open_store(url), Remote.remove
    send(store)

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
    kept = KeptOnDisk(store.unfinished("condense", KEY), saved=store.saved)
    for name in ("old", "new"):
        kept.save(name, {"x": np.arange(3.0)})
    kept.drop("old")
    machine("other")
    other = open_store(url)
    again = KeptOnDisk(other.unfinished("condense", KEY), saved=other.saved)
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
    send(open_store(url))
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
        send(store, key=key)
    asked, find = [], type(store.remote.fs).find
    monkeypatch.setattr(type(store.remote.fs), "find", lambda *a, **k: asked.append(a) or find(*a, **k))
    monkeypatch.setattr(Remote, "read", None)  # whoever asks for one cell fails
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
    read = {path.name for path in MirroredCells(url).root.rglob("*") if path.is_file()}
    assert "result.json" in read and not any(name.endswith(".safetensors") for name in read)
    machine("third")
    did = []
    assert run(study, tmp_path / "out", store=url, on_done=lambda job, error: did.append(job)) == {}
    assert did == []


def test_a_worker_in_a_process_of_its_own_takes_its_cells_from_s3_and_puts_them_there(
    bucket, machine, study_of, contents, tmp_path
):
    """Two jobs in a row, for which a pool of two starts one process."""
    study, url = study_of("random"), f"{bucket}/{tmp_path.name}/store"
    assert run(study, tmp_path / "here") == {}
    assert run(study, tmp_path / "out", store=url, workers=2) == {}
    remote = Remote(url)
    names = [n for n in remote.list() if n.split("/")[0] not in ("data", "studies") and "measured.json" not in n]
    assert {n: remote.read(n) for n in names} == contents(tmp_path / "here" / "store")


KILLED = """
    import os, signal, sys
    from pathlib import Path

    from decoct.study.execute import execute
    from decoct.study.jobs import Job
    from decoct.study.store.store import KeptOnDisk

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
    monkeypatch.setattr(store_module.time, "monotonic", lambda: now[0])
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
    folder = broken.unfinished("condense", job.key).with_suffix("")
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
    folder = other.unfinished("condense", job.key).with_suffix("")
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
    folder = store.unfinished("condense", job.key).with_suffix("")
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
