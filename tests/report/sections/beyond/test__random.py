"""Which methods cover the data better than random sets, on planted truths."""

import json

import pytest
from tests.report import conftest
from tests.report.conftest import SD

from decoct.report.read import frame
from decoct.report.sections.beyond._random import ahead
from decoct.report.summary import summarise


def said(builder, shifts, extractors=("judge",), **changes):
    """By method and metric, in deviations."""
    builder.methods = {m: builder.methods[m] for m in ("random", "herding", "k_center")}
    builder.extractors, builder.spread = extractors, 0.0
    builder.shift = lambda method, metric, extractor: SD * shifts.get((method, metric), 0)
    for key, value in changes.items():
        setattr(builder, key, value)
    return ahead(summarise(frame.read(builder.build())))


def said_pooled(builder, shifts):
    builder.folder, builder.jobs = builder.folder.with_name(f"{builder.folder.name}_"), []
    said(builder, shifts)
    for file in builder.folder.glob("store/**/readings.json"):
        rows = json.loads(file.read_text())
        modes = [row for row in rows if row["metric"] == "modes"]
        pooled = [row | {"scope": "pooled", "classes": None, "lead": True} for row in modes if "classes" in row]
        pooled += [row | {"scope": "pooled"} for row in modes if "classes" not in row]
        for row in modes:
            row.update({key: None for key in ("value", "mean", "sd", "lo", "hi") if key in row})
        file.write_text(json.dumps(rows + pooled))
    return ahead(summarise(frame.read(builder.folder)))


BETTER = {("herding", "coverage"): 20, ("herding", "mmd"): -20}
NONE = "No method is shown to cover held-out images better than random sets of its size"


def test_coverage_and_a_distance_that_agree_are_a_word(builder):
    ahead = "herding covers held-out images better than random sets of its size, in 2 of 2 combinations of budget and"
    assert said(builder, BETTER) == f"{ahead} independent extractor"


def test_several_methods_are_counted_each(builder):
    shifts = BETTER | {("k_center", metric): size for (_, metric), size in BETTER.items()}
    assert said(builder, shifts).startswith(
        "herding and k_center cover held-out images better than random sets of their"
    )
    assert "in 2 and 2 of 2 combinations" in ahead(summarise(frame.read(builder.folder)))


@pytest.mark.parametrize(
    ("more", "clash"),
    [
        ({("herding", "mmd"): 0}, ""),
        ({("herding", "mmd"): 20}, "coverage better, mmd worse"),
        ({("herding", "modes"): -20}, "coverage and mmd better, modes worse"),
    ],
)
def test_what_does_not_agree_names_no_winner(builder, more, clash):
    named = f"; readings disagree on herding at IPC 1 ({clash}), herding at IPC 10 ({clash})" if clash else ""
    assert said(builder, BETTER | more) == f"{NONE}{named}"


def test_where_modes_cannot_be_read_by_class_those_of_all_classes_count(builder):
    """As at one image per class."""
    assert said_pooled(builder, BETTER).startswith("herding covers held-out images better")
    assert "modes worse" in said_pooled(builder, BETTER | {("herding", "modes"): -20})


def test_features_that_a_selection_uses_say_nothing(builder):
    assert said(builder, BETTER, ("teacher",)).startswith("Every extractor had a part in making a set")


def test_coverage_alone_says_nothing_and_without_random_sets_there_is_nothing_to_say(builder, monkeypatch):
    monkeypatch.setattr(conftest, "READINGS", conftest.READINGS[:1])
    lacking = "without mmd or sliced_wasserstein and modes against val"
    assert said(builder, BETTER) == f"Nothing can be said of who covers the data better {lacking}"
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    assert said(builder, BETTER, draws=0) == ""
