"""ImageNet-1K with a few tiny pictures in each of its thousand classes: order, counts, what is not it."""

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.imagenet.imagenet import wnids
from decoct.data.reading.decode import decode
from decoct.data.sources.imagenet1k import ImageNet1K
from decoct.data.sources.imagenet100 import ImageNet100

HUNDRED = ImageNet100.classes


@pytest.fixture(scope="module")
def museum(hang):
    return hang(wnids(), train=2, val=1, side=8)


@pytest.fixture(scope="module")
def official(museum, tmp_path_factory):
    return museum.official(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="module")
def data(official, tmp_path_factory):
    return load_data(ImageNet1K(path=str(official), size=8), tmp_path_factory.mktemp("cache"), workers=1)


def test_classes_are_in_the_order_of_imagenets_heads(data, museum):
    from decoct.nets import imagenet_classes

    assert data.name == "imagenet1k"
    assert data.class_names == imagenet_classes.wnids()
    assert imagenet_classes.rows(data.class_names) == list(range(1000))
    assert tuple(data.details["english"]) == imagenet_classes.english()
    for split in (data.train, data.val, data.test):
        assert len(split) == 1000
        for image, label, file in zip(split.images, split.labels, split.files, strict=True):
            key = tuple(file.split("/"))
            assert key[1] == data.class_names[label]
            assert (image == decode(museum.pictures[key], 8, 3)).all()


def test_what_is_missing_is_listed_and_no_error(data):
    assert data.details["expected"] == {"train": 1281167, "val": 50000}
    assert data.details["found"] == {"train": 2000, "val": 1000}
    assert len(data.details["incomplete"]) == 2000
    assert data.details["incomplete"][0] == ["train", "n01440764", 2, "732 to 1,300"]
    assert data.details["incomplete"][-1] == ["val", "n15075141", 1, "50"]


def test_counts_that_imagenet_has_are_complete():
    source, rng = ImageNet1K(path="."), np.random.default_rng(0)
    train = np.repeat(np.arange(1000), rng.integers(732, 1301, 1000))
    val = np.repeat(np.arange(1000), 50)
    assert source.verified("ImageNet-1K", train, val)["incomplete"] == []
    short = np.concatenate([train[train != 7], np.full(731, 7)])
    long = np.append(val, 999)
    assert source.verified("ImageNet-1K", short, long)["incomplete"] == [
        ("train", wnids()[7], 731, "732 to 1,300"),
        ("val", wnids()[999], 51, "50"),
    ]


def test_imagenet100_is_cut_out_of_it(data, museum, official, tmp_path):
    assert len(set(HUNDRED)) == 100 and list(HUNDRED) == sorted(HUNDRED) and set(HUNDRED) < set(wnids())
    hundred = load_data(ImageNet100(path=str(official), size=8), tmp_path / "cache", workers=1)
    assert hundred.class_names == HUNDRED
    assert {file.split("/")[1] for file in hundred.test.files} == set(HUNDRED)
    rows = [data.test.files.index(file) for file in hundred.test.files]
    assert (hundred.test.images == data.test.images[rows]).all()
    assert [data.class_names[label] for label in data.test.labels[rows]] == [HUNDRED[c] for c in hundred.test.labels]
    alone = {key: value for key, value in museum.pictures.items() if key[1] in HUNDRED}
    shards = type(museum)(alone).webdataset(tmp_path / "shards")
    assert load_data(ImageNet100(path=str(shards), size=8), tmp_path / "other", workers=1).digest == hundred.digest


@pytest.fixture(scope="module")
def folders(museum, tmp_path_factory):
    """Class folders, which a test may change and leaves as they were."""
    return museum.folders(tmp_path_factory.mktemp("raw"))


def test_fastais_split_is_no_imagenet(folders, tmp_path):
    first = sorted((folders / "train" / "n01440764").iterdir())[0]
    moved = first.rename(folders / "val" / "n01440764" / first.name)
    with pytest.raises(
        DecoctError, match=rf"holds pictures of ImageNet-1K's train, such as {first.name}\n.*imagenette"
    ):
        load_data(ImageNet1K(path=str(folders), size=8), tmp_path / "cache", workers=1)
    moved.rename(first)


def test_a_class_that_is_not_there_is_named_first(folders, tmp_path):
    away = [folders / split / wnid for split in ("train", "val") for wnid in wnids()[998:]]
    for number, folder in enumerate(away):
        folder.rename(tmp_path / str(number))
    with pytest.raises(DecoctError, match=f"class {wnids()[998]} has no pictures in train, nor have 1 more classes"):
        load_data(ImageNet1K(path=str(folders), size=8), tmp_path / "cache", workers=1)
    for number, folder in enumerate(away):
        (tmp_path / str(number)).rename(folder)
