"""Traces as jobs: one training for all methods that score by it, the same work under one key, and killed it goes on."""

import numpy as np
import pytest

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import UsageError
from decoct.core.interfaces import Task
from decoct.core.record import CELL, MEASURED, read_cost
from decoct.core.spec import parse
from decoct.needs.dynamics import NAMES, Dynamics, Trace, Traces, record
from decoct.needs.teacher import Teach, Teacher
from decoct.nets import zoo
from decoct.report.read import frame
from decoct.study.cost import total_cost
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.run import run
from decoct.study.store.store import KeptOnDisk, Store
from decoct.study.study import Study
from decoct.training.batches import TrainingSet
from decoct.training.images import tensor

SHORT = {"teacher": Teach(net="teacher", epochs=3)}
SCORES = ("el2n", "grand", "forgetting", "margin", "entropy", "least_confidence", "aum", "ccs", "dual", "tdds")


def dynamics(planner):
    return [job for job in planner.jobs.values() if job.kind == "dynamics"]


def condense(planner, name, ipc=1, **fields):
    return planner.condense(name, parse("condenser", {"name": name, **fields}), Budget(ipc=ipc), 0)


def test_all_methods_that_score_by_a_training_share_it(digits):
    planner = Planner(digits)
    for name in SCORES:
        condense(planner, name, runs=1)
        condense(planner, name, ipc=2, runs=1)
    (job,) = dynamics(planner)
    assert job.labels == {"net": "convnet2_bn", "training": "30 epochs, run 0"}
    assert {job.kind for job in planner.jobs.values()} == {"dynamics", "condense"}  # no teacher
    made = [job for job in planner.jobs.values() if job.kind == "condense"]
    assert all(one.inputs == {"dynamics:convnet2_bn/own/0": job.key} for one in made)


def test_fewer_runs_are_the_first_of_more_and_each_has_a_seed_of_its_own(digits):
    few, more = Planner(digits), Planner(digits)
    condense(few, "aum", runs=2)
    condense(more, "el2n", runs=4)
    assert [job.key for job in dynamics(few)] == [job.key for job in dynamics(more)][:2]
    assert len({job.keyed["seed"] for job in dynamics(more)}) == 4
    (made,) = [job for job in more.jobs.values() if job.kind == "condense"]
    assert list(made.inputs) == [f"dynamics:convnet2_bn/own/{run}" for run in range(4)]


def test_the_same_training_is_one_job_however_its_length_is_said(digits):
    planner = Planner(digits)
    same = [
        planner.job(Dynamics(net="teacher")),
        planner.job(Dynamics(net="convnet2_bn", epochs=30)),
        planner.job(Dynamics(net="convnet2_bn")),
    ]
    assert len({job.key for job in same}) == 1
    others = [
        planner.job(Dynamics(net="teacher", epochs=10)),
        planner.job(Dynamics(net="resnet10t")),
        list(planner.supply(Dynamics(runs=2)).values())[1],
    ]
    assert len({job.key for job in (*same, *others)}) == 4


def test_a_net_trains_as_its_teacher_but_to_the_end(digits):
    taught = Teach(net="teacher", epochs=7, lr=0.01, stop_at=0.5, check_every=10)
    planner = Planner(digits, teachings={"teacher": taught})
    assert planner.job(Dynamics(net="teacher")).config == Teach(net="convnet2_bn", epochs=7, lr=0.01).config()
    assert planner.job(Dynamics(net="teacher", epochs=9)).config == Teach(net="convnet2_bn", epochs=9, lr=0.01).config()
    assert planner.job(Dynamics(net="teacher")).keyed["seed"] != planner.job(Teacher(net="teacher")).keyed["seed"]


def test_a_net_that_is_loaded_is_trained_as_usual(digits, tmp_path):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"some")
    brought = Teach(net="convnet2_bn", checkpoint=str(file), normalise="data").pinned()
    for loaded in (brought, Teach(net="convnet2_bn", pretrained=True)):
        planner = Planner(digits, teachings={"convnet2_bn": loaded})
        assert planner.job(Dynamics(net="convnet2_bn")).key == Planner(digits).job(Dynamics(net="convnet2_bn")).key


def test_an_unknown_net_is_a_usage_error_when_the_study_is_read(study_of):
    with pytest.raises(UsageError, match="unknown net 'convnt3'"):
        study_of({"name": "aum", "net": "convnt3"})


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """Sets of two methods in one store, as jobs and their folders."""
    store, planner = Store(tmp_path_factory.mktemp("made")), Planner(digits, teachings=SHORT)
    keys = {name: condense(planner, name, ipc=2, runs=runs).key for name, runs in (("el2n", 2), ("ccs", 1))}
    for job in planner.jobs.values():
        execute(store.root, job)
    return store, planner, keys


