"""export: sets for others, whole or not at all; a folder that is there stays as it is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from decoct.core.condensed import Condensed
from decoct.core.owned import LIST, whole
from decoct.data.dataset import load_data
from decoct.data.external.read import load_set


@pytest.mark.parametrize(("form", "name"), [("hub-folder", "out"), ("parquet", "out.parquet"), ("folder", "out")])
def test_what_is_exported_is_a_set_again(decoct, picks, tmp_path, form, name):
    said = decoct("export", picks, "--to", form, "--out", tmp_path / name, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out) == {"out": str(tmp_path / name), "to": form, "images": 10}
    given, found = Condensed.load(picks), load_set(tmp_path / name, load_data("digits"))
    np.testing.assert_array_equal(found.images, given.images)
    np.testing.assert_array_equal(found.labels, given.labels)
    if form != "parquet":
        assert "# random on digits, ipc=1" in (tmp_path / name / "README.md").read_text("utf-8").replace("\\", "")
    assert not list(tmp_path.glob(".tmp*"))


def test_metrics_that_were_measured_stand_on_the_card(decoct, picks, brought, tmp_path):
    words = ("--metric", "vendi", "--extractor", "teacher", "--draws", 0, "--resamples", 0, *brought)
    assert decoct("measure", picks, *words).code == 0
    assert decoct("export", picks, "--to", "hub-folder", "--out", tmp_path / "out").code == 0
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "## Metrics" in card and "vendi\\_per\\_image" in card


def test_a_folder_that_exists_is_refused_without_force(decoct, refused, picks, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    assert "exists: choose another --out, or replace it with --force" in refused(
        2, "export", picks, "--to", "hub-folder", "--out", out
    )
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert "mine.txt" in refused(2, "export", picks, "--to", "hub-folder", "--out", out, "--force")
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").unlink()
    for form in ("folder", "hub-folder"):
        assert decoct("export", picks, "--to", form, "--out", out, "--force").code == 0
    assert {path.name for path in out.iterdir()} == {"data", "README.md", LIST}


@pytest.mark.parametrize("form", ["folder", "hub-folder", "parquet"])
def test_force_replaces_no_file_of_somebody_s(refused, picks, tmp_path, form):
    (tmp_path / "thesis.tex").write_text("mine")
    said = refused(2, "export", picks, "--to", form, "--out", tmp_path / "thesis.tex", "--force")
    assert "not an export of decoct's" in said and (tmp_path / "thesis.tex").read_text() == "mine"


def test_an_export_that_fails_leaves_what_was_there(refused, picks, tmp_path, monkeypatch):
    from decoct.core import hub_folder
    from decoct.core.errors import DecoctError

    out = tmp_path / "out"
    with whole(out) as beside:
        beside.mkdir()
        (beside / "README.md").touch()

    def fail(*words):
        raise DecoctError("the disk is full")

    monkeypatch.setattr(hub_folder, "card", fail)
    refused(1, "export", picks, "--to", "hub-folder", "--out", out, "--force")
    assert {path.name for path in out.iterdir()} == {"README.md", LIST}
    assert not list(tmp_path.glob(".tmp*"))


def test_foreign_sets_and_picks_need_their_data(decoct, refused, picks, tmp_path):
    rows = Condensed.load(picks)
    np.savez(tmp_path / "a.npz", images=rows.images, labels=rows.labels)
    said = refused(2, "export", tmp_path / "a.npz", "--to", "hub-folder", "--out", tmp_path / "out")
    assert "is not decoct's own: name the data that it stands for" in said
    words = ("--to", "hub-folder", "--data", "digits", "--out", tmp_path / "out")
    assert decoct("export", tmp_path / "a.npz", *words).code == 0
    assert "source digest" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_words_that_cannot_be_meant(refused, picks, tmp_path):
    assert "Did you mean 'parquet'" in refused(2, "export", picks, "--to", "parqet", "--out", tmp_path / "o")
    assert "holds the set or lies in it" in refused(2, "export", picks, "--to", "folder", "--out", picks / "in")
    assert refused(2, "export", tmp_path / "none", "--to", "folder", "--out", tmp_path / "o", "--data", "digits")


RUN = """
name = "made"
students = ["convnet1_w8"]
budgets = [{ipc = 1}, {ipc = 2}]
condensers = ["random", {name = "herding", extractor = "pixels.npy", label = "by mean"}]
protocols = [{name = "erm", steps = 2}]
replicates = {condense = 2}
metrics = {names = ["vendi"], extractors = ["pixels.npy"], draws = 0, resamples = 0}
ceiling = false
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of random sets and of one set by herding, for two budgets."""
    from decoct.study.run import run
    from decoct.study.study import Study

    folder = tmp_path_factory.mktemp("made")
    data = load_data("digits")
    np.save(folder / "pixels.npy", data.train.images.reshape(len(data.train), -1).astype(np.float32))
    (folder / "made.toml").write_text(RUN)
    assert run(Study.from_toml(folder / "made.toml"), folder / "run") == {}
    return folder / "run"


def test_a_run_says_all_that_its_sets_need(decoct, made, tmp_path):
    said = decoct("export", made, "--to", "folder", "--out", tmp_path / "out", "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["missing"] == 0
    places = {
        f"{method}/ipc{ipc}/set{number}"
        for method, numbers in (("random", (0, 1)), ("by mean", (0,)))
        for ipc in (1, 2)
        for number in numbers
    }
    assert {each["path"] for each in told["sets"]} == {str(tmp_path / "out" / place) for place in places}
    data, run = load_data("digits"), json.loads((made / "run.json").read_text("utf-8"))
    for each in told["sets"]:
        found = load_set(each["path"], data)
        (key,) = [
            job["key"] for job in run["jobs"] if job["kind"] == "condense" and job["labels"].items() <= each.items()
        ]
        given = Condensed.load(made / "store" / "condense" / key[:2] / key).materialise(data.train.images)
        order = np.argsort(given.labels, kind="stable")
        np.testing.assert_array_equal(found.images, given.images[order])
        assert len(found) == each["images"] == 10 * int(each["budget"][-1])
        card = (Path(each["path"]) / "README.md").read_text("utf-8")
        assert "wall time" in card and "Unknown." not in card and "## Metrics" in card


@pytest.mark.parametrize("form", ["parquet", "hub-folder"])
def test_sets_of_a_run_are_chosen_by_method_budget_and_replicate(decoct, made, tmp_path, form):
    words = ("--method", "random", "--budget", "ipc=2", "--replicate", 1)
    said = decoct("export", made, "--to", form, "--out", tmp_path / "out", *words)
    assert (said.code, said.out) == (0, f"1 set in {tmp_path / 'out'}\n"), said.err
    (found,) = (tmp_path / "out" / "random").rglob("*.parquet")
    place = "random/ipc2/set1.parquet" if form == "parquet" else "random/ipc2/set1/data/train-00000-of-00001.parquet"
    assert found == tmp_path / "out" / place
    given = load_set(found, load_data("digits"))
    assert (given.provenance.method, given.provenance.budget, len(given)) == ("random", "ipc=2", 20)
    assert decoct("export", made, "--to", form, "--out", tmp_path / "out", "--force").code == 0


def test_what_a_run_has_not_made_is_said(decoct, refused, made, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(made, part)
    _, *gone = (part / "store" / "condense").glob("*/*")
    for path in gone:
        shutil.rmtree(path)
    said = decoct("export", part, "--to", "folder", "--out", tmp_path / "out")
    assert said.code == 0 and "5 of 6 sets are not made yet" in said.out, said.err
    shutil.rmtree(part / "store" / "condense")
    assert "none of these sets is made yet" in refused(1, "export", part, "--to", "folder", "--out", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_picks_of_other_data_than_are_there_now_are_refused(decoct, refused, made, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(made, part)
    run = json.loads((part / "run.json").read_text("utf-8"))
    (part / "run.json").write_text(json.dumps(run | {"data": run["data"] | {"digest": "0" * 32}}))
    said = refused(1, "export", part, "--to", "folder", "--out", tmp_path / "out")
    assert "another version of 'digits'" in said and "--data" in said
    moved = {"name": "folder", "path": str(tmp_path / "moved away")}
    (part / "run.json").write_text(json.dumps(run | {"study": run["study"] | {"data": moved}}))
    said = refused(1, "export", part, "--to", "folder", "--out", tmp_path / "out")
    assert "no such folder" in said and "--data" in said
    assert decoct("export", part, "--to", "folder", "--out", tmp_path / "out", "--data", "digits").code == 0


def test_words_that_choose_no_set(refused, made, picks, tmp_path):
    out = ("--to", "folder", "--out", tmp_path / "out")
    assert "no set of --method randon. Did you mean 'random'?" in refused(2, "export", made, *out, "--method", "randon")
    assert "no set of --budget ipc=3" in refused(2, "export", made, *out, "--budget", "ipc=3")
    both = ("--method", "by mean", "--replicate", 1)
    assert "name fewer" in refused(2, "export", made, *out, *both)
    assert "choose sets of a run" in refused(2, "export", picks, *out, "--method", "random")
    words = ("--to", "mlflow", "--out", "sqlite:///x.db", "--budget", "ipc=1")
    assert "the results of all" in refused(2, "export", made, *words)


def changed(made, to, change):
    """A copy of a run whose ``run.json`` somebody changed."""
    shutil.copytree(made, to)
    run = json.loads((to / "run.json").read_text("utf-8"))
    change(run)
    (to / "run.json").write_text(json.dumps(run))
    return to


@pytest.mark.parametrize("label", ["method", "budget", "condense_replicate"])
def test_a_run_of_somebody_else_s_writes_nowhere_else(refused, made, tmp_path, label):
    def lead_out(run):
        for job in run["jobs"]:
            if job["kind"] == "condense":
                job["labels"][label] = "x/../../../../escaped"

    theirs = changed(made, tmp_path / "theirs", lead_out)
    said = refused(1, "export", theirs, "--to", "folder", "--out", tmp_path / "a" / "b" / "out")
    assert "without slashes" in said and not list(tmp_path.rglob("*escaped*"))


def test_a_run_of_somebody_else_s_runs_no_plug_in(decoct, refused, made, tmp_path):
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")

    def name(run):
        run["study"] |= {"plugins": [str(trap)], "data": "theirs"}

    theirs = changed(made, tmp_path / "theirs", name)
    said = refused(2, "export", theirs, "--to", "folder", "--out", tmp_path / "out")
    assert "if you trust them" in said and str(trap) in said and not (tmp_path / "sprung").exists()
    assert decoct("export", theirs, "--to", "folder", "--out", tmp_path / "out", "--data", "digits").code == 0
    assert not (tmp_path / "sprung").exists()


def test_a_job_of_somebody_else_s_is_no_path(refused, made, tmp_path):
    for field, value in (("key", "../../../../etc"), ("kind", "../..")):
        theirs = changed(made, tmp_path / field, lambda run, f=field, v=value: run["jobs"][0].update({f: v}))
        assert "damaged" in refused(1, "export", theirs, "--to", "folder", "--out", tmp_path / "out")
