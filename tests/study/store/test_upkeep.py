"""A cell is shown; damaged cells and those that no study reaches are named, and go when that is asked for."""

import json
import os
import time

import pytest

from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import CELL, MEASURED, Cost, write_cost
from decoct.core.remote import Remote
from decoct.core.scratch import scratch
from decoct.report.write import write_report
from decoct.study.run import run
from decoct.study.store.store import Store, open_store
from decoct.study.store.upkeep import collect, garbage, keep_root, repair, roots, show, verify

SET, SHARD, STUDENT, OTHER = (letter * 32 for letter in "abcd")
OLD = 48 * 3600.0


def write_cell(store, kind, key, inputs=None):
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
    write_cell(store, "condense", SET, {"shard:0": SHARD})
    write_cell(store, "shard", SHARD)
    write_cell(store, "train", STUDENT, {"condensed": SET})
    write_cell(store, "train", OTHER)
    age(store.root)
    jobs = [
        {"key": SET, "kind": "condense", "inputs": {}},
        {"key": STUDENT, "kind": "train", "inputs": {"condensed": SET}},
    ]
    (out / "run.json").write_text(json.dumps({"jobs": jobs}))
    return store


def names(cells):
    return {(cell.kind, cell.key) for cell in cells}


def test_what_no_study_reaches_is_named_and_only_then_removed(study, tmp_path):
    cells, begun, kept = garbage(study, roots(study, tmp_path / "runs")[0])
    assert names(cells) == {("train", OTHER)} and begun == [] and kept == 3
    files = [path.stat() for path in study.path("train", OTHER).iterdir()]
    assert cells[0].bytes == sum(file.st_size for file in files)
    assert cells[0].touched == max(file.st_mtime for file in files)
    assert study.has("train", OTHER)
    collect(study, cells)
    assert not study.has("train", OTHER)
    assert study.has("condense", SET) and study.has("shard", SHARD) and study.has("train", STUDENT)
    assert garbage(study, roots(study, tmp_path / "runs")[0]) == ([], [], 3)


def test_the_run_that_a_store_is_in_counts_wherever_runs_are_looked_for(study, tmp_path):
    assert names(garbage(study, roots(study, tmp_path / "nowhere")[0])[0]) == {("train", OTHER)}


def test_what_is_being_written_stays(study, tmp_path):
    making = study.root / scratch(OTHER)
    making.mkdir()
    (making / CELL).write_text("{}")
    age(making)
    collect(study, *garbage(study, roots(study, tmp_path / "runs")[0])[:2])
    assert (making / CELL).is_file()


def test_a_checkpoint_stays_while_a_study_needs_its_job(study, tmp_path):
    missing = "e" * 32
    run = tmp_path / "runs" / "one" / "run.json"
    facts = json.loads(run.read_text())
    facts["jobs"].append({"key": missing, "kind": "train", "inputs": {}})
    run.write_text(json.dumps(facts))
    for kind, key in (("train", missing), ("train", STUDENT), ("train", OTHER)):
        study.unfinished(kind, key).mkdir(parents=True)
        (study.unfinished(kind, key) / "training.safetensors").write_text("1")
    kept = study.unfinished("condense", "f" * 32)
    kept.mkdir(parents=True)
    (kept / "stage.safetensors").write_text("22")
    age(study.root)
    cells, begun, _ = garbage(study, roots(study, tmp_path / "runs")[0])
    sizes = {(each.kind, each.key): each.bytes for each in begun}
    assert sizes == {("train", STUDENT): 1, ("train", OTHER): 1, ("condense", "f" * 32): 2}
    collect(study, cells, begun)
    assert [path.parent.name for path in (study.root / "unfinished").rglob("*.safetensors")] == [missing]


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
        write_cell(store, "train", key)
    jobs = [{"key": SET, "kind": "train", "inputs": {}}]
    out = tmp_path / "elsewhere" / "run"
    out.mkdir(parents=True)
    (out / "run.json").write_text(json.dumps({"jobs": jobs, "store": store.where}))
    keep_root(store, out, jobs)
    cells, _, kept = garbage(store, roots(store, tmp_path / "none")[0])
    assert names(cells) == {("train", OTHER)} and kept == 1
    (out / "run.json").unlink()  # the run is gone
    runs, gone = roots(store, tmp_path / "none")
    assert runs == [] and len(gone) == 1
    cells, begun, _ = garbage(store, runs)
    assert names(cells) == {("train", SET), ("train", OTHER)}
    collect(store, cells, begun, gone)
    assert store.listing() == {} and store.notes() == {}


@pytest.fixture(scope="module")
def finished(study_of, tmp_path_factory):
    runs = tmp_path_factory.mktemp("show") / "runs"
    assert run(study_of("random", replicates=2), runs / "small") == {}
    return runs


def planned(runs, kind):
    jobs = json.loads((runs / "small" / "run.json").read_text())["jobs"]
    return [job for job in jobs if job["kind"] == kind]


