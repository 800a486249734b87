"""Which jobs are alike, and how much of the same work one is beside another."""

import json

import pytest

from decoct.run.expand import expand
from decoct.run.planning.earlier import shape_of
from decoct.run.planning.groups import likenesses
from decoct.run.planning.likeness import likeness
from decoct.run.study import Study

TABLE = {
    "name": "alike",
    "students": ["convnet1_w8", "convnet1_w16"],
    "budgets": [{"ipc": 1}, {"ipc": 10}],
    "replicates": {"condense": 2},
    "condensers": ["random", "herding", {"name": "dm", "iterations": 10}],
    "protocols": [{"name": "erm", "epochs": 3}, {"name": "single_teacher", "steps": 7}],
}


@pytest.fixture(scope="module")
def jobs(digits):
    return expand(Study.from_dict(TABLE), digits)


@pytest.fixture(scope="module")
def likes(jobs, digits):
    by_key = {job.key: job for job in jobs}
    return {job.key: likeness(job, by_key.get, shape_of(digits)) for job in jobs}


def test_seeds_and_replicates_alone_make_no_difference(jobs, likes):
    for a in jobs:
        for b in jobs:
            said = [
                {k: v for k, v in job.labels.items() if not k.endswith("_replicate")} | {"kind": job.kind}
                for job in (a, b)
            ]
            assert (said[0] == said[1]) == (likes[a.key].same == likes[b.key].same), (str(a), str(b))


def test_the_method_of_a_set_is_set_aside_for_those_that_read_it(jobs, likes):
    for kind in ("train", "measure"):
        own = [job for job in jobs if job.kind == kind and job.labels["budget"] == "ipc=10"]
        by_method = {
            method: {likes[job.key].set_aside for job in own if job.labels["method"] == method}
            for method in ("random", "herding", "dm")
        }
        assert by_method["random"] == by_method["herding"] == by_method["dm"]


def test_amounts_are_images_times_passes(jobs, likes, digits):
    def amounts(kind, **labels):
        own = [job for job in jobs if job.kind == kind and labels.items() <= job.labels.items()]
        return {likes[job.key].amount for job in own}

    # erm at IPC 1: 10 images, all in one batch, 3 epochs; at IPC 10: 100 images in 7 batches of 16.
    assert amounts("train", protocol="erm", budget="ipc=1") == {30}
    assert amounts("train", protocol="erm", budget="ipc=10") == {3 * 7 * 16}
    assert amounts("train", protocol="single_teacher", budget="ipc=1") == {70}
    assert amounts("condense", method="dm", budget="ipc=10") == {100 * 10}
    assert amounts("condense", method="herding") == {len(digits.train)}
    assert amounts("features") == {len(digits.train) + len(digits.val)}
    assert amounts("reference", budget="ipc=10") == {100 * 20}


def test_of_another_length_it_is_the_same_work(digits):
    def students(steps):
        study = Study.from_dict(TABLE | {"protocols": [{"name": "erm", "steps": steps}]})
        return next(like for like in likenesses(expand(study, digits), digits, ()).values() if like.kind == "train")

    short, long = students(10), students(1000)
    assert short.work == long.work and short.same != long.same
    assert long.amount == 100 * short.amount


def test_looking_once_at_those_that_are_alike_finds_the_same(jobs, likes, digits):
    assert likenesses(jobs, digits, ()) == likes


def test_nothing_but_json_goes_in(jobs, digits):
    """A cell that was read says the same as the job that made it."""
    by_key = {job.key: job for job in jobs}
    shape = shape_of(digits)
    for job in jobs:
        read = job.model_validate(json.loads(job.model_dump_json()))
        assert likeness(read, by_key.get, shape) == likeness(job, by_key.get, shape)


def test_a_plug_in_that_is_gone_leaves_the_amount_open(jobs, digits, study_of):
    job = next(job for job in expand(study_of("good"), digits) if job.kind == "condense")
    assert likeness(job, {}.get, shape_of(digits)).amount is None
    assert likeness(job, {}.get, shape_of(digits), job.plugins).amount == len(digits.train)
