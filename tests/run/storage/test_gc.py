"""What no study reaches goes when it is asked for; what one reaches, or somebody may be writing, stays."""

import json
import os
import time

import pytest

from decoct.core.errors import DecoctError
from decoct.core.record import CELL
from decoct.core.scratch import scratch
from decoct.run.storage.gc import collect, garbage
from decoct.run.storage.reach import keep_root, roots
from decoct.run.storage.store import Store, open_store

SET, SHARD, STUDENT, OTHER = (letter * 32 for letter in "abcd")
OLD = 48 * 3600.0


def write(store, kind, key, inputs=None):
    with store.writing(kind, key) as folder:
        (folder / "a.txt").write_text("12345")
        facts = {"key": key, "kind": kind, "keyed": {"external": True}, "inputs": inputs or {}}
        (folder / CELL).write_text(json.dumps(facts))


def age(root, seconds=OLD):
    at = time.time() - seconds
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (at, at))


@pytest.fixture
def study(tmp_path):
    """A run of a student on a set of one shard, and a cell that nothing leads to."""
    out = tmp_path / "runs" / "one"
    store = Store(out / "store")
    store.prepare()
    write(store, "condense", SET, {"shard:0": SHARD})
    write(store, "shard", SHARD)
    write(store, "train", STUDENT, {"condensed": SET})
    write(store, "train", OTHER)
    age(store.root)
    jobs = [
        {"key": SET, "kind": "condense", "inputs": {}},
        {"key": STUDENT, "kind": "train", "inputs": {"condensed": SET}},
    ]
    (out / "run.json").write_text(json.dumps({"jobs": jobs}))
    return store


def look(store, folder, older=24 * 3600.0):
    return garbage(store, roots(store, folder)[0], older)


def test_what_no_study_reaches_is_named_and_only_then_removed(study, tmp_path):
    found = look(study, tmp_path / "runs")
    assert set(found.cells) == {("train", OTHER)} and found.kept == 3 and found.young == 0
    assert found.bytes == sum(p.stat().st_size for p in study.path("train", OTHER).iterdir())
    assert study.has("train", OTHER)
    collect(study, found)
    assert not study.has("train", OTHER)
    assert study.has("condense", SET) and study.has("shard", SHARD) and study.has("train", STUDENT)
    assert look(study, tmp_path / "runs").bytes == 0


def test_the_run_that_a_store_is_in_counts_wherever_runs_are_looked_for(study, tmp_path):
    assert set(look(study, tmp_path / "nowhere").cells) == {("train", OTHER)}


def test_what_was_touched_lately_stays(study, tmp_path):
    age(study.path("train", OTHER), 3600.0)
    found = look(study, tmp_path / "runs")
    assert found.cells == {} and found.young == 1
    assert set(look(study, tmp_path / "runs", older=0.0).cells) == {("train", OTHER)}


def test_what_is_being_written_stays(study, tmp_path):
    making = study.root / scratch(OTHER)
    making.mkdir()
    (making / CELL).write_text("{}")
    age(making)
    collect(study, look(study, tmp_path / "runs", older=0.0))
    assert (making / CELL).is_file()


def test_a_checkpoint_stays_while_a_study_needs_its_job(study, tmp_path):
    missing = "e" * 32
    run = tmp_path / "runs" / "one" / "run.json"
    facts = json.loads(run.read_text())
    facts["jobs"].append({"key": missing, "kind": "train", "inputs": {}})
    run.write_text(json.dumps(facts))
    for kind, key in (("train", missing), ("train", STUDENT), ("train", OTHER)):
        study.unfinished(kind, key).parent.mkdir(parents=True, exist_ok=True)
        study.unfinished(kind, key).write_text("1")
    kept = study.unfinished("condense", "f" * 32).with_suffix("")
    kept.mkdir(parents=True)
    (kept / "stage.safetensors").write_text("22")
    age(study.root)
    found = look(study, tmp_path / "runs")
    assert found.unfinished == {("train", STUDENT): 1, ("train", OTHER): 1, ("condense", "f" * 32): 2}
    collect(study, found)
    assert [path.name for path in (study.root / "unfinished").rglob("*.safetensors")] == [f"{missing}.safetensors"]


def test_a_damaged_run_stops_it(study, tmp_path):
    (tmp_path / "runs" / "two").mkdir()
    (tmp_path / "runs" / "two" / "run.json").write_text("{")
    with pytest.raises(DecoctError, match=r"two/run\.json is damaged"):
        roots(study, tmp_path / "runs")


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_a_shared_store_knows_the_runs_that_stand_on_it(machine, tmp_path, where):
    machine("one")
    store = Store(tmp_path / "shared") if where == "folder" else open_store(f"memory://gc/{tmp_path.name}")
    store.prepare()
    for key in (SET, OTHER):
        write(store, "train", key)
    jobs = [{"key": SET, "kind": "train", "inputs": {}}]
    out = tmp_path / "elsewhere" / "run"
    out.mkdir(parents=True)
    (out / "run.json").write_text(json.dumps({"jobs": jobs, "store": store.where}))
    keep_root(store, out, jobs)
    found = look(store, tmp_path / "none", older=-60.0)
    assert set(found.cells) == {("train", OTHER)} and found.kept == 1
    (out / "run.json").unlink()  # the run is gone
    runs, gone = roots(store, tmp_path / "none")
    assert runs == [] and len(gone) == 1
    everything = garbage(store, runs, -60.0, gone)
    assert set(everything.cells) == {("train", SET), ("train", OTHER)}
    collect(store, everything)
    assert store.listing() == {} and store.notes() == {}
