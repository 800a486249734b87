"""Sets that others made, in every kind of file: read exactly, or refused with what to do."""

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from safetensors.numpy import save_file

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.hub_folder import write_hub_folder, write_parquet
from decoct.core.record import Provenance
from decoct.data.dataset import load_data
from decoct.data.external.read import load_set, soft_labels
from decoct.data.external.stored import SetFormat
from decoct.data.pixels import Pixels

INDEX = "by index, taken as the data's order"


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image[0]).save(buffer, "png")
    return buffer.getvalue()


def write_rows(path, theirs, labels=None, names=None, image=lambda content: {"bytes": content, "path": None}):
    table = pa.table({"image": [image(png(one)) for one in theirs.images], "label": labels or theirs.labels.tolist()})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
    return path


def npz(folder, theirs):
    np.savez(folder / "a.npz", images=theirs.images.transpose(0, 2, 3, 1), labels=theirs.labels)
    return folder / "a.npz"


def short_names(folder, theirs):
    np.savez_compressed(folder / "b.npz", x=theirs.images, y=theirs.labels.astype(np.uint8))
    return folder / "b.npz"


def tensors(folder, theirs):
    save_file({"images": theirs.images, "labels": theirs.labels}, folder / "c.safetensors")
    return folder / "c.safetensors"


def dictionary(folder, theirs):
    torch.save({"images": torch.tensor(theirs.images), "labels": torch.tensor(theirs.labels)}, folder / "d.pt")
    return folder / "d.pt"


def pair(folder, theirs):
    torch.save((torch.tensor(theirs.images), torch.tensor(theirs.labels)), folder / "e.pth")
    return folder / "e.pth"


def experiments(folder, theirs):
    one = [torch.tensor(theirs.images), torch.tensor(theirs.labels)]
    torch.save({"data": [one], "accs_all_exps": {"ConvNet": [0.5]}}, folder / "f.pt")
    return folder / "f.pt"


def two_files(folder, theirs):
    torch.save(torch.tensor(theirs.images), folder / "images_best.pt")
    torch.save(torch.tensor(theirs.labels), folder / "labels_best.pt")
    return folder / "images_best.pt"


def one_parquet(folder, theirs):
    return write_rows(folder / "g.parquet", theirs)


def bytes_alone(folder, theirs):
    return write_rows(folder / "h.parquet", theirs, image=lambda content: content)


FILES = [npz, short_names, tensors, dictionary, pair, experiments, two_files, one_parquet, bytes_alone]


@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
def test_every_kind_of_file_gives_the_same_set(digits, theirs, tmp_path, write):
    path = write(tmp_path, theirs)
    found = load_set(path, digits)
    np.testing.assert_array_equal(found.images, theirs.images)
    np.testing.assert_array_equal(found.labels, theirs.labels)
    assert found.images.dtype == np.uint8 and found.class_names == digits.class_names and found.cost is None
    assert found.provenance.method == path.stem
    assert found.provenance.spec["fields"]["classes"] == INDEX


@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
def test_a_truncated_file_is_refused(digits, theirs, tmp_path, write):
    path = write(tmp_path, theirs)
    whole = path.read_bytes()
    for keep in (0, 1, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:keep])
        with pytest.raises(DecoctError) as error:
            load_set(path, digits)
        assert 1 <= len(str(error.value).splitlines()) <= 3


