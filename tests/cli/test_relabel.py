"""relabel, and train on what it leaves."""

import json

import numpy as np
import pytest

from decoct.core.condensed import Condensed
from decoct.core.owned import LIST
from decoct.core.scratch import written
from decoct.training.softlabels import StoredLabels

SOFT = ("--protocol", "single_teacher", "--student", "convnet1_w8")
STEPS = ("--set", "steps=20")


def below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def labelled(decoct, picks, brought, tmp_path):
    """A set of ten digits with labels of two of twenty views."""
    out = tmp_path / "out"
    words = ("relabel", picks, "--data", "digits", "--bits", 8, "--prune", 10, *STEPS, "--out", out, "--json")
    said = decoct(*words, *brought)
    assert said.code == 0, said.err
    return out, json.loads(said.out)


def test_a_set_with_labels_is_the_set_and_its_labels(labelled, picks):
    out, facts = labelled
    labels, before, after = StoredLabels.load(out), below(picks), below(out)
    assert {name: after[name] for name in before} | {LIST: before[LIST]} == before
    assert after.keys() - before.keys() == {"labels.json", "labels.safetensors"}
    assert labels.facts["storing"] == {"per": "view", "bits": 8, "top_k": None, "prune": 10.0, "by": "batch"}
    assert facts == {
        "out": str(out),
        "protocol": "single_teacher",
        "images": 10,
        "labels": 20,
        "label_bytes": labels.nbytes,
        "bytes_per_class": labels.nbytes / 10,
        "storing": labels.facts["storing"],
    }
    assert labels.nbytes == 20 * (10 + 4 + 1 + 2) + 2  # codes, range, row and corner; and a size a batch
    assert not list(out.parent.glob(".tmp-*"))


def test_train_learns_from_them_without_the_teacher(decoct, labelled, picks, tmp_path):
    """No teacher is brought along or trained: the labels alone decide."""
    out, facts = labelled
    said = decoct("train", out, *SOFT, *STEPS, "--seeds", "0,1", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["labels"], found["label_bytes"], found["steps"]) == ("stored", 10 + facts["label_bytes"], 20)
    assert found["protocol"] == "single_teacher"
    longer = json.loads(decoct("train", out, *SOFT, "--set", "steps=25", "--json").out)
    assert (longer["labels"], longer["steps"]) == ("stored", 25)  # what is kept is used again


def test_without_labels_the_teacher_labels_online(decoct, picks, brought):
    found = json.loads(decoct("train", picks, *SOFT, *STEPS, "--json", *brought).out)
    assert (found["labels"], found["label_bytes"]) == ("online", 10)


def test_hard_labels_take_no_notice(decoct, labelled, picks):
    out, _ = labelled
    scores = [json.loads(decoct("train", s, *SOFT[2:], "--set", "steps=5", "--json").out) for s in (picks, out)]
    assert scores[0] == scores[1]
    assert (scores[0]["labels"], scores[0]["label_bytes"], scores[0]["protocol"]) == ("hard", 10, "erm")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("batch=5", "batch 10 (the protocol's is 5)"),
        ("cutmix=1.0", "cutmix 0.0 (the protocol's is 1.0)"),
        ("augment=false", "pad 1 (the protocol's is 0)"),
    ],
)
def test_a_protocol_of_other_views_is_refused_with_what_to_do(labelled, refused, setting, said):
    error = refused(1, "train", labelled[0], *SOFT, *STEPS, "--set", setting)
    assert said in error.replace("\n", " ")
    assert "relabel the set with the protocol" in error


def test_a_set_that_was_changed_after_it_was_labelled_is_refused(decoct, labelled, refused, picks, tmp_path):
    out, _ = labelled
    other = tmp_path / "other"
    assert decoct("condense", "random", "--ipc", 1, "--seed", 5, "--out", other).code == 0
    for name in ("labels.json", "labels.safetensors"):
        (other / name).write_bytes((out / name).read_bytes())
    assert "another set: relabel this one ('decoct relabel')" in refused(1, "train", other, *SOFT, *STEPS)


def test_damaged_labels_are_refused(labelled, refused):
    file = labelled[0] / "labels.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    assert "damaged" in refused(1, "train", labelled[0], *SOFT, *STEPS)


def test_an_existing_out_is_refused_and_with_force_replaced(decoct, labelled, refused, picks, brought):
    out, _ = labelled
    before = below(out)
    assert "--force" in refused(2, "relabel", picks, *STEPS, "--out", out, *brought)
    assert below(out) == before
    said = decoct("relabel", picks, *STEPS, "--per", "image", "--out", out, "--force", "--json", *brought)
    assert said.code == 0, said.err
    assert json.loads(said.out)["labels"] == 10
    assert StoredLabels.load(out).facts["storing"]["per"] == "image"
    (out / "mine.txt").write_text("keep me")
    before = below(out)
    assert "mine.txt" in refused(2, "relabel", picks, *STEPS, "--out", out, "--force", *brought)
    assert below(out) == before


