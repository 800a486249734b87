"""condense, train, measure and teach: what they leave, what they print, and how they fail."""

import csv
import json
import math
import os
import statistics
from inspect import signature
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from decoct.cli import app
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Axis
from decoct.data.dataset import load_data

FAST = ("--set", "steps=5", "--student", "convnet1_w8")
FEW = ("--draws", "3", "--resamples", "3")


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_condense_leaves_the_set_its_pictures_and_its_picks(decoct, tmp_path):
    out, data = tmp_path / "a" / "set", load_data("digits")
    assert decoct("condense", "random", "--ipc", 2, "--seed", 3, "--out", out).code == 0
    made = Condensed.load(out)
    assert made.class_names == data.class_names
    assert np.bincount(made.labels).tolist() == [2] * 10
    with (out / "picks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == made.indices.tolist()
    assert [row["class"] for row in rows] == [data.class_names[label] for label in made.labels]
    for label, name in enumerate(data.class_names):
        files = sorted((out / "images" / name).iterdir())
        assert [file.name for file in files] == ["00000.png", "00001.png"]
        for file, index in zip(files, made.indices[made.labels == label], strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(file)), data.train.images[index][0])


def test_the_seed_decides_the_picks(decoct, tmp_path):
    sets = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        decoct("condense", "random", "--ipc", 1, "--seed", seed, "--out", tmp_path / name)
        sets[name] = Condensed.load(tmp_path / name).indices.tolist()
    assert sets["a"] == sets["b"] != sets["c"]


