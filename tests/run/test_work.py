"""What the work of a job makes of features, students and teachers, by definition."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from decoct.core.errors import DecoctError
from decoct.core.record import cell_dir, read_json
from decoct.nets import weights
from decoct.run import work


def cells(out, kind, **labels):
    jobs = read_json(out / "run.json")["jobs"]
    mine = [job for job in jobs if job["kind"] == kind and labels.items() <= job["labels"].items()]
    return [cell_dir(out / "store", kind, job["key"]) for job in mine]


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
