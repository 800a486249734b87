"""Paired differences to random as a figure: every method and setting, the margin as a band, nothing without a pair."""

import json
import re

import pytest
from tests.report.conftest import view

from decoct.report.read.frame import read
from decoct.report.sections.evidence import differences
from decoct.report.summary import summarise


def test_the_band_is_the_widest_margin_of_the_panel(builder):
    summary = summarise(read(builder.build()))
    panel = summary.settings[0].panel
    margins = {s: 0.002 if s.panel != panel else 0.01 if s.budget == "ipc=1" else 0.004 for s in summary.settings}
    page = differences.show(view(summary), summary.verdicts, margins)
    assert "The band is the margin of ±0.2 to 1 point." in page
    ends = [float(x) for x in re.findall(r'"x0": ?(-?[0-9.]+), ?"x1"', str(page))]
    assert sorted(ends) == [-1.0, -0.2, -0.2]


def test_every_method_has_its_difference_and_interval_in_every_setting(builder):
    summary = summarise(read(builder.build()))
    page = str(differences.show(view(summary), summary.verdicts, summary.margins))
    figures = [json.loads(raw) for raw in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    assert len(figures) == len(summary.panels)
    for panel, figure in zip(summary.panels, figures, strict=True):
        for trace in figure["data"]:
            there = (v for v in summary.verdicts if v.setting.panel == panel)
            own = [v.random for v in there if v.method == trace["meta"]["method"]]
            assert trace["x"] == pytest.approx([100 * c.mean for c in own], abs=1e-3)
            assert trace["error_x"]["array"] == pytest.approx([100 * (c.hi - c.mean) for c in own], abs=1e-3)
        assert {trace["meta"]["method"] for trace in figure["data"]} == set(summary.methods) - {"random"}


@pytest.mark.parametrize("change", [{"methods": {"herding": ("coreset", False)}}, {"holes": lambda labels: True}])
def test_without_a_pair_there_is_no_section(builder, change):
    for name, value in change.items():
        setattr(builder, name, value)
    summary = summarise(read(builder.build()))
    assert differences.show(view(summary), summary.verdicts, summary.margins) == ""
