"""teach: checkpoints, committees, accuracies to stop at, pretrained weights; and with --generator."""

import json
import sys

import pytest
import timm


def test_teach_puts_a_checkpoint_on_record(decoct, brought, tmp_path):
    file, out = brought[1].partition("=")[2], tmp_path / "teacher"
    said = decoct("teach", "--from", file, "--out", out, "--json")
    assert said.code == 0
    facts = json.loads(said.out)
    assert (facts["net"], facts["checkpoint"], facts["folder"]) == ("convnet2_bn", "convnet2_bn.safetensors", str(out))
    assert 0 <= facts["val_accuracy"] <= 1
    assert {"weights.safetensors", "teacher.json"} <= {path.name for path in out.iterdir()}


def test_a_committee_is_a_table_a_list_and_a_folder_each(decoct, tmp_path):
    words = ("teach", "convnet1_w8", "convnet1_w16", "--set", "epochs=1")
    said = decoct(*words, "--out", tmp_path / "committee", "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert [facts["net"] for facts in found] == ["convnet1_w8", "convnet1_w16"]
    for facts in found:
        assert facts["folder"] == str(tmp_path / "committee" / facts["net"])
        assert (tmp_path / "committee" / facts["net"] / "weights.safetensors").is_file()
    lines = decoct(*words).out.splitlines()
    assert lines[0].split()[:5] == ["net", "epochs", "steps", "val", "accuracy"]
    for facts in found:
        (line,) = (line for line in lines if line.split()[0] == facts["net"])
        assert line.split()[1:4] == ["1", str(facts["steps"]), f"{100 * facts['val_accuracy']:.1f}"]


def test_a_teacher_stops_at_an_accuracy(decoct, refused):
    facts = json.loads(decoct("teach", "convnet1_w16", "--stop-at", 0.3, "--json").out)
    assert facts["stop_at"] == 0.3 <= facts["val_accuracy"]
    assert facts["steps"] % 10 == 0 and facts["epochs"] < 30
    said = refused(1, "teach", "convnet1_w16", "--stop-at", 0.999, "--set", "epochs=1")
    assert "never reached stop_at = 0.999" in said and "more epochs" in said


def test_pretrained_weights_are_cut_to_the_classes(decoct, refused, pictures, monkeypatch, online):
    made = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False, **options: made(name, **options))
    root = pictures("n01440764", "n03888257")
    said = decoct("teach", "test_resnet", "--pretrained", "--data", f"folder:{root}", "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert (facts["checkpoint"], facts["sliced_from"]) == ("test_resnet.r160_in1k of timm", 1000)
    assert "'0' is not a class of ImageNet-1K" in refused(1, "teach", "test_resnet", "--pretrained")


QUICK = ("--set", "epochs=1", "--set", "width=8")


def test_a_generator_is_taught_and_copied(decoct, tmp_path):
    out = tmp_path / "generator"
    said = decoct("teach", "--generator", *QUICK, "--out", out, "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert (facts["generator"], facts["trained_here"], facts["folder"]) == ("own", True, str(out))
    assert facts["seconds"] > 0 and facts["pixels"] == 8
    assert {"unet", "scheduler", "generator.json"} <= {path.name for path in out.iterdir()}

    said = decoct("teach", "--generator", *QUICK)
    assert said.code == 0 and said.out.startswith("own: trained in ") and "8 px, 10 classes" in said.out
    assert "it has seen the train split: 1,295 images" in said.out

    said = decoct("teach", "--generator", "--from", out)  # what was trained here is a generator like any other
    assert said.code == 0 and said.out.startswith("generator@") and ": supplied, 8 px, 10 classes" in said.out


def test_a_supplied_one_is_looked_at(decoct, tiny_pipeline):
    said = decoct("teach", "--generator", "--from", tiny_pipeline(), "--json")
    facts = json.loads(said.out)
    assert not facts["trained_here"] and facts["latent"] == [4, 4, 4]
    assert facts["seen"] == "not known: supplied by the user"


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "convnet3", "the net convnet3 is for classifiers"),
        (2, "--pretrained", "--pretrained is for classifiers"),
        (2, "--stop-at 0.5", "--stop-at is for classifiers"),
        (2, "--set epoch=1", "'epochs'"),
        (2, "--from none", "no folder none"),
        (2, "--from FOLDER --set epochs=1", "epochs: for a generator that is trained"),
        (2, "--out FOLDER", "exists"),
        (1, "--from hub:nobody/nothing", "hf download nobody/nothing"),
        (1, "--from EMPTY", "transformer/ or unet/"),
    ],
)
def test_slips_are_told(refused, tiny_pipeline, tmp_path, code, words, said):
    (tmp_path / "empty").mkdir()
    places = {"FOLDER": tiny_pipeline("unet", vae=False), "EMPTY": tmp_path / "empty"}
    assert said in refused(code, "teach", "--generator", *(places.get(word, word) for word in words.split()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"classes": 7}, "makes 7 classes, digits has 10"), ({"side": 2}, "makes images of 4 px, digits has 8 px")],
)
def test_a_generator_that_does_not_fit_is_refused(refused, tiny_pipeline, changes, said):
    code = 1 if "classes" in changes else 2
    assert said in refused(code, "teach", "--generator", "--from", tiny_pipeline(**changes))


def test_without_diffusers_it_says_how_to_install_it_and_the_rest_works(decoct, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert "pip install 'decoct[diffusion]'" in refused(2, "teach", "--generator")
    assert decoct("ls").code == 0
