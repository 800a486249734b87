import csv
import json

import pytest
from PIL import Image
from tests.shrinking.toy import NearestMean, blobs

import decoct
from decoct.core.errors import UsageError
from decoct.shrinking import model, run
from decoct.shrinking.trial import Trial

FEW = ("herding", "moderate")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Makes class folders of small noisy pictures; the learner is the toy, and the store is the test's own."""
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(model.Model, "learner", lambda self, pool, device: NearestMean())

    def make(n=300, test=0, noise=70):
        images, labels = blobs(n + test, side=8, noise=noise)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = tmp_path / "photos" / ("" if not test else "train" if i < n else "test") / f"class {label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i:04}.png")
        return tmp_path / "photos"

    return make


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shrink(source, out, **asked):
    return decoct.shrink(str(source), out=out, protocol="scratch", methods=FEW, **asked)


def test_a_shown_set_is_written_as_it_was(photos, tmp_path):
    source, out = photos(test=300), tmp_path / "small"
    before = {file: (source / file).read_bytes() for file in files(source)}
    found = shrink(source, out, within=20)
    assert found.decided == "shown" and found.images == len(found.rows) < found.candidates == 300
    assert found.loss.hi < 0.2 and found.full.images == 300
    assert f"{found.images:,} of 300 images" in found.said[0]
    kept = files(out)
    assert len(kept) == found.images and all(name.startswith("train/") for name in kept)
    assert all((out / name).read_bytes() == before[name] for name in kept)
    assert {file: (source / file).read_bytes() for file in files(source)} == before
    assert [row["path"] for row in rows(out / "kept.csv")] and len(rows(out / "left_out.csv")) == 600 - found.images
    assert json.loads((out / "answer.json").read_text("utf-8"))["images"] == found.images
    assert "<h1>" in (out / "report.html").read_text("utf-8")


def test_without_a_test_folder_every_image_is_tested_once(photos, tmp_path):
    found = shrink(photos(), None, within=20, folds=3)
    assert found.test["how"] == "folds" and found.test["images"] == 300 == found.full.images
    assert found.decided == "shown" and found.images < 300
    assert sum(each.kept for each in found.classes) == found.images
    assert all(each.kept >= 1 for each in found.classes)


def test_what_cannot_be_shown_is_not_named_and_says_how_many_images_it_takes(photos, tmp_path):
    found = shrink(photos(test=40), tmp_path / "small", within=1)
    assert found.decided == "not_decidable" and found.images is None and not found.rows
    assert found.smallest_margin > 0.01 and "cannot be decided" in found.said[0]
    assert not files(tmp_path / "small") and (tmp_path / "small" / "report.html").is_file()


def test_a_size_that_is_asked_for_is_given(photos, tmp_path):
    source = photos(test=150)
    by_number, by_share = shrink(source, None, images=60), shrink(source, None, fraction=0.2)
    assert by_number.images == by_share.images == 60 and by_number.decided == "asked_size"
    assert by_number.rows == by_share.rows
    with pytest.raises(UsageError, match="300 images"):
        shrink(source, None, images=300)


def test_without_a_question_there_is_the_curve_and_its_knee(photos):
    found = shrink(photos(test=150), None)
    assert found.decided == "curve" and found.images < 300
    assert {point.on for point in found.points} == {"race", "test"}


def test_every_class_counts_where_that_is_asked(photos):
    found = shrink(photos(test=600), None, worst=40)
    assert found.decided == "shown" and all(each.bound < 0.4 for each in found.classes)
    assert "in every class" in found.said[0]


def test_the_same_call_trains_nothing_again(photos, monkeypatch):
    source = photos(test=150)
    first = shrink(source, None, within=20)
    monkeypatch.setattr(NearestMean, "probabilities", lambda *args, **more: pytest.fail("trained again"))
    monkeypatch.setattr(NearestMean, "material", lambda *args, **more: pytest.fail("trained again"))
    again = shrink(source, None, within=20)
    assert again.rows == first.rows and again.said[0] == first.said[0]


