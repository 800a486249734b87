"""The critical-difference diagram: a valid figure whose dots and bars are where the ranks are."""

import plotly.graph_objects as go
import pytest

from decoct.report.findings.ranks import ranked
from decoct.report.page.ranks import diagram, ranks
from decoct.report.page.style import marks
from decoct.report.read import frame
from decoct.report.summary import summarise

NAMES = ("a", "<b>", "c")
MARKS = marks(dict.fromkeys(NAMES, "coreset"))


def of(blocks):
    return ranked({("data", str(i)): dict(zip(NAMES, (3.0, 2.0, 1.0), strict=True)) for i in range(blocks)}, NAMES)


def test_dots_stand_at_ranks_and_bars_over_groups():
    own = of(8)
    figure = diagram(own, MARKS)
    go.Figure(data=figure["data"], layout={k: v for k, v in figure["layout"].items() if k != "meta"})
    dots = {t["meta"]["method"]: t["x"][0] for t in figure["data"] if t["mode"] == "markers"}
    assert dots == own.mean == {"a": 1.0, "<b>": 2.0, "c": 3.0}
    bars = [t for t in figure["data"] if t.get("customdata", [""])[0].startswith("not told apart")]
    assert len(bars) == len(own.groups) == 2
    for bar, group in zip(bars, own.groups, strict=True):
        assert bar["x"][0] < own.mean[group[0]] and bar["x"][1] > own.mean[group[-1]]
    dotted = [t["x"][1] for t in figure["data"] if t.get("line", {}).get("dash") == "dot"]
    assert dotted == pytest.approx([1 + own.critical])
    assert "<b>" not in "".join(figure["layout"]["yaxis"]["ticktext"])


def test_without_a_test_there_are_dots_alone():
    figure = diagram(of(2), MARKS)
    assert {t["mode"] for t in figure["data"]} == {"markers"}
    assert diagram(ranked({}, NAMES), MARKS) is None


def test_a_run_of_one_budget_has_no_section(builder):
    tables = frame.read(builder.build())
    summary = summarise(tables, builder.folder / "report.html")
    section = ranks(tables, summary, marks(summary.methods))
    assert "Average ranks over 2 budgets" in section and "too few for a test" in section
    other = type(builder)(builder.folder.parent / "one", budgets=("ipc=1",))
    tables = frame.read(other.build())
    summary = summarise(tables, other.folder / "report.html")
    assert ranks(tables, summary, marks(summary.methods)) == ""
