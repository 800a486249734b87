"""Intervals over test images against a bootstrap of images, closed forms, and students on disk."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.report.read import frame
from decoct.report.stats.answers import Answers, Tally, over_images, tally
from decoct.report.summary import summarise


def answered(folder, chance):
    """Write the answers of every student: as many right as its accuracy says, those that ``chance`` favours."""
    run = frame.read(folder)
    for row in run.results.to_pylist():
        right = round(row["accuracy"] * row["test_images"])
        found = np.zeros(row["test_images"], bool)
        found[chance(row)[:right]] = True
        np.save(run.manifest.cell(run.manifest.by_key[row["key"]]) / "correct.npy", np.packbits(found))
    return folder


def shuffled(seed=0):
    rng = np.random.default_rng(seed)
    return lambda row: rng.permutation(row["test_images"])


def differences(rng, students=4, images=400):
    """Answers of two methods on images of unlike difficulty."""
    level = rng.normal(size=images)
    right = [rng.random((students, images)) < 1 / (1 + np.exp(-(2 * level + shift))) for shift in (0.3, 0.0)]
    return [(c, right[0][c].astype(np.float32) - right[1][c]) for c in range(students)]


def test_the_interval_is_that_of_a_bootstrap_over_images():
    rng = np.random.default_rng(0)
    found = tally(differences(rng), signed=True)
    interval = over_images(found)
    draws = found.by_image[rng.integers(400, size=(20_000, 400))].mean(1)
    lo, hi = np.quantile(draws, [0.025, 0.975])
    assert (interval.lo, interval.hi) == (pytest.approx(lo, abs=0.002), pytest.approx(hi, abs=0.002))
    assert (interval.n, interval.by) == (400, "images")


@given(both=st.integers(0, 300), first=st.integers(0, 60), second=st.integers(0, 60), none=st.integers(2, 100))
def test_one_student_each_is_the_closed_form_of_paired_proportions(both, first, second, none):
    a = np.repeat([True, True, False, False], [both, first, second, none])
    b = np.repeat([True, False, True, False], [both, first, second, none])
    found, n = over_images(tally([(0, a.astype(np.float32) - b.astype(np.float32))], signed=True)), len(a)
    p12, p21 = (first + 1) / (n + 2), (second + 1) / (n + 2)
    half = 1.959964 * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    assert found.mean == pytest.approx((first - second) / n, abs=1e-6)
    assert (found.lo, found.hi) == (
        pytest.approx(max(-1, p12 - p21 - half), abs=1e-5),
        pytest.approx(min(1, p12 - p21 + half), abs=1e-5),
    )


def test_images_that_all_agree_are_no_certainty():
    found = over_images(Tally(np.ones(10, np.float32), 5, 0.0, signed=True))
    assert found.lo < 0.9 and found.hi == 1
    none = over_images(Tally(np.zeros(10, np.float32), 5, 0.0, signed=True))
    assert none.lo == pytest.approx(-none.hi) and none.hi > 0.1


def test_an_average_counts_every_set_alike():
    one = (0, np.array([1, 1, 0], np.float32))
    three = [(1, np.array(x, np.float32)) for x in ([0, 0, 0], [1, 0, 0], [-1, 0, 0])]
    found = tally([one, *three])
    assert found.by_image == pytest.approx([0.5, 0.5, 0.0])
    assert found.sets == 2
    assert tally([]) is None


def test_the_deviation_is_what_other_images_do_to_many_replicates():
    """Images of unlike difficulty, students that guess: only the difficulty's variance moves a mean of many."""
    rng, images, students = np.random.default_rng(1), 300, 4
    estimates, shifts = [], []
    for _ in range(400):
        chance = rng.beta(2, 1, images)
        shifts.append(chance.mean())
        found = tally([(c, rng.random(images) < chance) for c in range(students)])
        estimates.append(found.deviation**2)
        assert found.interaction == pytest.approx((chance * (1 - chance)).mean(), abs=0.06)
    assert np.mean(estimates) == pytest.approx(np.var(shifts), rel=0.2)
    assert np.mean(estimates) == pytest.approx(1 / 18 / images, rel=0.05)  # variance of a beta(2, 1)


