"""What the work of a job makes of a draft, of labels and of features, by definition."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.kinds import Draft
from decoct.core.record import Provenance, cell_dir, read_json
from decoct.nets import weights
from decoct.run import work
from decoct.run.graph import plan

WHO = Provenance(method="m")


def cells(out, kind, **labels):
    jobs = read_json(out / "run.json")["jobs"]
    mine = [job for job in jobs if job["kind"] == kind and labels.items() <= job["labels"].items()]
    return [cell_dir(out / "store", kind, job["key"]) for job in mine]


def test_picks_take_their_labels_from_the_train_split(digits):
    made = work.from_draft(Draft.selected([5, 3, 9]), digits, WHO)
    assert made.labels.tolist() == digits.train.labels[[5, 3, 9]].tolist()
    assert made.images is None
    assert made.class_names == digits.class_names


def test_a_set_of_mosaics_says_so(digits, tmp_path):
    images = np.zeros((2, 1, 8, 8), np.uint8)
    made = work.from_draft(Draft.synthesised(images, [0, 1], mosaic=2), digits, WHO)
    assert made.mosaic == 2
    work.keep(tmp_path, made, digits, Draft())
    assert Condensed.load(tmp_path).mosaic == 2
    assert work.from_draft(Draft.synthesised(images, [0, 1]), digits, WHO).mosaic == 1


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (Draft(), "neither indices nor images with labels"),
        (Draft(images=np.zeros((1, 1, 8, 8), np.uint8)), "neither indices nor images with labels"),
        (Draft.selected([-1]), "does not have"),
        (Draft.selected([10**6]), "does not have"),
        (Draft.selected([]), "at least one image"),
        (Draft.synthesised(np.zeros((1, 8, 8, 1), np.uint8), [0]), r"shape \(8, 8, 1\); the data's are \(1, 8, 8\)"),
        (Draft.synthesised(np.zeros((1, 1, 8, 8), np.float64), [0]), "uint8 or float32"),
        (Draft.synthesised(np.zeros((1, 1, 8, 8), np.uint8), [10]), "there are 10 names"),
        (Draft.synthesised(np.full((1, 1, 8, 8), np.inf, np.float32), [0]), "not finite"),
    ],
)
def test_a_draft_that_is_no_set_is_refused(digits, draft, said):
    with pytest.raises(DecoctError, match=said):
        work.from_draft(draft, digits, WHO)


@given(n=st.integers(1, 5), classes=st.integers(2, 1000), soft=st.booleans())
def test_label_bytes_are_whole_bytes_for_a_class_and_four_for_a_soft_label(n, classes, soft):
    names = tuple(map(str, range(classes)))
    labels = np.zeros(n, dtype=np.int64)
    softs = np.zeros((n, classes), dtype=np.float32) if soft else None
    made = Condensed(labels, names, WHO, indices=labels, soft_labels=softs)
    assert work.label_bytes(made) == n * (1 if classes <= 256 else 2) + (4 * n * classes if soft else 0)


def test_features_of_unit_length_are(tmp_path):
    rows = np.array([[3, 4], [0, 0], [1, 0]], dtype=np.float32)
    np.save(tmp_path / "train.npy", rows)
    assert np.array_equal(work.load_features(tmp_path, "train"), rows)
    assert work.load_features(tmp_path, "train", "unit").tolist() == pytest.approx(
        np.array([[0.6, 0.8], [0, 0], [1, 0]])
    )


def test_the_accuracy_is_the_share_of_the_bits_that_are_set(finished, digits):
    for folder in cells(finished, "train"):
        result = read_json(folder / "result.json")
        right = np.unpackbits(np.load(folder / "correct.npy"), count=len(digits.test)).astype(bool)
        assert result["accuracy"] == right.mean()
        assert result["test_images"] == len(digits.test)
        by_class = [right[digits.test.labels == c].mean() for c in range(10)]
        assert result["per_class"] == by_class


def test_a_selection_names_its_picks_and_a_distilled_set_its_start(finished, digits):
    for folder in cells(finished, "condense", method="random"):
        made = Condensed.load(folder)
        lines = (folder / "picks.csv").read_text().splitlines()
        assert lines[0] == "index,class,source"
        assert lines[1:] == [f"{i},{digits.class_names[c]}," for i, c in zip(made.indices, made.labels, strict=True)]
    for folder in cells(finished, "condense", method="sre2l"):
        assert {"initial.png", "preview.png"} <= {path.name for path in folder.iterdir()}
        assert not (folder / "picks.csv").exists()


def test_provenance_says_where_a_set_came_from(finished, tiny, digits):
    by_key = {job.key: job for job in plan(tiny, digits)}
    for folder in cells(finished, "condense"):
        who, job = Condensed.load(folder).provenance, by_key[folder.name]
        assert (who.key, who.data, who.data_digest, who.budget) == (job.key, "digits", digits.digest, "ipc=1")
        assert (who.method, who.seed, who.inputs) == (job.config["name"], job.keyed["seed"], job.inputs)


def test_a_teacher_loads_as_it_was_stored(finished, digits):
    for folder in cells(finished, "teacher"):
        net = work.load_teacher(folder, digits, "cpu")
        assert not net.training
        assert not any(p.requires_grad for p in net.parameters())
        facts = read_json(folder / "teacher.json")
        val = torch.from_numpy(np.array(digits.val.images)).float() / 255
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (digits.mean, digits.std))
        top = net((val - mean) / std).argmax(1).numpy()
        assert facts["val_accuracy"] == pytest.approx((top == digits.val.labels).mean(), abs=2 / len(top))


def test_a_stored_teacher_says_its_classes_and_is_no_teacher_of_others(finished, digits):
    for folder in cells(finished, "teacher", net="convnet3_bn"):
        assert tuple(read_json(folder / "teacher.json")["class_names"]) == digits.class_names
        assert weights.read(folder / "weights.safetensors").class_names == digits.class_names
        shuffled = replace(digits, class_names=digits.class_names[::-1])
        with pytest.raises(DecoctError, match="another order: its class 0 is"):
            work.load_teacher(folder, shuffled, "cpu")


def test_a_damaged_stored_teacher_is_an_error(finished, digits, tmp_path):
    (folder,) = cells(finished, "teacher", net="convnet3_bn")
    shutil.copytree(folder, tmp_path / "cell")
    file = tmp_path / "cell" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DecoctError, match="damaged"):
        work.load_teacher(tmp_path / "cell", digits, "cpu")
