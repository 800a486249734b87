"""A set that was made, in files: each where its class says, with a list that names it."""

import csv

import numpy as np
import pytest
from PIL import Image
from tests.shrinking.pools import make_pool

from decoct.shrinking.made import Made
from decoct.shrinking.written.pngs import write_pngs

CLASSES = ["cat", "=a/b", "kept.csv"]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_a_file_of_its_class_without_loss(tmp_path, channels):
    (out := tmp_path / "out").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 6, 6), dtype=np.uint8)
    pool = make_pool(tmp_path / "pool", ["1", "2", "3"], [0, 1, 2], CLASSES)
    files = write_pngs(out, pool, Made(images, np.array([0, 0, 1, 2, 2]), 1.0), "dm")
    assert files == [
        "cat/dm_0001.png",
        "cat/dm_0002.png",
        "=a_b/dm_0001.png",
        "kept-2.csv/dm_0001.png",
        "kept-2.csv/dm_0002.png",
    ]
    for file, image in zip(files, images, strict=True):
        seen = np.asarray(Image.open(out / file))
        assert np.array_equal(seen if channels == 1 else np.moveaxis(seen, -1, 0), image[0] if channels == 1 else image)
    with (out / "kept.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["class"] for row in listed] == ["cat", "cat", "'=a/b", "kept.csv", "kept.csv"]
    assert [row["file"] for row in listed] == [f"'{file}" if file.startswith("=") else file for file in files]
    assert {row["reason"] for row in listed} == {"made by dm from all images"}
