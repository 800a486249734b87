"""A cell whose bytes are not those that were written is found, whatever was done to it."""

import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core import integrity
from decoct.core.cells import Cells
from decoct.core.integrity import DamagedError
from decoct.core.record import CELL, MEASURED, Cost, cell_dir, read_cost, write_cost
from decoct.core.spec import digest

WHAT = {"kind": "train", "keyed": {"seed": 3, "rate": 0.1}, "inputs": {"condensed": "c" * 32}}
KEY = digest(WHAT)
COST = Cost(
    seconds=1.5, cpu_seconds=3.0, peak_memory=7, device="cpu", hardware="a chip", host="ü", versions={"python": "3"}
)
FILES = {"a.bin": b"0123456789" * 50, "sub/b.json": b"{}", "empty": b""}


@cache
def written_cost():
    with tempfile.TemporaryDirectory() as folder:
        write_cost(Path(folder), COST)
        return (Path(folder) / MEASURED).read_bytes()


@pytest.fixture
def cell(tmp_path):
    folder = cell_dir(tmp_path / "store", "train", KEY)
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_cost(folder, COST)
    (folder / CELL).write_text(json.dumps({"key": KEY, **WHAT}))
    integrity.seal(folder)
    return folder


def test_a_sealed_cell_holds_the_sums_of_all_its_files(cell):
    facts = json.loads((cell / CELL).read_text())
    expected = {n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for n, c in FILES.items()}
    assert facts == {"key": KEY, **WHAT, "files": expected}
    assert integrity.faults(cell) == {}
    assert integrity.check(cell) == cell
    assert sorted(p.name for p in cell.iterdir()) == ["a.bin", CELL, "empty", MEASURED, "sub"]


def test_sealing_twice_gives_the_same_bytes(cell):
    before = (cell / CELL).read_bytes()
    integrity.seal(cell)
    assert (cell / CELL).read_bytes() == before


@settings(max_examples=30, deadline=None)
@given(place=st.integers(0, 499), bit=st.integers(0, 7))
def test_one_flipped_bit_is_found(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("cells") / KEY
    folder.mkdir()
    content = bytearray(FILES["a.bin"])
    (folder / "a.bin").write_bytes(content)
    (folder / CELL).write_text(json.dumps({"key": KEY, **WHAT}))
    write_cost(folder, COST)
    integrity.seal(folder)
    content[place] ^= 1 << bit
    (folder / "a.bin").write_bytes(content)
    os.utime(folder / "a.bin", ns=(1, 1))  # the clock may be coarser than the test is fast
    assert integrity.faults(folder) == {"a.bin": "has other bytes than were written"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_grew_or_went_is_named_with_its_cell_and_what_to_do(cell, name):
    (cell / name).write_bytes(FILES[name] + b"!")
    store = cell.parents[2]
    with pytest.raises(DamagedError) as caught:
        Cells(store).cell("train", KEY)
    for part in (str(cell), name, f"{len(FILES[name]) + 1:,} bytes where {len(FILES[name]):,} were written"):
        assert part in str(caught.value)
    assert f"`decoct verify --repair {store}` removes it, and the next run recomputes it" in str(caught.value)
    (cell / name).unlink()
    assert integrity.faults(cell) == {name: "is missing"}
    with pytest.raises(DamagedError, match="is missing"):
        Cells(store).file("train", KEY, name)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "d" * 32},
        {"keyed": {"seed": 4, "rate": 0.1}},
        {"inputs": {}},
        {"kind": "measure"},
        {"files": 3},
        {"files": {"a": {}}},
    ],
)
def test_a_record_that_was_altered_is_found(cell, change):
    (cell / CELL).write_text(json.dumps(json.loads((cell / CELL).read_text()) | change))
    assert list(integrity.faults(cell)) == [CELL]
    with pytest.raises(DamagedError, match=CELL):
        integrity.check_file(cell, "a.bin")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"null"])
def test_a_record_that_is_none_is_found(cell, content):
    (cell / CELL).write_bytes(content)
    assert list(integrity.faults(cell)) == [CELL]


def test_shards_change_neither_the_key_nor_the_check(tmp_path):
    folder = tmp_path / KEY
    folder.mkdir()
    inputs = WHAT["inputs"] | {"shard:0": "e" * 32}
    (folder / CELL).write_text(json.dumps({"key": KEY, **WHAT, "inputs": inputs}))
    write_cost(folder, COST)
    integrity.seal(folder)
    assert integrity.faults(folder) == {}