def test_a_sum_of_answers_is_that_of_its_terms_over_the_replicates_that_all_have():
    rng = np.random.default_rng(3)
    stored = {f"{m}{c}": rng.random(7) < 0.5 for m in "abd" for c in range(3)}
    keys = {(m, 0): {(c, 0): f"{m}{c}" for c in range(3)} for m in "ab"} | {("d", 1): {(c, 0): f"d{c}" for c in (1, 2)}}
    answers = Answers(keys, stored.get)
    found = answers.combined([(2, "a", 0), (-1, "b", 0), (-0.5, "d", 1)])
    naive = np.mean([2.0 * stored[f"a{c}"] - stored[f"b{c}"] - 0.5 * stored[f"d{c}"] for c in (1, 2)], 0)
    assert found.by_image == pytest.approx(naive) and found.signed and found.sets == 2
    only = answers.combined([(1, "a", 0)], at=[(2, 0)])
    assert only.by_image == pytest.approx(stored["a2"].astype(float)) and not only.signed
    assert answers.combined([]) is None


def test_one_image_says_nothing():
    one = Tally(np.ones(1, np.float32), 1, math.nan)
    assert over_images(one) is None
    assert math.isnan(one.deviation)


def test_answers_that_are_not_known_give_nothing():
    keys = {("a", 0): {(0, 0): "x", (1, 0): "y"}, ("b", 0): {(0, 0): "y", (1, 0): "gone"}}
    stored = {"x": np.array([True, False]), "y": np.array([False, False])}
    answers = Answers(keys, stored.get)
    assert answers.accuracy("a", 0).by_image == pytest.approx([0.5, 0])
    assert answers.accuracy("b", 0) is None and answers.difference(0, "a", "b") is None
    assert answers.accuracy("c", 0) is None and answers.difference(0, "a", "c") is None
    stored["gone"] = np.array([True])  # of another test set
    assert answers.difference(0, "a", "b") is None


def test_a_run_says_the_same_mean_over_images_as_over_replicates(builder):
    builder.train_replicates = 2
    folder = answered(builder.build(), shuffled())
    found = summarise(frame.read(folder))
    for v in found.verdicts:
        for c in v.coresets.values():
            assert c.over_images.mean == pytest.approx(c.mean, abs=1e-6)
            assert c.over_images.lo < c.mean < c.over_images.hi
    own = found.accuracy("rded", found.settings[0]).components
    assert own.images is not None and own.sets == 5 and own.students == 10
    assert found.accuracy("herding", found.settings[0]).components.sets == 1


def test_few_images_do_not_pose_as_certainty(builder):
    """Two points more in every replicate, on 100 images that the methods share but for chance: sets alone would say
    better, and other images could say otherwise."""
    builder.truth = {"random": 0.5, "rded": 0.52}
    builder.methods = {m: builder.methods[m] for m in builder.truth}
    builder.noise, builder.test_images, builder.protocols, builder.budgets = 0.0001, 100, ("erm",), ("ipc=1",)
    folder = answered(builder.build(), shuffled())
    found = summarise(frame.read(folder))
    c = found.verdict("rded", found.settings[0]).random
    assert c.over_sets.lo > 0 > c.over_images.lo
    assert (c.verdict, c.interval.by) == ("open", "both") and c.lo < 0 < c.hi
    said = next(j for j in found.to_json()["verdicts"] if j["method"] == "rded")["random"]
    assert said["by"] == "both" and said["ci95_over_images"][0] < 0 < said["ci95_over_sets"][0]


def test_a_large_and_shared_difference_is_shown(builder):
    found = summarise(frame.read(answered(builder.build(), lambda row: np.arange(row["test_images"]))))
    assert found.verdict("rded", found.settings[0]).random.verdict == "better"


def test_a_run_without_answers_has_no_interval_over_images(run):
    found = summarise(frame.read(run))
    assert all(c.over_images is None for v in found.verdicts for c in v.coresets.values())
    assert all(a.components.images is None for a in found.accuracies if not a.ceiling)
    assert all(v.random is None or v.random.interval.by == "sets" for v in found.verdicts)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\1\0\1\0{", np.packbits(np.ones(9, bool))])
def test_damaged_answers_say_so(run, content):
    answered(run, shuffled())
    found = frame.read(run)
    key = found.results.to_pylist()[0]["key"]
    assert found.correct(key).mean() == pytest.approx(found.results.to_pylist()[0]["accuracy"])
    path = found.manifest.cell(found.manifest.by_key[key]) / "correct.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(DecoctError, match=r"correct\.npy is damaged"):
        frame.read(run).correct(key)


def test_every_comparison_asks_for_a_file_once(run, monkeypatch):
    answered(run, shuffled())
    found, loads = frame.read(run), []
    plain = arrayfile.load
    monkeypatch.setattr(arrayfile, "load", lambda path: loads.append(path) or plain(path))
    summarise(found)
    assert len(loads) == sum(row["method"] != "full" for row in found.results.to_pylist())