def test_a_set_says_what_it_is_and_which_student_needs_it(finished):
    job = planned(finished, "condense")[0]
    found = show(job["key"][:8], finished)
    assert (found["key"], found["kind"], found["complete"]) == (job["key"], "condense", True)
    assert found["what"] == [job["labels"]] and found["keyed"]["budget"]["ipc"] == 1
    readers = [each["key"] for each in planned(finished, "train") if job["key"] in each["inputs"].values()]
    assert [each["key"] for each in found["needed_by"]] == readers and len(readers) == 1
    folder = Store(finished / "small" / "store").path("condense", job["key"])
    assert found["where"] == str(folder) and found["runs"] == [str(finished / "small")]
    assert found["files"] == {p.name: p.stat().st_size for p in folder.iterdir()}
    assert found["cost"]["seconds"] == json.loads((folder / "measured.json").read_text())["seconds"]
    json.dumps(found)


def test_a_student_says_what_it_read_and_whether_that_is_there(finished):
    job = planned(finished, "train")[0]
    found = show(job["key"], finished, str(finished / "small" / "store"))
    assert found["inputs"] == {"condensed": {"kind": "condense", "key": job["inputs"]["condensed"], "there": True}}
    assert found["needed_by"] == []


def test_a_job_that_is_planned_and_not_done_says_so(finished, tmp_path):
    job = planned(finished, "train")[0]
    facts = json.loads((finished / "small" / "run.json").read_text())
    (tmp_path / "runs" / "begun").mkdir(parents=True)
    (tmp_path / "runs" / "begun" / "run.json").write_text(json.dumps(facts))
    (tmp_path / "runs" / "begun" / "store").mkdir()
    found = show(job["key"], tmp_path / "runs", str(tmp_path / "runs" / "begun"))
    assert not found["complete"] and found["files"] == {} and found["cost"] is None
    assert found["inputs"]["condensed"]["there"] is False


def test_what_begins_no_key_or_several_is_refused(finished):
    with pytest.raises(UsageError, match="no cell begins with zz"):
        show("zz", finished)
    store = Store(finished.parent / "many")
    one, two = "ab" + "1" * 30, "ab" + "2" * 30
    for key in (one, two):
        with store.writing("labels", key) as folder:
            (folder / CELL).write_text(
                json.dumps({"key": key, "kind": "labels", "keyed": {"external": True}, "inputs": {}})
            )
    with pytest.raises(UsageError, match=f"2 cells begin with a: {one}, {two}"):
        show("a", finished, str(store.root))
    assert show(two, finished, str(store.root))["key"] == two


def test_a_cell_at_a_url_is_shown_where_it_lies(machine, finished, tmp_path):
    machine("one")
    store = open_store(f"memory://show/{tmp_path.name}")
    with store.writing("labels", "cd" * 16) as folder:
        (folder / "a.txt").write_text("123")
        (folder / CELL).write_text(
            json.dumps({"key": "cd" * 16, "kind": "labels", "keyed": {"external": True}, "inputs": {}})
        )
    machine("other")
    found = show("cd", finished, store.where)
    assert (
        found["where"] == f"{store.where}/labels/cd/{'cd' * 16}" and found["files"]["a.txt"] == 3 and found["complete"]
    )


KEYS = [f"{i:02x}" * 16 for i in range(4)]


def write_labels(store, key, **more):
    with store.writing("labels", key) as folder:
        (folder / "a.txt").write_text(key)
        facts = {"key": key, "kind": "labels", "keyed": {"external": True}, "inputs": {}}
        (folder / CELL).write_text(json.dumps(facts | more))


def states(store):
    return {each.key: each.state for each in verify(store)}


def test_each_cell_is_whole_damaged_or_incomplete(tmp_path):
    store = Store(tmp_path)
    for key in KEYS:
        write_labels(store, key)
    folders = [store.path("labels", key) for key in KEYS]
    (folders[1] / "a.txt").write_text(KEYS[0])
    (folders[2] / CELL).unlink()
    seen = []
    found = list(verify(store, lambda done, total: seen.append((done, total))))
    assert [each.state for each in found] == ["whole", "damaged", "incomplete", "whole"]
    assert found[1].faults == {"a.txt": "has other bytes than were written"}
    assert seen[-1][0] == seen[-1][1] == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert [each.key for each in repair(store, found)] == KEYS[1:3]
    assert states(store) == {KEYS[0]: "whole", KEYS[3]: "whole"}
    assert list(tmp_path.glob(".tmp-*")) == []


def test_folders_that_lie_as_cells_do_and_are_none_stay(tmp_path):
    store = Store(tmp_path)
    write_labels(store, KEYS[0])
    mine = ("locale/de/de/a.po", "src/en/en_US/a.txt", "unfinished/novel/chapter.txt", f"a/00/{KEYS[0][:-1]}/x")
    for name in mine:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    repair(store, list(verify(store)))
    cells, begun, _ = garbage(store, [])
    assert names(cells) == {("labels", KEYS[0])} and begun == []
    collect(store, cells, begun)
    assert all((tmp_path / name).is_file() for name in mine)


