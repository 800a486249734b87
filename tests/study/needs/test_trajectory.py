"""Expert trajectories as jobs: the same work under one key, shared by methods, and killed it goes on."""

import numpy as np
import pytest
import torch

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Task
from decoct.core.record import CELL, MEASURED, read_cost
from decoct.core.spec import parse
from decoct.data.dataset import open_dataset
from decoct.needs.trajectory import Trajectories, Trajectory, flattened, record
from decoct.nets import zoo
from decoct.study.cell import Cell
from decoct.study.cost import total_cost
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.store.store import KeptOnDisk, Store
from decoct.training.batches import TrainingSet
from decoct.training.images import tensor

NEED = Trajectories(net="convnet1_w8", epochs=3, experts=2)
FIELDS = {"net": NEED.net, "epochs": NEED.epochs, "experts": NEED.experts, "iterations": 2, "syn_steps": 2}


def condense(planner, name, ipc=1, **fields):
    return planner.condense(name, parse("condenser", {"name": name, **FIELDS, **fields}), Budget(ipc=ipc), 0)


def trajectories(planner):
    return [job for job in planner.jobs.values() if job.kind == "trajectory"]


def test_a_role_says_which_expert_of_which_need(digits):
    planner, plain = Planner(digits), Trajectories(net="convnet1", dsa=False, experts=1)
    assert list(planner.supply(NEED))[1] == "trajectory:convnet1_w8/3/dsa/1"
    assert list(planner.supply(plain)) == ["trajectory:convnet1/50/plain/0"]


def test_methods_that_match_the_same_trajectories_share_them(digits):
    planner = Planner(digits)
    for name in ("mtt", "datm"):
        for ipc in (1, 2):
            condense(planner, name, ipc)
    found = trajectories(planner)
    assert len(found) == 2 and len({job.keyed["seed"] for job in found}) == 2
    assert {job.kind for job in planner.jobs.values()} == {"trajectory", "condense"}
    more = Planner(digits)
    condense(more, "mtt", experts=3)
    assert [job.key for job in trajectories(more)][:2] == [job.key for job in found]


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """Sets of both methods in one store."""
    store, planner = Store(tmp_path_factory.mktemp("made")), Planner(digits)
    keys = {name: condense(planner, name).key for name in ("mtt", "datm")}
    for job in planner.jobs.values():
        execute(store.root, job)
    return store, planner, keys


def test_a_cell_holds_the_weights_of_that_training(made, digits):
    store, planner, _ = made
    for job in trajectories(planner):
        folder, seed = store.path("trajectory", job.key), job.keyed["seed"]
        assert {path.name for path in folder.iterdir()} == {CELL, MEASURED, "weights.npy", "weights.json"}
        net = zoo.build(NEED.net, 1, 10, 8, seed)
        start = flattened(net).numpy()
        data = TrainingSet(tensor(digits.train.images), tensor(digits.train.labels), digits.mean, digits.std)
        task = Task(len(digits.train), 10, 8, digits.flip, ceiling=True, batch_norm=False)
        expected = record(net, data, NEED.recipe(task), seed=seed)
        stored = Trajectory.load(folder)
        assert np.array_equal(stored.weights, expected.weights) and np.array_equal(stored.weights[0], start)
        assert stored.epochs == 3


def test_a_method_gets_its_experts_and_the_net_that_takes_them(made, digits):
    store, planner, keys = made
    job = planner.jobs[keys["mtt"]]
    cell = Cell(job, store, store.root, open_dataset(digits.folder), "cpu", lambda done, total: None)
    found = NEED.load(cell)["trajectories"][NEED]
    assert len(found) == 2
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for expert, made_by in enumerate(trajectories(planner)):
        net = zoo.build(NEED.net, 1, 10, 8, made_by.keyed["seed"])
        with torch.no_grad():
            assert torch.equal(found.logits(found.parameters(found.weights(expert, 0)), x), net(x))


def test_the_cost_of_a_set_counts_its_experts_in_full(made):
    store, planner, keys = made
    seconds = [read_cost(store.path("trajectory", job.key) / MEASURED).seconds for job in trajectories(planner)]
    for key in keys.values():
        own = read_cost(store.path("condense", key) / MEASURED).seconds
        assert total_cost(store, "condense", key).seconds == pytest.approx(own + sum(seconds))


def test_learnt_labels_travel_with_the_set(made):
    store, _, keys = made
    soft = {name: Condensed.load(store.path("condense", key)).soft_labels for name, key in keys.items()}
    assert soft["mtt"] is None and soft["datm"].shape == (10, 10)


def test_killed_and_resumed_it_ends_as_if_it_never_was(made, dies, tmp_path):
    store, planner, _ = made
    job, again = trajectories(planner)[0], Store(tmp_path / "again")
    again.root.mkdir()
    dies(again.root, job, 8)
    state = again.unfinished("trajectory", job.key)
    assert 5 < int(KeptOnDisk(state).load("training")["done"]) < 15  # of 5 steps an epoch
    assert (state / "epoch-0.safetensors").exists()
    execute(again.root, job)
    assert not state.exists()
    ours, theirs = (
        {file.name: file.read_bytes() for file in s.path("trajectory", job.key).iterdir() if file.name != MEASURED}
        for s in (again, store)
    )
    assert ours == theirs
