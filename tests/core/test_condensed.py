"""The artifact: nothing is lost on disk, nothing leaves its folder, nothing damaged is believed."""

import csv
import json
import tempfile
import tracemalloc
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from decoct.core import condensed as condensed_module
from decoct.core.condensed import ARRAYS, FACTS, RATE, WEIGHTS, Condensed, folder_names, picture, png, relative
from decoct.core.errors import DecoctError
from decoct.core.record import Cost, Provenance

FROM = Provenance(method="toy", spec={"name": "toy", "version": 1, "fields": {"rate": 0.1}}, seed=3, inputs={"a": "b"})
COST = Cost(seconds=1.25, cpu_seconds=2.5, peak_memory=7, device="cpu", hardware="a", host="b", versions={"torch": "2"})


def toy(images=None, labels=(0, 1, 1), classes=("a", "b"), **rest):
    if images is None and "indices" not in rest:
        images = np.random.default_rng(0).integers(0, 256, (len(labels), 3, 4, 4), dtype=np.uint8)
    return Condensed(np.array(labels, dtype=np.int64), tuple(classes), FROM, images=images, **rest)


def same(a, b):
    return (a is None and b is None) or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


@st.composite
def sets(draw):
    n, classes = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    shape = (n, draw(st.sampled_from([1, 3])), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
    above = st.floats(0, allow_infinity=False, width=32)
    pixels = arrays.arrays(np.uint8, shape) | arrays.arrays(np.float32, shape, elements=finite)
    indices = draw(st.none() | arrays.arrays(np.int64, n, elements=st.integers(0, 2**40)))
    return Condensed(
        labels=draw(arrays.arrays(np.int64, n, elements=st.integers(0, classes - 1))),
        class_names=tuple(draw(st.lists(st.text(st.characters(codec="utf-8")), min_size=classes, max_size=classes))),
        provenance=FROM,
        indices=indices,
        images=draw(pixels if indices is None else pixels | st.none()),
        soft_labels=draw(st.none() | arrays.arrays(np.float32, (n, classes), elements=finite)),
        weights=draw(st.none() | arrays.arrays(np.float32, n, elements=above).filter(np.any)),
        mosaic=draw(st.integers(1, 4)),
        rate=draw(st.none() | st.floats(0, exclude_min=True, allow_infinity=False)),
        cost=draw(st.sampled_from([None, COST])),
    )


@settings(deadline=None, max_examples=60)
@given(sets())
def test_saved_and_loaded_is_the_same_to_the_last_bit(condensed):
    with tempfile.TemporaryDirectory() as folder:
        condensed.save(Path(folder) / "set")
        again = Condensed.load(Path(folder) / "set")
    for name in ("labels", "indices", "images", "soft_labels", "weights"):
        assert same(getattr(again, name), getattr(condensed, name)), name
    for name in ("class_names", "provenance", "mosaic", "rate", "cost"):
        assert getattr(again, name) == getattr(condensed, name)


def test_equal_sets_are_equal_bytes_and_views_are_stored_by_value(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8).transpose(0, 3, 1, 2)
    toy(images).save(tmp_path / "view")
    toy(np.ascontiguousarray(images)).save(tmp_path / "copy")
    for name in (ARRAYS, FACTS):
        assert (tmp_path / "view" / name).read_bytes() == (tmp_path / "copy" / name).read_bytes()


def test_how_many_tiles_an_image_is_made_of_stays_with_the_pixels(tmp_path):
    toy(mosaic=3).save(tmp_path)
    assert json.loads((tmp_path / FACTS).read_text())["mosaic"] == 3
    assert (Condensed.load(tmp_path).mosaic, toy().mosaic) == (3, 1)
    train = np.zeros((9, 1, 2, 2), np.uint8)
    assert toy(indices=np.array([8, 0, 8]), mosaic=2).materialise(train).mosaic == 2


def test_a_set_saved_before_there_were_mosaics_is_of_whole_images(tmp_path):
    toy().save(tmp_path)
    facts = json.loads((tmp_path / FACTS).read_text())
    del facts["mosaic"]
    (tmp_path / FACTS).write_text(json.dumps(facts))
    assert Condensed.load(tmp_path).mosaic == 1
    (tmp_path / FACTS).write_text(json.dumps(facts | {"mosaic": "two"}))
    with pytest.raises(DecoctError, match="damaged"):
        Condensed.load(tmp_path)


def test_a_loaded_set_may_be_saved_over_its_own_file(tmp_path):
    """Its images are a map of that file, and stay what they were."""
    toy().save(tmp_path)
    loaded = Condensed.load(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        loaded.images[0] = 0
    replace(loaded, weights=np.ones(3, np.float32)).save(tmp_path)
    again = Condensed.load(tmp_path)
    assert same(again.images, toy().images) and same(loaded.images, toy().images)
    assert again.weights.tolist() == [1, 1, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [FACTS, ARRAYS]


def test_what_a_loaded_set_is_used_for_warns_of_nothing(tmp_path):
    toy(weights=np.ones(3, np.float32), soft_labels=np.eye(3, 2, dtype=np.float32)).save(tmp_path)
    loaded = Condensed.load(tmp_path)
    for name in ("labels", "weights", "soft_labels"):
        getattr(loaded, name)[:] = 1  # these are in memory
    assert torch.equal(loaded.to_torch().tensors[0], torch.tensor(toy().images) / 255)
    loaded.export(tmp_path / "images")
    assert loaded.image_bytes() == toy().image_bytes()


@given(st.data())
def test_a_value_that_is_not_finite_is_found_in_whichever_block_it_is(data):
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=6))
    values = np.zeros(shape, data.draw(st.sampled_from([np.float16, np.float32, np.float64])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(condensed_module, "BLOCK", data.draw(st.integers(1, 200)))
        assert condensed_module.finite(values)
        values[tuple(data.draw(st.integers(0, side - 1)) for side in shape)] = data.draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
        assert not condensed_module.finite(values)
    assert condensed_module.finite(values[:0]) and condensed_module.finite(np.ones(3, np.uint8))


def test_whether_images_are_finite_is_seen_in_little_memory(tmp_path, monkeypatch):
    """Bytes hold nothing else, and are not looked at; floats are read block by block."""
    monkeypatch.setattr(condensed_module, "BLOCK", 2**16)
    for kind in (np.uint8, np.float32):
        images = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", kind, (2000, 3, 16, 16))
        labels = [0] * 2000
        tracemalloc.start()
        toy(images, labels=labels)
        assert tracemalloc.get_traced_memory()[1] < images.size / 4
        tracemalloc.stop()


SHORT = np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"labels": np.zeros(0, np.int64), "images": np.zeros((0, 1, 2, 2), np.uint8)}, "at least one image"),
        ({"images": None}, "indices, or images"),
        ({"labels": np.array([0, 1, 2])}, "labels run from 0 to 2"),
        ({"labels": np.array([0, -1, 1])}, "labels run from -1 to 1"),
        ({"labels": np.array([0.0, 1.0, 1.0])}, "labels must be .* int64"),
        ({"labels": np.zeros((3, 1), np.int64)}, "labels must be"),
        ({"indices": np.array([0.5, 1, 2])}, "indices must be"),
        ({"images": np.zeros((3, 2, 2), np.uint8)}, r"\[n, C, H, W\]"),
        ({"images": np.zeros((3, 1, 2, 2))}, "float64"),
        ({"images": np.zeros((2, 1, 2, 2), np.uint8)}, "2 images for 3 labels"),
        ({"images": np.full((3, 1, 2, 2), np.nan, np.float32)}, "images hold values that are not finite"),
        ({"indices": np.arange(4)}, "4 indices for 3 labels"),
        ({"weights": SHORT}, "2 weights for 3 labels"),
        ({"weights": np.array([1, np.inf, 1], np.float32)}, "weights hold values that are not finite"),
        ({"weights": np.array([1, -0.5, 1], np.float32)}, r"a weight is -0\.5: leave an image out"),
        ({"weights": np.zeros(3, np.float32)}, "all weights are 0"),
        ({"weights": np.ones(3)}, r"weights must be \[n\] float32, not \[3\] float64"),
        ({"weights": np.ones((3, 1), np.float32)}, r"weights must be \[n\] float32, not \[3, 1\]"),
        ({"soft_labels": SHORT[:, None]}, "2 soft labels for 3 labels"),
        ({"soft_labels": np.zeros((3, 5), np.float32)}, r"soft labels must be \[3, 2\], not \[3, 5\]"),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong, complaint):
    with pytest.raises(DecoctError, match=complaint):
        replace(toy(), **wrong)


