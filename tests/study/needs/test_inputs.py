"""Generators and expert trajectories reach a method; what the user brought is named, with what it saw."""

import pytest

from decoct import api
from decoct.api import Compute
from decoct.core.condensed import Condensed
from decoct.core.spec import parse
from decoct.needs.generator import TeachGenerator
from decoct.needs.trajectory import Trajectories
from decoct.study.cost import total_cost
from decoct.study.expand import expand
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.study.study import Study

QUICK = TeachGenerator(epochs=1, width=8)


@pytest.fixture(scope="module")
def compute(tmp_path_factory):
    return Compute(store=tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def made(compute, digits):
    """A set of plain sampling from a generator that was trained on the data."""
    return api.condense("mgd3", digits, ipc=1, compute=compute, generators=(QUICK,), scale=0.0, steps=2)


def test_a_generator_trained_here_is_counted_and_what_it_saw_is_on_record(made, compute, digits):
    assert isinstance(made, Condensed)
    assert made.provenance.seen == {"own": f"the train split: {len(digits.train):,} images"}
    assert made.provenance.not_counted == ()
    store, key = Store(compute.store), made.provenance.key
    training = total_cost(store, "generator", made.provenance.inputs["generator:own"]).seconds
    assert training > 0 and made.cost.seconds > training
    assert total_cost(store, "condense", key) == made.cost


def test_a_generator_that_is_brought_is_not_counted_and_no_key_holds_its_folder(made, compute, digits, tmp_path):
    keys = []
    for place in ("a", "b"):
        folder = tmp_path / place / "gen"
        api.teach_generator("own", digits, compute=compute, out=folder, epochs=1, width=8)
        given = api.condense("mgd3", digits, ipc=1, compute=compute, generator=str(folder), scale=0.0, steps=2)
        keys.append(given.provenance.key)
    assert keys[0] == keys[1] != made.provenance.key
    (name,) = given.provenance.not_counted
    assert name.startswith("gen@") and given.provenance.seen == {name: f"the train split: {len(digits.train):,} images"}
    assert str(tmp_path) not in str(given.provenance.spec)
    assert (given.images == made.images).all()  # the same weights, from wherever they are read


def test_a_study_says_how_its_generators_are_trained(digits, tmp_path):
    table = {"name": "s", "condensers": ["mgd3", "random"], "protocols": ["erm"], "ceiling": False}
    usual, quick = (
        expand(Study.from_dict(table | more, tmp_path), digits)
        for more in ({}, {"generators": [{"generator": "own", "epochs": 1}]})
    )
    kinds = [[job for job in jobs if job.kind == "generator"] for jobs in (usual, quick)]
    assert [len(jobs) for jobs in kinds] == [1, 1]  # for all sets of the study
    assert kinds[0][0].key != kinds[1][0].key
    assert kinds[1][0].config["epochs"] == 1


def test_folders_of_generators_start_at_the_studys_own(tmp_path):
    table = {"name": "s", "condensers": [{"name": "mgd3", "generator": "gen"}], "protocols": ["erm"]}
    method = Study.from_dict(table, tmp_path).methods()["mgd3"]
    assert method.generator == str(tmp_path / "gen")
    for word in ("own", "hub:someone/something"):
        table["condensers"] = [{"name": "mgd3", "generator": word}]
        assert Study.from_dict(table, tmp_path).methods()["mgd3"].generator == word


def test_each_expert_is_a_job_and_fewer_are_the_first_of_more(digits):
    def keys(experts):
        planner = Planner(digits)
        need = Trajectories(net="convnet1_w8", epochs=2, experts=experts)
        found = planner.supply(need)
        assert [f"trajectory:convnet1_w8/2/dsa/{run}" for run in range(experts)] == list(found)
        return [job.key for job in found.values()]

    assert keys(3)[:2] == keys(2) and len(set(keys(3))) == 3


def test_methods_of_one_training_share_its_experts(digits):
    planner = Planner(digits)
    from decoct.core.budget import Budget

    for name in ("mtt", "datm"):
        fields = {"net": "convnet1_w8", "epochs": 3, "experts": 2, "max_start_epoch": 1, "expert_epochs": 1}
        extra = {"first_max_start_epoch": 1} if name == "datm" else {}
        planner.condense(name, parse("condenser", {"name": name, **fields, **extra}), Budget(ipc=1), 0)
    assert [job.kind for job in planner.jobs.values()].count("trajectory") == 2
