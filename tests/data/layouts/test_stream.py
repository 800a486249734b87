"""One sequential pass: the same pixels as in the cache, each once, with no cache."""

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.imagenet import wnids
from decoct.data.layouts.recognise import recognise
from decoct.data.layouts.stream import stream
from decoct.data.sources.imagenette import WNIDS, Imagenette


@pytest.fixture(scope="module")
def museum(hang):
    return hang(WNIDS)


def layouts(museum, root):
    made = museum.folders(root / "a"), museum.official(root / "b"), museum.parquet(root / "c")
    return *made, museum.webdataset(root / "d"), museum.archive(root / "e.tgz")


def test_a_pass_gives_what_the_cache_holds(museum, tmp_path):
    places = layouts(museum, tmp_path)
    data = load_data(Imagenette(path=str(places[0]), size=16), tmp_path / "cache", workers=1)
    held = {"train": (data.train, data.val), "val": (data.test,)}
    for place in places:
        for split, parts in held.items():
            rows = (zip(part.files, part.images, part.labels, strict=True) for part in parts)
            want = {file: (image.tobytes(), label) for part in rows for file, image, label in part}
            got, sizes = {}, []
            for batch in stream(recognise(str(place), wnids(), WNIDS), split, 16, batch=8):
                sizes.append(len(batch.images))
                for file, image, label in zip(batch.files, batch.images, batch.labels, strict=True):
                    assert file not in got
                    got[file] = image.tobytes(), label
            assert got == want
            assert sizes[:-1] == [8] * (len(sizes) - 1)


def test_workers_change_nothing(museum, tmp_path):
    layout = recognise(str(museum.webdataset(tmp_path / "raw")), wnids(), WNIDS)
    one, two = (list(stream(layout, "train", 16, batch=7, workers=workers)) for workers in (1, 2))
    assert len(one) == len(two) == 8
    for a, b in zip(one, two, strict=True):
        assert a.files == b.files
        assert (a.images == b.images).all() and (a.labels == b.labels).all()


def test_it_reads_no_further_than_it_is_asked(museum, tmp_path, monkeypatch):
    layout = recognise(str(museum.official(tmp_path / "raw")), wnids(), WNIDS)
    read, pictures = [], type(layout).pictures
    monkeypatch.setattr(type(layout), "pictures", lambda *a: (read.append(p) or p for p in pictures(*a)))
    batches = stream(layout, "train", 16, batch=4)
    for count in range(1, 4):
        next(batches)
        assert len(read) == 4 * count


def test_what_does_not_decode_is_reported_beside(museum, tmp_path):
    (split, wnid, name), _ = next(iter(museum.pictures.items()))
    broken = type(museum)({**museum.pictures, (split, wnid, name): b"no picture"})
    layout = recognise(str(broken.parquet(tmp_path / "raw")), wnids(), WNIDS)
    batches = list(stream(layout, split, 16, batch=10))
    assert [skipped for batch in batches for skipped in batch.skipped] == [(f"{split}/{wnid}/{name}", "not an image")]
    assert sum(len(batch.labels) for batch in batches) == 49
    assert all(len(b.images) == len(b.labels) == len(b.files) for b in batches)


def test_a_batch_of_nothing_but_damage_is_empty(museum, tmp_path):
    broken = type(museum)(dict.fromkeys(museum.pictures, b"no picture"))
    layout = recognise(str(broken.folders(tmp_path / "raw")), wnids(), WNIDS)
    batch = next(stream(layout, "val", 16, batch=3))
    assert batch.images.shape == (0, 3, 16, 16) and batch.images.dtype == np.uint8
    assert len(batch.skipped) == 3


def test_damage_of_an_archive_ends_the_pass(museum, tmp_path):
    root = museum.webdataset(tmp_path / "raw")
    shard = root / "imagenet1k-train-0001.tar"
    shard.write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(DecoctError, match="truncated"):
        list(stream(recognise(str(root), wnids(), WNIDS), "train", 16))
