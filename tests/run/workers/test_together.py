"""Jobs that one worker does at once: which, what they leave, and that each fails by itself."""

import shutil
from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct import __version__ as VERSION
from decoct.condensers.coresets.random import Random
from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import MEASURED, Cost, read_cost, read_json
from decoct.engine.teachers import Teach
from decoct.protocols.dc import DC
from decoct.protocols.erm import ERM
from decoct.protocols.single_teacher import SingleTeacher
from decoct.run.drive import Driver
from decoct.run.execute import execute
from decoct.run.graph import Planner
from decoct.run.jobs import Job
from decoct.run.run import run
from decoct.run.storage.store import Store
from decoct.run.workers import together
from decoct.run.workers.attempt import attempt, attempt_together
from decoct.run.workers.executors import Inline
from decoct.run.workers.together import OneByOne, execute_together, share, take, wanted

NET = "convnet1_w8"
PROTOCOLS = {
    "erm": ERM(steps=12),
    "dc": DC(steps=12, dsa=True),
    "taught": SingleTeacher(teacher=NET, steps=12, cutmix=1.0, ema=0.9),
    "stored": SingleTeacher(teacher=NET, steps=12, labels={"bits": 8}),
}


@pytest.fixture
def planned(digits, tmp_path):
    """Plan three students of one kind on sets of their own, and make all that they need: (store, jobs)."""

    def plan(protocol="erm", count=3, net=NET, ipc=2):
        planner, store = Planner(digits, teachings={NET: Teach(net=NET, epochs=1)}), Store(tmp_path / "store")
        store.root.mkdir(exist_ok=True)
        jobs = []
        for replicate in range(count):
            made = planner.condense("random", Random(), Budget(ipc=ipc), replicate)
            jobs.append(planner.train((protocol, PROTOCOLS[protocol]), net, made, replicate))
        for job in planner.jobs.values():
            if job.kind != "train":
                execute(store.root, job)
        return store, jobs

    return plan


def result(store, job):
    return read_json(store.path("train", job.key) / "result.json")


def attempted(store, jobs):
    return {
        key: str(error) for key, error in attempt_together(str(store.root), jobs[0], jobs[1:], "cpu", VERSION).items()
    }


def cost(store, job):
    return read_cost(store.path("train", job.key) / MEASURED)


# Groups


def groups(jobs, most):
    ready, todo, made = deque(job.key for job in jobs), {job.key: job for job in jobs}, []
    while ready:
        made.append([todo[key] for key in take(ready, todo, most)])
    return made


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_students_on_sets_of_one_size_are_a_group(planned, protocol):
    _, jobs = planned(protocol)
    assert groups(jobs, 8) == [jobs]
    assert groups(jobs, 2) == [jobs[:2], jobs[2:]]
    assert groups(jobs, 1) == [[job] for job in jobs]


def test_students_of_other_kinds_are_not(digits):
    planner = Planner(digits, compute={"threads": 1, "precision": "float32", "compile": False})
    sets = [planner.condense("random", Random(), Budget(ipc=ipc), 0) for ipc in (1, 2)]
    erm = ("erm", ERM(steps=3))
    jobs = [
        planner.train(erm, NET, sets[0]),
        planner.train(erm, NET, sets[1]),
        planner.train(erm, "convnet1_w16", sets[0]),
        planner.train(("erm", ERM(steps=4)), NET, sets[0]),
        planner.train(erm, NET, None),
        planner.train(erm, NET, None, train=1),
        planner.jobs[sets[0].key],
    ]
    compiled = Planner(digits, compute={"threads": 1, "precision": "float32", "compile": True})
    of = compiled.condense("random", Random(), Budget(ipc=1), 0)
    jobs += [compiled.train(erm, NET, of, train=again) for again in range(2)]
    again = planner.train(erm, NET, sets[0], train=1)
    assert groups([*jobs, again], 8) == [[jobs[0], again], *([job] for job in jobs[1:])]


def node(number: int, kind: int) -> Job:
    keyed = {"seed": number, "student": str(kind), "compute": {"compile": False}}
    return Job(kind="train", keyed=keyed, inputs={"condensed": str(number)}, config={}, data="")


@given(kinds=st.lists(st.integers(0, 3), max_size=30), most=st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_every_job_is_in_one_group_as_full_as_can_be_and_none_overtakes_its_kind(kinds, most):
    jobs = [node(number, kind) for number, kind in enumerate(kinds)]
    made = groups(jobs, most)
    assert sorted(job.keyed["seed"] for group in made for job in group) == list(range(len(jobs)))
    for kind in set(kinds):
        own = [group for group in made if group[0].keyed["student"] == str(kind)]
        assert all(job.keyed["student"] == str(kind) for group in own for job in group)
        assert [len(group) for group in own[:-1]] == [most] * (len(own) - 1)
        flat = [job.keyed["seed"] for group in own for job in group]
        assert flat == sorted(flat)
    ready, todo = deque(job.key for job in jobs), {job.key: job for job in jobs}
    while ready:
        before = list(ready)
        taken = take(ready, todo, most)
        assert taken[0] == before[0] and list(ready) == [key for key in before if key not in taken]


@pytest.mark.parametrize(
    ("text", "device", "number"), [("1", "cpu", 1), ("4", "cpu", 4), ("auto", "cpu", 1), ("auto", "cuda:1", 8)]
)
def test_how_many_is_a_number_or_what_a_gpu_gets(text, device, number):
    assert wanted(text, device) == number


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="a number from 1 up, or auto"):
        wanted(text, "cpu")


