"""What a cell took in all: its own seconds and those of everything below it, a shared part once."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.condensed import Condensed
from decoct.core.record import CELL, MEASURED, Cost, Provenance, write_cost, write_json
from decoct.metrics.cost import TAKEN
from decoct.study.cost import taken, total_cost
from decoct.study.expand import expand
from decoct.study.external_sets import put_external
from decoct.study.store.store import Store

ROLES = {"teacher": "teacher:{}", "features": "features:{}", "condense": "condensed"}


def key(number):
    return f"{number:02d}" * 16


def put(store, kind, number, inputs=(), seconds=1.0, peak=1, **more):
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
        **more,
    )
    write_cost(folder, cost)
    roles = {ROLES[kind].format(f"net{number}"): key(number) for kind, number in inputs}
    write_json(
        folder / CELL, {"key": key(number), "kind": kind, "keyed": {"external": True}, "inputs": roles, "files": {}}
    )


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


def test_energy_and_device_seconds_are_sums_too(store):
    """A teacher of a GPU, features and set of the processor."""
    put(store, "teacher", 0, device_seconds=0.75, energy=300.0)
    put(store, "features", 1, [("teacher", 0)], device_seconds=0.5, energy=20.0)
    put(store, "condense", 2, [("teacher", 0), ("features", 1)], energy=0.0)
    cost = total_cost(store, "condense", key(2))
    assert (cost.device_seconds, cost.energy) == (1.25, 320.0)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_energy_is_unknown_where_that_of_a_part_is(store, lost):
    energies = [None if number == lost else 5.0 for number in range(3)]
    put(store, "teacher", 0, energy=energies[0])
    put(store, "features", 1, [("teacher", 0)], energy=energies[1])
    put(store, "condense", 2, [("features", 1)], energy=energies[2])
    assert total_cost(store, "condense", key(2)).energy is None


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


def test_what_is_known_of_a_set_that_was_made(finished, digits):
    """Seconds travel with the set, steps stay in its cell: sre2l takes 5, by the study."""
    store = Store(finished / "store")
    jobs = json.loads((finished / "run.json").read_text())["jobs"]
    made = {job["labels"]["method"]: job["key"] for job in jobs if job["kind"] == "condense"}
    for method, steps in (("sre2l", 5), ("herding", 0)):
        bare = Condensed.load(store.path("condense", made[method]))
        whole = replace(bare, cost=total_cost(store, "condense", made[method]))
        found = taken(whole, made[method], store)
        assert set(found) == set(TAKEN)
        assert (found["total_seconds"], found["peak_memory"]) == (whole.cost.seconds, whole.cost.peak_memory)
        assert (found["cpu_seconds"], found["device_seconds"]) == (whole.cost.cpu_seconds, 0.0)
        assert found["energy"] == whole.cost.energy
        assert (found["image_bytes"], found["label_bytes"]) == (bare.image_bytes(digits.train.images), 10)
        assert found["steps"] == steps
        assert set(taken(bare, made[method], store)) == {"image_bytes", "label_bytes", "steps"}


def test_what_is_known_of_a_set_from_elsewhere(store, digits):
    """Somebody's own images, soft labels and weights, under the key of a cell that is not here."""
    store.root.mkdir(exist_ok=True)
    images = np.zeros((20, 1, 8, 8), np.float32)
    soft, weights = np.full((20, 10), 0.1, np.float32), np.ones(20, np.float32)
    labels, whence = np.repeat(np.arange(10), 2), Provenance(method="mine", key="0" * 32)
    mine = Condensed(labels, digits.class_names, whence, images=images, soft_labels=soft, weights=weights)
    found = taken(mine, put_external(mine, digits, store).key, store)
    assert found == {"image_bytes": 20 * 64 * 4, "label_bytes": 20 + 20 * 10 * 4 + 20 * 4}


def test_asking_for_the_cost_changes_no_job(study_of, digits):
    """It is in no cell, since cells made again are equal byte for byte, and what a set took is not."""

    def planned(*names):
        return expand(study_of("random", metrics={"names": list(names), "draws": 2}), digits)

    without, beside = planned("vendi"), planned("vendi", "cost")
    assert [job.key for job in beside] == [job.key for job in without]
    assert {"measure", "reference"} <= {job.kind for job in without}
    assert "cost" in study_of("random", metrics={"names": ["cost"]}).measures()