def test_picks_become_pixels():
    train = np.random.default_rng(1).integers(0, 256, (9, 1, 2, 2), dtype=np.uint8)
    picks = toy(indices=np.array([8, 0, 8]))
    assert picks.member
    assert same(picks.materialise(train).images, train[[8, 0, 8]])
    assert same(picks.materialise(train).indices, picks.indices)
    synthetic = toy()
    assert not synthetic.member
    assert synthetic.materialise(train) is synthetic
    for use in (picks.to_torch, picks.image_bytes, lambda: picks.export("nowhere")):
        with pytest.raises(DecoctError, match="materialise"):
            use()
    assert not Path("nowhere").exists()


def test_to_torch_gives_floats_between_0_and_1_with_labels():
    condensed = toy()
    for (x, y), image, label in zip(condensed.to_torch(), condensed.images, condensed.labels, strict=True):
        assert x.dtype == torch.float32
        assert torch.equal(x, torch.tensor(image.astype(np.float32) / 255))
        assert int(y) == label
    floats = np.array([-0.5, 0.25, 1.5], np.float32).reshape(3, 1, 1, 1)
    soft = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]], np.float32)
    x, y = toy(floats, soft_labels=soft).to_torch().tensors
    assert torch.equal(x, torch.tensor(floats))
    assert torch.equal(y, torch.tensor(soft))