# What a group leaves


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_leaves_what_it_leaves_alone(planned, tmp_path, protocol):
    store, jobs = planned(protocol)
    other = Store(shutil.copytree(store.root, tmp_path / "alone"))
    assert execute_together(store.root, jobs) == {}
    for job in jobs:
        execute(other.root, job)
        ours, theirs = result(store, job), result(other, job)
        exact = ("test_images", "steps", "images_seen", "label_bytes")
        assert [ours[name] for name in exact] == [theirs[name] for name in exact]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3, abs=1e-6)
        rights = [np.load(one.path("train", job.key) / "correct.npy") for one in (store, other)]
        assert np.unpackbits(rights[0] ^ rights[1]).sum() <= 0.02 * ours["test_images"]
        cells = [read_json(one.path("train", job.key) / "cell.json") for one in (store, other)]
        assert all(cells[0][name] == cells[1][name] for name in ("key", "kind", "keyed", "inputs"))
        assert (cost(store, job).together, cost(other, job).together) == (3, 1)
    assert len({result(store, job)["loss"] for job in jobs}) == 3
    assert len({cost(store, job).seconds for job in jobs}) == 1
    assert not list(store.root.glob(".tmp-*"))


def test_the_cost_of_each_is_a_share_of_what_all_took():
    whole = Cost(
        seconds=6.0,
        cpu_seconds=9.0,
        device_seconds=3.0,
        energy=12.0,
        peak_memory=70,
        device="cuda",
        hardware="a",
        host="b",
        versions={},
    )
    one = share(whole, 3)
    assert (one.seconds, one.cpu_seconds, one.device_seconds, one.energy) == (2.0, 3.0, 1.0, 4.0)
    assert (one.peak_memory, one.together, whole.together) == (70, 3, 1)
    assert share(whole.model_copy(update={"energy": None}), 2).energy is None


def test_those_that_are_there_are_left_alone(planned):
    store, jobs = planned()
    execute(store.root, jobs[1])
    before = cost(store, jobs[1])
    assert execute_together(store.root, jobs) == {}
    assert cost(store, jobs[1]) == before
    assert [cost(store, job).together for job in jobs] == [2, 1, 2]


def test_sets_of_other_sizes_are_trained_beside_their_like(planned):
    store, jobs = planned()
    _, others = planned(ipc=3, count=2)
    assert execute_together(store.root, [*jobs, *others]) == {}
    assert [cost(store, job).together for job in (*jobs, *others)] == [3, 3, 3, 2, 2]


# What goes wrong


def test_one_that_diverges_fails_alone_and_stores_nothing(planned, monkeypatch):
    store, jobs = planned("dc")
    prepare = together.prepare

    def spoilt(cell):
        ready = prepare(cell)
        if cell.job.key == jobs[1].key:
            ready.student.classifier.weight.data.fill_(float("inf"))
        return ready

    monkeypatch.setattr(together, "prepare", spoilt)
    failed = attempted(store, jobs)
    assert failed == {jobs[1].key: "the training loss is not finite at step 1 of 12: lower lr"}
    assert [store.has("train", job.key) for job in jobs] == [True, False, True]
    assert [cost(store, job).together for job in (jobs[0], jobs[2])] == [3, 3]


def test_one_whose_set_is_gone_fails_alone(planned):
    store, jobs = planned()
    shutil.rmtree(store.path("condense", jobs[0].inputs["condensed"]))
    assert set(execute_together(store.root, jobs)) == {jobs[0].key}
    assert [store.has("train", job.key) for job in jobs] == [False, True, True]
    assert [cost(store, job).together for job in jobs[1:]] == [2, 2]


def test_what_cannot_be_batched_is_trained_one_by_one_to_the_same_bytes(planned, tmp_path, monkeypatch, contents):
    store, jobs = planned()
    other = Store(shutil.copytree(store.root, tmp_path / "alone"))
    monkeypatch.setattr(together, "cannot", lambda *args: "it is a tree")
    with pytest.warns(OneByOne, match=f"3 {NET} are trained one by one: it is a tree"):
        assert execute_together(store.root, jobs) == {}
    for job in jobs:
        execute(other.root, job)
    assert contents(store.root / "train") == contents(other.root / "train")
    assert {cost(store, job).together for job in jobs} == {1}


