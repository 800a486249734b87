"""Data sets by name: what a name means, and what a data set says of itself."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from decoct.core.errors import UsageError
from decoct.core.spec import digest
from decoct.data.dataset import load_data, parse_source
from decoct.data.sources.digits import Digits
from decoct.data.sources.folder import Folder


def test_a_name_a_dict_and_a_source_mean_the_same(tmp_path):
    digests = {load_data(x, tmp_path).digest for x in ("digits", {"name": "digits"}, Digits())}
    assert len(digests) == 1


def test_the_default_root_is_in_the_store(monkeypatch, tmp_path):
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path))
    assert load_data("digits").folder.parent == tmp_path / "data"


def test_fields_may_stand_beside_the_name(tmp_path, grow):
    root = grow({"cat": 6, "dog": 6})
    data = load_data(f"folder:{root}", tmp_path / "cache", size=5)
    assert data.shape == (3, 5, 5) and data.said == ""
    assert load_data({"name": "folder", "path": str(root), "size": 5}, tmp_path / "cache").digest == data.digest
    assert load_data(f"folder:{root}", tmp_path / "cache").said.endswith("stay at 12 px")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 2}, "source 'folder': size: .*greater than or equal to 4"),
        ({"size": 5000}, "source 'folder': size: .*less than or equal to 1024"),
        ({"size": "large"}, "source 'folder': size: .*integer"),
        ({"sise": 64}, "unknown key 'sise'. Did you mean 'size'"),
        ({"path": "."}, "path of the data is given twice"),
    ],
)
def test_fields_that_the_source_does_not_take(grow, tmp_path, fields, message):
    with pytest.raises(UsageError, match=message):
        load_data(f"folder:{grow({'cat': 2, 'dog': 2})}", tmp_path / "cache", **fields)


def test_what_has_no_size_takes_none(tmp_path):
    with pytest.raises(UsageError, match="source 'digits': unknown key 'size'"):
        load_data("digits", tmp_path, size=16)
    with pytest.raises(UsageError, match=r"give size to Folder\(…\)"):
        load_data(Folder(path=tmp_path), tmp_path, size=16)


def test_a_path_follows_the_name(grow):
    root = grow({"a": 3, "b": 3})
    assert parse_source(f"folder:{root}") == parse_source({"name": "folder", "path": str(root)}) == Folder(path=root)
    assert parse_source({"name": f"folder:{root}", "size": 32}) == Folder(path=root, size=32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "Did you mean 'digits'"),
        ({"name": "digits", "flipp": True}, "Did you mean 'flip'"),
        ({"name": "digits", "val_fraction": 1.5}, "val_fraction"),
        ("folder", "path"),
        ("digits:/data", "unknown key 'path'"),
        ({"size": 3}, "needs a name"),
    ],
)
def test_names_that_mean_nothing_are_usage_errors(name, message):
    with pytest.raises(UsageError, match=message):
        parse_source(name)


def test_a_bare_path_gets_the_right_spelling(tmp_path):
    with pytest.raises(UsageError, match=f"Did you mean 'folder:{tmp_path}'"):
        parse_source(str(tmp_path))


def test_facts_of_a_data_set(tmp_path, grow):
    data = load_data(f"folder:{grow({'cat': 10, 'dog': 20}, mode='L')}", tmp_path)
    assert data.shape == (1, 12, 12)
    assert data.size == 12
    assert data.name == "pets"
    assert data.class_names == ("cat", "dog")
    assert [data.counts(split) for split in ("train", "val", "test")] == [[7, 14], [1, 2], [2, 4]]
    pixels = data.train.images / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 2, 3)))
    np.testing.assert_allclose(data.std, pixels.std((0, 2, 3)))
    assert data.train.images.dtype == np.uint8 and isinstance(data.train.images, np.memmap)
    assert not data.train.images.flags.writeable


@pytest.mark.parametrize(("mode", "usual"), [("L", False), ("RGB", True)])
def test_mirroring_is_for_colour_unless_said_otherwise(tmp_path, grow, mode, usual):
    root = grow({"a": 5, "b": 5}, mode=mode)
    plain, other = (load_data(Folder(path=root, size=8, flip=flip), tmp_path) for flip in (None, not usual))
    assert (plain.flip, other.flip) == (usual, not usual)
    assert plain.digest != other.digest  # it changes what training does


def test_the_split_seed_moves_val_alone_in_digits(tmp_path):
    one, two = (load_data(Digits(split_seed=s), tmp_path) for s in (0, 1))
    assert (one.test.images == two.test.images).all()
    assert one.digest != two.digest


def test_data_loads_without_torch(tmp_path):
    code = f"import sys; from decoct.data.dataset import load_data; load_data('digits', {str(tmp_path)!r}); "
    subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=True)


def by_hand(data, manifest, source):
    """Digest and link of a data set as they were from the first version on; studies and stores depend on them."""
    said = {"name": data.name, "class_names": list(data.class_names), "flip": data.flip, "skipped": list(data.skipped)}
    splits = {"train": data.train, "val": data.val, "test": data.test}
    files = {name: split.files and list(split.files) for name, split in splits.items()}
    sha = hashlib.sha256(digest({"format": 1, "files": files, **said}).encode())
    for split in splits.values():
        sha.update(split.labels.astype("<i8").tobytes() + split.images.tobytes())
    link = digest({"format": 1, "title": data.name, "source": source.keyed(), "manifest": manifest})
    return sha.hexdigest()[:32], link


def test_digests_and_links_are_what_they_always_were(tmp_path, grow):
    for source in (Digits(), Folder(path=grow({"a": 9, "b": 5}), size=8, skip_corrupt=True)):
        data = load_data(source, tmp_path / "cache")
        key, link = by_hand(data, source.manifest(), source)
        assert (data.digest, data.folder.name) == (key, key)
        said = json.loads((tmp_path / "cache" / "links" / f"{link}.json").read_text())
        assert said == {"digest": key}
        facts = json.loads((data.folder / "data.json").read_text())
        assert set(facts) == KNOWN and data.details == {}


KNOWN = {"name", "class_names", "source", "flip", "skipped", "format", "digest", "shape", "counts", "mean", "std"}


def test_digits_have_the_digest_that_results_of_theirs_are_stored_under(tmp_path):
    assert load_data("digits", tmp_path).digest == "ab64ac56e621f3f8eb4018919c711da1"
