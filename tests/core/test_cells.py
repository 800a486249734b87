"""Cells of a folder as a reader sees them."""

from pathlib import Path

import pytest

from decoct.core import cells
from decoct.core.cells import Cells, Together, grouped, open_cells, within
from decoct.core.record import CELL, cell_dir
from decoct.core.remote import Entry


def put(root, kind, key, *names):
    folder = cell_dir(root, kind, key)
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)


def test_present_means_complete(tmp_path):
    put(tmp_path, "train", "aa1", CELL, "x")
    put(tmp_path, "train", "ab2", "x")
    put(tmp_path, "train", "bb3", CELL)
    put(tmp_path, "teacher", "cc4", CELL)
    cells = Cells(tmp_path)
    assert cells.present("train") == {"aa1", "bb3"}
    assert cells.present("teacher") == {"cc4"} and cells.present("measure") == set()
    assert [cells.has("train", key) for key in ("aa1", "ab2", "bb3", "cc4")] == [True, False, True, False]


def test_a_listing_holds_cells_and_nothing_else(tmp_path):
    one, two = "aa" * 16, "ab" * 16
    put(tmp_path, "train", one, CELL, "x")
    put(tmp_path, "train", two, "x")
    for stray in (
        *("data/0123/data.json", f"unfinished/train/{one}/training.safetensors", ".tmp-1-aa1/x", "studies/a.json"),
        *("locale/en/en_GB/a.po", "locale/de/de/a.po", f"a/aa/{one}0/x", f"a/aa/{one[:-1]}/x", f"a/aa/{one[:-1]}A/x"),
    ):
        (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stray).write_text("1")
    listing = Cells(tmp_path).listing()
    assert {cell: set(files) for cell, files in listing.items()} == {
        ("train", one): {CELL, "x"},
        ("train", two): {"x"},
    }
    assert listing["train", two]["x"].size == 1
    assert Cells(tmp_path).listing_of("train", one) == listing["train", one]
    assert Cells(tmp_path).listing_of("train", "zz9") == {}


def test_a_name_within_a_store_is_where_its_folder_has_it(tmp_path):
    assert tmp_path / within("train", "abcdef") == cell_dir(tmp_path, "train", "abcdef")
    entry = Entry(1, 0.0)
    key = "ab" * 16
    assert grouped({f"train/ab/{key}/sub/x": entry, f"train/cd/{key}/x": entry, "x": entry}) == {
        ("train", key): {"sub/x": entry}
    }


def test_a_file_url_is_a_folder(tmp_path):
    assert open_cells(f"file://{tmp_path}").root == tmp_path
    assert type(open_cells(str(tmp_path))) is Cells


@pytest.mark.parametrize(
    ("where", "url"),
    [("s3://b/x", True), ("gs://b", True), ("memory://x", True), ("/a/b", False), ("a:b", False), ("file:///a", False)],
)
def test_what_is_a_url(where, url):
    assert cells.is_url(where) is url


def test_what_a_path_or_a_file_url_means():
    assert cells.folder_of("file:///a/b%20c") == Path("/a/b c")
    assert cells.folder_of("a/b") == Path("a/b")


def test_a_store_at_a_url_leaves_the_user_s_cache_where_it_is(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("DECOCT_STORE", "s3://bucket/store")
    assert cells.default_where() == "s3://bucket/store"
    assert cells.default_store() == Path("/cache/decoct")
    assert cells.mirror_of("s3://bucket/store").parent == Path("/cache/decoct/mirrors")
    monkeypatch.setenv("DECOCT_STORE", "/somewhere")
    assert cells.default_where() == "/somewhere" and cells.default_store() == Path("/somewhere")


def test_a_mirror_is_named_by_the_url_whether_or_not_a_slash_ends_it():
    assert cells.mirror_of("s3://b/x/") == cells.mirror_of("s3://b/x") != cells.mirror_of("s3://b/y")


def test_a_run_says_where_its_cells_lie_so_that_it_can_be_moved(tmp_path):
    assert cells.recorded(None) == "store"
    assert cells.store_of(tmp_path / "moved", "store") == str(tmp_path / "moved" / "store")
    assert cells.store_of(tmp_path, cells.recorded("s3://b/x")) == "s3://b/x"
    assert cells.store_of(tmp_path, cells.recorded(tmp_path / "far")) == str(tmp_path / "far")
    assert Path(cells.recorded("near")).is_absolute()


def test_a_cell_of_several_places_is_that_of_the_first_that_has_it(tmp_path):
    both, second, none = "aa" * 16, "ab" * 16, "ac" * 16
    put(tmp_path / "a", "train", both, CELL)
    put(tmp_path / "a", "train", second, "x")  # without its record it is none
    put(tmp_path / "b", "train", both, CELL, "x")
    put(tmp_path / "b", "train", second, CELL, "xyz")
    asked = []
    places = [Cells(tmp_path / "a"), Cells(tmp_path / "b")]
    for place in places:
        place.prefetch = lambda cells, wanted: asked.append((list(cells), wanted("x")))
    own = Together(places)
    assert [own.has("train", key) for key in (both, second, none)] == [True, True, False]
    assert own.present("train") == {both, second} == {key for _, key in own.listing()}
    assert own.path("train", both).is_relative_to(tmp_path / "a")
    assert own.path("train", second).is_relative_to(tmp_path / "b")
    assert own.path("train", none).is_relative_to(tmp_path / "a")
    assert (own.size("train", second, "xyz"), own.size("train", both, "x"), own.size("train", none, "x")) == (
        3,
        None,
        None,
    )
    own.prefetch(iter([("train", both)]), lambda name: name == "x")
    assert asked == [([("train", both)], True)] * 2
    assert own.where == f"{tmp_path / 'a'}, {tmp_path / 'b'}"
