"""A run that is killed or interrupted at random moments ends, resumed, with the same bytes as one that was not.

The runs that are killed compute in a pool, the one that they are held against in one process: so these are equal too.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from decoct.core.record import CELL
from decoct.report.write import write_report
from decoct.study.run import run

PATIENCE = 300  # seconds that anything may take on a busy machine


def cells(out):
    return list((out / "store").glob(f"[!.]*/*/*/{CELL}"))


def wait_for(true, process=None):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)


def writers(out):
    """Workers that have a cell half-written; the driver writes none."""
    return [int(path.name.split("-")[1]) for path in (out / "store").glob(".tmp-*") if "probe" not in path.name]


def computed(out):
    """What was read of the sets, without what they took, which was measured."""
    return parquet.read_table(out / "metrics.parquet", filters=[("axis", "!=", "cost")])


def alive(session):
    """Processes of a session that are no zombies."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = status.read_text().partition(" ")
            state, _, _, its_session = rest.rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(pid))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds orphans through /proc")
def test_killed_then_interrupted_and_resumed_it_ends_as_if_it_never_was(
    tiny, tiny_toml, finished, start, contents, tmp_path
):
    draw, out = random.Random(0), tmp_path / "run"
    total = len(cells(finished))

    def starts():
        return start("run", tiny_toml, "--out", out, "--workers", "2")

    def stamps():
        return {cell: cell.stat().st_mtime_ns for cell in cells(out)}

    process = starts()
    goal = draw.randrange(total // 3)
    wait_for(lambda: len(cells(out)) > goal, process)
    time.sleep(draw.random() * 0.1)
    assert [pid for pid in alive(process.pid) if pid != process.pid]
    os.kill(process.pid, signal.SIGKILL)  # of the driver alone: its workers must notice
    process.communicate()
    wait_for(lambda: not alive(process.pid))
    killed = stamps()
    assert goal < len(killed) < total

    process, goal = starts(), max(len(killed), draw.randrange(total // 3, 2 * total // 3))
    wait_for(lambda: len(cells(out)) > goal, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: driver and workers
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == "decoct: stopped; finished work is kept, and the same command continues"
    assert "Traceback" not in stderr
    wait_for(lambda: not alive(process.pid))
    stopped = stamps()
    assert len(killed) < len(stopped) < total
    so_far = write_report(out)
    assert so_far.trained < so_far.planned

    assert run(tiny, out) == {}
    write_report(out)
    ended = stamps()
    assert killed.items() <= stopped.items() <= ended.items()  # only what was missing was done
    assert list((out / "store").glob(".tmp-*")) == []
    assert contents(out / "store") == contents(finished / "store")
    for table in ("results.csv", "results.parquet"):
        assert (out / table).read_bytes() == (finished / table).read_bytes()
    assert computed(out).equals(computed(finished))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds orphans through /proc")
def test_a_worker_that_is_killed_while_it_writes_costs_nothing_but_time(
    tiny, tiny_toml, finished, start, contents, tmp_path
):
    """As in test_run.py with a small study, here with the program and every kind of job."""
    out = tmp_path / "run"
    process = start("run", tiny_toml, "--out", out, "--workers", "2", "--json")
    wait_for(lambda: cells(out), process)
    found: list[int] = []
    wait_for(lambda: found.extend(writers(out)) or found, process)
    os.kill(found[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert list((out / "store").glob(".tmp-*")) == []
    assert contents(out / "store") == contents(finished / "store")
    assert (out / "results.csv").read_bytes() == (finished / "results.csv").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds orphans through /proc")
def test_ctrl_c_while_workers_start_says_no_more_than_that(tiny_toml, start, tmp_path):
    out = tmp_path / "run"
    process = start("run", tiny_toml, "--out", out, "--workers", "2")
    wait_for(lambda: len(alive(process.pid)) > 2, process)  # the driver, a tracker, the first worker
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    wait_for(lambda: not alive(process.pid))
