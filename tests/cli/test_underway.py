"""What a run says while it runs: jobs that begin and end, accuracies as they come, in lines and as a picture."""

import io
import json
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from decoct.cli import underway as module
from decoct.cli.underway import Underway, in_words
from decoct.report.read.manifest import Manifest


@pytest.fixture
def now(monkeypatch):
    """The time, which passes when the test says so."""
    clock = SimpleNamespace(at=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.at)
    return clock


@pytest.fixture
def ran(decoct, quick, tmp_path):
    """A finished run of one method, two sets, one student each."""
    out = tmp_path / "out"
    assert decoct("run", quick("random"), "--out", out, "--workers", 1).code == 0
    return out


def shown(renderable, width=80):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(renderable)
    return console.file.getvalue()


def result(run, job):
    return json.loads((run.cell(job) / "result.json").read_text())["accuracy"]


def test_it_names_each_phase(tmp_path):
    seen = Underway("mine", tmp_path)
    assert seen.line() == "mine: reading the data"
    seen.reading(3, 20_000)
    assert seen.line() == "mine: reading the data, 3 of 20,000"
    seen.read()
    assert seen.line() == "mine: planning the jobs"
    seen.planned(0, 4)
    assert seen.line() == "mine: 0 of 0 jobs"
    seen.writing()
    assert seen.line() == "mine: writing the report"


def test_jobs_at_work_are_named_with_their_time_until_they_end(ran, now):
    run = Manifest.read(ran)
    seen = Underway("mine", ran)
    seen.planned(4, 4)
    first, second = run.of_kind("condense")
    seen.starts(first)
    now.at += 7
    seen.starts(second)
    now.at += 5
    assert seen.line().endswith("0 of 4 jobs; at work: condense random IPC 1, 12 s; condense random IPC 1, 5 s")
    assert "at work: condense random IPC 1, 12 s" in shown(seen.picture())
    seen.ends(first, None)
    assert seen.line().count("condense") == 1 and ": 1 of 4 jobs" in seen.line()


def test_a_job_that_waits_again_is_not_at_work_and_its_time_begins_anew(ran, now):
    first, second = Manifest.read(ran).of_kind("condense")
    seen = Underway("mine", ran)
    seen.planned(4, 4)
    for job in (first, second):
        seen.starts(job)
        now.at += 7
    for job in (first, second):
        seen.waits(job)
    assert seen.line() == "mine: 0 of 4 jobs"
    seen.starts(first)
    now.at += 3
    assert seen.line().endswith("at work: condense random IPC 1, 3 s")


def test_a_cluster_does_not_say_what_is_at_work(ran):
    seen = Underway("mine", ran, known=False)
    seen.planned(4, 4)
    seen.starts(Manifest.read(ran).jobs[0])
    assert "at work" not in seen.line()


def test_the_first_accuracy_of_a_method_is_a_line_and_the_next_is_none(ran, capsys, monkeypatch):
    run = Manifest.read(ran)
    monkeypatch.setattr(Manifest, "finished", lambda self, kind: iter(()))  # none was there before
    seen = Underway("mine", ran)
    seen.planned(4, 4)
    capsys.readouterr()
    one, two = run.of_kind("train")
    seen.ends(one, None)
    line = capsys.readouterr().err
    assert re.fullmatch(rf"0:00:00 random, IPC 1, erm: {100 * result(run, one):.1f} %, the first of 2\n", line)
    seen.ends(two, None)
    assert capsys.readouterr().err == ""


def test_the_picture_has_the_mean_over_what_is_done_and_what_an_earlier_run_did(ran):
    run = Manifest.read(ran)
    seen = Underway("mine", ran)
    seen.planned(1, 4)  # as if one were left
    mean = sum(result(run, job) for job in run.of_kind("train")) / 2
    row = next(line for line in shown(seen.picture()).splitlines() if line.strip().startswith("random"))
    assert row.split() == ["random", f"{100 * mean:.1f}"]


def test_time_that_is_left_runs_down_and_is_not_said_where_it_took_longer(ran, now):
    seen = Underway("mine", ran)
    seen.planned(4, 4)
    seen._look = lambda: SimpleNamespace(remaining_seconds=60.0, remaining_unknown=())
    seen.ends(Manifest.read(ran).of_kind("condense")[0], None)
    assert re.fullmatch(r"about 0:01:00 left, until \d\d:\d\d", seen.left())
    now.at += 20
    assert seen.left().startswith("about 0:00:40 left")
    now.at += 60
    assert seen.left() == ""


def test_what_cannot_be_foreseen_makes_it_more_than_that(ran):
    seen = Underway("mine", ran)
    seen.planned(4, 4)
    seen._look = lambda: SimpleNamespace(remaining_seconds=60.0, remaining_unknown=("measure",))
    seen.ends(Manifest.read(ran).of_kind("condense")[0], None)
    assert seen.left().startswith("more than 0:01:00 left")


def test_a_failure_is_told_once_though_many_jobs_have_it(ran, capsys):
    seen = Underway("mine", ran)
    seen.planned(4, 4)
    for job in Manifest.read(ran).of_kind("train"):
        seen.ends(job, ValueError("no luck"))
    assert capsys.readouterr().err.count("no luck") == 1


def test_a_picture_is_as_narrow_as_the_terminal(ran):
    seen = Underway("mine", ran)
    seen.planned(4, 4)
    assert max(map(len, shown(seen.picture(), 60).splitlines())) <= 60


def test_a_job_in_words():
    labels = {"method": "rded", "budget": "ipc=10", "condense_replicate": 3, "protocol": "erm"}
    assert in_words("train", labels) == "train rded IPC 10 erm"
