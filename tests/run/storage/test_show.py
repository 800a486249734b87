"""A cell is found by the beginning of its key, and says what it is and who needs it."""

import json

import pytest

from decoct.core.errors import UsageError
from decoct.core.record import CELL
from decoct.run.run import run
from decoct.run.storage.show import show, stores
from decoct.run.storage.store import Store, open_store


@pytest.fixture(scope="module")
def made(study_of, tmp_path_factory):
    runs = tmp_path_factory.mktemp("show") / "runs"
    assert run(study_of("random", replicates=2), runs / "small") == {}
    return runs


def planned(runs, kind):
    jobs = json.loads((runs / "small" / "run.json").read_text())["jobs"]
    return [job for job in jobs if job["kind"] == kind]


def test_a_set_says_what_it_is_and_which_student_needs_it(made):
    job = planned(made, "condense")[0]
    found = show(job["key"][:8], stores(None, made), made)
    assert (found.key, found.kind, found.complete) == (job["key"], "condense", True)
    assert found.what == [job["labels"]] and found.keyed["budget"]["ipc"] == 1
    readers = [each["key"] for each in planned(made, "train") if job["key"] in each["inputs"].values()]
    assert [each["key"] for each in found.needed_by] == readers and len(readers) == 1
    folder = Store(made / "small" / "store").path("condense", job["key"])
    assert found.where == str(folder) and found.runs == [str(made / "small")]
    assert found.files == {p.name: p.stat().st_size for p in folder.iterdir()}
    assert found.cost["seconds"] == json.loads((folder / "measured.json").read_text())["seconds"]
    json.dumps(found.to_json())


def test_a_student_says_what_it_read_and_whether_that_is_there(made):
    job = planned(made, "train")[0]
    found = show(job["key"], [str(made / "small" / "store")], made)
    assert found.inputs == {"condensed": {"kind": "condense", "key": job["inputs"]["condensed"], "there": True}}
    assert found.needed_by == []


def test_a_job_that_is_planned_and_not_done_says_so(made, tmp_path):
    job = planned(made, "train")[0]
    facts = json.loads((made / "small" / "run.json").read_text())
    (tmp_path / "runs" / "begun").mkdir(parents=True)
    (tmp_path / "runs" / "begun" / "run.json").write_text(json.dumps(facts))
    (tmp_path / "runs" / "begun" / "store").mkdir()
    found = show(job["key"], stores(str(tmp_path / "runs" / "begun"), tmp_path / "runs"), tmp_path / "runs")
    assert not found.complete and found.files == {} and found.cost is None
    assert found.inputs["condensed"]["there"] is False


def test_what_begins_no_key_or_several_is_refused(made):
    with pytest.raises(UsageError, match="no cell begins with zz"):
        show("zz", stores(None, made), made)
    store = Store(made.parent / "many")
    for key in ("ab1", "ab2"):
        with store.writing("labels", key) as folder:
            (folder / CELL).write_text(
                json.dumps({"key": key, "kind": "labels", "keyed": {"external": True}, "inputs": {}})
            )
    with pytest.raises(UsageError, match=r"2 cells begin with a: ab1 \(labels\), ab2 \(labels\)"):
        show("a", [str(store.root)], made)
    assert show("ab2", [str(store.root)], made).key == "ab2"


def test_a_cell_at_a_url_is_shown_where_it_lies(machine, made, tmp_path):
    machine("one")
    store = open_store(f"memory://show/{tmp_path.name}")
    with store.writing("labels", "cd" * 16) as folder:
        (folder / "a.txt").write_text("123")
        (folder / CELL).write_text(
            json.dumps({"key": "cd" * 16, "kind": "labels", "keyed": {"external": True}, "inputs": {}})
        )
    machine("other")
    found = show("cd", [store.where], made)
    assert found.where == f"{store.where}/labels/cd/{'cd' * 16}" and found.files["a.txt"] == 3 and found.complete