def test_a_weighted_set_says_so_and_gives_its_weights_with_its_images(tmp_path):
    weighted = toy(weights=np.array([0, 1, 3], np.float32))
    *_, weights = weighted.to_torch().tensors
    assert weights.tolist() == [0, 0.75, 2.25] and weights.dtype == torch.float32
    for made, said in ((weighted, True), (toy(), None)):
        made.save(tmp_path)
        assert json.loads((tmp_path / FACTS).read_text()).get("weighted") is said
    assert len(toy().to_torch().tensors) == 2


def test_a_set_without_a_learnt_rate_is_what_it_always_was(tmp_path):
    toy(rate=0.02).save(tmp_path / "learnt")
    toy().save(tmp_path / "plain")
    learnt, plain = (json.loads((tmp_path / name / FACTS).read_text()) for name in ("learnt", "plain"))
    assert learnt == plain | {"rate": 0.02} and "rate" not in plain
    assert (tmp_path / "learnt" / ARRAYS).read_bytes() == (tmp_path / "plain" / ARRAYS).read_bytes()


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0.0, -0.01])
def test_a_rate_that_no_student_can_train_at_is_refused_when_made_and_when_read(tmp_path, rate):
    with pytest.raises(DecoctError, match=r"the learnt rate is .*: make the set with a lower lr_lr"):
        toy(rate=rate)
    toy(rate=0.02).save(tmp_path)
    facts = tmp_path / FACTS
    facts.write_text(facts.read_text().replace("0.02", json.dumps(rate)))
    with pytest.raises(DecoctError, match=r"the learnt rate is .*: make the set with a lower lr_lr"):
        Condensed.load(tmp_path)


def test_a_class_may_count_nothing_as_it_may_be_missing():
    assert toy(weights=np.array([0, 2, 1], np.float32)).weights[0] == 0


@given(st.floats(0, exclude_min=True, allow_infinity=False, width=32), st.integers(1, 99))
def test_equal_weights_are_one_to_the_bit(value, n):
    assert (relative(np.full(n, value, np.float32)) == 1).all()


@given(arrays.arrays(np.float32, st.integers(1, 30), elements=st.floats(0, 1e9, width=32)).filter(np.any))
def test_relative_weights_keep_their_ratios_and_have_the_mean_one(weights):
    found = relative(weights)
    assert found.dtype == np.float32
    assert found.mean(dtype=np.float64) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(found.astype(float) * weights.max(), weights * float(found.max()), rtol=1e-5, atol=1e-30)


def read(folder):
    return {str(file.relative_to(folder)): np.array(Image.open(file)) for file in sorted(folder.rglob("*.png"))}