def test_a_selection_names_the_originals(decoct, pictures, tmp_path):
    root = pictures("cat", "dog")
    assert decoct("condense", "random", "--data", f"folder:{root}", "--ipc", 2, "--out", tmp_path / "set").code == 0
    with (tmp_path / "set" / "picks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        assert (root / row["source"]).is_file()
        assert row["source"].split("/")[0] == row["class"]


def test_the_size_of_a_folder_is_said_unless_it_is_given(decoct, pictures, tmp_path):
    words = ("condense", "random", "--data", f"folder:{pictures('cat', 'dog')}", "--ipc", 2)
    said = decoct(*words, "--out", tmp_path / "own")
    line = "pictures: all 16 pictures are 12 × 9 px and stay at 9 px, the centre cropped; --size changes that"
    assert said.code == 0 and said.err.splitlines() == [line]
    said = decoct(*words, "--out", tmp_path / "given", "--size", 16)
    assert said.code == 0 and said.err == ""
    for name, size in (("own", 9), ("given", 16)):
        with Image.open(next((tmp_path / name / "images").rglob("*.png"))) as picture:
            assert picture.size == (size, size)


def test_every_command_that_reads_a_folder_takes_a_size():
    takes = {info.callback.__name__: signature(info.callback).parameters.keys() for info in app.registered_commands}
    reads = {name for name, words in takes.items() if "skip_corrupt" in words}
    assert reads >= {"condense", "train", "measure", "teach", "relabel", "export", "run", "plan", "prepare"}
    assert all("size" in takes[name] for name in reads)


def test_condense_cda(decoct, brought, tmp_path):
    out = tmp_path / "set"
    words = ("condense", "cda", "--data", "digits", "--ipc", 2, "--set", "iterations=30", *brought[:2])
    assert decoct(*words, "--out", out).code == 0
    made = Condensed.load(out)
    assert (made.images.shape, made.images.dtype) == ((20, 1, 8, 8), np.uint8)
    fields = made.provenance.spec["fields"]
    assert (fields["preset"], fields["iterations"], fields["scale"]) == ("small", 30, [0.08, 1.0])
    assert made.provenance.not_counted == ("convnet2_bn",)


def test_a_preset_that_nobody_knows_is_a_usage_error(refused, tmp_path):
    said = refused(2, "condense", "edc", "--set", "preset=small_cp", "--out", tmp_path / "set")
    assert "edc has no preset 'small_cp'. Did you mean 'small_cpu'?" in said


def test_a_distilled_set_has_no_picks(decoct, brought, tmp_path):
    out = tmp_path / "set"
    said = decoct("condense", "rded", "--ipc", 1, "--set", "candidates=5", "--out", out, *brought, "--json")
    assert said.code == 0
    facts = json.loads(said.out)
    assert (facts["method"], facts["images"], facts["classes"]) == ("rded", 10, 10)
    assert facts["provenance"]["not_counted"] == ["convnet2_bn"]  # brought along: what it cost is unknown
    assert not (out / "picks.csv").exists()
    assert len(list((out / "images").glob("*/*.png"))) == 10


def test_an_existing_out_is_refused_and_with_force_replaced(decoct, refused, picks):
    before = below(picks)
    assert "--force" in refused(2, "condense", "random", "--ipc", 2, "--out", picks)
    assert below(picks) == before
    assert decoct("condense", "random", "--ipc", 2, "--out", picks, "--force").code == 0
    assert len(Condensed.load(picks)) == 20
    assert not list(picks.parent.glob(".tmp-*"))


def test_force_replaces_no_project(refused, tmp_path):
    out = tmp_path / "project"
    for name in ("thesis.tex", ".git/HEAD"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    before = below(out)
    said = refused(2, "condense", "random", "--ipc", 1, "--out", out, "--force")
    assert "what is on no list there: .git, thesis.tex" in said and "choose another --out" in said
    assert below(out) == before


def test_force_replaces_nothing_where_the_method_fails(refused, picks):
    before = below(picks)
    refused(1, "condense", "random", "--ipc", 1000, "--out", picks, "--force")
    assert below(picks) == before


@pytest.mark.parametrize("target", [".", "..", "../here"])
def test_force_does_not_replace_the_folder_one_is_in(refused, tmp_path, monkeypatch, target):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    refused(2, "condense", "random", "--out", target, "--force")
    assert here.is_dir()


def test_failure_leaves_nothing_at_out(refused, tmp_path):
    (tmp_path / "work").mkdir()
    said = refused(1, "condense", "random", "--ipc", 1000, "--out", tmp_path / "work" / "set")
    assert "ipc=1000" in said and "class '0'" in said
    assert list((tmp_path / "work").iterdir()) == []


def test_a_full_disk_leaves_nothing_at_out(refused, tmp_path, monkeypatch):
    def full(self, folder):
        (folder / "half").mkdir(parents=True)
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(Condensed, "export", full)
    assert "disk is full" in refused(1, "condense", "random", "--ipc", 1, "--out", tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_out_has_a_default(decoct, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert decoct("condense", "random", "--ipc", 1).code == 0
    assert len(Condensed.load("random-ipc1")) == 10
    for words, folder, images in (
        (("--fraction", 0.02), "random-fraction0.02", 26),
        (("--fraction", 0.02, "--balanced"), "random-fraction0.02-balanced", 26),
        (("--images", 7), "random-images7", 7),
        (("--images", 25, "--unbalanced"), "random-images25-unbalanced", 25),
    ):
        assert decoct("condense", "random", *words).code == 0
        assert len(Condensed.load(folder)) == images


HOSTILE = ("-rf", "a\nb", "C:\\x", "we[i]rd$(touch pwned)", "…..", "<script>", "~", "con", "x" * 200)


def test_class_names_never_leave_out(decoct, pictures, tmp_path):
    root = pictures(*HOSTILE)
    before, out = set(below(tmp_path)), tmp_path / "set"
    assert decoct("condense", "random", "--data", f"folder:{root}", "--ipc", 1, "--out", out).code == 0
    new = set(below(tmp_path)) - before
    assert new and all(file.startswith("set/") for file in new)
    assert len(list((out / "images").glob("*/*.png"))) == len(HOSTILE)
    assert Condensed.load(out).class_names == tuple(sorted(HOSTILE))
    # the pictures alone are a set as well
    data = ("--data", f"folder:{root}")
    saved, folder = (decoct("train", s, *data, *FAST, "--json") for s in (out, out / "images"))
    assert (saved.code, folder.code) == (0, 0)
    assert json.loads(saved.out)["accuracy"] == json.loads(folder.out)["accuracy"]


def test_train_prints_fractions_with_their_interval(decoct, picks):
    said = decoct("train", picks, "--data", "digits", "--protocol", "erm", *FAST, "--seeds", "0,1,2", "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert len(found["accuracy"]) == 3 and all(0 <= a <= 1 for a in found["accuracy"])
    assert found["mean"] == pytest.approx(statistics.fmean(found["accuracy"]))
    half = 4.302652729749464 * statistics.stdev(found["accuracy"]) / math.sqrt(3)  # Student's t, 2 degrees, 97.5 %
    assert found["ci95"] == pytest.approx([found["mean"] - half, found["mean"] + half])
    assert (found["seeds"], found["student"], found["protocol"]) == ([0, 1, 2], "convnet1_w8", "erm")
    for a in found["accuracy"]:  # of the 359 test images
        assert a * 359 == pytest.approx(round(a * 359))


def test_train_for_people(decoct, picks):
    one = decoct("train", picks, *FAST)
    assert one.code == 0 and "no interval" in one.out and "%" in one.out
    assert "n = 2" in decoct("train", picks, *FAST, "--seeds", "0,1").out


def test_train_by_teachers_that_are_brought(decoct, picks, brought):
    said = decoct("train", picks, "--protocol", "single_teacher", *FAST, *brought, "--json")
    assert said.code == 0 and json.loads(said.out)["protocol"] == "single_teacher"


def test_measure_gives_rows(decoct, picks, brought):
    said = decoct("measure", picks, "--data", "digits", *FEW, *brought, "--json")
    assert said.code == 0
    rows = json.loads(said.out)
    assert {"metric", "value", "scope", "reference", "extractor", "axis", "higher_is_better"} <= rows[0].keys()
    assert {row["axis"] for row in rows} == set(get_args(Axis))


@pytest.mark.parametrize("columns", ["80", "60"])
def test_no_metric_is_cut_in_a_narrow_terminal(decoct, picks, brought, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    names = {row["metric"] for row in json.loads(decoct("measure", picks, *FEW, *brought, "--json").out)}
    shown = decoct("measure", picks, "--all", *FEW, *brought).out
    assert "…" not in shown
    assert names <= {line.split()[0] for line in shown.splitlines() if line.strip()}


def test_what_leads_is_printed_once_for_each_extractor_and_the_rest_is_counted(decoct, picks, brought):
    rows = json.loads(decoct("measure", picks, *FEW, *brought, "--json").out)
    lines = decoct("measure", picks, *FEW, *brought).out.splitlines()
    lead = {(row["extractor"], row["metric"]) for row in rows if row["lead"]}
    shown = [line.split()[0] for line in lines if line.strip() and " · " not in line]
    assert sorted(name for name in shown if name in {m for _, m in lead}) == sorted(name for _, name in lead)
    assert lines[-1] == f"{len(lead)} of {len(rows)} readings; --all prints them all, --json gives them"


def test_chance_is_asked_for_by_numbers(decoct, picks, brought):
    asked = ("--metric", "vendi", "--extractor", "held_out", "--draws", "3", "--resamples", "0")
    rows = json.loads(decoct("measure", picks, *asked, *brought, "--json").out)
    assert {row["extractor"] for row in rows} == {"test_efficientnet"}
    assert all(row["random_n"] == 3 and row["lo"] is None for row in rows)
    alone = json.loads(decoct("measure", picks, *asked[:4], "--draws", "0", *brought, "--json").out)
    assert all(row["random"] is row["z"] is None for row in alone)


def test_one_metric(decoct, picks, brought):
    rows = json.loads(decoct("measure", picks, "--metric", "vendi", *FEW, *brought, "--json").out)
    assert {row["metric"] for row in rows} == {"vendi", "vendi_per_image", "vendi_cosine"}


def test_a_set_of_new_images_is_measured_by_features_in_files(decoct, refused, tmp_path, brought):
    digits = load_data("digits")
    first = [np.flatnonzero(digits.train.labels == c)[0] for c in range(10)]
    images = digits.train.images.max() - digits.train.images[first]
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(10))
    np.save(tmp_path / "f.npy", digits.train.images.reshape(len(digits.train), -1) / 255)
    np.save(tmp_path / "own.npy", images.reshape(10, -1) / 255)
    asked = ("measure", tmp_path / "set.npz", "--metric", "vendi", "--draws", "0", *brought, "--json")
    word, pixels = f"{tmp_path}/f.npy", json.loads(decoct(*asked, "--extractor", "pixels").out)
    found = json.loads(decoct(*asked, "--extractor", word, "--features", f"{word}={tmp_path}/own.npy").out)
    assert [row["value"] for row in found] == pytest.approx([row["value"] for row in pixels], rel=1e-5)
    assert "--features" in refused(1, *asked, "--extractor", word)
    assert "no FILE.npy among the extractors" in refused(2, *asked, "--features", f"{word}={tmp_path}/own.npy")
    assert "--features takes FILE.npy=SET.npy" in refused(2, *asked, "--features", word)


REFUSED = [  # exit code, words, what the message must hold
    (2, "condense hering", "'herding'"),
    (2, "condense random --data digit", "'digits'"),
    (2, "condense random --size 16", "--size is for folders of pictures; digits has none"),
    (2, "condense random --data folder:none --size 2", "--size"),
    (2, "train SET --student convnet3", "convnet3 hardly learns from 8 px"),
    (2, "teach convnet3", "take convnet2, which fits 8 px"),
    (2, "condense rded --set factr=2", "'factor'"),
    (2, "condense rded --set factor=two", "factor"),
    (2, "condense random --set factor", "KEY=VALUE"),
    (2, "condense random --ipc 0", "--ipc"),
    (2, "condense random --ipc many", "--ipc"),
    (2, "condense random --ipc 1 --images 10", "exactly one of ipc, fraction and images"),
    (2, "condense random --fraction 1.5", "fraction"),
    (2, "condense random --images 0", "--images"),
    (2, "condense random --balanced", "balanced goes with fraction or images"),
    (2, "condense rded --images 25", "rded makes the same number of images of each class"),
    (1, "condense random --images 5000", "fewer than images=5000: lower --images"),
    (2, "condense random --device abacus", "abacus"),
    (2, "condense random --plugin none.py", "none.py"),
    (2, "condense herding --teacher convnet2_bn=none", "none"),
    (2, "condense herding --teacher convnet2_bm=none", "convnet2_bm"),
    (2, "condense", "METHOD"),
    (2, "condense random --fource", "--force"),
    (1, "condense random --data folder:none", "none"),
    (2, "train none", "none"),
    (2, "train SET --protocol er", "'erm'"),
    (2, "train SET --student convnet33", "'convnet3'"),
    (2, "train SET --student resnet19 --data folder:none", "resnet1"),
    (2, "train SET --student timm:resnt18 --data folder:none", "'resnet18'"),
    (2, "train SET --student none.model:make --data folder:none", "no module 'none' in the current folder"),
    (2, "train SET --student resnet18@none.pt --data folder:none", "no file of weights at"),
    (2, "train SET --protocol finetune --student convnet1", "nobody has pretrained convnet1"),
    (2, "train SET --set step=3", "'steps'"),
    (2, "train SET --set steps=0", "steps"),
    (2, "train SET --seeds 0,0", "seed"),
    (2, "train SET --seeds one", "--seeds"),
    (2, "measure SET --metric prcd", "'prdc'"),
    (2, "measure SET --extractor convnet33", "'convnet3'"),
    (2, "measure SET --extractor timm:resnt18 --data folder:none", "'resnet18'"),
    (2, "measure SET --extractor none.npy --data folder:none", "no file at none.npy"),
    (2, "measure SET --extractor timm:resnet18@ --data folder:none", "the file is missing"),
    (2, "measure SET --extractor dinov2@none.pth --data folder:none", "no file at none.pth"),
    (2, "measure SET --extractor timm:clip --data folder:none", "clip is a name of its own, without timm:"),
    (2, "condense herding --set extractor=timm:resnt18", "'resnet18'"),
    (2, "teach convnet33", "'convnet3'"),
    (2, "teach --set epoch=1", "'epochs'"),
    (2, "teach --from none", "none"),
    (2, "teach --out SET", "exists"),
    (2, "teach --stop-at 80", "stop_at"),
    (2, "teach --stop-at most", "--stop-at"),
    (2, "teach --stop-at 0.5 --pretrained", "stop_at is for a net that is trained"),
    (2, "teach convnet2_bn --pretrained", "nobody has pretrained convnet2_bn"),
    (2, "teach convnet2_bn convnet33", "'convnet3'"),
    (2, "teach convnet2_bn teacher --set epochs=1", "each once"),
    (2, "teach convnet3 convnet2_bn --from none", "one net"),
]


@pytest.mark.parametrize(("code", "words", "says"), REFUSED, ids=[words for _, words, _ in REFUSED])
def test_what_is_refused(refused, picks, tmp_path, monkeypatch, code, words, says):
    monkeypatch.chdir(tmp_path)
    before = set(below(tmp_path))
    assert says in refused(code, *(str(picks) if word == "SET" else word for word in words.split()), "--json")
    assert set(below(tmp_path)) == before


def test_a_set_of_other_classes(refused, picks, pictures):
    said = refused(1, "train", picks, *FAST, "--data", f"folder:{pictures('cat', 'dog')}", "--size", 8)
    assert "other classes" in said and "cat" in said


@pytest.fixture
def damaged(pictures):
    root = pictures("cat", "dog")
    whole = (root / "cat" / "0.png").read_bytes()
    (root / "cat" / "empty.png").touch()
    (root / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "text.jpg").write_text("no picture")
    return root


def test_corrupt_images_are_named(refused, damaged, tmp_path):
    said = refused(1, "condense", "random", "--data", f"folder:{damaged}", "--ipc", 1, "--out", tmp_path / "set")
    assert "3 of 19" in said and "--skip-corrupt" in said
    assert all(file in said for file in ("cat/empty.png", "dog/cut.png", "dog/text.jpg"))
    assert not (tmp_path / "set").exists()


def test_skip_corrupt_counts_and_lists_them(decoct, damaged, tmp_path):
    words = ("condense", "random", "--data", f"folder:{damaged}", "--ipc", 1, "--skip-corrupt", "--json")
    for name in ("first", "again"):  # also where the data come from the cache
        said = decoct(*words, "--out", tmp_path / name)
        assert said.code == 0 and json.loads(said.out)["images"] == 2
        assert "left out 3 images" in said.err
        assert all(file in said.err for file in ("cat/empty.png", "dog/cut.png", "dog/text.jpg"))


def test_one_class(refused, pictures):
    assert "only one class, 'cat'" in refused(1, "condense", "random", "--data", f"folder:{pictures('cat')}")


def test_an_empty_class(refused, pictures):
    root = pictures("cat", "dog")
    (root / "eel").mkdir()
    assert "class 'eel'" in refused(1, "condense", "random", "--data", f"folder:{root}")


def test_an_unreadable_folder(refused, pictures, monkeypatch):
    """Not by its mode: whoever is root reads everything."""
    root, scandir = pictures("cat", "dog"), os.scandir

    def locked(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    said = refused(1, "condense", "random", "--data", f"folder:{root}")
    assert "Permission denied" in said and str(root / "dog") in said


def test_a_damaged_set(refused, picks):
    (picks / "condensed.safetensors").write_bytes(b"x")
    assert "damaged" in refused(1, "train", picks, *FAST)


def test_debug_shows_the_traceback_wherever_it_stands(decoct, picks):
    for words in (("--debug", "train", picks, "--seeds", "a"), ("train", picks, "--seeds", "a", "--debug")):
        said = decoct(*words)
        assert said.code == 2 and said.out == ""
        assert "Traceback" in said.err and "UsageError" in said.err
