"""A word finds its kind of source, or a message that says what there is."""

import pytest

from decoct.core.errors import DecoctError, UsageError
from decoct.shrinking.reading.sources.which import listing


def test_each_kind_by_its_look(tmp_path, grow, pack, picture):
    root = grow({"cat": 1, "dog": 1})
    pack(tmp_path / "shards" / "0.tar", {"a.png": picture(1), "a.cls": b"0", "b.png": picture(2), "b.cls": b"1"})
    (tmp_path / "list.csv").write_text("path,label\na,1\nb,2\n")
    kinds = {
        str(root): "folder",
        f"folder:{root}": "folder",
        str(tmp_path / "list.csv"): "table",
        str(tmp_path / "shards"): "webdataset",
        f"{tmp_path}/shards/{{0..0}}.tar": "webdataset",
        "digits": "named",
    }
    for word, kind in kinds.items():
        assert listing(word).facts["kind"] == kind, word
    assert listing(root).source == str(root)


@pytest.mark.parametrize(
    ("word", "kind", "message"),
    [
        ("digit", UsageError, "no folder 'digit', nor a data set of that name. Did you mean 'digits'?"),
        ("photos/", DecoctError, "no such file or folder: photos/"),
        ("photos.csv", DecoctError, "cannot read photos.csv"),
        ("shards.tar", DecoctError, "shards are missing, such as shards.tar"),
    ],
)
def test_what_is_not_there(word, kind, message):
    with pytest.raises(kind, match=message):
        listing(word)


def test_a_file_of_no_known_kind(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match="no known kind"):
        listing(tmp_path / "photos.zip")
