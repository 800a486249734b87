"""How far a run is, from cells that come and go; nothing on disk is touched."""

import json
import os
import shutil
import time

import pytest

from decoct.core.errors import DecoctError
from decoct.core.record import cell_dir
from decoct.core.scratch import here
from decoct.report.progress import RECENT, Watcher, seldom
from decoct.report.read.manifest import Manifest

DEAD = 2**22 + 1  # above the largest process id of Linux


def listed(folder):
    return sorted((str(p), p.stat().st_mtime_ns) for p in folder.rglob("*"))


@pytest.fixture
def small(builder):
    """``small(HOLES)``: a run of 5 methods, one protocol, one budget, two replicates."""

    def make(holes=None, **more):
        made = type(builder)(
            builder.folder, protocols=("erm",), budgets=("ipc=1",), replicates=2, full=False, holes=holes, **more
        )
        return made.build()

    return make


def test_a_finished_run(small):
    folder = small()
    before = listed(folder)
    found = Watcher(folder).look(time.time())
    assert (found.state, found.done, found.planned, found.remaining_seconds) == ("done", 30, 30, None)
    assert found.kinds["train"] == (10, 10) and found.kinds["condense"] == (8, 8)
    assert found.trained == 10 and found.remaining_unknown == ()
    assert listed(folder) == before


def test_counts_and_remaining_time(small):
    """Students of rded are missing, and sre2l's sets: jobs take 3 s to train, 8 s to distil, two run at once."""
    folder = small(lambda j: j.get("method") == "sre2l" or (j["kind"] == "train" and j["method"] == "rded"))
    now = time.time()
    for job in json.loads((folder / "run.json").read_text())["jobs"]:
        file = cell_dir(folder / "store", job["kind"], job["key"]) / "measured.json"
        if file.exists():  # long ago, so that only what is at work says how many run at once
            os.utime(file, (now - 2 * RECENT,) * 2)
    jobs = Manifest.read(folder).jobs
    for i in range(2):
        scratch = folder / "store" / f".tmp-{os.getpid()}-{jobs[i].key}-0000000{i}@{here()}"
        scratch.mkdir()
        os.utime(scratch, (now - 5, now - 5))
    (folder / "store" / f".tmp-{DEAD}-{jobs[2].key}-01234567@{here()}").mkdir()
    found = Watcher(folder).look(now)
    assert found.state == "running"
    assert found.at_work == pytest.approx({str(jobs[0]): 5, str(jobs[1]): 5}, abs=0.1)
    assert found.kinds["train"] == (6, 10) and found.kinds["condense"] == (6, 8)
    # Two sets that are like those of each other method, of 0.02 or 8 s; two measurements and four students.
    assert found.remaining_seconds == pytest.approx((2 * (3 * 0.02 + 8) / 4 + 2 * 0.1 + 4 * 3) / 2)
    told = json.loads(json.dumps(found._asdict(), allow_nan=False))
    assert told["state"] == "running" and len(told["at_work"]) == 2


