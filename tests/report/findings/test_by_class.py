"""Accuracy by class, against the report's own t interval one class at a time."""

import json
import math

import numpy as np
import pytest

from decoct.report.findings.by_class import by_class, images
from decoct.report.read import frame
from decoct.report.stats import intervals


def the(builder, method, protocol="erm", budget="ipc=1"):
    found = {(each.method, *each.setting): each for each in by_class(frame.read(builder.build()))}
    return found[method, protocol, builder.students[0], budget]


def stored(builder, method, protocol="erm", budget="ipc=1"):
    """per_class of the students of a method: by condense replicate, a list."""
    sets = {}
    for job in builder.jobs:
        want = {"method": method, "protocol": protocol, "budget": budget, "student": builder.students[0]}
        if job["kind"] == "train" and want.items() <= job["labels"].items():
            (file,) = builder.folder.glob(f"store/train/*/{job['key']}/result.json")
            sets.setdefault(job["labels"]["condense_replicate"], []).append(json.loads(file.read_text())["per_class"])
    return sets


def test_each_class_has_the_t_interval_of_its_condense_level_means(builder):
    builder.train_replicates, builder.skew = 2, lambda method, c: 0.03 * math.sin(c + len(method))
    each = the(builder, "rded")
    means = np.array([np.mean(students, axis=0) for students in stored(builder, "rded").values()])
    floor = intervals.grid_floor(36) / math.sqrt(2)
    for c in range(10):
        expected = intervals.clip(intervals.t_interval(list(means[:, c]), floor=floor), 0, 1)
        assert (each.mean[c], each.lo[c], each.hi[c], each.n) == pytest.approx(
            (expected.mean, expected.lo, expected.hi, expected.n)
        )
    assert each.order() == sorted(range(10), key=lambda c: each.mean[c])


def test_few_sets_that_agree_by_luck_do_not_prove_a_spread_of_zero(builder):
    builder.noise, builder.replicates = 0.0, 3
    builder.twist = lambda method, protocol, student: -9  # every accuracy is cut off at 0
    each = the(builder, "random")
    half = intervals.t_interval([0.0, 0.0, 0.0], floor=1 / math.sqrt(12) / 36).hi
    assert each.hi == pytest.approx(np.full(10, half)) and not each.lo.any()


def test_one_set_has_a_mean_and_no_interval(builder):
    builder.replicates = 1
    each = the(builder, "rded")
    assert each.n == 1 and np.isfinite(each.mean).all() and np.isnan(each.lo).all() and np.isnan(each.hi).all()


def test_holes_and_the_full_data_are_left_out(builder):
    builder.holes = lambda labels: labels["kind"] == "train" and labels["method"] == "sre2l"
    found = list(by_class(frame.read(builder.build())))
    assert {each.method for each in found} == {"random", "herding", "k_center", "rded"}
    assert len(found) == 4 * 3 * 2


def test_test_images_of_a_class_are_what_the_run_says_or_an_equal_share(builder):
    tables = frame.read(builder.build())
    assert images(tables).tolist() == [36.0] * 10
    tables.manifest.data["test_per_class"] = [30, 42] * 5
    assert images(tables).tolist() == [30.0, 42.0] * 5