def test_at_a_url_bytes_are_read_where_they_lie(url, machine, monkeypatch):
    machine("one")
    store = open_store(url)
    for key in KEYS:
        write_labels(store, key)
    machine("other")
    other, remote = open_store(url), Remote(url)
    remote.write(f"labels/{KEYS[0][:2]}/{KEYS[0]}/a.txt", KEYS[1].encode())
    remote.write(f"labels/{KEYS[1][:2]}/{KEYS[1]}/a.txt", b"short")
    remote.remove([f"labels/{KEYS[2][:2]}/{KEYS[2]}/{CELL}"])
    found = list(verify(other))
    assert [each.state for each in found] == ["damaged", "damaged", "incomplete", "whole"]
    assert found[0].faults == {"a.txt": "has other bytes than were written"}
    assert found[1].faults == {"a.txt": "has 5 bytes where 32 were written"}
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e9)  # the clock of the service says what is young
    assert [each.key for each in repair(other, found)] == KEYS[:2]  # the third may be on its way
    assert states(other) == {KEYS[2]: "incomplete", KEYS[3]: "whole"}


@pytest.fixture
def altered(study_of, contents, tmp_path):
    """A finished run; the images of one of its sets are then altered."""
    study, out = study_of("random", replicates=2), tmp_path / "out"
    assert run(study, out) == {}
    before = contents(out / "store")
    file = next((out / "store" / "condense").rglob("condensed.safetensors"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    return study, out, file.parent, before


def test_an_altered_cell_fails_what_reads_it_alone_and_is_recomputed_on_request(altered, contents):
    study, out, cell, before = altered
    plan = json.loads((out / "run.json").read_text())["jobs"]
    readers = [job["key"] for job in plan if cell.name in job["inputs"].values()]
    store = Store(out / "store")
    for job in plan:
        if job["kind"] == "train":
            store.remove("train", job["key"])
    failures = run(study, out)
    assert set(failures) == set(readers) and len(readers) == 1
    (message,) = failures.values()
    for part in (str(cell), "condensed.safetensors", "has other bytes than were written", "decoct verify --repair"):
        assert part in message
    found = list(verify(store))
    assert [each.key for each in found if each.state == "damaged"] == [cell.name]
    repair(store, found)
    did = []
    assert run(study, out, on_done=lambda job, error: did.append(job.key)) == {}
    assert sorted(did) == sorted([cell.name, *readers])
    assert contents(out / "store") == before


@pytest.mark.parametrize("damage", ["changed", "renamed", "gone"])
def test_costs_that_are_damaged_are_named_and_made_again(study_of, contents, tmp_path, damage):
    study, out = study_of("random", replicates=2), tmp_path / "out"
    assert run(study, out) == {}
    before, store = contents(out / "store"), Store(out / "store")
    file = next((out / "store" / "condense").rglob(MEASURED))
    text = file.read_text()
    if damage == "gone":
        file.unlink()
    else:
        file.write_text(text.replace('"seconds": ', '"seconds": 9' if damage == "changed" else '"secs": '))
    with pytest.raises(DecoctError) as caught:
        write_report(out)
    for part in (str(file.parent), MEASURED, f"`decoct verify --repair {out / 'store'}`"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    found = list(verify(store))
    assert [(each.key, list(each.faults)) for each in found if each.state == "damaged"] == [
        (file.parent.name, [MEASURED])
    ]
    repair(store, found)
    did = []
    assert run(study, out, on_done=lambda job, error: did.append(job.key)) == {}
    assert did == [file.parent.name] and contents(out / "store") == before
    write_report(out)


def test_costs_at_a_url_are_read_there(url, machine):
    machine("one")
    store = open_store(url)
    for key in KEYS[:2]:
        with store.writing("labels", key) as folder:
            write_cost(
                folder, Cost(seconds=1, cpu_seconds=1, peak_memory=1, device="", hardware="", host="", versions={})
            )
            (folder / CELL).write_text(
                json.dumps({"key": key, "kind": "labels", "keyed": {"external": 1}, "inputs": {}})
            )
    at = f"labels/{KEYS[0][:2]}/{KEYS[0]}/{MEASURED}"
    remote = Remote(url)
    remote.write(at, remote.read(at).replace(b'"seconds": 1', b'"seconds": 91'))
    machine("other")
    assert states(open_store(url)) == {KEYS[0]: "damaged", KEYS[1]: "whole"}
    with pytest.raises(DecoctError, match=f"{at.rpartition('/')[0]} is damaged: {MEASURED} .* {url}`"):
        open_store(url).file("labels", KEYS[0], MEASURED)


@pytest.mark.parametrize(
    ("kind", "name"), [("train", "result.json"), ("train", "correct.npy"), ("condense", "facts.json")]
)
def test_a_report_uses_no_altered_file(altered, kind, name):
    _, out, _, _ = altered
    file = next((out / "store" / kind).rglob(name))
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(DecoctError, match=f"{file.parent.name} is damaged: {name} .*verify --repair"):
        write_report(out)