def test_a_cell_holds_what_a_training_of_that_net_and_seed_leaves(made, digits):
    store, planner, _ = made
    job, spec = dynamics(planner)[0], Teach(net="convnet2_bn", epochs=3)
    folder = store.path("dynamics", job.key)
    assert {path.name for path in folder.iterdir()} == {CELL, MEASURED, *(f"{name}.npy" for name in NAMES)}
    data = TrainingSet(tensor(digits.train.images), tensor(digits.train.labels), digits.mean, digits.std)
    seed = job.keyed["seed"]
    net = zoo.build("convnet2_bn", 1, 10, 8, seed)
    expected = record(net, data, spec.recipe(Task(len(digits.train), 10, 8, digits.flip, ceiling=True)), seed=seed)
    stored = Trace.load(folder)
    assert all(np.array_equal(getattr(stored, name), getattr(expected, name)) for name in NAMES)
    assert stored.epochs == 3 and stored.correct.shape[1] == len(digits.train)


def test_a_method_gets_the_runs_that_it_needs(made, digits):
    store, planner, keys = made
    traces = Traces.load([store.path("dynamics", job.key) for job in dynamics(planner)])
    picks = Condensed.load(store.path("condense", keys["el2n"])).indices.reshape(10, 2)
    error = (traces.runs[0].error[0].astype(float) + traces.runs[1].error[0]) / 2  # a tenth of three epochs: the first
    for c, row in enumerate(picks):
        members = np.flatnonzero(digits.train.labels == c)
        assert row.tolist() == members[np.argsort(-error[members], kind="stable")[:2]].tolist()


def test_the_cost_of_a_set_counts_its_trainings_in_full(made):
    store, planner, keys = made
    seconds = [read_cost(store.path("dynamics", job.key) / MEASURED).seconds for job in dynamics(planner)]
    for name, runs in (("el2n", 2), ("ccs", 1)):
        own = read_cost(store.path("condense", keys[name]) / MEASURED).seconds
        assert total_cost(store, "condense", keys[name]).seconds == pytest.approx(own + sum(seconds[:runs]))


def test_shards_of_a_score_method_are_its_set(made, tmp_path, digits):
    store, _, keys = made
    (tmp_path / "dynamics").symlink_to(store.root / "dynamics")
    planner = Planner(digits, teachings=SHORT)
    method = parse("condenser", {"name": "ccs", "runs": 1})
    key = planner.condense("ccs", method, Budget(ipc=2), 0, shards=3).key
    assert key == keys["ccs"]
    for job in planner.jobs.values():
        execute(tmp_path, job)
    ours, theirs = (Condensed.load(s.path("condense", key)).indices for s in (Store(tmp_path), store))
    assert np.array_equal(ours, theirs)


def test_a_study_shares_the_training_and_reports_it_as_shared_cost(study_of, tmp_path):
    short = {"net": "convnet2_bn", "epochs": 1}
    study = Study(**study_of("aum", "margin").model_dump() | {"teachers": (short,)})
    assert run(study, tmp_path) == {}
    (job,) = [job for job in frame.read(tmp_path).manifest.jobs if job.kind == "dynamics"]
    assert str(job) == "dynamics · convnet2_bn · 1 epochs, run 0"
    rows = frame.read(tmp_path).costs.to_pylist()
    seconds = read_cost(Store(tmp_path / "store").path("dynamics", job.key) / MEASURED).seconds
    assert [row["shared_seconds"] for row in rows] == pytest.approx([seconds] * 2)
    assert [row["not_counted"] for row in rows] == [""] * 2


def test_killed_and_resumed_it_ends_as_if_it_never_was(made, dies, tmp_path):
    store, planner, _ = made
    job, again = dynamics(planner)[0], Store(tmp_path / "again")
    again.root.mkdir()
    dies(again.root, job, 8)
    state = again.unfinished("dynamics", job.key)
    done = int(KeptOnDisk(state).load("training")["done"])
    assert 10 < done < 30  # of 10 steps an epoch
    assert (state / "epoch-0.safetensors").exists()
    execute(again.root, job)
    assert not state.exists()
    ours, theirs = (
        {file.name: file.read_bytes() for file in s.path("dynamics", job.key).iterdir() if file.name != MEASURED}
        for s in (again, store)
    )
    assert ours == theirs
