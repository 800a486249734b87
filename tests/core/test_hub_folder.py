"""A folder for the hub: read back by ``datasets`` as it was, and nothing in its card is markup by accident."""

import io

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.hub_folder import card, write_hub_folder, write_parquet
from decoct.core.record import Cost, Provenance

NAMES = ("cat", "dog: a", 'e"el')


def make(channels=3, dtype=np.uint8, **more):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, channels, 8, 8), dtype=np.uint8)
    images = images if dtype == np.uint8 else images.astype(np.float32) / 255
    who = Provenance(method="rded", spec={"fields": {"factor": 2}}, data="pets", data_digest="abc", budget="ipc=2")
    labels = np.array([2, 0, 1, 1, 0, 2])
    return Condensed(labels, NAMES, more.pop("provenance", who), images=images, **more)


@pytest.mark.filterwarnings("default")  # of libraries below
@pytest.mark.parametrize("channels", [1, 3])
def test_load_dataset_reads_the_folder_exactly(tmp_path, monkeypatch, channels):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    soft = np.random.default_rng(1).dirichlet(np.ones(3), 6).astype(np.float32)
    weights = np.array([1, 2, 0.5, 0, 1, 1], np.float32)
    made = make(channels, soft_labels=soft, weights=weights)
    write_hub_folder(tmp_path / "set", made, [])
    loaded = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    rows = loaded["train"]
    assert rows.features["label"].names == list(NAMES)
    assert rows["label"][:] == made.labels.tolist()
    for row, image in zip(rows, made.images, strict=True):
        pixels = np.asarray(row["image"])
        np.testing.assert_array_equal(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), image)
    np.testing.assert_array_equal(np.array(rows["soft_label"][:], np.float32), soft)
    np.testing.assert_array_equal(np.array(rows["weight"][:], np.float32), weights)


def test_float_images_are_quantised_and_the_error_is_said(tmp_path):
    from pyarrow import parquet

    made = make(dtype=np.float32)
    with pytest.warns(UserWarning, match=r"8 bits; largest error 0\.00"):
        write_parquet(tmp_path / "a.parquet", made)
    content = parquet.read_table(tmp_path / "a.parquet")["image"].to_pylist()[0]["bytes"]
    pixels = np.asarray(Image.open(io.BytesIO(content))).transpose(2, 0, 1)
    np.testing.assert_array_equal(pixels, np.rint(made.images[0] * 255).astype(np.uint8))


def test_bare_picks_have_no_pixels_to_write(tmp_path):
    bare = Condensed(np.array([0]), ("a", "b"), Provenance(method="m"), indices=np.array([3]))
    with pytest.raises(DecoctError, match="bare picks"):
        write_parquet(tmp_path / "a.parquet", bare)


def test_the_card_says_what_the_set_is(tmp_path):
    cost = Cost(seconds=12.5, cpu_seconds=20, peak_memory=100, device="cpu", hardware="A CPU", host="h", versions={})
    readings = [
        {
            "metric": "coverage",
            "value": 0.25,
            "scope": "per_class",
            "reference": "val",
            "extractor": "teacher",
            "lead": 1,
        },
        {"metric": "hidden", "value": 0.5, "scope": "per_class", "reference": "val", "extractor": "teacher", "lead": 0},
    ]
    text = card(make(cost=cost), readings)
    for part in ("rded", "factor", "pets", "abc", "12.5", "coverage", "0.25", "## Licence", "A CPU"):
        assert part in text
    assert "hidden" not in text and "Unknown" not in text
    assert "Unknown." in card(make())


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_names_cannot_break_out_of_the_card(method, value):
    who = Provenance(method=method, spec={"fields": {"field": value}}, data="</td><script>|x|\n---\nlicense: mit")
    text = card(make(provenance=who))
    _, head, body = text.split("---\n", 2)
    found = yaml.safe_load(head)
    assert found["license"] == "other"
    assert set(found) == {"pretty_name", "task_categories", "size_categories", "tags", "license", "configs"}
    assert "<script" not in body and "\nlicense" not in body
    (row,) = [line for line in body.splitlines() if line.startswith("| source data |")]
    assert row.replace("\\|", "").count("|") == 3
