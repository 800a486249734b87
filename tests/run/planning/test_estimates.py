"""Estimates: which jobs are alike, what earlier cells say, and nothing that is made up."""

import shutil

import pytest

from decoct.core.record import CELL, MEASURED, read_cost, read_json, write_cost
from decoct.engine.once import Spent
from decoct.run.cell import hardware
from decoct.run.expand import expand
from decoct.run.jobs import Job
from decoct.run.planning.estimates import Estimate, Estimates, Known, Likeness, earlier, likeness
from decoct.run.study import Study

TABLE = {
    "name": "alike",
    "students": ["convnet1_w8", "convnet1_w16"],
    "budgets": [{"ipc": 1}, {"ipc": 10}],
    "replicates": {"condense": 2},
    "condensers": ["random", "herding", {"name": "dm", "iterations": 10}],
    "protocols": [{"name": "erm", "epochs": 3}, {"name": "single_teacher", "steps": 7}],
}
LIKE = Likeness("train", "same", "work", 100.0)
TWICE, FAR = LIKE._replace(same="more", amount=200.0), LIKE._replace(same="far", amount=1000.0)


def likenesses(jobs, digits):
    by_key = {job.key: job for job in jobs}
    return {job.key: likeness(job, by_key.get, digits) for job in jobs}


def took(seconds, cpu=None, **more):
    return Estimate(seconds, seconds if cpu is None else cpu, **({"overhead": 0.5, "sure": "sure"} | more))


@pytest.fixture(scope="module")
def jobs(digits):
    return expand(Study.from_dict(TABLE), digits)


@pytest.fixture(scope="module")
def likes(jobs, digits):
    return likenesses(jobs, digits)


def test_jobs_that_differ_in_seeds_or_in_the_method_of_their_set_are_alike_and_no_others(jobs, likes):
    def said(job):
        aside = ("method",) if job.kind in ("train", "measure") else ()
        labels = {k: v for k, v in job.labels.items() if not k.endswith("_replicate") and k not in aside}
        return job.kind, labels, "condensed" in job.inputs

    for a in jobs:
        for b in jobs:
            assert (said(a) == said(b)) == (likes[a.key].same == likes[b.key].same), (str(a), str(b))


def test_amounts_are_images_times_passes(jobs, likes):
    def amounts(kind, **labels):
        return {likes[job.key].amount for job in jobs if job.kind == kind and labels.items() <= job.labels.items()}

    # erm at IPC 1: 10 images, all in one batch, 3 epochs; at IPC 10: 100 images in 7 batches of 16.
    assert amounts("train", protocol="erm", budget="ipc=1") == {30}
    assert amounts("train", protocol="erm", budget="ipc=10") == {3 * 7 * 16}
    assert amounts("train", protocol="single_teacher", budget="ipc=1") == {70}
    assert amounts("condense", method="dm", budget="ipc=10") == {100 * 10}
    assert amounts("measure", budget="ipc=10") == amounts("reference", budget="ipc=10") == {100}


def test_of_another_length_it_is_the_same_work(digits):
    def students(steps):
        study = Study.from_dict(TABLE | {"protocols": [{"name": "erm", "steps": steps}]})
        return next(like for like in likenesses(expand(study, digits), digits).values() if like.kind == "train")

    short, long = students(10), students(1000)
    assert short.work == long.work and short.same != long.same
    assert long.amount == 100 * short.amount


def test_a_plug_in_that_is_gone_leaves_the_amount_open(digits, study_of):
    job = next(job for job in expand(study_of("random"), digits) if job.kind == "train")
    gone = job.model_copy(update={"keyed": job.keyed | {"spec": job.keyed["spec"] | {"name": "gone"}}})
    assert likeness(gone, {}.get, digits).amount is None
    assert likeness(job, {}.get, digits).amount > 0


def test_nothing_known_is_said_to_be_unknown():
    assert Estimates([]).of(LIKE) == Estimate(None, None, None, None, None, "none", "unknown")


def test_the_median_of_the_same_with_other_seeds():
    known = [Known(LIKE, took(s, s / 2, bytes=size)) for s, size in ((1.0, 10), (2.0, 20), (9.0, 60))]
    found = Estimates([*known, Known(TWICE, took(70.0))]).of(LIKE)
    assert (found.seconds, found.cpu_seconds, found.bytes, found.sure) == (2.0, 1.0, 30, "sure")


