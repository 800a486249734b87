"""Names of what is being written say who writes it."""

import os
import subprocess
import sys
import threading
import time

import pytest

from decoct.core import scratch as module
from decoct.core.scratch import abandoned, alive, clock, here, living, machine, replace, scratch, working, written


@pytest.fixture
def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def container(monkeypatch):
    """``container(BOOT, NAMESPACE)``: from here on this process is in another container of one and the same name."""

    def enter(boot="a boot", namespace="pid:[4026532000]"):
        monkeypatch.setattr(module, "_boot", lambda: boot)
        monkeypatch.setattr(module, "_namespace", lambda: namespace)

    return enter


def untouched(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_name_says_process_and_place_and_is_nobody_else_s():
    one, other = scratch("abc"), scratch("abc")
    assert one != other
    assert one.split("-")[:3] == [".tmp", str(os.getpid()), "abc"]
    assert one.endswith(f"@{here()}")
    assert written(one) == "abc" and written(scratch("a-b@c.d\n")) == "a-b@c.d\n"


def test_what_a_living_process_writes_is_not_abandoned(tmp_path, dead):
    mine, left = tmp_path / scratch("abc"), tmp_path / f".tmp-{dead}-abc-01234567@{here()}"
    for path in (mine, left):
        path.mkdir()
    assert not abandoned(mine) and abandoned(left)
    assert alive(os.getpid()) and not alive(dead)


@pytest.mark.parametrize("where", ["@01234567", "@0123456789ab", "@0123456789ab.json"])
def test_a_process_that_cannot_be_seen_from_here_is_trusted_for_a_day(tmp_path, dead, where):
    path = tmp_path / f".tmp-{dead}-abc-01234567{where}"
    path.mkdir()
    assert not abandoned(path)
    untouched(path, module.LONG + 60)
    assert abandoned(path)


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_where_the_clock_jumped_files_say_what_time_it_is(tmp_path, dead, monkeypatch, jump):
    young, old = (tmp_path / f".tmp-{dead}-{name}-01234567@0123456789ab" for name in ("young", "old"))
    for path in (young, old):
        path.mkdir()
    untouched(old, module.LONG + 60)
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + jump)
    assert abandoned(old) and not abandoned(young)
    assert abs(clock(tmp_path) - now) < 3600 and clock(tmp_path / "gone") == now + jump
    assert abandoned(young, now=now + module.LONG + 3600)
    assert sorted(tmp_path.iterdir()) == sorted([young, old])


@pytest.mark.parametrize("other", [{"boot": "another boot"}, {"namespace": "pid:[4026532001]"}])
def test_containers_of_one_name_leave_each_other_s_work_alone(tmp_path, container, dead, other):
    container()
    path = tmp_path / scratch("abc").replace(f"-{os.getpid()}-", f"-{dead}-")
    path.mkdir()
    assert abandoned(path)
    container(**other)
    assert not abandoned(path)


def test_a_writer_that_gives_signs_is_alive_however_long_it_takes(tmp_path, container, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.001)
    container()
    path = tmp_path / scratch("abc")
    path.mkdir()
    with living(path):
        untouched(path, 9 * module.LONG)
        untouched(path / module.ALIVE, 9 * module.LONG)
        container(boot="another boot")
        deadline = time.monotonic() + 60
        while abandoned(path) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not abandoned(path)
    assert list(path.iterdir()) == []
    untouched(path, 9 * module.LONG)
    assert abandoned(path)


def test_signs_end_with_the_work_even_when_its_folder_is_gone(tmp_path):
    before = threading.active_count()
    with living(tmp_path):
        (tmp_path / module.ALIVE).unlink()
    assert threading.active_count() == before


def test_a_container_is_a_machine_of_its_own_and_a_bare_machine_stays_itself_when_it_starts_again(container):
    found = []
    for boot, namespace in (
        *(("one", module.OUTERMOST), ("two", module.OUTERMOST), ("", "")),
        *(("one", "pid:[4026532000]"), ("two", "pid:[4026532000]"), ("one", "pid:[4026532001]")),
    ):
        container(boot, namespace)
        found.append(machine())
    assert len(set(found[:3])) == 1 and len(set(found)) == 4


@pytest.mark.parametrize("name", [".tmp-x-abc-01234567", ".tmp-", ".tmp", ".tmp-1-abc-01234567", "abc", ".tmp-1-abc"])
def test_what_has_another_name_is_nobody_s_business(tmp_path, name):
    (tmp_path / name).mkdir()
    untouched(tmp_path / name, 9 * module.LONG)
    assert not abandoned(tmp_path / name) and written(name) is None


def test_a_folder_to_work_in_goes_at_the_end_unless_it_was_renamed(tmp_path):
    with working(tmp_path / "root", "a b") as folder:
        (folder / "x").touch()
        assert written(folder.name) == "a b" and not abandoned(folder)
    assert list((tmp_path / "root").iterdir()) == []
    with working(tmp_path / "root", "a b") as folder:
        folder.rename(tmp_path / "made")
    assert (tmp_path / "made").is_dir()


def test_a_file_is_on_disk_before_it_takes_its_place(tmp_path, disk):
    replace(tmp_path / "a", lambda beside: beside.write_text("new"))
    assert disk.synced(tmp_path / "a", last=disk.moved(tmp_path / "a"))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a b.json"
    names = []

    def write(beside):
        names.append(beside.name)
        beside.write_text("new")

    def fail(beside):
        write(beside)
        raise OSError("the disk is full")

    replace(path, write)
    with pytest.raises(OSError, match="full"):
        replace(path, fail)
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
    assert [written(name) for name in names] == ["a b"] * 2 and all(name.endswith(".json") for name in names)
