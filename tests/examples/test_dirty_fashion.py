"""The plug-in of planted faults, on tiny idx files: they are those that names say, and val and test have none."""

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from decoct.data.dataset import load_data

PLUGIN = str(Path(__file__).parents[2] / "examples" / "plugins" / "dirty_fashion.py")


@pytest.fixture
def load(tmp_path):
    """load(fault): the data set, and Fashion-MNIST's own arrays by split."""
    rng, whole = np.random.default_rng(0), {}
    for prefix, n in (("train", 900), ("t10k", 200)):
        images, labels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(10, size=n, dtype=np.uint8)
        whole[prefix] = images[:, None], labels
        for what, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
            (tmp_path / f"{prefix}-{what}-ubyte").write_bytes(head + array.tobytes())

    def make(fault, **fields):
        source = {"name": "dirty_fashion", "fault": fault, "count": 200, "tests": 150, "path": str(tmp_path), **fields}
        return load_data(source, root=tmp_path / "data", plugins=[PLUGIN]), whole

    return make


def test_copies_are_what_their_names_say(load):
    data, whole = load("copies")
    names = data.train.files
    assert len(names) == 200 and len(data.val) == 500
    originals = {name: data.train.images[i] for i, name in enumerate(names) if "-" not in name}
    kinds = Counter()
    for i, name in enumerate(names):
        of, _, kind = name.partition("-")
        assert data.train.labels[i] == whole["train"][1][int(of)]
        assert np.array_equal(originals[of], whole["train"][0][int(of)])
        if not kind:
            continue
        kinds[kind] += 1
        made, was = data.train.images[i].astype(int), originals[of].astype(int)
        if kind == "exact":
            assert np.array_equal(made, was)
        elif kind == "shifted":
            assert np.array_equal(made[..., 1:], was[..., :-1]) and not made[..., 0].any()
        elif kind == "brighter":
            assert np.array_equal(made, np.minimum(was * 1.15, 255).astype(int))
        else:
            assert 0 < np.abs(made - was).mean() < 60
    assert kinds == dict.fromkeys(("exact", "jpeg", "shifted", "brighter"), 10)


@pytest.mark.parametrize("fault", ["symmetric", "confusing"])
def test_wrong_labels_are_what_their_names_say(load, fault):
    data, whole = load(fault, share=0.25)
    alike = {(0, 6), (6, 0), (2, 4), (4, 2), (5, 7), (7, 5)}
    wrong = 0
    for name, label in zip(data.train.files, data.train.labels.tolist(), strict=True):
        row, _, was = name.partition("-was-")
        true = whole["train"][1][int(row)]
        assert (label == true) == (not was)
        if was:
            wrong += 1
            assert int(was) == true and (fault == "symmetric" or (int(was), label) in alike)
    assert wrong == 50


@pytest.mark.parametrize("fault", ["copies", "symmetric"])
def test_val_and_test_have_no_fault_and_share_nothing_with_train(load, fault):
    data, whole = load(fault)
    assert np.array_equal(data.test.images, whole["t10k"][0][:150])
    assert np.array_equal(data.test.labels, whole["t10k"][1][:150])
    own = {image.tobytes(): label for image, label in zip(*whole["train"], strict=True)}
    assert [own[image.tobytes()] for image in data.val.images] == data.val.labels.tolist()
    assert not {image.tobytes() for image in data.val.images} & {image.tobytes() for image in data.train.images}
