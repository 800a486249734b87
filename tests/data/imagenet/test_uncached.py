"""Images that no cache holds: the cache's pixels, from every layout, in one pass or by number; and work on them."""

import io

import numpy as np
import pytest
from PIL import Image

import decoct
from decoct.api import Compute
from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data, open_dataset
from decoct.data.imagenet import uncached
from decoct.data.imagenet.uncached import Uncached
from decoct.data.sources.imagenette import WNIDS, Imagenette
from decoct.needs.features import store
from decoct.needs.teacher import Teach
from decoct.nets import zoo
from decoct.nets.features import penultimate, penultimate_blocks

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def museum(hang):
    return hang(WNIDS)


def layouts(museum, root):
    made = museum.folders(root / "a"), museum.official(root / "b"), museum.parquet(root / "c")
    return *made, museum.webdataset(root / "d"), museum.archive(root / "e.tgz")


def without(place, root, **fields):
    return load_data(Imagenette(path=str(place), size=16, cache=False, **fields), root, workers=1)


def test_every_layout_gives_what_the_cache_holds(museum, tmp_path):
    places = layouts(museum, tmp_path)
    cached = load_data(Imagenette(path=str(places[0]), size=16), tmp_path / "cache", workers=1)
    for place in places:
        data = without(place, tmp_path / "cache")
        assert data.digest != cached.digest
        assert data.class_names == cached.class_names and data.name == cached.name
        assert np.allclose(data.mean, cached.mean) and np.allclose(data.std, cached.std)
        assert not list(data.folder.glob("*.images.npy"))
        for name in SPLITS:
            part, known = getattr(data, name), getattr(cached, name)
            assert isinstance(part.images, Uncached) and part.images.shape == known.images.shape
            assert part.files == known.files and (part.labels == known.labels).all()
            assert part.images.nbytes == known.images.nbytes and part.images.dtype == known.images.dtype
            for key in (3, -1, slice(2, 9), np.array([5, 1, 5]), np.array([[4], [0]]), known.labels == 2, slice(0, 0)):
                assert np.array_equal(part.images[key], known.images[key])
            assert np.array_equal(np.asarray(part.images), known.images)
            seen = []
            for rows, images in part.batches(8):
                assert np.array_equal(images, known.images[rows])
                seen.append(rows)
            assert {len(rows) for rows in seen[:-1]} <= {8}
            assert np.array_equal(np.concatenate(seen), part.order)
            assert sorted(part.order) == list(range(len(part)))


def test_class_folders_are_stored_in_their_order_and_shards_are_not(museum, tmp_path):
    folders, _, parquet, *_ = layouts(museum, tmp_path)
    a, b = without(folders, tmp_path / "cache").train, without(parquet, tmp_path / "cache").train
    assert np.array_equal(a.order, np.arange(len(a)))
    assert not np.array_equal(b.order, np.arange(len(b)))


def test_one_pass_reads_each_picture_once_and_no_further_than_it_is_asked(museum, tmp_path, monkeypatch):
    data = without(museum.official(tmp_path / "raw"), tmp_path / "cache")
    layout = data.train.images._where[0]
    read, pictures = [], type(layout).pictures
    monkeypatch.setattr(type(layout), "pictures", lambda *a: (read.append(p[1].file) or p for p in pictures(*a)))
    batches = data.train.batches(4)
    for count in range(1, 4):
        next(batches)
        assert len(read) == 4 * count
    list(batches)
    assert sorted(read) == sorted(data.train.files)
    places = [data.train.files.index(file) for file in read]
    assert places == data.train.order.tolist()


def test_at_another_size_they_are_decoded_anew_not_enlarged(museum, tmp_path):
    place = museum.folders(tmp_path / "a")
    small, large = (
        load_data(Imagenette(path=str(place), size=size, cache=False), tmp_path / "cache", workers=1)
        for size in (16, 24)
    )
    found = small.train.images.sized(24)
    assert found.shape == (len(small.train), 3, 24, 24)
    assert np.array_equal(found[[4, 1]], large.train.images[[4, 1]])


def test_workers_change_nothing(museum, tmp_path):
    data = without(museum.webdataset(tmp_path / "raw"), tmp_path / "cache")
    one, two = (list(data.train.images.in_order(7, workers)) for workers in (1, 2))
    assert len(one) == len(two) > 3
    for (rows, images), (others, more) in zip(one, two, strict=True):
        assert np.array_equal(rows, others) and np.array_equal(images, more)
    again = load_data(Imagenette(path=str(tmp_path / "raw"), size=16, cache=False), tmp_path / "second", workers=2)
    assert again.digest == data.digest and again.mean == data.mean


