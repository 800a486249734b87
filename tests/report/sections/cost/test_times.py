"""What every set took: rows for all of them, times that count, and accuracy over the time that compares them."""

import json
import re

import pytest

from decoct.core.record import read_cost, write_cost
from decoct.report import wording
from decoct.report.read import frame
from decoct.report.sections.cost.times import SECTION, figure
from decoct.report.summary import summarise


@pytest.fixture
def told(builder):
    """Summary and section of a run whose records are changed by ``change(record, kind)`` before they are read."""

    def tell(change=lambda record, kind: {}):
        folder = builder.build()
        read = frame.read(folder).manifest
        for job in read.jobs:
            file = read.cell(job) / "measured.json"
            if file.is_file():
                record = read_cost(file)
                write_cost(file.parent, record.model_copy(update=change(record.model_dump(), job.kind)))
        summary = summarise(frame.read(folder))
        return summary, str(SECTION.show(summary))

    return tell


def rows(page):
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body))
    return [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in row] for row in cells]


def test_a_row_for_every_method_and_budget_with_shared_parts_in_full(told, builder):
    _, page = told()
    found = rows(page)
    assert [(row[0].split(" ")[0].removesuffix("†"), row[1]) for row in found] == [
        (method, wording.budget(budget)) for method in builder.methods for budget in builder.budgets
    ]
    # rded: 8 s an image a class and a teacher of 10 s; the construction alone beside it; two processors
    (rded,) = [row for row in found if row[:2] == ["rded", "IPC 1"]]
    assert rded[2:5] == ["10", "36.0 s 16.0 s alone", "18.0 s 8.0 s alone"]
    assert "device time" not in page and "energy (J)" not in page


def test_device_time_is_drawn_and_named_where_an_accelerator_was_held(told):
    summary, page = told(lambda record, kind: {"device": "cuda", "device_seconds": 3 * record["seconds"]})
    assert "device time</th>" in page
    (panel, *_) = summary.panels
    made = figure(summary, summary.frame, panel)
    assert made["layout"]["xaxis"]["title"]["text"].startswith("device time")
    (rded,) = [trace for trace in made["data"] if trace["meta"]["method"] == "rded"]
    assert rded["x"][0] == pytest.approx(54.0)


def test_accuracy_stands_over_the_time_that_compares(told):
    summary, page = told()
    figures = [json.loads(raw) for raw in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    assert len(figures) == len(summary.panels)
    for panel, made in zip(summary.panels, figures, strict=True):
        (rded,) = [trace for trace in made["data"] if trace["meta"]["method"] == "rded"]
        assert rded["x"] == pytest.approx([36.0, 180.0])
        own = [summary.accuracy("rded", s).interval.mean for s in summary.panels[panel]]
        assert rded["y"] == pytest.approx([100 * mean for mean in own], abs=1e-3)
        assert made["layout"]["xaxis"]["title"]["text"].startswith("processor time")


def test_unlike_machines_leave_wall_time(told):
    summary, _ = told(lambda record, kind: {"hardware": "Other CPU"} if kind == "features" else {})
    made = figure(summary, summary.frame, next(iter(summary.panels)))
    assert made["layout"]["xaxis"]["title"]["text"].startswith("wall time")


def test_energy_stands_where_it_was_measured(told):
    _, page = told(lambda record, kind: {"energy": 5.0})
    assert "energy (J)" in page and "compare it only where jobs" in page


def test_a_name_of_a_machine_is_text(told):
    _, page = told(lambda record, kind: {"hardware": "<b>CPU"})
    assert "&lt;b&gt;CPU" in page and "<b>CPU" not in page


def test_a_run_without_sets_has_no_section(told, builder):
    builder.holes = lambda labels: True
    assert told()[1] == ""