def test_labels_may_be_put_over_those_that_a_set_has(decoct, labelled, brought, tmp_path):
    out, facts = labelled
    again = tmp_path / "again"
    said = decoct("relabel", out, *STEPS, "--bits", 16, "--out", again, "--json", *brought)
    assert said.code == 0, said.err
    assert json.loads(said.out)["label_bytes"] == StoredLabels.load(again).nbytes > facts["label_bytes"]
    assert StoredLabels.load(out).nbytes == facts["label_bytes"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--protocol erm", 2, "single_teacher"),
        ("--protocol dc", 2, "single_teacher"),
        ("--protocol emr", 2, "'erm'"),
        ("--bits 4", 2, "bits"),
        ("--per crop", 2, "per"),
        ("--by chance", 2, "by"),
        ("--prune 0.5", 2, "--prune"),
        ("--top-k 0", 2, "--top-k"),
        ("--set stpes=3", 2, "'steps'"),
        ("--data digit", 2, "'digits'"),
        ("--teacher convnet2_bn=none.pt", 2, "none.pt"),
        ("--set steps=1 --set hard=0.9", 2, "no step of 1"),
    ],
)
def test_what_cannot_be_meant_leaves_nothing(refused, picks, brought, tmp_path, words, code, said):
    before = sorted(path.name for path in tmp_path.iterdir())
    more = () if "--teacher" in words else brought
    assert said in refused(code, "relabel", picks, *words.split(), "--out", tmp_path / "out", *more)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_no_set_there(refused, tmp_path):
    assert "no set at" in refused(2, "relabel", tmp_path / "none")


def test_a_set_of_other_classes_leaves_nothing(decoct, refused, picks, pictures, tmp_path):
    root = pictures("cat", "dog")
    error = refused(1, "relabel", picks, "--data", f"folder:{root}", "--size", 9, "--out", tmp_path / "out")
    assert "other classes" in error
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing_at_out(refused, picks, brought, tmp_path, monkeypatch):
    save = StoredLabels.save

    def full(self, folder):
        if written(folder.name) == "out":
            (folder / "half").touch()
            raise OSError(28, "No space left on device", str(folder))
        save(self, folder)

    monkeypatch.setattr(StoredLabels, "save", full)
    assert "disk is full" in refused(1, "relabel", picks, *STEPS, "--out", tmp_path / "out", *brought)
    assert [path.name for path in tmp_path.iterdir()] == ["picks"]


@pytest.mark.parametrize("target", ["here", ".", "..", "here/set", "here/set/in", "here/set/deep/in"])
def test_out_is_neither_where_one_is_nor_around_nor_inside_the_set(refused, picks, brought, monkeypatch, target):
    here = picks.parent / "here"
    (here / "set").parent.mkdir()
    picks.rename(here / "set")
    monkeypatch.chdir(here)
    before = below(here)
    to = picks.parent / target if target.startswith("here") else target
    assert "--out" in refused(2, "relabel", here / "set", *STEPS, "--out", to, "--force", *brought)
    assert below(here) == before


def test_out_has_a_default_beside_the_set(decoct, picks, brought, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert decoct("relabel", "picks/", *STEPS, *brought).code == 0
    for where, name in ((picks, "."), (picks / "images", "..")):
        monkeypatch.chdir(where)
        said = decoct("relabel", name, *STEPS, "--force", *brought)
        assert said.code == 0, said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["picks", "picks-labelled"]
    assert below(tmp_path / "picks-labelled") == below(picks) | {
        name: (tmp_path / "picks-labelled" / name).read_bytes() for name in ("labels.json", "labels.safetensors", LIST)
    }


def test_what_is_said_to_people(decoct, picks, brought, tmp_path):
    said = decoct("relabel", picks, *STEPS, "--prune", 10, "--out", tmp_path / "a", *brought)
    assert said.out.startswith("20 view labels in ") and said.out.rstrip().endswith(" bytes")
    said = decoct("relabel", picks, *STEPS, "--per", "image", "--out", tmp_path / "b", *brought)
    assert said.out.startswith("10 image labels in ") and said.out.rstrip().endswith("200 bytes")


def test_a_class_folder_gets_labels_for_these_very_pixels(decoct, brought, picks, tmp_path):
    """The pictures alone are a set; what is made of them is saved, so that it is what the labels belong to."""
    folder, out = picks / "images", tmp_path / "out"
    said = decoct("relabel", folder, *STEPS, "--prune", 2, "--out", out, "--json", *brought)
    assert said.code == 0, said.err
    assert np.array_equal(np.sort(Condensed.load(out).labels), np.arange(10))
    assert set(below(folder)) <= below(out).keys()
    said = decoct("train", out, *SOFT, *STEPS, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["labels"] == "stored"
