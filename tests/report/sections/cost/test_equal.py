"""Accuracy at equal cost: which coreset is picked, by cost alone, against a naive search; and what is said of it."""

import json

import numpy as np
import pytest

from decoct.core.record import read_cost, write_cost
from decoct.report.judged import judge
from decoct.report.page.view import View
from decoct.report.read import frame
from decoct.report.sections.cost import equal as equal_cost
from decoct.report.sections.cost.equal import equal_costs, equal_table, overall, sentences, words

BUDGETS = ("ipc=1", "ipc=10", "ipc=20")


@pytest.fixture
def found(builder):
    """``found(change)``: comparisons of a run whose records are changed before they are read."""

    def make(change=lambda record, kind, labels: {}):
        if builder.jobs:
            builder.folder, builder.jobs = builder.folder.with_name(builder.folder.name + "x"), []
        builder.protocols = ("erm",)
        folder = builder.build()
        run = frame.read(folder).manifest
        for job in run.jobs:
            file = run.cell(job) / "measured.json"
            if file.is_file():
                record = read_cost(file)
                write_cost(file.parent, record.model_copy(update=change(record, job.kind, job.labels)))
        own = judge(frame.read(folder))
        return own, equal_costs(own)

    return make


def naive(own, equal):
    """The coreset's largest budget that takes no longer, by plain loops over the costs."""
    rows = own.frame.costs.to_pylist()

    def seconds(method, budget):
        return np.mean([r["cpu_seconds"] for r in rows if (r["method"], r["budget"]) == (method, budget)])

    limit = seconds(equal.method, equal.setting.budget)
    cheap = [b for b in BUDGETS if seconds(equal.coreset, b) <= max(limit + 1, 1.1 * limit)]
    return cheap[-1] if cheap else None


def test_the_largest_set_that_takes_no_longer_is_picked(builder, found):
    builder.budgets = BUDGETS
    dear = {"ipc=1": 5.0, "ipc=10": 36.5, "ipc=20": 400.0}  # 36 s have a tenth, or a second, above them

    def change(record, kind, labels):
        return {"cpu_seconds": dear[labels["budget"]]} if (kind, labels.get("method")) == ("condense", "random") else {}

    own, equal = found(change)
    picked = {(e.method, e.setting.budget, e.coreset): e.budget for e in equal}
    assert all(picked[e.method, e.setting.budget, e.coreset] == naive(own, e) for e in equal)
    assert picked["rded", "ipc=1", "random"] == "ipc=10" and picked["rded", "ipc=10", "random"] == "ipc=10"
    assert picked["rded", "ipc=20", "random"] == "ipc=10" and picked["rded", "ipc=1", "herding"] == "ipc=20"


def test_the_difference_is_paired_over_replicates_of_two_sizes(found):
    own, equal = found()
    e = next(e for e in equal if (e.method, e.setting.budget, e.coreset) == ("rded", "ipc=1", "herding"))
    assert e.budget == "ipc=10" and e.images == (10, 100)
    a, b = own.runs["rded", e.setting], own.runs["herding", e.setting._replace(budget="ipc=10")]
    assert e.comparison.mean == pytest.approx(np.mean([a[r] - b[r] for r in a]))
    assert e.comparison.n == 5 and e.comparison.family == len(equal) == 12


def test_words_are_over_every_coreset_and_said_with_their_numbers(builder, found):
    own, equal = found()
    setting = own.settings[0]
    assert words(equal)["rded", setting] == "worse"  # 10 images of it beside 100 of herding
    assert words(equal)["rded", own.settings[1]] == "better"
    assert "better than every coreset in 1 of 4 settings and worse than at least one in 3, after Holm" in overall(equal)
    assert sentences(equal)[0].startswith("rded at equal cost: better than every coreset in 1 of 2 settings")
    assert "(erm, convnet3_w32, IPC 1: 100 images for 10)" in sentences(equal)[0]


def test_the_table_has_a_row_for_each_set_and_no_name_becomes_markup(builder, found):
    builder.methods |= {"<b>x": ("distillation", True)}
    builder.truth |= {"<b>x": 0.4}
    own, equal = found()
    view = View(own.frame.manifest.families, frozenset(), own.settings, own.accuracies)
    page = equal_table(view, equal)
    assert page.count("<tr>") == 1 + 6 and "<b>x" not in page and "IPC 10" in page and "nan" not in page
    assert equal_table(view, []) == ""
    json.dumps([e.to_json() for e in equal], allow_nan=False)


def test_what_cannot_be_compared_is_left_out(found):
    def change(record, kind, labels):
        return {"hardware": "Other CPU"} if labels.get("method") == "rded" else {}

    _, equal = found(change)
    assert {e.method for e in equal} == {"sre2l"}

    def held(record, kind, labels):
        return {"cpu_seconds": 9000.0} if labels.get("method") in ("random", "herding", "k_center") else {}

    _, none = found(held)
    assert none == () and overall(none) == "" and equal_cost.sentences(none) == ()


def test_accuracy_never_picks(builder, found):
    """The planted accuracies turned upside down give the same pairs."""
    _, first = found()
    builder.truth = {m: 0.9 - x for m, x in builder.truth.items()}
    _, second = found()
    assert [(e.method, e.setting, e.coreset, e.budget) for e in first] == [
        (e.method, e.setting, e.coreset, e.budget) for e in second
    ]
