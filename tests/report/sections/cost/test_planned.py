"""A plan beside what became of it: sums by kind of the very jobs, and nothing where it does not fit."""

import json
import math

import pytest

from decoct.core.spec import digest
from decoct.report.read import frame
from decoct.report.read.manifest import Manifest
from decoct.report.sections.cost.planned import SECTION, Compared, planned, show
from decoct.report.summary import summarise

TAKES = {"train": 3.0, "teacher": 10.0, "measure": 0.1}  # seconds of a job, as the builder writes; cpu twice as much


def plan_of(run, kinds=TAKES, factor=2.0, **more):
    """Write a plan of a run that expected a share of what its jobs took."""
    manifest = Manifest.read(run)
    groups = [
        {
            "kind": kind,
            "keys": [job.key for job in manifest.of_kind(kind)],
            "each": {"seconds": None if takes is None else takes / factor, "cpu_seconds": takes},
        }
        for kind, takes in kinds.items()
    ]
    raw = {
        "format": 1,
        "fits": digest(sorted(job.key for job in manifest.jobs)),
        "groups": groups,
        "device": "cpu",
    } | more
    (run / "plan.json").write_text(json.dumps(raw))
    return manifest


def test_expected_and_taken_by_kind(run):
    manifest = plan_of(run)
    found = planned(manifest)
    assert {kind.kind for kind in found.kinds} == TAKES.keys()
    for kind in found.kinds:
        jobs = len(manifest.of_kind(kind.kind))
        assert kind.jobs == jobs
        assert kind.taken == pytest.approx(jobs * TAKES[kind.kind])
        assert kind.ratio == pytest.approx(2.0) and kind.cpu_ratio == pytest.approx(2.0)
    total = found.total
    assert total.jobs == sum(kind.jobs for kind in found.kinds)
    assert total.expected == pytest.approx(sum(kind.expected for kind in found.kinds))
    assert (found.unknown, found.open) == (0, 0)
    assert "(2.00 times)" in found.sentence()


def test_jobs_without_an_estimate_and_holes_are_counted(builder):
    builder.holes = lambda job: job["kind"] == "train" and job["method"] == "herding"
    run = builder.build()
    manifest = plan_of(run, TAKES | {"teacher": None})
    found = planned(manifest)
    holes = sum(not manifest.done(job) for job in manifest.of_kind("train"))
    assert (found.unknown, found.open) == (2, holes)
    assert "teacher" not in {kind.kind for kind in found.kinds}
    assert "2 jobs had no estimate" in found.sentence() and f"{holes} jobs of the plan not done" in found.sentence()


def test_a_damaged_cell_is_left_out(run):
    manifest = plan_of(run)
    (manifest.cell(manifest.of_kind("train")[0]) / "measured.json").write_text("{")
    found = planned(manifest)
    assert next(kind for kind in found.kinds if kind.kind == "train").jobs == len(manifest.of_kind("train")) - 1


@pytest.mark.parametrize(
    "more",
    [
        {"fits": "0" * 32},
        {"format": 2},
        {"groups": None},
        {"groups": [{"kind": "train", "keys": ["nobody"], "each": {"seconds": 1.0, "cpu_seconds": 1.0}}]},
        {"groups": [{"kind": "train", "keys": ["nobody"], "each": {}}]},
        {"groups": []},
    ],
)
def test_another_studys_plan_or_a_damaged_one_says_nothing(run, more):
    assert planned(plan_of(run, **more)) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00", '"text"'])
def test_no_plan_at_all(run, content):
    assert planned(Manifest.read(run)) is None
    (run / "plan.json").write_text(content)
    assert planned(Manifest.read(run)) is None


def test_nothing_expected_is_no_ratio():
    assert math.isnan(Compared("train", 1, 0.0, 1.0, 0.0, 1.0).ratio)


def test_a_plan_for_another_kind_of_device_is_passed_over(run):
    assert planned(plan_of(run, device="cpu:0")) is not None
    assert planned(plan_of(run, device="cuda")) is None


def test_a_row_a_kind_and_one_for_all(run):
    assert show(planned(Manifest.read(run))) == ""
    jobs = Manifest.read(run).jobs
    keys = {kind: [job.key for job in jobs if job.kind == kind] for kind in ("train", "teacher")}
    each = {"seconds": 1.5, "cpu_seconds": 3.0}
    groups = [{"kind": kind, "keys": own, "each": each} for kind, own in keys.items()]
    raw = {"format": 1, "fits": digest(sorted(job.key for job in jobs)), "groups": groups}
    raw |= {"device": "cpu", "once": None}
    (run / "plan.json").write_text(json.dumps(raw))
    said = show(planned(Manifest.read(run)))
    assert said.count("<tr>") == 1 + 3
    assert ">train<" in said and ">teacher<" in said and ">all<" in said and "2.00" in said
    summary = summarise(frame.read(run))
    assert SECTION.say(summary) == planned(Manifest.read(run)).sentence()
    assert summary.to_json()["plan"]["all"]["jobs"] == len(keys["train"]) + len(keys["teacher"])


def test_a_run_without_a_plan_says_nothing_of_one(run):
    summary = summarise(frame.read(run))
    assert SECTION.say(summary) == SECTION.show(summary) == "" and summary.to_json()["plan"] is None
