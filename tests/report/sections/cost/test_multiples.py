"""Multiples of cost against a naive rewrite: which time counts, what is shared, and what is not compared."""

import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from decoct.core.record import read_cost, write_cost
from decoct.report.read import frame
from decoct.report.sections.cost import multiples as cost
from decoct.report.summary import summarise


@pytest.fixture
def told(builder):
    """The multiples of a run whose records are changed by ``change(record, kind, labels)`` before they are read."""

    def tell(change=lambda record, kind, labels: {}):
        folder = builder.build()
        read = frame.read(folder).manifest
        for job in read.jobs:
            file = read.cell(job) / "measured.json"
            if file.is_file():
                record = read_cost(file)
                write_cost(file.parent, record.model_copy(update=change(record.model_dump(), job.kind, job.labels)))
        found = frame.read(folder)
        return found, cost.multiples(found)

    return tell


def one(found, method="rded", coreset="herding", budget="ipc=1"):
    (m,) = [m for m in found if (m.method, m.coreset, m.budget) == (method, coreset, budget)]
    return m


def test_shared_parts_are_in_full_and_the_construction_stands_beside(told):
    _, found = told()
    m = one(found)
    # rded: 8 s an image a class, and a teacher of 10 s; herding: 0.02 s, features 2 s, the teacher; two processors
    assert (m.measure, m.seconds, m.own) == ("processor time", pytest.approx(36.0), pytest.approx(16.0))
    assert m.full.mean == pytest.approx(36.0 / 24.04) and m.marginal.mean == pytest.approx(16.0 / 0.04)
    assert m.full.n == (5, 1)
    assert len(found) == 2 * 2 * 3  # methods, budgets, coresets: random is one


def test_the_interval_is_welchs_on_logs_over_sets(told):
    times = {c: 8.0 + c for c in range(5)}

    def change(record, kind, labels):
        if labels.get("method") == "random" and kind == "condense":
            return {"cpu_seconds": 0.04 + labels["condense_replicate"] / 100}
        return {"cpu_seconds": times[labels["condense_replicate"]]} if labels.get("method") == "rded" else {}

    _, found = told(change)
    own, random = np.log([20.0 + times[c] for c in range(5)]), np.log([0.04 + c / 100 for c in range(5)])
    m = one(found, coreset="random")
    theirs = scipy_stats.ttest_ind(own, random, equal_var=False).confidence_interval(0.95)
    assert m.full.mean == pytest.approx(math.exp(own.mean() - random.mean()))
    assert (m.full.lo, m.full.hi) == pytest.approx((math.exp(theirs.low), math.exp(theirs.high)))
    beside = one(found).full  # herding has one set, which stands as it was timed
    theirs = scipy_stats.ttest_1samp(own, math.log(24.04)).confidence_interval(0.95)
    assert beside.lo == pytest.approx(math.exp(theirs.low - math.log(24.04)))


def test_one_set_each_has_no_interval_and_says_so(builder, told):
    builder.replicates = 1
    tables, found = told()
    assert math.isfinite(one(found).full.mean) and math.isnan(one(found).full.lo)
    assert "(one set each: no interval)" in cost.sentences(tables, found)[0]


def test_device_time_counts_where_an_accelerator_was_held(told):
    tables, found = told(lambda record, kind, labels: {"device": "cuda", "device_seconds": 3 * record["seconds"]})
    m = one(found)
    assert (m.measure, m.seconds, m.own) == ("device time", pytest.approx(54.0), pytest.approx(24.0))
    assert "54.0 s of device time at IPC 1" in cost.sentences(tables, found)[0]
    assert "in device time" in cost.overall(found)


def test_unlike_machines_are_not_compared_and_what_can_be_anywhere_is_said(told):
    def change(record, kind, labels):
        return {"hardware": "Other CPU"} if kind == "condense" and labels["method"] == "herding" else {}

    tables, found = told(change)
    m = one(found)
    assert m.measure is None and math.isnan(m.full.mean) and m.seconds == pytest.approx(36.0)
    assert "Other CPU" in m.why and "different machines" in m.why
    assert one(found, coreset="random").measure == "processor time"
    said = cost.sentences(tables, found)[0]
    assert "500 steps to make it, 900 B, students that see 32,000 images at most" in said
    assert "their times are not compared" in said
    assert "4 of 12 pairs cannot be compared" in cost.overall(found)