def test_then_the_nearest_amount_in_proportion():
    found = Estimates([Known(FAR, took(5.0)), Known(TWICE, took(70.0, 60.0))]).of(LIKE)
    assert (found.seconds, found.cpu_seconds, found.overhead, found.sure) == (35.0, 30.0, 0.5, "rough")


def test_without_an_amount_nothing_is_scaled():
    assert Estimates([Known(TWICE, took(70.0))]).of(LIKE._replace(amount=None)).seconds is None
    assert Estimates([Known(TWICE._replace(amount=None), took(70.0))]).of(LIKE).seconds is None


def test_what_was_cut_short_is_less_sure_and_both_sources_are_named():
    probe, cell = Known(LIKE, took(3.0, source="probe", sure="fair")), Known(LIKE, took(2.0, source="earlier"))
    assert (Estimates([probe]).of(LIKE).sure, Estimates([probe]).of(LIKE).source) == ("fair", "probe")
    assert (Estimates([probe, cell]).of(LIKE).sure, Estimates([probe, cell]).of(LIKE).source) == ("sure", "both")


@pytest.mark.parametrize(("kind", "size"), [("train", 5.0), ("condense", None)])
def test_a_students_cell_is_as_large_at_any_amount_and_a_set_is_not(kind, size):
    assert (
        Estimates([Known(TWICE._replace(kind=kind), took(1.0, bytes=5.0))]).of(LIKE._replace(kind=kind)).bytes == size
    )


def test_what_a_worker_works_out_once_is_that_of_the_process_that_took_longest():
    measure, reference = LIKE._replace(kind="measure"), LIKE._replace(kind="reference")
    probes = [
        Known(reference, took(1.0), Spent(18.0, 17.0), 2),
        Known(measure, took(1.0), Spent(3.0, 2.0), 2),
        Known(LIKE, took(5.0), process=2),
    ]
    cells = [Known(measure, took(1.0), Spent(s, s), str(s)) for s in (4.0, 0.0, 20.0)]
    assert Estimates([*probes, *cells]).once == (Spent(21, 19), {"measure", "reference"})
    assert Estimates(cells).once == (Spent(20, 20), {"measure"})
    assert Estimates([Known(LIKE, took(5.0))]).once == (Spent(0, 0), frozenset())


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copied") / "store"


def change(store, kind, **fields):
    file = next((store / kind).rglob(MEASURED))
    write_cost(file.parent, read_cost(file).model_copy(update=fields))


def test_every_cell_is_found_and_is_like_the_job_that_made_it(finished, tiny, digits):
    known, troubles = earlier(finished / "store", digits, "cpu", hardware("cpu"), tiny.plugins)
    jobs = expand(tiny, digits)
    assert sorted(one.like for one in known) == sorted(likenesses(jobs, digits).values())
    assert not troubles and len(known) == len(jobs)
    assert all(one.took.seconds > 0 and one.took.bytes > 0 and one.took.peak > 0 for one in known)
    assert {one.took.source for one in known} == {"earlier"}
    assert all(one.took.overhead > 0 for one in known if one.like.kind == "train")


def test_other_hardware_other_devices_and_other_data_say_nothing(copied, digits):
    change(copied, "teacher", hardware="another")
    change(copied, "train", device="cuda")
    known, (trouble,) = earlier(copied, digits, "cpu", hardware("cpu"))
    assert trouble.startswith("2 results in") and "other hardware" in trouble
    assert len(earlier(copied, digits, "cuda:0", hardware("cpu"))[0]) == 1
    for file in copied.rglob(CELL):
        file.write_text(file.read_text().replace(digits.digest, "0" * 32))
    assert known and not earlier(copied, digits, "cpu", hardware("cpu"))[0]


@pytest.mark.parametrize("name", [MEASURED, CELL])
@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"seconds": "long"}', "\x00\xff"])
def test_a_damaged_cell_is_named_and_passed_over(copied, digits, content, name):
    file = next((copied / "train").rglob(name))
    file.write_text(content, "utf-8")
    known, (trouble,) = earlier(copied, digits, "cpu", hardware("cpu"))
    assert known and trouble.startswith(f"not read, since damaged: {file.parent}; `decoct verify --repair {copied}`")


def test_a_cell_says_the_same_as_the_job_that_made_it(finished, tiny, digits):
    by_key = {job.key: job for job in expand(tiny, digits)}
    for file in (finished / "store").rglob(CELL):
        job = Job.model_construct(**read_json(file), plugins=tiny.plugins)
        assert likeness(job, by_key.get, digits) == likeness(by_key[file.parent.name], by_key.get, digits)
