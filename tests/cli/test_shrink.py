"""shrink: what it prints, in sentences and as JSON, and how it ends; the engine is tested in tests/shrinking."""

import json

import pytest
from PIL import Image
from tests.shrinking.toy import NearestMean, blobs

from decoct.shrinking import contest, model, run


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


TINY = ("--distil", "dm", "--set", "iterations=3", "--set", "net=convnet2_w8", "--set", "batch=16")


def test_pictures_are_made_of_digits_and_the_same_call_makes_none_again(decoct, tmp_path, monkeypatch):
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(model.Model, "learner", lambda self, pool, device: NearestMean())
    monkeypatch.setattr(contest.Contest, "choices", lambda self, shares: {share: ["dm"] for share in shares})
    words = ("shrink", "digits", "--images", "20", "--method", "herding", "--workers", 1, "--device", "cpu", "--json")
    said = decoct(*words, *TINY, "--out", tmp_path / "one")
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert facts["method"] == "dm" and facts["learner"] == "nearest mean" and facts["images"] == 20
    assert "dm: a set of 15 images takes about" in said.err and "2 may be made" in said.err
    written = sorted((tmp_path / "one").glob("*/dm_*.png"))
    assert len(written) == 20 and {path.parent.name for path in written} == set("0123456789")
    again = decoct(*words, *TINY, "--out", tmp_path / "two")
    assert "may be made" not in again.err
    assert [path.read_bytes() for path in sorted((tmp_path / "two").glob("*/dm_*.png"))] == [
        path.read_bytes() for path in written
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--distil", "mtt"), "dm, dc, dsa"),
        (("--set", "iterations=3"), "--distil"),
        (("--distil", "dm", "--set", "iteratons=3"), "Did you mean 'iterations'"),
        (("--distil", "dm", "--set", "lr"), "KEY=VALUE"),
        (("--distil", "dm", "--protocol", "probe"), "--student or --protocol scratch|finetune"),
        (("--method", "dm"), "--distil dm"),
    ],
)
def test_what_cannot_be_made_is_refused(refused, words, said):
    assert said in refused(2, "shrink", "digits", *words)
