"""The waterfall: bars that begin where the last one ended, and the table with steps and images seen."""

import re

import plotly.graph_objects as go
import pytest

from decoct.report.page.breakdown import breakdown, figure
from decoct.report.page.style import marks
from decoct.report.read import frame
from decoct.report.summary import summarise


def shown(builder):
    folder = builder.build()
    summary = summarise(frame.read(folder), folder / "report.html")
    return summary, breakdown(summary, marks(summary.methods))


def test_each_bar_begins_where_the_random_set_of_its_protocol_ends(builder):
    summary, _ = shown(builder)
    drawn = figure(summary, marks(summary.methods), ("single_teacher", "convnet3_w32"))
    go.Figure(drawn)
    assert len(drawn["data"]) == 2 * (2 + 4)  # budgets × (random, labels, other methods)
    for budget in summary.settings[0].budget, summary.settings[1].budget:
        base, labels, *methods = [t for t in drawn["data"] if t["meta"]["budget"] == budget]
        assert base["base"] == 0 and labels["base"] == pytest.approx(base["x"][0])
        for trace in methods:
            assert trace["base"] == pytest.approx(labels["base"] + labels["x"][0])
            (a,) = [
                a
                for a in summary.accuracies
                if (a.method, a.setting.protocol, a.setting.budget)
                == (trace["meta"]["method"], "single_teacher", budget)
            ]
            assert trace["base"] + trace["x"][0] == pytest.approx(100 * a.interval.mean)
    ends = {tuple(figure(summary, marks(summary.methods), p)["layout"]["xaxis"]["range"]) for p in _panels(summary)}
    assert len(ends) == 1


def _panels(summary):
    return dict.fromkeys((s.protocol, s.student) for s in summary.settings)


def test_hard_labels_have_no_bar_of_labels(builder):
    summary, _ = shown(builder)
    assert len(figure(summary, marks(summary.methods), ("erm", "convnet3_w32"))["data"]) == 2 * (1 + 4)


def test_steps_and_images_stand_beside_every_accuracy(builder):
    _, section = shown(builder)
    tables = section.count("<table")
    assert tables == 3 and section.count("500 steps, 32,000 seen") == 8 * (2 + 3 + 3)  # rows × accuracies of a row
    assert section.count('open="open"') == 1
    assert "labels minus images" in section


def test_without_random_or_hard_labels_it_says_so(builder):
    builder.protocols = ("single_teacher",)
    _, section = shown(builder)
    assert "no protocol of hard labels" in section and "<figure" not in section and "<table" not in section
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    builder.methods = {m: builder.methods[m] for m in ("herding", "rded")}
    _, section = shown(builder)
    assert "no random selection" in section


def test_one_replicate_draws_bars_without_intervals(builder):
    builder.replicates = 1
    summary, section = shown(builder)
    assert not re.search(r"\bnan\b|\bNone\b|NaN", section)
    go.Figure(figure(summary, marks(summary.methods), ("erm", "convnet3_w32")))