def test_what_was_measured_may_be_measured_again(cell):
    sums = (cell / CELL).read_bytes()
    write_cost(cell, COST.model_copy(update={"seconds": 2.0}))
    integrity.seal(cell)
    assert integrity.faults(cell) == {} and (cell / CELL).read_bytes() == sums


OTHER, NONE = "has other content than was written", "cannot be read as what a job took"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"seconds": 1.5', '"seconds": 91.5', OTHER),
        ('"seconds"', '"secs"', OTHER),
        ('"sum": "', '"sum": "0', OTHER),
        ('"sum"', '"total"', NONE),
        ("{", "[", NONE),
        ("\n}", "", NONE),
    ],
)
def test_a_cost_that_was_altered_is_found(cell, old, new, why):
    text = (cell / MEASURED).read_text()
    assert old in text
    (cell / MEASURED).write_text(text.replace(old, new))
    assert integrity.faults(cell) == {MEASURED: why}
    with pytest.raises(DamagedError, match=f"{KEY} is damaged: {MEASURED} {why}; `decoct verify --repair "):
        Cells(cell.parents[2]).file("train", KEY, MEASURED)
    assert integrity.check(cell) == cell  # of no use to a job that reads the cell


@settings(max_examples=50, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_of_a_cost_changes_nothing_or_is_found(tmp_path_factory, place, byte):
    file = tmp_path_factory.mktemp("costs") / MEASURED
    content = bytearray(written_cost())
    content[place % len(content)] = byte
    file.write_bytes(content)
    try:
        found = read_cost(file)
    except ValueError:
        return
    assert found == COST  # such as other white space


def test_a_cost_is_missing_unless_the_cell_was_brought_along(cell):
    (cell / MEASURED).unlink()
    assert integrity.faults(cell) == {MEASURED: "is missing"}
    with pytest.raises(DamagedError, match=f"{MEASURED} is missing"):
        Cells(cell.parents[2]).file("train", KEY, MEASURED)
    facts = json.loads((cell / CELL).read_text()) | {"keyed": {"external": True}}
    (cell / CELL).write_text(json.dumps(facts))
    assert integrity.faults(cell) == {}
    assert Cells(cell.parents[2]).file("train", KEY, MEASURED) == cell / MEASURED


def test_a_cost_without_its_sum_is_damaged(cell):
    (cell / MEASURED).write_text(COST.model_dump_json())
    assert integrity.faults(cell) == {MEASURED: NONE}


def test_a_record_without_sums_is_damaged(cell):
    facts = json.loads((cell / CELL).read_text())
    del facts["files"]
    (cell / CELL).write_text(json.dumps(facts))
    assert integrity.faults(cell) == {CELL: "cannot be read ('files')"}
    with pytest.raises(DamagedError, match=CELL):
        integrity.check(cell)


def test_a_file_is_read_once_and_again_when_it_changed(cell, monkeypatch):
    read, digest_of = [], hashlib.file_digest
    monkeypatch.setattr(integrity.hashlib, "file_digest", lambda f, how: read.append(f.name) or digest_of(f, how))
    cells = Cells(cell.parents[2])
    for name in FILES:
        os.utime(cell / name, ns=(7, 7))
    cells.cell("train", KEY)
    assert len(read) == len(FILES)
    cells.cell("train", KEY)
    cells.file("train", KEY, "a.bin")
    assert len(read) == len(FILES)
    (cell / "a.bin").write_bytes(FILES["a.bin"][::-1])
    with pytest.raises(DamagedError):
        cells.cell("train", KEY)
    assert len(read) == len(FILES) + 1


def test_of_one_file_no_other_is_read_and_of_a_large_one_the_length_alone(cell, monkeypatch):
    os.utime(cell / "a.bin", ns=(11, 11))
    monkeypatch.setattr(integrity.hashlib, "file_digest", None)  # whoever calls it fails
    cells = Cells(cell.parents[2])
    assert cells.file("train", KEY, "a.bin", most=100) == cell / "a.bin"
    (cell / "a.bin").write_bytes(b"1")
    with pytest.raises(DamagedError, match="1 bytes where 500 were written"):
        cells.file("train", KEY, "a.bin", most=100)
    assert cells.file("train", KEY, CELL) == cell / CELL
    assert cells.size("train", KEY, "a.bin") == 1 and cells.size("train", KEY, "no") is None
