"""show, verify and gc at the command line, on a small finished run."""

import json
import os
import re
import time

import pytest

from decoct.core.record import CELL


@pytest.fixture
def done(decoct, quick, tmp_path):
    out = tmp_path / "runs" / "quick"
    said = decoct("run", quick("random"), "--out", out, "--workers", 1)
    assert said.code == 0, said.err
    return out


def cells(out, kind):
    return sorted(path.parent for path in (out / "store" / kind).rglob(CELL))


def test_a_cell_is_shown(decoct, refused, done):
    cell = cells(done, "train")[0]
    said = decoct("show", cell.name[:6], "--in", done)
    assert said.code == 0
    for word in (cell.name, "random", "condensed", "result.json", "where", str(cell)):
        assert word in said.out
    found = json.loads(decoct("show", cell.name, "--in", done, "--json").out)
    assert found["key"] == cell.name and found["kind"] == "train"
    assert "no cell begins with" in refused(2, "show", "zzzz", "--in", done)
    assert "is not a key" in refused(2, "show", "../x", "--in", done)
    assert "no such folder" in refused(2, "show", cell.name, "--in", done / "nowhere")


def test_a_damaged_cell_is_named_removed_and_made_again(decoct, quick, done):
    said = decoct("verify", done)
    assert said.code == 0 and re.search(r"store: \d+ whole$", said.out.strip().replace("\n", ""))
    cell = cells(done, "condense")[0]
    (cell / "facts.json").write_text("{}")
    said = decoct("verify", done)
    assert said.code == 1
    assert f"damaged: condense {cell.name}: facts.json has 2 bytes where" in said.out
    assert "decoct verify --repair" in said.err
    found = json.loads(decoct("verify", done, "--json").out)
    assert found["damaged"] == 1 and found["not_whole"][0]["key"] == cell.name
    said = decoct("report", done)
    assert said.code == 1 and cell.name in said.err and "facts.json" in said.err and "--repair" in said.err
    said = decoct("verify", "--repair", done)
    assert said.code == 0 and "removed 1 cell; the next 'decoct run'" in said.err
    assert not cell.exists()
    assert decoct("run", quick("random"), "--out", done, "--workers", 1).code == 0
    assert cell.exists() and decoct("verify", done).code == 0


def test_what_no_study_reaches_is_named_first_and_removed_with_yes(decoct, refused, quick, done, tmp_path, monkeypatch):
    before = {cell.name for cell in cells(done, "train")}
    assert decoct("run", quick("random"), "--seed", 1, "--out", done, "--workers", 1).code == 0  # another plan in it
    new = {cell.name for cell in cells(done, "train")} - before
    said = decoct("gc", done, "--in", tmp_path / "runs")
    assert said.code == 0 and "0 cells would be removed" in said.out and "touched in the last 24 h" in said.out
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr(time, "time", lambda: now + 1e9)
        said = decoct("gc", done, "--in", tmp_path / "runs")
        assert said.code == 0 and "0 cells would be removed" in said.out
    said = decoct("gc", done, "--in", tmp_path / "runs", "--older-than", 0)
    assert said.code == 0 and re.search(r"[1-9]\d* cells would be removed; --yes removes them: [\d.]+ [kM]B", said.out)
    assert before <= {cell.name for cell in cells(done, "train")}
    assert "give one" in refused(2, "gc", done, "--yes", "--dry-run")
    found = json.loads(decoct("gc", done, "--in", tmp_path / "runs", "--older-than", 0, "--yes", "--json").out)
    assert found["removed"] and found["bytes"] > 0
    assert {cell.name for cell in cells(done, "train")} == new
    assert decoct("report", done).code == 0


def test_a_run_may_have_its_cells_elsewhere(decoct, quick, tmp_path):
    out, store = tmp_path / "runs" / "far", tmp_path / "shared"
    assert decoct("run", quick("random"), "--out", out, "--store", store, "--workers", 1).code == 0
    assert not (out / "store").exists() and (store / "train").is_dir()
    assert decoct("verify", out).out == decoct("verify", store).out
    assert "students trained" in decoct("ls", "runs", "--in", tmp_path / "runs").out


@pytest.mark.parametrize("words", [("--store", "nowhere://bucket"), ("--store", "gs://bucket/x")])
def test_a_store_that_cannot_be_reached_is_one_error(refused, quick, tmp_path, words, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    said = refused(2, "run", quick("random"), "--out", tmp_path / "out", *words)
    assert words[1].partition(":")[0] in said


def test_a_store_that_cannot_be_written_is_one_error(refused, quick, tmp_path, monkeypatch):
    mkdir = os.mkdir

    def closed(path, *args, **kwargs):
        if "closed" in os.fspath(path):
            raise OSError(30, "Read-only file system", os.fspath(path))
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", closed)
    said = refused(1, "run", quick("random"), "--out", tmp_path / "out", "--store", tmp_path / "closed")
    assert "Read-only file system" in said and "name another --store" in said
