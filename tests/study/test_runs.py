"""Which runs a folder holds, whatever state they are in."""

import json
import shutil
import subprocess
import sys

import pytest

from decoct.core.record import CELL, cell_dir
from decoct.study.runs import runs


def put(folder, name, keys=(), done=(), data="digits"):
    """A run by hand: planned students, and which of them are trained."""
    (folder / name).mkdir()
    jobs = [{"key": "t" * 32, "kind": "teacher"}, *({"key": key, "kind": "train"} for key in keys)]
    (folder / name / "run.json").write_text(json.dumps({"data": {"name": data}, "jobs": jobs}))
    for key in done:
        cell = cell_dir(folder / name / "store", "train", key)
        cell.mkdir(parents=True)
        (cell / CELL).write_text("{}" + " " * 99_998)


def test_a_run_says_its_data_and_how_far_it_is(tmp_path):
    keys = ["a" * 32, "b" * 32, "c" * 32]
    put(tmp_path, "finished", keys, keys)
    put(tmp_path, "half", keys, keys[:1], data="pets")
    put(tmp_path, "begun", keys)
    assert runs(tmp_path) == {
        str(tmp_path / "begun"): "digits, 0 of 3 students trained, 0.0 MB",
        str(tmp_path / "finished"): "digits, 3 of 3 students trained, 0.3 MB",
        str(tmp_path / "half"): "pets, 1 of 3 students trained, 0.1 MB",
    }


def test_a_cell_that_was_taken_apart_does_not_count(tmp_path):
    put(tmp_path, "run", ["a" * 32, "b" * 32], ["a" * 32, "b" * 32])
    (cell_dir(tmp_path / "run" / "store", "train", "a" * 32) / CELL).unlink()
    assert runs(tmp_path)[str(tmp_path / "run")] == "digits, 1 of 2 students trained, 0.1 MB"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b'{"jobs": {}}', b'{"jobs": [1], "data": {"name": "d"}}',
     b'{"jobs": [{"kind": "train", "key": 3}], "data": {"name": "d"}}', b'{"jobs": [], "data": "digits"}'],
)  # fmt: skip
def test_a_damaged_run_is_said_to_be_and_hides_no_other(tmp_path, content):
    put(tmp_path, "good", ["a" * 32], ["a" * 32])
    put(tmp_path, "bad")
    (tmp_path / "bad" / "run.json").write_bytes(content)
    found = runs(tmp_path)
    assert found[str(tmp_path / "good")] == "digits, 1 of 1 students trained, 0.1 MB"
    assert found[str(tmp_path / "bad")].startswith("damaged: ")
    assert len(found) == 2


def test_what_is_no_run_is_passed_over(tmp_path):
    assert runs(tmp_path / "none") == {}
    (tmp_path / "notes").mkdir()
    (tmp_path / "run.json").write_text("{}")
    assert runs(tmp_path) == {}


def test_a_real_run_is_read(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "tiny")
    rows = len((finished / "results.csv").read_text().splitlines()) - 1
    cells = (tmp_path / "tiny" / "store").glob("[!.]*/??/*/*")
    size = sum(file.stat().st_size for file in cells) / 1e6
    assert runs(tmp_path) == {str(tmp_path / "tiny"): f"digits, {rows} of {rows} students trained, {size:,.1f} MB"}


def test_of_cells_elsewhere_nothing_is_asked_at_a_url_and_no_bytes_are_counted_in_a_folder(tmp_path):
    put(tmp_path, "far", ["a" * 32])
    put(tmp_path, "shared", ["a" * 32])
    for name, store in (("far", "s3://bucket/none"), ("shared", str(tmp_path / "cells"))):
        facts = json.loads((tmp_path / name / "run.json").read_text())
        (tmp_path / name / "run.json").write_text(json.dumps(facts | {"store": store}))
    cell = cell_dir(tmp_path / "cells", "train", "a" * 32)
    cell.mkdir(parents=True)
    (cell / CELL).write_text("{}")
    assert runs(tmp_path) == {
        str(tmp_path / "far"): "digits, 1 students planned, cells at s3://bucket/none",
        str(tmp_path / "shared"): "digits, 1 of 1 students trained",
    }


def test_listing_imports_nothing_that_computes(tmp_path):
    script = (
        "import sys; from decoct.study.runs import runs; runs; print(*{'torch', 'numpy', 'pyarrow'} & {*sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []
