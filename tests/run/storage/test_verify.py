"""Every cell is looked at; what is damaged goes when it is asked for, and the next run makes that and nothing else."""

import json

import pytest

from decoct.core.errors import DecoctError
from decoct.core.record import CELL, MEASURED, Cost, write_cost
from decoct.core.remote import Remote
from decoct.report.write import write_report
from decoct.run.run import run
from decoct.run.storage.gc import collect, garbage
from decoct.run.storage.store import Store, open_store
from decoct.run.storage.verify import repair, verify

KEYS = [f"{i:02x}" * 16 for i in range(4)]


def write(store, key, **more):
    with store.writing("labels", key) as folder:
        (folder / "a.txt").write_text(key)
        facts = {"key": key, "kind": "labels", "keyed": {"external": True}, "inputs": {}}
        (folder / CELL).write_text(json.dumps(facts | more))


def states(store):
    return {each.key: each.state for each in verify(store)}


def test_each_cell_is_whole_damaged_incomplete_or_unhashed(tmp_path):
    store = Store(tmp_path)
    for key in KEYS:
        write(store, key)
    folders = [store.path("labels", key) for key in KEYS]
    (folders[1] / "a.txt").write_text(KEYS[0])
    (folders[2] / CELL).unlink()
    facts = json.loads((folders[3] / CELL).read_text())
    del facts["files"]
    (folders[3] / CELL).write_text(json.dumps(facts))
    seen = []
    found = list(verify(store, lambda done, total: seen.append((done, total))))
    assert [each.state for each in found] == ["whole", "damaged", "incomplete", "unhashed"]
    assert found[1].faults == {"a.txt": "has other bytes than were written"} and found[1].external
    assert seen[-1][0] == seen[-1][1] == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert [each.key for each in repair(store, found)] == KEYS[1:3]
    assert states(store) == {KEYS[0]: "whole", KEYS[3]: "unhashed"}
    assert list(tmp_path.glob(".tmp-*")) == []


def test_folders_that_lie_as_cells_do_and_are_none_stay(tmp_path):
    store = Store(tmp_path)
    write(store, KEYS[0])
    mine = ("locale/de/de/a.po", "src/en/en_US/a.txt", "unfinished/novel/chapter.txt", f"a/00/{KEYS[0][:-1]}/x")
    for name in mine:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    repair(store, list(verify(store)))
    found = garbage(store, [], -60.0)
    assert set(found.cells) == {("labels", KEYS[0])} and not found.unfinished
    collect(store, found)
    assert all((tmp_path / name).is_file() for name in mine)


def test_at_a_url_bytes_are_read_where_they_lie(url, machine):
    machine("one")
    store = open_store(url)
    for key in KEYS:
        write(store, key)
    machine("other")
    other, remote = open_store(url), Remote(url)
    remote.write(f"labels/{KEYS[0][:2]}/{KEYS[0]}/a.txt", KEYS[1].encode())
    remote.write(f"labels/{KEYS[1][:2]}/{KEYS[1]}/a.txt", b"short")
    remote.remove([f"labels/{KEYS[2][:2]}/{KEYS[2]}/{CELL}"])
    found = list(verify(other))
    assert [each.state for each in found] == ["damaged", "damaged", "incomplete", "whole"]
    assert found[0].faults == {"a.txt": "has other bytes than were written"}
    assert found[1].faults == {"a.txt": "has 5 bytes where 32 were written"}
    assert found[2].busy  # somebody may be sending it
    assert [each.key for each in repair(other, found)] == KEYS[:2]
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


def test_a_run_of_a_version_without_sums_of_costs_is_whole_reported_and_gone_on_with(study_of, tmp_path):
    study, out = study_of("random", replicates=2), tmp_path / "out"
    assert run(study, out) == {}
    for file in (out / "store").rglob(MEASURED):
        facts = json.loads(file.read_text())
        del facts["sum"]
        file.write_text(json.dumps(facts))
    assert {each.state for each in verify(Store(out / "store"))} == {"whole"}
    write_report(out)
    done = []
    assert run(study, out, on_plan=lambda missing, jobs: done.append(missing)) == {} and done == [0]


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
