"""What the work of a job makes of features, students and teachers, by definition."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from decoct import select
from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import silent
from decoct.core.record import cell_dir, read_json
from decoct.core.spec import parse
from decoct.needs.features import Extract, Features, planned, splits_of
from decoct.needs.teacher import load_teacher
from decoct.nets import backbone, weights
from decoct.nets.backbone import embed
from decoct.nets.features import penultimate
from decoct.study.cell import Cell
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.study.work import measuring, sets


def cells(out, kind, **labels):
    jobs = read_json(out / "run.json")["jobs"]
    mine = [job for job in jobs if job["kind"] == kind and labels.items() <= job["labels"].items()]
    return [cell_dir(out / "store", kind, job["key"]) for job in mine]


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
        net = load_teacher(folder, digits, "cpu")
        assert not net.training
        assert not any(p.requires_grad for p in net.parameters())
        facts = read_json(folder / "teacher.json")
        val = torch.from_numpy(np.array(digits.val.images)).float() / 255
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (digits.mean, digits.std))
        top = net((val - mean) / std).argmax(1).numpy()
        assert facts["val_accuracy"] == pytest.approx((top == digits.val.labels).mean(), abs=2 / len(top))


def test_a_stored_teacher_says_its_classes_and_is_no_teacher_of_others(finished, digits):
    for folder in cells(finished, "teacher", net="convnet2_bn"):
        assert tuple(read_json(folder / "teacher.json")["class_names"]) == digits.class_names
        assert weights.read(folder / "weights.safetensors").class_names == digits.class_names
        shuffled = replace(digits, class_names=digits.class_names[::-1])
        with pytest.raises(DecoctError, match="another order: its class 0 is"):
            load_teacher(folder, shuffled, "cpu")


def test_a_damaged_stored_teacher_is_an_error(finished, digits, tmp_path):
    (folder,) = cells(finished, "teacher", net="convnet2_bn")
    shutil.copytree(folder, tmp_path / "cell")
    file = tmp_path / "cell" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DecoctError, match="damaged"):
        load_teacher(tmp_path / "cell", digits, "cpu")


def small(word, **options):
    return Extract(name=word, size=32, **options)


def herding(word):
    method = parse("condenser", {"name": "herding", "extractor": str(word)})
    return lambda planner: planner.condense("herding", method, Budget(ipc=2), 0)


def test_features_of_a_teacher_are_what_numpy_saves_of_its_penultimate_ones(finished, digits):
    for folder, job in zip(cells(finished, "features"), ["convnet2_bn", "test_efficientnet"], strict=True):
        (teacher,) = cells(finished, "teacher", net=job)
        net = load_teacher(teacher, digits, "cpu")
        assert sorted(file.name for file in folder.iterdir()) == sorted(
            [
                "cell.json",
                "measured.json",
                "train.npy",
                "val.npy",
                "map.json",
                "map.npy",
                "map_classes.npy",
                "plane.npy",
            ]
        )
        for name, split in (("train", digits.train), ("val", digits.val)):
            buffer = io.BytesIO()
            np.save(buffer, penultimate(net, split.images, digits.mean, digits.std).numpy())
            assert (folder / f"{name}.npy").read_bytes() == buffer.getvalue()


def test_a_teacher_s_features_may_be_half_as_large_and_are_another_cell(box, digits):
    half = Extract(name="teacher", dtype="float16")
    (usual, whole), (job, folder) = (
        box(lambda planner: planner.job(Features(extractor="teacher")), extractors=extractors)
        for extractors in ((), (half,))
    )
    assert usual.key != job.key and usual.inputs == job.inputs
    assert usual.keyed["spec"] | {"dtype": "float16"} == job.keyed["spec"]
    assert job.labels == usual.labels == {"extractor": "convnet2_bn"}
    for split in ("train", "val"):
        full, short = (splits_of(each)[split] for each in (whole, folder))
        assert np.array_equal(short, full.astype(np.float16)) and short.dtype == np.float16
    named, _ = box(lambda planner: planner.job(Features(extractor="convnet2_bn")), extractors=(half,))
    assert named.key == job.key


def test_features_of_a_frozen_net_lie_beside_its_weights(box, digits, weighed):
    word = f"timm:test_resnet@{weighed}"
    job, folder = box(lambda planner: planner.job(Features(extractor=word)), extractors=[small(word)])
    net, facts = backbone.load("test_resnet", weighed, 32)
    for split in ("train", "val"):
        expected = torch.cat(list(embed(net, getattr(digits, split).images))).numpy()
        assert np.array_equal(splits_of(folder)[split], expected)
    title = job.labels["extractor"]
    assert read_json(folder / "extractor.json") == {"extractor": title, **facts}
    assert title.startswith("timm:test_resnet@") and str(weighed) not in str(job.keyed)
    again = measuring.load_backbone(folder, "cpu")
    assert torch.equal(torch.cat(list(embed(again, digits.val.images))), torch.from_numpy(expected))


def test_a_file_is_keyed_by_its_content_in_features_and_sets_alike(box, digits, weighed, rows, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for before, after, file, options in (
        (f"timm:test_resnet@{weighed}", f"timm:test_resnet@{tmp_path}/w.safetensors", weighed, [small]),
        (str(rows), f"{tmp_path}/elsewhere/p.npy", rows, []),
    ):
        shutil.copy(file, after.rpartition("@")[2])
        (one, first), (other, second) = (
            box(herding(word), extractors=[option(word) for option in options]) for word in (before, after)
        )
        assert one.key == other.key and first == second
        said = (first / "condensed.json").read_text("utf-8") + (first / "cell.json").read_text("utf-8")
        assert str(tmp_path) not in said and str(weighed.parent) not in said
        (name,) = one.role("features")
        made = Condensed.load(first)
        assert made.provenance.not_counted == (name,)
        assert made.provenance.spec["fields"]["extractor"] == one.config["extractor"] == name


def test_picks_by_features_that_were_brought_are_those_of_their_rows(box, digits, rows):
    _, folder = box(herding(rows))
    pixels, picked = np.load(rows).astype(np.float32), []
    for c in range(10):
        members = np.flatnonzero(digits.train.labels == c)
        picked += members[np.asarray(select.herding(pixels[members], 2))].tolist()
    assert Condensed.load(folder).indices.tolist() == picked
    assert (folder.parents[2] / "unfinished" / "condense" / folder.name).exists() is False


def test_there_is_no_val_unless_it_is_brought(box, digits, rows):
    def held_out(**needs):
        method = parse("condenser", {"name": "herding", "extractor": str(rows)})
        job, _ = box(lambda planner: planner.condense("herding", method, Budget(ipc=2), 0))
        cell = Cell(job, Store(box(herding(rows))[1].parents[2]), rows.parent, digits, "cpu", silent)
        inputs = sets.needed(cell, parse("condenser", job.config))
        (need,) = inputs.features
        assert np.array_equal(inputs.features[need], np.load(rows).astype(np.float32))
        return inputs.held_out.get(need)

    assert held_out() is None
    half = digits.val.images.reshape(len(digits.val), -1).astype(np.float16)
    np.save(rows.with_name("pixels.val.npy"), half)
    assert np.array_equal(held_out(), half)


def test_rows_that_do_not_fit_the_data_are_refused_before_anything_runs(digits, rows):
    np.save(rows, np.ones((3, 2)))
    with pytest.raises(DecoctError, match="has 3 rows, digits has 1,295 train images"):
        Planner(digits).job(Features(extractor=str(rows)))


def test_a_file_that_changes_between_plan_and_work_is_an_error(digits, rows, tmp_path):
    job = Planner(digits).job(Features(extractor=str(rows)))
    np.save(rows, np.load(rows) * 2)
    with pytest.raises(DecoctError, match=r"pixels\.npy has changed since its features were planned"):
        execute(tmp_path, job)
    assert not Store(tmp_path).has("features", job.key)


def test_what_float16_cannot_hold_leaves_no_cell(digits, rows, tmp_path):
    pixels = np.load(rows)
    pixels[1000, 3] = 7e4
    np.save(rows, pixels)
    job = Planner(digits, extractors=[Extract(name=str(rows), dtype="float16")]).job(Features(extractor=str(rows)))
    with pytest.raises(DecoctError, match=r"pixels.npy: features of image 1000 reach 7e\+04.*\n.*float32"):
        execute(tmp_path, job)
    assert not Store(tmp_path).has("features", job.key)
    held = Planner(digits).job(Features(extractor=str(rows)))
    execute(tmp_path, held)
    assert splits_of(Store(tmp_path).path("features", held.key))["train"][1000, 3] == 7e4


def test_options_are_given_once_whatever_the_words(digits, weighed, tmp_path):
    shutil.copy(weighed, tmp_path / "copy.safetensors")
    words = [f"timm:test_resnet@{file}" for file in (weighed, tmp_path / "copy.safetensors")]
    with pytest.raises(UsageError, match="give options of an extractor once"):
        Planner(digits, extractors=[small(word) for word in words])
    planner = Planner(digits, extractors=[small(words[0])])
    assert planned(planner, words[1]).size == 32
