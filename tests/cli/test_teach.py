"""teach: checkpoints, committees, accuracies to stop at, pretrained weights."""

import json

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


def test_pretrained_weights_are_cut_to_the_classes(decoct, refused, pictures, monkeypatch):
    made = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False, **options: made(name, **options))
    root = pictures("n01440764", "n03888257")
    said = decoct("teach", "test_resnet", "--pretrained", "--data", f"folder:{root}", "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert (facts["checkpoint"], facts["sliced_from"]) == ("test_resnet.r160_in1k of timm", 1000)
    assert "'0' is no class of ImageNet-1K" in refused(1, "teach", "test_resnet", "--pretrained")
