"""What sets took, as the tables have it."""

from statistics import fmean

import pytest

from decoct.report import wording


def test_methods_of_one_time_share_a_line_and_its_span_is_over_budgets(told):
    summary, made = told("usual")
    rows = summary.frame.costs.to_pylist()
    assert {m for spent in made.costs for m in spent.methods} == set(summary.methods)
    for spent in made.costs:
        for method in spent.methods:
            own = [row for row in rows if row["method"] == method]
            budgets = {row["budget"] for row in own}
            means = [fmean(r["cpu_seconds"] for r in own if r["budget"] == b) for b in budgets]
            low, high = wording.seconds(min(means)), wording.seconds(max(means))
            assert spent.span.split(" to ")[-1] == high
            assert low.startswith(spent.span.split(" to ")[0])


def test_many_methods_are_one_line_a_family(told, builder):
    from decoct.report.card.content import card
    from decoct.report.read import frame
    from decoct.report.summary import summarise

    builder.methods = {f"m{i}": ("coreset", True) for i in range(8)} | {"rded": ("distillation", True)}
    builder.truth = dict.fromkeys(builder.methods, 0.5)
    builder.protocols, builder.replicates = ("erm",), 2
    took = builder._job

    def slower(kind, inputs, labels, files=None, seconds=1.0):
        slow = 1 + int(labels["method"][1:]) if kind == "condense" and labels["method"] != "rded" else 1
        return took(kind, inputs, labels, files, seconds * slow)

    builder._job = slower
    made = card(summarise(frame.read(builder.build())))
    assert [len(spent.methods) for spent in made.costs] == [1, 8]
    assert made.costs[1].span == "40 ms to 3.2 s"  # 2 · 0.02 s · IPC 1, and eight times that of IPC 10


def test_sets_of_unlike_machines_are_not_compared(told, monkeypatch):
    from decoct.report import costs
    from decoct.report.card import spent

    summary, _ = told("usual")
    monkeypatch.setattr(costs, "measure", lambda rows: None)
    lines, why = spent.costs(summary)
    assert lines == () and why.startswith("Costs cannot be compared")


@pytest.mark.parametrize("run", ["nothing"])
def test_without_a_set_nothing_is_said(told, run):
    _, made = told(run)
    assert made.costs == () and made.uncompared == ""