def test_ctrl_c_keeps_the_best_so_far_and_the_same_call_goes_on(photos, tmp_path, monkeypatch):
    source, out = photos(test=150), tmp_path / "small"

    def stop(*args, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trial, "open", stop)
        found = shrink(source, out, within=20)
    assert found.unfinished and found.decided == "unfinished" and len(files(out)) == found.images
    whole = shrink(source, out, within=20, force=True)
    assert not whole.unfinished and whole.decided == "shown"


def test_stopped_at_once_says_so(photos, tmp_path, monkeypatch):
    def stop(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "contest", stop)
    found = shrink(photos(test=150), tmp_path / "small", within=20)
    assert found.unfinished and found.images is None and (tmp_path / "small" / "report.html").is_file()


def test_an_earlier_selection_is_extended(photos, tmp_path):
    source = photos(test=150)
    first = shrink(source, tmp_path / "first", images=30)
    more = shrink(source, None, images=90, keep=tmp_path / "first" / "kept.csv")
    assert set(first.rows) <= set(more.rows) and more.images == 90


def test_of_duplicates_one_image_may_be_chosen(photos, tmp_path):
    source = photos(test=150)
    one = source / "train" / "class 0" / "0000.png"
    for copy in range(20):
        (one.parent / f"copy{copy}.png").write_bytes(one.read_bytes())
    found = shrink(source, tmp_path / "small", fraction=0.5)
    kept = {row["path"] for row in rows(tmp_path / "small" / "kept.csv")}
    assert len([path for path in kept if "copy" in path or path.endswith("class 0/0000.png")]) <= 1
    assert any(each.kind == "exact_duplicates" and len(each.rows) == 21 for each in found.problems)


def test_a_check_trains_nothing(photos, monkeypatch):
    monkeypatch.setattr(NearestMean, "probabilities", lambda *args, **more: pytest.fail("trained"))
    source = photos()
    (source / "class 0" / "broken.png").write_bytes(b"no picture")
    found = shrink(source, None, check=True)
    assert found.decided == "check" and [each.kind for each in found.problems] == ["unreadable"]
    assert "1 file cannot be read" in found.said[0]


def test_groups_are_never_divided(photos, monkeypatch):
    seen = []
    monkeypatch.setattr(run, "contest", lambda job, *more: seen.append(job) or (_ for _ in ()).throw(KeyboardInterrupt))
    shrink(photos(), None, within=20, groups=r"(\d)\.png")
    for fold in seen[0].folds:
        for rest, held in ((fold.train, fold.test), *((each.race, each.judges) for each in fold.inner)):
            assert not set(seen[0].pool.groups[rest]) & set(seen[0].pool.groups[held])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"within": 1, "fraction": 0.5}, "two sizes"),
        ({"student": "convnet3", "protocol": "probe"}, "--extractor"),
        ({"protocol": "finetune"}, "--student"),
        ({"protocol": "lasso"}, "scratch, finetune, probe"),
        ({"how": "move"}, "copy"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read_or_trained(asked, said, photos, tmp_path):
    with pytest.raises(UsageError, match=said):
        decoct.shrink(str(photos()), out=tmp_path / "small", **asked)


def test_fewer_groups_than_folds_are_told(photos):
    with pytest.raises(UsageError, match=r"300 images in 3 groups .* lower --folds"):
        shrink(photos(), None, within=20, groups=r"/(\d\d)\d\d\.png")


def test_ctrl_c_while_labels_are_judged_keeps_the_answer(photos, tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "judged", stop)
    found = shrink(photos(test=150), tmp_path / "small", within=20)
    assert found.decided == "shown" and found.small and found.unfinished == "stopped before labels were judged"
    assert len(files(tmp_path / "small")) == found.images
