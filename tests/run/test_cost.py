"""What a cell took in all: its own seconds and those of everything below it, a shared part once."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.record import CELL, MEASURED, Cost, write_json
from decoct.run.cost import total_cost
from decoct.run.store import Store

ROLES = {"teacher": "teacher:{}", "features": "features:{}", "condense": "condensed"}


def key(number):
    return f"{number:02d}" * 16


def put(store, kind, number, inputs=(), seconds=1.0, peak=1):
    """Write a cell by hand; ``inputs`` are (kind, number)."""
    folder = store.path(kind, key(number))
    folder.mkdir(parents=True)
    cost = Cost(
        seconds=seconds,
        cpu_seconds=2 * seconds,
        peak_memory=peak,
        device="cpu",
        hardware=f"processor {number}",
        host="here",
        versions={},
    )
    write_json(folder / MEASURED, cost.model_dump(mode="json"))
    roles = {ROLES[kind].format(f"net{number}"): key(number) for kind, number in inputs}
    write_json(folder / CELL, {"key": key(number), "kind": kind, "keyed": {}, "inputs": roles})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_what_needs_nothing_costs_what_it_took(store):
    put(store, "condense", 1, seconds=3.0, peak=7)
    cost = total_cost(store, "condense", key(1))
    assert (cost.seconds, cost.cpu_seconds, cost.peak_memory) == (3.0, 6.0, 7)


def test_a_teacher_that_is_needed_twice_is_paid_once(store):
    """The set needs the teacher and features that the same teacher gave, the student the set and that teacher."""
    put(store, "teacher", 0, seconds=100.0, peak=50)
    put(store, "features", 1, [("teacher", 0)], seconds=20.0, peak=90)
    put(store, "condense", 2, [("teacher", 0), ("features", 1)], seconds=3.0, peak=10)
    put(store, "train", 3, [("condense", 2), ("teacher", 0)], seconds=0.5, peak=20)
    cost = total_cost(store, "train", key(3))
    assert (cost.seconds, cost.cpu_seconds, cost.peak_memory) == (123.5, 247.0, 90)
    assert cost.hardware == "processor 3"
    assert total_cost(store, "condense", key(2)).seconds == 123.0
    assert total_cost(store, "features", key(1)).seconds == 120.0


@given(needs=st.lists(st.sets(st.integers(0, 9), max_size=4), min_size=1, max_size=10))
@settings(max_examples=50, deadline=None)
def test_every_cell_below_is_counted_once_and_no_other(needs, tmp_path_factory):
    """Seconds are powers of two, so that their sum tells which cells are in it, and how often."""
    store = Store(tmp_path_factory.mktemp("store"))
    below: list[set[int]] = []
    for number, wanted in enumerate(needs):
        inputs = {n for n in wanted if n < number}
        put(store, "features", number, [("features", n) for n in inputs], seconds=2.0**number, peak=10 - number)
        below.append({number}.union(*(below[n] for n in inputs)))
    for number, cells in enumerate(below):
        cost = total_cost(store, "features", key(number))
        assert cost.seconds == sum(2.0**n for n in cells)
        assert cost.peak_memory == 10 - min(cells)


def test_a_need_that_is_gone_is_an_error_not_a_zero(store):
    put(store, "condense", 1, [("teacher", 0)])
    with pytest.raises(FileNotFoundError):
        total_cost(store, "condense", key(1))


def test_the_cells_of_a_run_add_up(finished):
    """On real cells: what the set itself took, plus its teacher, plus nothing else."""
    store = Store(finished / "store")
    jobs = {job["key"]: job for job in json.loads((finished / "run.json").read_text())["jobs"]}
    made = next(job for job in jobs.values() if job["kind"] == "condense" and job["labels"]["method"] == "sre2l")
    needed = [jobs[key] for key in made["inputs"].values()]
    assert [job["kind"] for job in needed] == ["teacher"]

    def seconds(job):
        return json.loads((store.path(job["kind"], job["key"]) / MEASURED).read_text())["seconds"]

    cost = total_cost(store, "condense", made["key"])
    assert cost.seconds == pytest.approx(sum(map(seconds, [made, *needed])))
    assert cost.seconds > seconds(needed[0]) > 0
