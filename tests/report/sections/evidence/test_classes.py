"""Accuracy by class, against the report's own t interval one class at a time."""

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.report.conftest import view

from decoct.report.read import frame
from decoct.report.sections.evidence import classes
from decoct.report.sections.evidence.classes import by_class, images
from decoct.report.stats import intervals
from decoct.report.summary import summarise


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


def test_test_images_of_a_class_are_what_the_run_says(builder):
    tables = frame.read(builder.build())
    assert images(tables).tolist() == [36.0] * 10
    tables.manifest.data["test_per_class"] = [30, 42] * 5
    assert images(tables).tolist() == [30.0, 42.0] * 5


class Rows(HTMLParser):
    """Texts of the cells of every row, and of every summary."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.into = [], None
        self.feed(page)

    def handle_starttag(self, element, attributes):
        if element == "tr":
            self.rows.append([])
        if element in ("td", "th"):
            self.rows[-1].append("")
            self.into = "cell"

    def handle_endtag(self, element):
        if element in ("td", "th"):
            self.into = None

    def handle_data(self, data):
        if self.into:
            self.rows[-1][-1] += data


def section(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    tables = frame.read(builder.build())
    summary = summarise(tables)
    return str(classes.show(view(summary), tables))


def test_a_few_classes_stand_with_the_worst_first(builder):
    page = section(builder, skew=lambda method, c: -0.01 * (c == 7) + 0.01 * (c == 2), protocols=("erm",))
    assert page.count("<details") == page.count("<table") == 2 and "36 test images" in page
    rows = Rows(page).rows
    assert rows[0] == ["class", "random", "herding†", "k_center†", "rded", "sre2l"]
    assert rows[1][0] == "7" and rows[10][0] == "2" and len(rows) == 2 * 11
    assert all("[" in cell and "n = 5" in cell for cell in rows[1][1:])
    assert "lowest: " in page and " % of class <bdi>7</bdi> with <bdi>sre2l</bdi>" in page


def test_of_many_classes_each_method_shows_its_two_ends(builder):
    names = tuple(f"c{i}" for i in range(1000))
    page = section(builder, class_names=names, skew=lambda m, c: c / 1e5, protocols=("erm",), replicates=2)
    own = [row for row in Rows(page).rows if row[0] == "rded"][:20]
    assert [row[2] for row in own] == [f"c{i}" for i in (*range(10), *range(999, 989, -1))]
    assert [row[1] for row in own] == ["worst"] * 10 + ["best"] * 10
    assert len(page) < 150_000 and "tables/classes.csv" in page


def test_between_ten_and_twenty_no_class_is_shown_twice(builder):
    names = tuple(f"c{i}" for i in range(21))
    page = section(builder, class_names=names, skew=lambda m, c: c / 1e3, protocols=("erm",), budgets=("ipc=1",))
    own = [row[2] for row in Rows(page).rows if row[0] == "rded"]
    assert len(own) == len(set(own)) == 20


def test_one_replicate_has_no_interval_and_nothing_trained_no_section(builder):
    page = section(builder, replicates=1)
    assert "n = 1" in page and "nan" not in page and "[" not in page
    builder.folder, builder.jobs = builder.folder / "again", []
    assert section(builder, holes=lambda labels: labels["kind"] == "train") == ""