def test_what_does_not_decode_is_told_or_left_out_as_with_a_cache(museum, tmp_path):
    (split, wnid, name), _ = next(iter(museum.pictures.items()))
    broken = type(museum)({**museum.pictures, (split, wnid, name): b"no picture"}).parquet(tmp_path / "raw")
    with pytest.raises(DecoctError, match=r"1 of 70 images in .* do not decode"):
        without(broken, tmp_path / "cache")
    data = without(broken, tmp_path / "cache", skip_corrupt=True)
    assert data.skipped == (f"{split}/{wnid}/{name}",)
    cached = load_data(Imagenette(path=str(broken), size=16, skip_corrupt=True), tmp_path / "cache", workers=1)
    assert np.array_equal(np.asarray(data.train.images), cached.train.images)
    assert data.mean == cached.mean and data.std == cached.std


def test_a_picture_that_changes_afterwards_is_noticed(museum, tmp_path):
    root = museum.folders(tmp_path / "raw")
    data = without(root, tmp_path / "cache")
    file = root / data.train.files[3]
    file.write_bytes((root / data.train.files[4]).read_bytes())
    assert len(data.train.images[:3]) == 3
    with pytest.raises(DecoctError, match=r"changed while it was read: run again"):
        data.train.images[3]
    file.unlink()
    with pytest.raises(DecoctError, match=r"1 pictures in .* were there before and are gone|changed"):
        open_dataset(data.folder).train.images[3]


def test_pictures_come_at_their_own_size_in_the_order_in_which_they_are_stored(museum, tmp_path):
    for place in layouts(museum, tmp_path):
        train = without(place, tmp_path / "cache").train
        rows = np.array([7, 2, 11])
        found = list(train.originals(rows))
        assert [row for row, _ in found] == [row for row in train.order.tolist() if row in rows]
        for row, picture in found:
            data = museum.pictures[tuple(train.files[row].split("/"))]
            expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).transpose(2, 0, 1)
            assert picture.shape == (3, 16, 20) and np.array_equal(picture, expected)
    cached = load_data(Imagenette(path=str(place), size=16), tmp_path / "cache", workers=1)
    assert cached.train.originals is None


def test_a_lost_list_is_told(museum, tmp_path):
    data = without(museum.folders(tmp_path / "raw"), tmp_path / "cache")
    next(data.folder.glob("train.*.parquet")).write_bytes(b"")
    with pytest.raises(DecoctError, match="no readable list of pictures"):
        open_dataset(data.folder).train.images[0]


def test_what_needs_all_images_at_hand_says_so(museum, tmp_path, monkeypatch):
    data = without(museum.folders(tmp_path / "raw"), tmp_path / "cache")
    monkeypatch.setattr(uncached, "MOST", 1000)
    with pytest.raises(DecoctError, match="cache = true"):
        np.asarray(data.train.images)


def test_features_lie_in_the_rows_of_their_images_however_they_are_stored(museum, tmp_path):
    net = zoo.build("convnet2_w8", 3, 10, 16, seed=0)
    for place in layouts(museum, tmp_path)[::2]:
        data = without(place, tmp_path / "cache")
        blocks = penultimate_blocks(net, data.train, data.mean, data.std, batch=7)
        store(tmp_path / "f.npy", map(np.asarray, blocks), len(data.train), "float32", "net", data.train.order)
        known = penultimate(net, data.train.images[:], data.mean, data.std).numpy()
        assert np.allclose(np.load(tmp_path / "f.npy"), known, atol=1e-5)


def test_methods_students_and_metrics_do_without_a_cache(museum, tmp_path):
    data, compute = without(museum.parquet(tmp_path / "raw"), tmp_path / "cache"), Compute(store=tmp_path / "store")
    how = {"compute": compute, "teachers": {"teacher": Teach(net="convnet2_w8_bn", epochs=1)}}
    sets = {
        name: decoct.condense(name, data, ipc=1, **how, **fields)
        for name, fields in (("random", {}), ("herding", {}), ("rded", {"candidates": 2}), ("sre2l", {"iterations": 2}))
    }
    for made in sets.values():
        assert made.pixels().shape == (10, 3, 16, 16)
        scores = decoct.train(made, data, student="convnet2_w8", compute=compute, steps=3)
        assert 0 <= scores.mean <= 1
    assert np.array_equal(sets["herding"].pixels(), data.train.images[sets["herding"].indices])
    readings = decoct.measure(
        sets["herding"], data, metrics=["mmd"], draws=2, resamples=2, extractors=["teacher"], **how
    )
    assert readings
