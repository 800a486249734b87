"""export: sets for others, whole or not at all; a folder that is there stays as it is."""

import json

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
