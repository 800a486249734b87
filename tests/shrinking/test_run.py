import csv
import json

import numpy as np
import pytest
from PIL import Image
from tests.shrinking.toy import NearestMean, blobs, means_of

import decoct
from decoct.core.errors import UsageError
from decoct.shrinking import distil, model, run
from decoct.shrinking.asked import Asked
from decoct.shrinking.contest import Contest
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


def test_a_fifth_is_set_aside_where_one_fold_is_asked_for(photos, tmp_path):
    found = shrink(photos(), tmp_path / "small", within=30, folds=1)
    assert found.test == {"how": "set_aside", "folds": 1, "images": 60, "students": found.test["students"]}
    assert found.candidates == 240 and found.decided == "shown"
    why = [row["reason"] for row in rows(tmp_path / "small" / "left_out.csv")]
    assert why.count("test image") == 60 and "60 images were set aside" in (
        tmp_path / "small" / "report.html"
    ).read_text("utf-8")


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


def test_ctrl_c_before_the_race_keeps_random_images_of_the_first_student(photos, monkeypatch):
    def stop(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(Contest, "begin", stop)
    lines: list[str] = []
    asked = {"out": None, "protocol": "scratch", "methods": FEW}
    found = run.run(str(photos(test=150)), Asked.of(within=50), say=lines.append, **asked)
    assert found.unfinished and found.method == "random" and found.images == len(found.rows) < 150
    assert any(line.startswith("one student, points against all images: ") for line in lines)


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
        ({"distil": ["rded"]}, "dm, dc, dsa"),
        ({"distil": ["dm"], "protocol": "probe"}, "--protocol scratch|finetune"),
        ({"distil": ["dm"], "keep": "kept.csv"}, "--keep"),
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


@pytest.fixture
def makes(monkeypatch):
    """Made images are near the mean of their class, which suits the toy; gives what was made."""
    seen = []
    monkeypatch.setattr(distil, "make", lambda *more: seen.append(more[3]) or means_of(*more))
    monkeypatch.setattr(distil, "pace", lambda *more: 1.0)
    return seen


def test_a_set_that_is_made_wins_is_tested_and_is_written_as_pictures(photos, tmp_path, makes):
    source, out = photos(test=300), tmp_path / "small"
    before = {file: (source / file).read_bytes() for file in files(source)}
    found = shrink(source, out, images=16, distil=["dm"], how="symlink")
    assert found.method == "dm" and found.images == len(found.made) == 16 and not found.rows
    assert "16 images (5 % as many), made by DM from 300, train your model" in found.said[0]
    written = [f"class {c}/dm_{k:04}.png" for c in range(3) for k in range(1, 7 - (c > 0))]
    assert files(out) == written and "PNG files" in found.said[-1]
    for file, image in zip(written, found.made.images, strict=True):
        assert not (out / file).is_symlink()
        assert np.array_equal(np.moveaxis(np.asarray(Image.open(out / file)), -1, 0), image)
    assert {file: (source / file).read_bytes() for file in files(source)} == before
    kept, left = rows(out / "kept.csv"), rows(out / "left_out.csv")
    assert [(row["path"], row["class"], row["reason"]) for row in kept] == [
        (file, file[:7], "made by dm from all images") for file in written
    ]
    assert len(left) == 600 and {row["reason"] for row in left} == {
        "not in the set, whose images are made by dm",
        "test image",
    }
    assert [each.kept for each in found.classes] == [6, 5, 5]
    said = json.loads((out / "answer.json").read_text("utf-8"))
    assert said["method"] == "dm" and said["images"] == 16 and "made" not in said
    assert "16 images made from 300" in (out / "report.html").read_text("utf-8")


def test_what_a_made_set_costs_is_its_making(photos, makes):
    found = shrink(photos(test=300), None, images=16, distil=["dm"])
    cost = found.cost
    assert cost["choosing"] == 30.0
    assert cost["training_all"] <= cost["training_set"] or cost["pays_after"] == pytest.approx(
        30 / (cost["training_all"] - cost["training_set"])
    )
    assert any(line.startswith("Making took 30 s") for line in found.said)
    assert found.random_needed[0] > 16


def test_made_sets_race_at_small_sizes_alone_and_are_made_once(photos, makes, monkeypatch):
    source = photos(test=300)
    found = shrink(source, None, within=20, distil=["dm"])
    shares = {point.fraction for point in found.points if point.method == "dm"}
    assert shares and max(shares) <= 0.1 + 1e-9 < max(point.fraction for point in found.points)
    assert len(makes) == len(shares) + sum(p.method == "dm" and p.on == "test" for p in found.points)
    monkeypatch.setattr(distil, "make", lambda *more: pytest.fail("made again"))
    again = shrink(source, None, within=20, distil=["dm"])
    assert again.said[0] == found.said[0]


def test_after_folds_a_set_is_made_of_all_images(photos, makes):
    found = shrink(photos(), None, images=15, folds=3, distil=["dm"])
    assert found.method == "dm" and len(found.made) == 15
    assert makes == [8] * 3 + [10] * 3 + [15]  # races, tests, the final set


def test_ctrl_c_keeps_a_made_set_of_the_race(photos, tmp_path, makes, monkeypatch):
    def stop(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trial, "open", stop)
    found = shrink(photos(test=150), tmp_path / "small", images=16, distil=["dm"])
    assert found.decided == "unfinished" and found.method == "dm" and len(files(tmp_path / "small")) == len(found.made)
    assert "made by DM" in found.said[0]


def test_sets_that_take_too_long_are_refused_before_anything_is_trained(photos, makes, monkeypatch):
    monkeypatch.setattr(NearestMean, "probabilities", lambda *args, **more: pytest.fail("trained"))
    monkeypatch.setattr(distil, "pace", lambda *more: 3600.0)
    with pytest.raises(UsageError, match=r"dm: its sets take about 2.0 hours.*--minutes 26[45].*iterations"):
        shrink(photos(test=150), None, images=16, distil=["dm"])