@settings(deadline=None, max_examples=25)
@given(arrays.arrays(np.uint8, st.tuples(st.just(4), st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6))))
def test_pngs_hold_uint8_images_exactly(images):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        toy(images, labels=(1, 0, 1, 1)).export(folder)
        found = read(Path(folder))
    assert list(found) == ["a/00000.png", "b/00000.png", "b/00001.png", "b/00002.png"]
    for pixels, image in zip(found.values(), images[[1, 0, 2, 3]], strict=True):
        assert np.array_equal(pixels, image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def test_weights_are_exported_beside_the_pictures_of_their_images(tmp_path):
    toy(labels=(1, 0, 1), weights=np.array([0.1, 2, 0], np.float32)).export(tmp_path)
    with (tmp_path / WEIGHTS).open(newline="", encoding="utf-8") as file:
        found = {row["file"]: np.float32(row["weight"]) for row in csv.DictReader(file)}
    assert found == {"a/00000.png": 2, "b/00000.png": np.float32(0.1), "b/00001.png": 0}
    assert all((tmp_path / name).is_file() for name in found)
    toy().export(tmp_path)
    assert not (tmp_path / WEIGHTS).exists()  # these weigh all alike
    (tmp_path / WEIGHTS).write_text("fruit,weight\napple,1\n")
    for weights in (None, np.ones(3, np.float32)):
        with pytest.raises(DecoctError, match="is not of a set that decoct exported"):
            toy(labels=(1, 0, 1), weights=weights).export(tmp_path)
    assert (tmp_path / WEIGHTS).read_text() == "fruit,weight\napple,1\n"


def test_a_learnt_rate_is_exported_beside_the_pictures_and_goes_with_them(tmp_path):
    toy(rate=0.1 + 0.2).export(tmp_path)
    assert json.loads((tmp_path / RATE).read_text()) == {"rate": 0.1 + 0.2}
    toy().export(tmp_path)
    assert not (tmp_path / RATE).exists()
    (tmp_path / RATE).write_text('{"growth": 2}')
    with pytest.raises(DecoctError, match=r"rate.json is not of a set that decoct exported"):
        toy().export(tmp_path)


def test_floats_are_quantised_with_the_true_error_in_the_warning(tmp_path):
    images = np.random.default_rng(0).uniform(-0.1, 1.2, (3, 1, 5, 5)).astype(np.float32)
    with pytest.warns(UserWarning, match="quantised") as caught:
        toy(images).export(tmp_path)
    stored = np.stack(list(read(tmp_path).values()))[:, None] / 255
    worst = np.abs(stored - images).max()
    assert worst > 0.15
    assert f"{worst:.4f}" in str(caught[0].message)
    inside = (images >= 0) & (images <= 1)
    assert np.abs(stored - images)[inside].max() <= 0.5 / 255 + 1e-7


HOSTILE = [
    "../../x",
    "a/b",
    "CON",
    "",
    "..",
    ".",
    "/etc",
    "a\\b",
    "a\0b",
    "ü/ß",
    "日本",
    "x" * 400,
    "-rf",
    "a.",
    " a",
    "a\n",
]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=12), min_size=1, max_size=12))
def test_folder_names_are_one_safe_distinct_part_each_in_class_order(names):
    made = folder_names(names)
    assert made == sorted(made)
    assert len({name.casefold() for name in made}) == len(names)
    for name in made:
        assert 0 < len(name.encode()) <= 255
        assert not set(name) & set('/\\\0\n\t:*?"<>|')
        assert name.strip(" .") == name


def test_plain_names_stay():
    plain = ["0", "T-shirt (grey)", "golden retriever", "zèbre"]
    assert folder_names(plain) == plain
    assert folder_names(["b", "a"]) == ["0_b", "1_a"]


def test_hostile_class_names_never_leave_the_folder(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (len(HOSTILE) + 2, 1, 3, 3), dtype=np.uint8)
    labels = list(range(len(images)))
    inside = tmp_path / "deep" / "down" / "set"
    toy(images, labels=labels, classes=[*HOSTILE, "a_b", "a_b"]).export(inside)
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
    assert [p.name for p in (tmp_path / "deep" / "down").iterdir()] == ["set"]
    found = read(inside)
    assert all(len(Path(name).parts) == 2 for name in found)
    assert all(np.array_equal(pixels, image[0]) for pixels, image in zip(found.values(), images, strict=True))