class Bad:
    """Would write a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_is_unpickled(digits, theirs, tmp_path):
    trap = tmp_path / "trap"
    objects = np.array([Bad(trap)] * 20, dtype=object)
    np.savez(tmp_path / "bad.npz", images=objects, labels=theirs.labels)
    torch.save({"images": torch.tensor(theirs.images), "labels": Bad(trap)}, tmp_path / "bad.pt")
    for name, said in (("bad.npz", "Python objects"), ("bad.pt", "more than tensors")):
        with pytest.raises(DecoctError, match=said):
            load_set(tmp_path / name, digits)
    assert not trap.exists()


def test_names_in_the_file_decide_the_order(digits, theirs, tmp_path):
    names = digits.class_names[::-1]
    flipped = 9 - theirs.labels
    np.savez(tmp_path / "a.npz", images=theirs.images, labels=flipped, class_names=np.array(names))
    torch.save({"images": torch.tensor(theirs.images), "labels": flipped.tolist(), "class_names": list(names)},
               tmp_path / "b.pt")  # fmt: skip
    save_file({"x": theirs.images, "y": flipped}, tmp_path / "c.safetensors", {"class_names": json.dumps(names)})
    write_rows(tmp_path / "d.parquet", theirs, flipped.tolist(), list(names))
    write_rows(tmp_path / "e.parquet", theirs, [names[c] for c in flipped])
    for path in sorted(tmp_path.iterdir()):
        found = load_set(path, digits)
        np.testing.assert_array_equal(found.labels, theirs.labels)
        assert found.provenance.spec["fields"]["classes"] == "by name"
    np.savez(tmp_path / "f.npz", images=theirs.images, labels=flipped, class_names=np.array([*names[:-1], "ten"]))
    with pytest.raises(DecoctError, match="missing: 0; unknown: ten"):
        load_set(tmp_path / "f.npz", digits)


def test_a_file_of_several_sets_asks_which(digits, theirs, tmp_path):
    first = [torch.tensor(theirs.images), torch.tensor(theirs.labels)]
    second = [torch.tensor(255 - theirs.images), torch.tensor(theirs.labels)]
    torch.save({"data": [first, second]}, tmp_path / "res.pt")
    with pytest.raises(DecoctError, match="holds 2 sets: say which with --number, from 0 to 1"):
        load_set(tmp_path / "res.pt", digits)
    found = load_set(tmp_path / "res.pt", digits, SetFormat(number=1))
    np.testing.assert_array_equal(found.images, 255 - theirs.images)
    with pytest.raises(DecoctError, match="none of number 2"):
        load_set(tmp_path / "res.pt", digits, SetFormat(number=2))


def test_soft_labels_and_weights_come_along_in_the_data_s_order(digits, theirs, tmp_path):
    rng = np.random.default_rng(0)
    logits, weights = rng.normal(0, 3, (20, 10)).astype(np.float32), rng.random(20).astype(np.float32)
    order = rng.permutation(10)
    names = np.array(digits.class_names)[order]
    np.savez(tmp_path / "a.npz", images=theirs.images, labels=np.argsort(order)[theirs.labels], class_names=names,
             soft_labels=logits[:, order], weights=weights)  # fmt: skip
    found = load_set(tmp_path / "a.npz", digits)
    expected = torch.tensor(logits).softmax(1).numpy()
    np.testing.assert_allclose(found.soft_labels, expected, atol=1e-6)
    np.testing.assert_array_equal(found.weights, weights)
    np.testing.assert_array_equal(found.labels, theirs.labels)
    assert found.provenance.spec["fields"]["soft_labels"] == "softmax of the logits"
    torch.save({"images": torch.tensor(theirs.images), "labels": torch.tensor(expected)}, tmp_path / "b.pt")
    hard = np.array(digits.class_names)[expected.argmax(1)]
    if len(set(hard)) == 10:
        assert (np.array(digits.class_names)[load_set(tmp_path / "b.pt", digits).labels] == hard).all()


def test_datm_s_two_files_hold_logits_and_the_largest_is_the_class(digits, theirs, tmp_path):
    logits = 5 * np.eye(10, dtype=np.float32)[theirs.labels] - 1
    torch.save(torch.tensor(theirs.images), tmp_path / "images_best.pt")
    torch.save(torch.tensor(logits), tmp_path / "labels_best.pt")
    found = load_set(tmp_path / "images_best.pt", digits)
    np.testing.assert_array_equal(found.labels, theirs.labels)
    np.testing.assert_allclose(found.soft_labels, torch.tensor(logits).softmax(1).numpy(), atol=1e-6)
    assert found.rate is None
    torch.save(torch.tensor(0.03, dtype=torch.float64), tmp_path / "lr_best.pt")
    assert load_set(tmp_path / "images_best.pt", digits).rate == pytest.approx(0.03)
    torch.save(torch.tensor(float("nan")), tmp_path / "lr_best.pt")
    with pytest.raises(DecoctError, match="the learnt rate is nan"):
        load_set(tmp_path / "images_best.pt", digits)


def test_a_learnt_rate_may_stand_beside_the_arrays(digits, theirs, tmp_path):
    np.savez(tmp_path / "a.npz", images=theirs.images, labels=theirs.labels, syn_lr=np.float32(0.25))
    assert load_set(tmp_path / "a.npz", digits).rate == 0.25
    np.savez(tmp_path / "a.npz", images=theirs.images, labels=theirs.labels, lr=np.ones(3))
    with pytest.raises(DecoctError, match="3 learnt rates: a set has one"):
        load_set(tmp_path / "a.npz", digits)


def test_whitened_images_of_the_authors_come_back_to_pixels(digits, theirs, tmp_path):
    white = load_data("digits", tmp_path / "data", zca=True)
    seen = Pixels.seen(white, "cpu")
    whitened = seen.normalise(seen.load(theirs.images)).numpy()
    np.savez(tmp_path / "a.npz", images=whitened, labels=theirs.labels)
    found = load_set(tmp_path / "a.npz", white, SetFormat(normalised="zca"))
    np.testing.assert_allclose(found.images, theirs.images / 255, atol=1e-4)
    with pytest.raises(DecoctError, match="--normalised zca is for data with zca = true"):
        load_set(tmp_path / "a.npz", digits, SetFormat(normalised="zca"))


def test_one_hot_labels_are_hard_ones(digits, theirs, tmp_path):
    np.savez(tmp_path / "a.npz", images=theirs.images, labels=np.eye(10, dtype=np.int64)[theirs.labels])
    found = load_set(tmp_path / "a.npz", digits)
    np.testing.assert_array_equal(found.labels, theirs.labels)
    assert found.soft_labels is None


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (np.ones((4, 2)) / 2, r"\[4, 3\], not \[4, 2\]"),
        (np.ones((3, 3)) / 3, r"\[4, 3\], not \[3, 3\]"),
        (np.full((4, 3), np.nan), "finite"),
        (np.zeros((4, 3), np.int64), "float numbers"),
    ],
)
def test_soft_labels_that_do_not_fit_are_refused(stored, said):
    with pytest.raises(DecoctError, match=said):
        soft_labels(stored, 4, 3, None)


def test_probabilities_stay_as_they_are():
    rows = np.array([[0.25, 0.75, 0], [1, 0, 0]], np.float16)
    found, said = soft_labels(rows, 2, 3, [2, 0, 1])
    assert found.tolist() == [[0.75, 0, 0.25], [0, 0, 1]] and said == "probabilities"


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.zeros((0, 1, 8, 8), np.uint8), "labels": np.zeros(0, np.int64)}, "empty"),
        ({"images": np.zeros((2, 1, 8, 8), np.uint8), "labels": np.zeros(3, np.int64)}, "2 images and 3 labels"),
        ({"images": np.zeros((2, 1, 8, 8), np.uint8)}, "it needs 'labels'"),
        ({"labels": np.zeros(2, np.int64)}, "it needs 'images'"),
        ({"images": np.zeros(2), "x": np.zeros(2), "labels": np.zeros(2)}, "'images' and 'x', which could both"),
        ({}, "holds nothing"),
    ],
)
def test_arrays_that_make_no_set_are_refused(digits, tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DecoctError, match=said):
        load_set(tmp_path / "a.npz", digits)


@pytest.mark.parametrize("held", [[1, 2], "words", {"images": "none"}, 3])
def test_files_of_torch_of_another_form_are_refused(digits, tmp_path, held):
    torch.save(held, tmp_path / "a.pt")
    with pytest.raises(DecoctError):
        load_set(tmp_path / "a.pt", digits)


def test_images_without_labels_beside_them_say_where_they_are_looked_for(digits, theirs, tmp_path):
    torch.save(torch.tensor(theirs.images), tmp_path / "images_best.pt")
    with pytest.raises(DecoctError, match="holds images alone: put their labels beside it"):
        load_set(tmp_path / "images_best.pt", digits)


def test_a_folder_of_shards_has_splits(digits, theirs, tmp_path):
    write_rows(tmp_path / "set" / "data" / "train-00000-of-00001.parquet", theirs)
    write_rows(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", theirs, (9 - theirs.labels).tolist())
    found = load_set(tmp_path / "set", digits)
    np.testing.assert_array_equal(found.labels, theirs.labels)
    other = load_set(tmp_path / "set", digits, SetFormat(split="test"))
    np.testing.assert_array_equal(other.labels, 9 - theirs.labels)
    with pytest.raises(DecoctError, match="no split 'val': say one of test, train with --split"):
        load_set(tmp_path / "set", digits, SetFormat(split="val"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"picture": [b""], "label": [0]}, "one called 'images'"),
        ({"image": [b""]}, "one called 'labels'"),
        (
            {"image": [{"bytes": None, "path": "/etc/passwd"}], "label": [0]},
            "row 0 of 'image' holds no picture's bytes",
        ),
        ({"image": [b"x"], "label": [None]}, "row 0 has no label"),
        ({"image": [b"x"], "label": [0], "soft_label": [["a"]]}, "does not hold as many numbers"),
    ],
)
def test_parquet_that_makes_no_set_is_refused(digits, tmp_path, columns, said):
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DecoctError, match=said):
        load_set(tmp_path / "a.parquet", digits)


def test_class_folders_by_number_or_below_a_split(digits, theirs, tmp_path):
    for root in (tmp_path / "a", tmp_path / "b" / "train"):
        for row, (image, label) in enumerate(zip(theirs.images, theirs.labels, strict=True)):
            folder = root / f"{label:05d}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{row:03d}.png").write_bytes(png(image))
    order = np.argsort(theirs.labels, kind="stable")
    for name in "ab":
        found = load_set(tmp_path / name, digits)
        np.testing.assert_array_equal(found.images, theirs.images[order])
        assert found.provenance.method == name
        assert found.provenance.spec["fields"]["classes"] == INDEX


def test_a_set_of_the_hub_is_found_in_its_cache(digits, theirs, tmp_path, monkeypatch):
    from huggingface_hub import constants

    cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repo, commit = cache / "datasets--somebody--tiny-ipc2", "0" * 40
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    write_rows(repo / "snapshots" / commit / "data" / "train-00000-of-00001.parquet", theirs)
    found = load_set("hub:somebody/tiny-ipc2", digits)
    np.testing.assert_array_equal(found.images, theirs.images)
    assert found.provenance.method == "tiny-ipc2"
    with pytest.raises(DecoctError, match=r"cannot get somebody/other from the hub: .*\n.*local copy"):
        load_set("hub:somebody/other", digits)
    with pytest.raises(UsageError, match="hub:OWNER/NAME"):
        load_set("hub:../../etc", digits)


def test_what_is_no_set_is_told(digits, tmp_path):
    with pytest.raises(UsageError, match="no set at"):
        load_set(tmp_path / "none", digits)
    (tmp_path / "set.txt").write_text("no")
    with pytest.raises(UsageError, match=r"a file is one of \.npz"):
        load_set(tmp_path / "set.txt", digits)


@pytest.mark.parametrize("write", [write_parquet, write_hub_folder], ids=["parquet", "hub folder"])
def test_what_decoct_exported_comes_back_whole(digits, theirs, tmp_path, write):
    rng = np.random.default_rng(0)
    soft = rng.dirichlet(np.ones(10), 20).astype(np.float32)
    who = Provenance(method="mine", data="digits", data_digest=digits.digest, budget="ipc=2", seed=3)
    given = Condensed(theirs.labels, digits.class_names, who, images=theirs.images, soft_labels=soft,
                      weights=rng.random(20).astype(np.float32), mosaic=2)  # fmt: skip
    write(tmp_path / "out.parquet", given)
    found = load_set(tmp_path / "out.parquet", digits)
    for name in ("labels", "images", "soft_labels", "weights"):
        np.testing.assert_allclose(getattr(found, name), getattr(given, name), rtol=1e-6)
    assert (found.images == given.images).all()
    assert found.provenance == who and found.mosaic == 2


def header(shape, dtype="|u1"):
    """An .npy that states a shape and holds no byte of it."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.uint8(3)}, "images are a single value"),
        ({"labels": np.int64(3)}, "labels are a single value"),
        ({"weights": np.array(["heavy"] * 20)}, "weights are of the type <U5, which is no number"),
        ({"weights": np.float32(1)}, "weights are a single value"),
        ({"images": np.array(["a"] * 20)}, "images are of the type"),
        ({"labels": np.zeros(20, "M8[s]")}, "labels are of the type datetime64"),
        ({"rate": np.array(["fast"])}, "rate are of the type"),
        ({"rate": np.array([1j])}, "rate are of the type complex128"),
    ],
)
def test_arrays_of_a_wrong_kind_are_told(digits, theirs, tmp_path, arrays, said):
    np.savez(tmp_path / "bad.npz", **({"images": theirs.images, "labels": theirs.labels} | arrays))
    with pytest.raises(DecoctError, match=said):
        load_set(tmp_path / "bad.npz", digits)


def test_a_header_that_claims_terabytes_asks_for_no_memory(digits, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("images.npy", header((2_000_000_000_000, 4)))
    with pytest.raises(DecoctError, match=r"header of 'images\.npy' states 8,000,000,000,000 bytes"):
        load_set(tmp_path / "bad.npz", digits)


def test_a_column_whose_name_is_no_text_is_damage(digits, theirs, tmp_path):
    """Found by ``benchmarks/fuzz.py``: Parquet's schema is read, and its names only when they are asked for."""
    parquet.write_table(pa.table({"labels": theirs.labels, "imagesXY": theirs.labels}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data.replace(b"imagesXY", b"images\xff\xfe"))
    with pytest.raises(DecoctError, match="damaged or no Parquet file"):
        load_set(tmp_path / "a.parquet", digits)
