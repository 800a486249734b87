"""Cells of a folder as a reader sees them."""

from decoct.core.cells import Cells, grouped, open_cells, within
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