def test_some_held_an_accelerator_and_some_did_not(told):
    def change(record, kind, labels):
        return {"device_seconds": 1.0} if labels.get("method") == "rded" else {}

    _, found = told(change)
    assert "held for some sets" in one(found).why and one(found, method="sre2l").measure == "processor time"


def test_a_part_that_is_gone_leaves_it_unknown(builder, told):
    builder.holes = lambda labels: labels["kind"] == "features"
    tables, found = told()
    assert "not fully known" in one(found).why
    assert one(found, coreset="random").full.mean > 1
    assert cost.sentences(tables, found)


def test_the_most_expensive_and_the_cheapest_are_of_the_same_method_and_budget(told):
    tables, found = told()
    (line,) = (line for line in cost.sentences(tables, found) if "rded" in line)
    low, high = (
        pick((m.full.mean, m.coreset) for m in found if m.method == "rded" and m.budget == "ipc=1")
        for pick in (min, max)
    )
    assert f"× {low[1]}" in line.partition("the most expensive coreset")[0]
    rest = line.partition("the most expensive coreset")[2]
    assert high[1] == "random" and "× random" in rest.partition("the cheapest")[0]
    said = cost.overall(found)
    assert "takes 1.50 to 7.38 times as long as the most expensive coreset of its size" in said
    assert "and 450 to 900 times as long as the cheapest" in said


@pytest.mark.parametrize("methods", [("random", "herding"), ("rded",)])
def test_without_two_sides_nothing_is_compared(builder, told, methods):
    builder.methods = {m: builder.methods[m] for m in methods}
    tables, found = told()
    assert found == () and "cannot be compared" in cost.overall(found)
    assert all("takes 36.0 s" in line for line in cost.sentences(tables, found))


def test_what_a_loaded_teacher_took_is_named_as_not_counted(builder, told):
    builder.checkpoint = "net.pt"
    tables, found = told()
    assert cost.sentences(tables, found)[0].endswith("Not counted: training of convnet3_bn")


def test_a_time_of_zero_has_no_multiple():
    assert math.isnan(cost.ratio([1.0, 2.0], [0.0]).mean) and math.isnan(cost.ratio([], [1.0]).mean)


def shown(builder):
    summary = summarise(frame.read(builder.build()))
    return summary, str(cost.SECTION.show(summary))


def test_multiples_stand_with_interval_sets_and_the_construction_alone(builder):
    _, section = shown(builder)
    words = " ".join(re.sub(r"<[^>]*>", " ", section).split())
    assert (
        "36.0 s 16.0 s alone 900 [900, 900] sets: 5 and 5 400 [400, 400] alone 1.50 [1.50, 1.50] sets: 5 and 1" in words
    )


def test_every_methods_range_is_shown_and_what_is_not_counted_said(builder):
    builder.checkpoint = "net.pt"
    summary, section = shown(builder)
    lines = summary.claims.of("cost").methods
    assert len(lines) == 2 + 2 and all(f"<li>{line}.</li>" in section for line in lines)  # and at equal cost
    assert cost.SECTION.say(summary) == "Not counted: training of convnet3_bn (rded, sre2l)"


def test_machines_unlike_leave_a_dash_that_says_why(builder):
    folder = builder.build()
    for file in (folder / "store" / "features").rglob("measured.json"):
        write_cost(file.parent, read_cost(file).model_copy(update={"hardware": "<b>Other"}))
    section = str(cost.SECTION.show(summarise(frame.read(folder))))
    assert "different machines" in section and "<b>Other" not in section
    assert re.search(r'<span title="[^"]*&lt;b&gt;Other[^"]*">–</span>', section)


def test_a_study_of_selections_alone_has_no_section(builder):
    builder.methods = {m: builder.methods[m] for m in ("random", "herding")}
    summary, section = shown(builder)
    assert section == "" and summary.claims.of("cost").methods == ()
