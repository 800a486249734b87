"""Estimates: which jobs are alike, what earlier cells say, and nothing that is made up."""

import shutil

import pytest

from decoct.core.record import CELL, MEASURED, read_cost, read_json, write_cost
from decoct.study.estimate.estimates import Estimate, earlier, likeness, middle
from decoct.study.expand import expand
from decoct.study.jobs import Job
from decoct.study.study import Study

TABLE = {
    "name": "alike",
    "students": ["convnet1_w8", "convnet1_w16"],
    "budgets": [{"ipc": 1}, {"ipc": 10}],
    "replicates": {"condense": 2},
    "condensers": ["random", "herding", {"name": "dm", "iterations": 10}],
    "protocols": [{"name": "erm", "epochs": 3}, {"name": "single_teacher", "steps": 7}],
}


def likenesses(study, digits):
    jobs = {job.key: job for job in expand(study, digits)}
    return [(job, likeness(job, jobs)) for job in jobs.values()]


def test_jobs_that_differ_in_seeds_or_in_the_method_of_their_set_are_alike_and_no_others(digits):
    def said(job):
        aside = ("method",) if job.kind in ("train", "measure") else ()
        labels = {k: v for k, v in job.labels.items() if not k.endswith("_replicate") and k not in aside}
        return job.kind, labels, "condensed" in job.inputs, job.keyed.get("resamples")

    likes = likenesses(Study.from_dict(TABLE), digits)
    for a, like in likes:
        for b, other in likes:
            assert (said(a) == said(b)) == (like == other), (str(a), str(b))


def test_what_is_trained_for_longer_is_not_alike(digits):
    def students(steps):
        study = Study.from_dict(TABLE | {"protocols": [{"name": "erm", "steps": steps}]})
        return {like for job, like in likenesses(study, digits) if job.kind == "train"}

    assert not students(10) & students(1000)


def test_shards_are_alike_whatever_their_classes_and_not_the_set_they_make(digits):
    study = Study.from_dict(TABLE | {"condensers": ["random", {"name": "rded", "shards": 5}], "budgets": [{"ipc": 1}]})
    found = [(job.kind, like) for job, like in likenesses(study, digits) if job.labels.get("method") == "rded"]
    assert len({like for kind, like in found if kind == "shard"}) == 1
    assert len({like for kind, like in found if kind in ("shard", "condense")}) == 2


def test_nothing_known_is_said_to_be_unknown():
    assert middle([]) == Estimate("", None, None, None)


def test_the_median_of_the_same_with_other_seeds():
    assert middle([Estimate("earlier", s, s / 2, 0.5) for s in (1.0, 9.0, 2.0)]) == Estimate("earlier", 2.0, 1.0, 0.5)


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copied") / "store"


def change(store, kind, **fields):
    file = next((store / kind).rglob(MEASURED))
    write_cost(file.parent, read_cost(file).model_copy(update=fields))


def test_every_cell_is_found_and_is_like_the_job_that_made_it(finished, tiny, digits):
    known, troubles = earlier([finished / "store"], digits, "cpu")
    jobs = likenesses(tiny, digits)
    assert known.keys() == {like for _, like in jobs} and not troubles
    found = [took for own in known.values() for took in own]
    assert len(found) == len(jobs)
    assert all(took.seconds > 0 and took.overhead > 0 and took.source == "earlier" for took in found)


def test_what_is_kept_for_later_jobs_is_told_apart(copied, digits):
    change(copied, "reference", seconds=9.0, once=7.0, cpu_seconds=8.0, cpu_once=6.0)
    known, _ = earlier([copied], digits, "cpu")
    assert any(took[1:3] == (2.0, 2.0) and took[4:] == (7.0, 6.0) for own in known.values() for took in own)


def test_other_hardware_other_devices_and_other_data_say_nothing(copied, digits):
    def count(device):
        return sum(map(len, earlier([copied], digits, device)[0].values()))

    all_ = count("cpu")
    change(copied, "teacher", hardware="another")
    change(copied, "train", device="mps")
    (trouble,) = earlier([copied], digits, "cpu")[1]
    assert trouble.startswith("2 results are from other hardware")
    assert (count("cpu"), count("mps")) == (all_ - 2, 1)
    for file in copied.rglob(CELL):
        file.write_text(file.read_text().replace(digits.digest, "0" * 32))
    assert count("cpu") == 0


@pytest.mark.parametrize("name", [MEASURED, CELL])
@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"seconds": "long"}', "\x00\xff"])
def test_a_damaged_cell_is_named_and_passed_over(copied, digits, content, name):
    file = next((copied / "train").rglob(name))
    file.write_text(content, "utf-8")
    known, (trouble,) = earlier([copied], digits, "cpu")
    assert known and trouble.startswith(f"not read, since damaged: 1 cells, such as {file.parent}; `decoct verify")
    assert f"--repair {copied}`" in trouble


def test_a_cell_says_the_same_as_the_job_that_made_it(finished, tiny, digits):
    by_key = {job.key: job for job in expand(tiny, digits)}
    for file in (finished / "store").rglob(CELL):
        job = Job.model_construct(**read_json(file))
        assert likeness(job, by_key) == likeness(by_key[file.parent.name], by_key)