def damage_truncate(folder):
    blob = (folder / ARRAYS).read_bytes()
    (folder / ARRAYS).write_bytes(blob[: len(blob) // 2])


def damage_facts(change):
    def damage(folder):
        facts = json.loads((folder / FACTS).read_text())
        change(facts)
        (folder / FACTS).write_text(json.dumps(facts))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncate,
        lambda folder: (folder / ARRAYS).write_bytes(b""),
        lambda folder: (folder / ARRAYS).write_bytes(b"\xff" * 64),
        lambda folder: (folder / ARRAYS).unlink(),
        lambda folder: (folder / FACTS).write_text('{"class_names": ["a"'),
        lambda folder: (folder / FACTS).write_bytes(b"\xff\xfe"),
        lambda folder: (folder / FACTS).write_text("[1, 2]"),
        lambda folder: (folder / FACTS).write_text("null"),
        lambda folder: (folder / "cost.json").write_text("{}"),
        damage_facts(lambda facts: facts.pop("provenance")),
        damage_facts(lambda facts: facts.update(class_names=["a"])),
        damage_facts(lambda facts: facts.update(class_names=5)),
        damage_facts(lambda facts: facts.update(provenance={"metod": "x"})),
    ],
)
def test_a_damaged_set_is_an_error_that_says_so(tmp_path, damage):
    replace(toy(), cost=COST).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(DecoctError) as caught:
        Condensed.load(tmp_path)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_folder_without_a_set_is_named(tmp_path):
    with pytest.raises(DecoctError, match="not a saved set"):
        Condensed.load(tmp_path / "nowhere")


def test_picks_are_a_csv_that_others_read_back(tmp_path):
    names = ("=plain", 'a, "quoted"\nname')
    files = {4: "-1+x/1.png", 2: 'y, "z"/2.png', 0: "y/ü.png"}
    picks = toy(indices=np.array([4, 2, 0]), labels=(0, 1, 1), classes=names)
    picks.write_picks(tmp_path / "picks.csv", [files.get(i, "") for i in range(5)])
    with (tmp_path / "picks.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["index", "class", "source"],
        ["4", f"'{names[0]}", f"'{files[4]}"],  # or a spreadsheet would run them
        ["2", names[1], files[2]],
        ["0", names[1], files[0]],
    ]
    replace(picks, weights=np.array([0.1, 0, 3], np.float32)).write_picks(tmp_path / "weighted.csv")
    with (tmp_path / "weighted.csv").open(newline="", encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    assert np.array([row["weight"] for row in told], np.float32).tolist() == np.array([0.1, 0, 3], np.float32).tolist()
    assert [[row["index"], row["class"]] for row in told] == [row[:2] for row in rows[1:]]
    picks.write_picks(tmp_path / "bare.csv")
    with (tmp_path / "bare.csv").open(newline="", encoding="utf-8") as file:
        assert [row[2] for row in csv.reader(file)] == ["source", "", "", ""]
    with pytest.raises(DecoctError, match="toy makes new images"):
        toy().write_picks(tmp_path / "none.csv")


def test_bytes_are_those_of_the_pngs_or_of_the_floats(tmp_path):
    condensed = toy()
    condensed.export(tmp_path)
    assert condensed.image_bytes() == sum(file.stat().st_size for file in tmp_path.rglob("*.png"))
    assert toy(np.zeros((3, 1, 5, 5), np.float32)).image_bytes() == 3 * 25 * 4


def test_bytes_of_picks_are_those_of_their_images():
    train = np.zeros((9, 1, 6, 6), np.uint8)
    train[8] = np.random.default_rng(2).integers(0, 256, (1, 6, 6))
    picks = toy(indices=np.array([8, 0, 8]))
    assert picks.image_bytes(train) == 2 * len(png(train[8])) + len(png(train[0])) != 3 * len(png(train[0]))
    assert picks.materialise(train).image_bytes() == picks.image_bytes(train)
    assert toy().image_bytes(train) == toy().image_bytes()


def test_a_picture_is_grey_or_in_colour():
    grey, colour = picture(np.zeros((1, 2, 5), np.uint8)), picture(np.zeros((3, 2, 5), np.uint8))
    assert (grey.mode, grey.size) == ("L", (5, 2))
    assert (colour.mode, colour.size) == ("RGB", (5, 2))
    assert len(png(np.zeros((1, 2, 5), np.uint8))) > 60