def test_a_group_that_breaks_is_trained_one_by_one(planned, monkeypatch):
    store, jobs = planned()

    def full(*args, **more):
        raise MemoryError("no room for three")

    monkeypatch.setattr(together, "train_together", full)
    with pytest.warns(OneByOne, match="MemoryError: no room for three"):
        assert execute_together(store.root, jobs) == {}
    assert all(store.has("train", job.key) for job in jobs)


def test_a_teacher_that_is_gone_fails_all(planned):
    store, jobs = planned("taught")
    shutil.rmtree(store.path("teacher", jobs[0].role("teacher")[NET]))
    with pytest.warns(OneByOne):
        failed = execute_together(store.root, jobs)
    assert set(failed) == {job.key for job in jobs}


def test_a_group_killed_between_two_cells_goes_on_with_the_others(planned, monkeypatch):
    store, jobs = planned()
    examine, seen = together.examine, []

    def killed(cell, *rest):
        seen.append(cell)
        if len(seen) == 2:
            raise KeyboardInterrupt
        examine(cell, *rest)

    monkeypatch.setattr(together, "examine", killed)
    with pytest.raises(KeyboardInterrupt):
        execute_together(store.root, jobs)
    assert [store.has("train", job.key) for job in jobs] == [True, False, False]
    monkeypatch.setattr(together, "examine", examine)
    assert execute_together(store.root, jobs) == {}
    assert [cost(store, job).together for job in jobs] == [3, 2, 2]
    assert not list(store.root.glob(".tmp-*"))


def test_what_is_no_decoct_error_comes_back_in_one_line(planned, monkeypatch):
    store, jobs = planned(count=2)

    def leaves(*args):
        raise ValueError("no\nluck")

    monkeypatch.setattr(together, "examine", leaves)
    failed = attempted(store, jobs)
    assert failed == {job.key: "ValueError: no; luck" for job in jobs}


def test_a_worker_of_another_version_does_nothing(planned):
    store, jobs = planned(count=2)
    with pytest.raises(DecoctError, match=r"driven by decoct 0\.0\.0"):
        attempt_together(str(store.root), jobs[0], jobs[1:], "cpu", "0.0.0")
    assert not any(store.has("train", job.key) for job in jobs)


# In a run


@pytest.fixture(scope="module")
def study(study_of):
    return study_of("good", {"name": "raises"}, replicates=3)


def test_a_run_trains_groups_and_leaves_what_one_without_leaves(study, tmp_path):
    told = []
    failures = run(study, tmp_path / "a", together=2, on_done=lambda job, error: told.append((job.key, error)))
    assert run(study, tmp_path / "b").keys() == failures.keys()
    assert len(failures) == 3 and len(told) == len(dict(told)) == 9  # six sets, three students; three stay unrun
    stores = [Store(tmp_path / name / "store") for name in "ab"]
    trained = [{cell.name for cell in store.root.glob("train/*/*")} for store in stores]
    assert trained[0] == trained[1] and len(trained[0]) == 3
    assert sorted(read_cost(cell / MEASURED).together for cell in stores[0].root.glob("train/*/*")) == [1, 2, 2]
    for cell in stores[0].root.glob("train/*/*"):
        ours, theirs = (read_json(store.path("train", cell.name) / "result.json") for store in stores)
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def test_workers_of_a_pool_train_groups(study_of, tmp_path):
    assert run(study_of("good", replicates=4), tmp_path, workers=2, together=4) == {}
    costs = [read_cost(cell / MEASURED) for cell in Store(tmp_path / "store").root.glob("train/*/*")]
    assert len(costs) == 4 and max(cost.together for cost in costs) > 1


def test_one_of_a_group_fails_and_the_driver_is_told_of_each(planned, monkeypatch):
    store, jobs = planned()
    examine = together.examine

    def fails(cell, *rest):
        if cell.job.key == jobs[2].key:
            raise ValueError("no")
        examine(cell, *rest)

    monkeypatch.setattr(together, "examine", fails)
    told = {}
    driver = Driver(store, lambda _: Inline(), together=8, on_done=lambda job, error: told.update({job.key: error}))
    failed = driver.run(jobs)
    assert {key: str(error) for key, error in failed.items()} == {jobs[2].key: "ValueError: no"}
    assert {key: error is None for key, error in told.items()} == {job.key: job is not jobs[2] for job in jobs}


def test_after_a_broken_pool_the_members_of_a_group_run_by_themselves(planned):
    store, jobs = planned()
    calls = []

    class Breaks(Inline):
        def submit(self, fn, /, *args):
            calls.append(fn)
            if fn is attempt_together:
                future = Future()
                future.set_exception(BrokenProcessPool("a worker died"))
                return future
            return super().submit(fn, *args)

    assert Driver(store, lambda _: Breaks(), together=8).run(jobs) == {}
    assert calls == [attempt_together, attempt, attempt, attempt]
    assert {cost(store, job).together for job in jobs} == {1}
