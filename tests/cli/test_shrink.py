"""shrink: what it prints, in sentences and as JSON, and how it ends; the engine is tested in tests/shrinking."""

import json

import pytest
from PIL import Image
from tests.shrinking.toy import NearestMean, blobs

from decoct.shrinking import model, run


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(model.Model, "learner", lambda self, pool, device: NearestMean())
    images, labels = blobs(450, side=8)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tmp_path / "photos" / ("train" if i < 300 else "test") / f"class {label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i:03}.png")
    return tmp_path / "photos"


@pytest.fixture
def shrink(decoct, photos, tmp_path):
    usual = ("--protocol", "scratch", "--workers", 1, "--device", "cpu", "--method", "herding")

    def call(*words):
        return decoct("shrink", photos, "--out", tmp_path / "small", *usual, *words)

    return call


def test_the_answer_is_on_stdout_and_the_way_there_on_stderr(shrink, tmp_path):
    said = shrink("--within", "20")
    assert said.code == 0, said.err
    assert "are shown to train your model to within 20.0 points" in " ".join(said.out.split())
    assert "450 images of 3 classes (300 train, 150 test)" in said.err and "so far, points" in said.err
    assert (tmp_path / "small" / "kept.csv").is_file()


def test_json_is_the_answer_and_nothing_else(shrink):
    said = shrink("--fraction", "0.2", "--json")
    facts = json.loads(said.out)
    assert facts["images"] == 60 and facts["decided"] == "asked_size" and facts["full"]["images"] == 150


def test_a_check_says_what_is_wrong_once(shrink, photos, tmp_path):
    (photos / "train" / "class 0" / "broken.png").write_bytes(b"no picture")
    said = shrink("--check")
    assert said.code == 0 and said.out.count("1 file cannot be read") == 1 and "cannot be read" not in said.err
    assert not (tmp_path / "small").exists()


def test_what_is_stopped_ends_with_130_and_says_how_to_go_on(shrink, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "test", stop)
    said = shrink("--within", "20")
    assert said.code == 130 and "the same command continues" in said.err and "best so far" in " ".join(said.out.split())


def test_an_out_that_is_there_is_left_alone(shrink, tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "mine.txt").write_text("mine")
    for more in ((), ("--force",)):
        said = shrink("--within", "20", *more)
        assert said.code == 2 and "choose another --out" in said.err
    assert (tmp_path / "small" / "mine.txt").read_text() == "mine"
