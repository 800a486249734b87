"""CSVs of paths and labels: columns in any order, and every way in which they can be wrong."""

import numpy as np
import pytest
from PIL import Image

from decoct.core.errors import DecoctError, UsageError
from decoct.shrinking.pool import TEST, TRAIN, VAL
from decoct.shrinking.reading.originals import original, original_path
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.reading.sources.table import listing


def write(tmp_path, text, name="list.csv"):
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize(
    "text",
    [
        "path,label,split\na.png,x,train\nb.png,y,Train\nc.png,x,test\nd.png,y,test\n",
        "split;PATH;site;Label\ntrain;a.png;1;x\ntraining;b.png;1;y\ntest;c.png;2;x\ntest;d.png;2;y\n",
        "\ufeff label , path,split\r\nx, a.png,train\r\ny,b.png,train\r\n\r\nx,c.png,test\r\ny,d.png,testing\r\n",
        "path\tlabel\tsplit\na.png\tx\ttrain\nb.png\ty\ttrain\nc.png\tx\ttest\nd.png\ty\ttest\n",
    ],
)
def test_columns_in_any_order_and_by_any_mark(tmp_path, text):
    listed = listing("list", write(tmp_path, text))
    assert listed.paths == ["a.png", "b.png", "c.png", "d.png"]
    assert listed.class_names == ("x", "y") and listed.labels.tolist() == [0, 1, 0, 1]
    assert listed.split.tolist() == [TRAIN, TRAIN, TEST, TEST]
    assert listed.place(1) == str(tmp_path / "b.png")


def test_without_a_split_all_is_train_and_val_is_known(tmp_path):
    assert (listing("list", write(tmp_path, "path,label\na,1\nb,2\n")).split == TRAIN).all()
    text = "path,label,split\na,1,train\nb,2,train\nc,1,validation\nd,2,valid\n"
    assert listing("list", write(tmp_path, text)).split.tolist() == [TRAIN, TRAIN, VAL, VAL]


def test_numbers_are_in_their_order(tmp_path):
    assert listing("list", write(tmp_path, "path,label\na,10\nb,9\nc,1\n")).class_names == ("1", "9", "10")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no column 'path'"),
        ("file,label\na,1\n", r"no column 'path' in its first line \(file, label\)\n.*path,label"),
        ("path,class\na,1\n", "no column 'label'"),
        ("path\x0cx,label\na,1\n", r"first line \(path\\fx, label\)"),
        ("path,label\n", "lists no images"),
        ("path,label\na,1\nb,\n", "row 3 has no label"),
        ("path,label\n,1\nb,2\n", "row 2 has no path"),
        ("path,label\na,1,x\nb,2\n", "row 2 has 3 values for 2 columns"),
        ("path,label\na,1\nb,2\na,2\n", "rows 2 and 4 both name a"),
        ("path,label,split\na,1,train\nb,2,hold\n", "row 3 has the split 'hold': write train, val, test"),
        ("path,label,split\na,1,test\nb,2,test\n", "no train split"),
        ("path,label,split\na,1,train\nb,2,train\nc,3,test\n", "class '3' has no images in train"),
        ('path,label\na,"1\n', "is no CSV"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(DecoctError, match=message):
        listing("list", write(tmp_path, text))


def test_another_encoding(tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes("path,label\nä.png,x\n".encode("latin-1"))
    with pytest.raises(DecoctError, match="not UTF-8"):
        listing("list", file)


def test_a_table_becomes_a_pool_and_its_files_are_found_again(tmp_path, grow):
    root = grow({"pictures": 4})
    text = "label,path,patient\nb,pets/pictures/000.png,1\na,pets/pictures/001.png,2\n"
    text += f"b,{root / 'pictures' / '002.png'},1\na,pets/pictures/gone.png,2\na,pets/pictures/003.png,2\n"
    pool = read_pool(write(tmp_path, text), tmp_path / "pools", groups="patient")
    assert pool.unreadable == (("pets/pictures/gone.png", "a", "no such file"),)
    assert pool.groups.tolist() == [0, 1, 0, 1] and pool.labels.tolist() == [1, 0, 1, 0]
    for row in range(4):
        path = root / "pictures" / f"00{row}.png"
        assert original_path(pool, row) == path and original(pool, row) == (path.read_bytes(), ".png")
        assert (pool.images[row] == np.asarray(Image.open(path)).transpose(2, 0, 1)).all()
    with pytest.raises(UsageError, match="no such column, only patient"):
        read_pool(tmp_path / "list.csv", tmp_path / "pools", groups="patent")


def test_the_column_group_is_used_unasked(tmp_path, grow):
    grow({"pictures": 4})
    text = "path,label,group\n" + "".join(f"pets/pictures/00{i}.png,{i % 2},{i // 2}\n" for i in range(4))
    assert read_pool(write(tmp_path, text), tmp_path / "pools").groups.tolist() == [0, 0, 1, 1]