def test_how_much_runs_at_once_is_of_the_recent_past(small):
    folder = small(lambda j: j["kind"] == "train" and j["method"] == "rded")
    now, end = time.time(), {}
    jobs = json.loads((folder / "run.json").read_text())["jobs"]
    for job in jobs:
        file = cell_dir(folder / "store", job["kind"], job["key"]) / "measured.json"
        if file.exists():
            end[job["key"]] = now - 2 * RECENT
            os.utime(file, (end[job["key"]],) * 2)
    trained = [j for j in jobs if j["kind"] == "train" and j["key"] in end]
    for i, job in enumerate(trained[:4]):  # of 3 s each, two at once, the last pair just now
        os.utime(cell_dir(folder / "store", "train", job["key"]) / "measured.json", (now - 3 * (1 - i // 2),) * 2)
    found = Watcher(folder).look(now)
    assert found.state == "running"  # between two jobs
    assert found.remaining_seconds == pytest.approx(2 * 3 / 2, rel=0.01)  # 4 × 3 s of work in 6 s: two at once


def test_a_clock_that_went_back_makes_no_run_live_and_no_end_near(small):
    folder = small(lambda j: j["kind"] == "train" and j["method"] == "rded")
    now = time.time()
    assert Watcher(folder).look(now - 2 * RECENT).state == "idle"
    job = next(job for job in Manifest.read(folder).jobs if job.kind == "train" and job.labels["method"] == "rded")
    (folder / "store" / f".tmp-{os.getpid()}-{job.key}-01234567@{here()}").mkdir()
    found = Watcher(folder).look(now - 2 * RECENT)
    assert found.state == "running" and found.remaining_seconds == pytest.approx(2 * 3)


def test_a_kind_of_which_none_has_finished_has_no_time(small):
    folder = small(lambda j: j["kind"] == "train")
    found = Watcher(folder).look(time.time() + 1000)
    assert found.state == "idle" and found.remaining_seconds is None and found.remaining_unknown == ("train",)


def test_it_sees_what_happens_meanwhile(small, tmp_path):
    watcher = Watcher(tmp_path / "run")
    assert watcher.look(0).state == "waiting"
    folder = small(lambda j: j["kind"] == "train" and j["method"] == "rded")
    first = watcher.look(time.time())
    assert first.kinds["train"] == (8, 10)
    missing = [
        j
        for j in json.loads((folder / "run.json").read_text())["jobs"]
        if j["kind"] == "train" and j["labels"]["method"] == "rded"
    ]
    cell = cell_dir(folder / "store", "train", missing[0]["key"])
    cell.mkdir(parents=True)
    assert watcher.look(time.time()).kinds["train"] == (8, 10)  # no cell.json: not one yet
    (cell / "cell.json").write_text("{}")
    then = watcher.look(time.time())
    assert then.kinds["train"] == (9, 10) and then.trained == first.trained + 1
    run = json.loads((folder / "run.json").read_text())
    run["failures"] = {missing[1]["key"]: "no luck"}
    for ended, state in ((False, "running"), (True, "failed")):
        run["ended"] = ended
        (folder / "new").write_text(json.dumps(run))
        (folder / "new").replace(folder / "run.json")
        assert watcher.look(time.time()).state == state
    failed = watcher.look(time.time())
    ((job, message),) = failed.failures.items()
    assert failed.state == "failed" and message == "no luck" and "rded" in job


def test_who_looks_seldom_is_told_what_was_seen_last_and_never_fails(monkeypatch):
    clock, answers = iter([0.0, 0.0, 2.0, 19.0, 21.0, 21.0, 22.0, 40.0, 40.0, 40.0]), iter([1, 2])
    monkeypatch.setattr("decoct.report.progress.monotonic", lambda: next(clock))
    # The first look takes 2 s, so that the next comes 20 s later.
    ask = seldom(lambda: next(answers))
    assert (ask(), ask()) == (1, 1)
    assert ask() == 2

    def fails():
        raise DecoctError("no")

    assert seldom(fails)() is None


def test_shards_of_a_set_that_is_there_are_not_waited_for(small):
    folder = small()
    run = json.loads((folder / "run.json").read_text())
    made = next(j for j in run["jobs"] if j["kind"] == "condense")
    shard = {"key": "5" * 32, "kind": "shard", "inputs": {}, "labels": {**made["labels"], "shard": 0}}
    made["inputs"]["shard:0"] = shard["key"]
    run["jobs"].insert(0, shard)
    (folder / "run.json").write_text(json.dumps(run))
    assert Watcher(folder).look(time.time()).state == "done"
    shutil.rmtree(cell_dir(folder / "store", "condense", made["key"]))
    assert Watcher(folder).look(time.time()).kinds["shard"] == (0, 1)


def test_a_damaged_run_is_no_progress(small):
    folder = small()
    (folder / "run.json").write_text("{")
    with pytest.raises(DecoctError, match="damaged"):
        Watcher(folder).look(0)
