"""What is measured of a set, and of random sets beside it, against the same computed by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured
from decoct.core.record import Provenance, cell_dir, read_json
from decoct.core.spec import parse
from decoct.metrics._resampling import of_random, random_sets
from decoct.metrics.covering_radius import covering_radius
from decoct.metrics.realism import realism
from decoct.needs.features import Extract, planned
from decoct.needs.teacher import load_teacher
from decoct.nets import backbone, zoo
from decoct.nets.backbone import embed
from decoct.nets.features import logits, penultimate
from decoct.study.graph import Planner
from decoct.study.study import labelled
from decoct.study.work import measuring

COUNTS = [2] * 10


def small(word, **options):
    return Extract(name=word, size=32, **options)


def measured(word, method="herding", extractors=None, resamples=0):
    def make(planner):
        spec = parse("condenser", {"name": method, **({"extractor": str(word)} if method == "herding" else {})})
        made = planner.condense(method, spec, Budget(ipc=2), 0)
        metrics = {name: parse("metric", name) for name in ("covering_radius", "vendi", "realism")}
        return planner.measure(made, metrics, extractors or [str(word)], resamples)

    return make


def reference(extractors, draws=4, counts=COUNTS, names=("covering_radius", "realism")):
    metrics = {name: parse("metric", name) for name in names}
    return lambda planner: planner.reference("ipc=2", counts, metrics, extractors, draws)


def the(rows, **wanted):
    (row,) = [row for row in rows if wanted.items() <= row.items()]
    return row


def test_a_set_is_looked_at_as_the_real_images_were(box, digits, weighed, rows, monkeypatch):
    word, types, readings = f"timm:test_resnet@{weighed}", {}, measuring.readings

    def noted(metric, measured, extractor, *rest):
        if metric.needs == "features":
            types[extractor] = (measured.condensed.dtype, measured.real["train"].dtype)
        return readings(metric, measured, extractor, *rest)

    monkeypatch.setattr(measuring, "readings", noted)
    half = small(word, dtype="float16")
    job, folder = box(measured(rows, extractors=[str(rows), word, "teacher"]), extractors=[half])
    found = read_json(folder / "readings.json")
    mine, frozen = (next(n for n in job.role("features") if n.startswith(start)) for start in ("npy:", "timm:"))
    assert {row["extractor"] for row in found} == {mine, frozen, "convnet2_bn", "test_efficientnet"}
    assert {row["reference"] for row in found if row["extractor"] == mine} == {"train"}
    assert {row["reference"] for row in found if row["extractor"] == frozen} == {"train", "val"}

    assert types == {mine: (np.float32,) * 2, frozen: (np.float16,) * 2, "convnet2_bn": (np.float32,) * 2}

    def radius(extractor, scope="pooled"):
        keys = {"metric": "covering_radius_max", "extractor": extractor, "reference": "train", "scope": scope}
        (row,) = [row for row in found if keys.items() <= row.items()]
        return row["value"]

    picks = Condensed.load(cell_dir(folder.parents[2], "condense", job.inputs["condensed"])).indices
    real = np.load(rows).astype(np.float32)
    net, _ = backbone.load("test_resnet", weighed, 32)
    seen = torch.cat(list(embed(net, digits.train.images))).numpy().astype(np.float16)
    for name, features in ((mine, real), (frozen, seen.astype(np.float32))):
        distances = np.linalg.norm(features[:, None] - features[picks][None], axis=2).min(1)
        assert radius(name) == pytest.approx(distances.max(), rel=1e-3)


@pytest.mark.parametrize("timm", [False, True])
def test_new_images_are_looked_at_as_the_real_ones_were_and_picks_are_looked_up(digits, weighed, timm):
    picks = np.arange(0, 60, 3)
    if timm:
        net, _ = backbone.load("test_resnet", weighed, 32)
        train = torch.cat(list(embed(net, digits.train.images[:60]))).numpy()
    else:
        net = zoo.build("convnet1_w8", 1, 10, 8, 0)
        train = penultimate(net, digits.train.images[:60], digits.mean, digits.std).numpy()
    picked = Condensed(digits.train.labels[picks], digits.class_names, Provenance(method="x"), indices=picks)
    new = replace(picked.materialise(digits.train.images), indices=None)
    assert np.array_equal(measuring.seen_by(net, train, picked, digits, "cpu"), train[picks])
    np.testing.assert_allclose(measuring.seen_by(net, train, new, digits, "cpu"), train[picks], rtol=1e-4, atol=1e-5)


def test_a_set_is_looked_at_in_the_precision_of_the_real_features(box, monkeypatch):
    looks, look = [], measuring.seen_by

    def noted(*what):
        looks.append((what[-1], look(*what), look(*what[:-1], "float32")))
        return looks[-1][1]

    monkeypatch.setattr(measuring, "seen_by", noted)
    real = []
    for precision in ("float32", "bfloat16"):
        job, folder = box(measured("teacher", method="rded"), extractors=[Extract(name="teacher", precision=precision)])
        cell = cell_dir(folder.parents[2], "features", job.role("features")["convnet2_bn"])
        real.append(np.load(cell / "train.npy"))
    assert [precision for precision, *_ in looks] == ["float32", "bfloat16"]
    (_, rough, exact) = looks[1]
    for one, other in ((rough, exact), real):
        assert one.dtype == other.dtype == np.float32 and not np.array_equal(one, other)
        np.testing.assert_allclose(one, other, rtol=0.05, atol=0.02 * np.abs(other).max())
    assert np.array_equal(*looks[0][1:]) and np.array_equal(exact, looks[0][1])


def test_new_images_have_no_rows_in_a_file_that_was_brought(box, rows):
    with pytest.raises(DecoctError, match=r"the set 'rded' has images of its own.*\n.*--features.*dinov2"):
        box(measured(rows, method="rded"))


def test_a_set_of_new_images_is_measured_by_the_extractors_that_can_look_at_it(box, rows):
    _, folder = box(measured(rows, method="rded", extractors=[str(rows), "teacher"]))
    found = read_json(folder / "readings.json")
    assert {row["extractor"] for row in found if row["axis"] != "quality"} == {"convnet2_bn"}


def test_a_set_of_new_images_is_measured_by_the_features_that_came_with_it(box, rows, digits, tmp_path):
    seen, file, word = np.random.default_rng(0).normal(size=(20, 64)), tmp_path / "own.npy", str(rows)
    np.save(file, seen)

    def make(planner, given=None):
        given = {word: str(file)} if given is None else given
        made = planner.condense("rded", parse("condenser", "rded"), Budget(ipc=2), 0)
        return planner.measure(made, {"covering_radius": parse("metric", "covering_radius")}, [word], 0, given)

    job, folder = box(make)
    found = the(read_json(folder / "readings.json"), metric="covering_radius_max", scope="pooled")
    real = np.load(rows).astype(np.float32)
    distances = np.linalg.norm(real[:, None] - seen.astype(np.float32)[None], axis=2).min(1)
    assert found["value"] == pytest.approx(distances.max(), rel=1e-6)
    assert str(tmp_path) not in str(job.keyed)
    np.save(file, seen + 1)
    with pytest.raises(DecoctError, match=r"own.npy is not as it was when its set was planned"):
        measuring.given_rows(file, *job.keyed["given"].values())
    assert box(make)[0].key != job.key != make(Planner(digits), {}).key
    seen[3, 5] = np.nan
    np.save(file, seen)
    with pytest.raises(DecoctError, match="features of image 3 are not finite"):
        box(make)


def test_random_sets_are_measured_as_any_set_is(box, digits):
    job, folder = box(reference(["teacher", "held_out"]))
    found, store = read_json(folder / "readings.json"), folder.parents[2]
    ((judge, key),) = job.role("held_out").items()
    net = load_teacher(cell_dir(store, "teacher", key), digits, "cpu")
    features = {e: np.load(cell_dir(store, "features", k) / "train.npy") for e, k in job.role("features").items()}
    assert list(features) == ["convnet2_bn", judge] == ["convnet2_bn", "test_efficientnet"]
    sets = list(random_sets(digits.train.labels, COUNTS, 4, job.keyed["seed"]))
    assert all(np.bincount(digits.train.labels[picks]).tolist() == COUNTS for picks in sets)

    def same(row, values, metric, name):
        expected = of_random(parse("metric", metric), name, values)
        assert row["n"] == 4
        for key in ("mean", "sd", "lo", "hi"):
            assert row[key] == pytest.approx(expected[key], rel=1e-5), (name, key)

    for extractor, real in features.items():
        radii = [covering_radius(real, real[picks])["mean"] for picks in sets]
        wanted = {"extractor": extractor, "metric": "covering_radius_mean", "scope": "pooled", "reference": "train"}
        same(the(found, **wanted), radii, "covering_radius", "covering_radius_mean")
    seen = [logits(net, digits.train.images[picks], digits.mean, digits.std, "cpu") for picks in sets]
    p = [realism(one, digits.train.labels[picks])["p_true"] for one, picks in zip(seen, sets, strict=True)]
    same(the(found, metric="p_true", scope="pooled"), p, "realism", "p_true")
    assert the(found, metric="p_true", scope="pooled")["extractor"] == judge


def test_what_hangs_on_chance_is_keyed_and_what_sets_are_called_is_not(digits):
    def key(make):
        planner = Planner(digits)
        return make(planner).key

    plain = key(reference(["teacher"]))
    assert key(reference(["teacher"], draws=5)) != plain
    assert key(reference(["teacher"], counts=[3] * 10)) != plain
    metrics = {name: parse("metric", name) for name in ("covering_radius", "realism")}
    assert key(lambda planner: planner.reference("another", COUNTS, metrics, ["teacher"], 4)) == plain
    first, second = (key(measured("teacher", "random", ["teacher"], resamples)) for resamples in (0, 20))
    assert first != second
    planner = Planner(digits, held_out="test_nfnet")
    assert planned(planner, "held_out").name == "test_nfnet" and reference(["teacher"])(planner).key != plain


def test_no_random_set_is_larger_than_its_class(digits):
    with pytest.raises(DecoctError, match=r"class '0' has \d+ training images: no random set has 5000 of them"):
        reference(["teacher"], counts=[5000] * 10)(Planner(digits))


def test_intervals_are_there_when_they_are_asked_for_and_surround_the_value(box):
    _, without = box(measured("teacher", "random", ["teacher"]))
    _, folder = box(measured("teacher", "random", ["teacher"], 5))
    plain, found = (read_json(each / "readings.json") for each in (without, folder))
    assert all(row["lo"] is row["hi"] is None for row in plain)
    assert [row["value"] for row in plain] == [row["value"] for row in found]
    known = [row for row in found if row["lo"] is not None]
    assert {row["metric"] for row in known} >= {"covering_radius_mean", "vendi", "p_true"}
    assert all(row["lo"] <= row["value"] <= row["hi"] for row in known)
    assert all(row["lo"] >= 0 and row["hi"] <= 1 for row in known if row["metric"] in ("p_true", "top1"))


def example(val=True):
    rng = np.random.default_rng(0)
    real, labels = rng.normal(size=(40, 3)), np.arange(40) % 2
    splits, of = {"train": real}, {"train": labels}
    if val:
        splits, of = {**splits, "val": real[:20] + 1}, {**of, "val": labels[:20]}
    return Measured(real[:12], labels[:12], splits, of, ("a", "b"), True, rng.normal(size=(12, 2)))


@pytest.mark.parametrize("val", [True, False])
def test_what_leads_is_read_against_held_out_images_where_there_are_any(val):
    leads = {}
    for name in ("covering_radius", "vendi", "realism"):
        rows = measuring.readings(parse("metric", name), example(val), "teacher")
        leads |= {row["metric"]: row["reference"] for row in rows if row["lead"]}
    usual = "val" if val else "train"
    assert leads == {"covering_radius_mean": usual, "vendi_per_image": "train", "p_true": "none"}


def test_what_is_not_defined_is_null_in_json():
    data = example()
    one = Measured(data.condensed[:1], data.labels[:1], data.real, data.real_labels, ("a", "b"), True, data.logits[:1])
    rows = measuring.readings(parse("metric", "prdc"), one, "teacher", 5)
    json.dumps(rows, allow_nan=False)
    recall = the(rows, metric="recall", scope="pooled", reference="val")
    assert recall["value"] is recall["lo"] is recall["hi"] is None


def test_two_of_one_metric_are_told_apart_by_their_labels(box):
    metrics = labelled("metric", ["prdc", {"name": "prdc", "k": 3, "label": "near"}])

    def make(planner):
        made = planner.condense("random", parse("condenser", "random"), Budget(ipc=2), 0)
        return planner.measure(made, metrics, ["teacher"])

    names = {row["metric"] for row in read_json(box(make)[1] / "readings.json")}
    plain = {"precision", "recall", "density", "coverage", "coverage_ratio"}
    assert names == plain | {f"near {name}" for name in plain}
    _, folder = box(lambda planner: planner.reference("ipc=2", COUNTS, metrics, ["teacher"], 2))
    assert {row["metric"] for row in read_json(folder / "readings.json")} == names
