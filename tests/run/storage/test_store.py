"""Present means complete: a cell is there whole or not at all, whatever happens to who writes it."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from decoct.core.errors import DecoctError
from decoct.core.record import CELL
from decoct.core.scratch import here
from decoct.run.storage.store import Store


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
from decoct.run.storage.store import Store
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


def test_two_containers_of_one_name_do_not_sweep_each_other_s_work(store):
    """Each counts its processes from 1: a number of one says nothing in the other."""
    contain = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*contain, "true"], capture_output=True).returncode:
        pytest.skip("no further PID namespaces here")
    script = f"""
import os, sys
from decoct.run.storage.store import Store
with Store({str(store.root)!r}).writing("train", "abcdef") as folder:
    (folder / {CELL!r}).write_text("{{}}")
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""
    later = [*contain, "sh", "-c", 'for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done; "$0" -c "$1"; exit $?']
    sweep = f"from decoct.run.storage.store import Store; Store({str(store.root)!r}).prepare()"
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
    store, mkdir = Store(tmp_path / "store"), os.mkdir
    store.root.mkdir()

    def closed(path, *args, **kwargs):
        if str(path).startswith(str(store.root)):
            raise OSError(number, os.strerror(number), str(path))
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", closed)
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
