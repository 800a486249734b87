"""Imagewoof: its ten dogs, in both definitions."""

import pytest

from decoct.data.dataset import load_data
from decoct.data.imagenet.imagenet import english, wnids
from decoct.data.sources.imagewoof import WNIDS, Imagewoof


def test_its_classes_are_ten_dogs_of_imagenet():
    assert len(set(WNIDS)) == 10 and list(WNIDS) == sorted(WNIDS) and set(WNIDS) < set(wnids())
    first, last = wnids().index("n02085620"), wnids().index("n02116738")  # Chihuahua to African hunting dog
    assert all(first <= wnids().index(wnid) <= last for wnid in WNIDS)
    assert english()["n02115641"].startswith("dingo")


@pytest.mark.parametrize(("mixed", "name"), [(False, "imagewoof (ImageNet-1K)"), (True, "imagewoof (fastai)")])
def test_its_name_says_whose_split_it_is(tmp_path, hang, mixed, name):
    museum = hang(WNIDS, train=3, val=2)
    if mixed:
        swapped = {"train": "val", "val": "train"}
        museum.pictures |= {(swapped[s], w, n): data for (s, w, n), data in museum.pictures.items()}
    data = load_data(Imagewoof(path=str(museum.archive(tmp_path / "w.tgz")), size=8), tmp_path / "cache", workers=1)
    assert data.name == name
    assert data.class_names == WNIDS
