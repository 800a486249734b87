"""Recommendations on planted truths: the cheapest of what nothing is shown to beat, within the limit."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.conftest import view

from decoct.core.errors import UsageError
from decoct.core.record import read_cost, write_cost
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.read import frame
from decoct.report.sections.candidates import Candidate
from decoct.report.sections.recommend import Adviser, Limit, Recommendation, limit, recommend, rounded, show, stretches
from decoct.report.stats.intervals import Interval
from decoct.report.summary import summarise


def taken(tables, summary, text):
    return recommend(tables, summary.accuracies, text)


def advised(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    folder = builder.build()
    tables = frame.read(folder)
    return tables, summarise(tables)


def far(method, protocol, student):
    """rded under single_teacher far above all, so that it alone stays; the rest as planted."""
    return 0.25 if (method, protocol) == ("rded", "single_teacher") else 0.0


def test_the_best_by_far_is_taken_if_it_fits(builder):
    found = taken(*advised(builder, twist=far, budgets=("ipc=1",)), "10 images")
    (choice,) = found.choices
    a = choice.pick.accuracy
    assert (a.method, a.setting.protocol, len(choice.kept), choice.considered) == ("rded", "single_teacher", 1, 15)
    said = found.sentence()
    assert said.startswith("For at most 10 images with convnet3_w32, take rded under single_teacher at IPC 1: ")
    assert "36.0 s of processor time before training" in said and "beat each of the 14 others" in said


def test_among_those_that_none_is_shown_to_beat_the_cheapest_is_taken(builder):
    truth = dict.fromkeys(builder.truth, 0.5)
    found = taken(*advised(builder, truth=truth, protocols=("erm",), budgets=("ipc=1",)), "1 h")
    (choice,) = found.choices
    assert choice.pick.accuracy.method == "random"  # 0.02 s, and no teacher
    assert [k.accuracy.method for k in choice.kept][:1] == ["random"] and len(choice.kept) > 2
    assert {k.accuracy.method for k in choice.kept} >= {choice.highest.accuracy.method}
    assert all(str(k) in found.sentence() for k in choice.kept)


def candidate(name, seconds, mean, images=10):
    setting = Setting("erm", "net", f"ipc={images}")
    return Candidate(Accuracy(name, setting, Interval(mean, mean, mean, 5), 5, images, 1, 1, images, 0), {}, seconds)


def choice(candidates, measure="processor time"):
    """Of a study in which none is shown to beat another."""
    ahead = np.full((len(candidates), len(candidates)), math.nan)
    (found,) = Adviser({"net": candidates}, {"net": ahead}, measure).recommend(Limit(1e9, "images")).choices
    return found


@given(data=st.data(), least=st.sampled_from([0.0, 3.0, 9.0, 400.0]), number=st.integers(1, 6), far=st.integers(0, 4))
def test_a_timer_does_not_decide_nor_does_the_order_of_rows(data, least, number, far):
    """Up to 0.4 s of jitter, or 4 % of a long time, on times of which some are alike and the rest are far away."""
    means = data.draw(st.permutations([k / 100 for k in range(number + far)]))
    times = [least * data.draw(st.floats(1, 1.01)) for _ in range(number)]
    times += [2 * least + 2 + data.draw(st.floats(0, 1000)) for _ in range(far)]
    best = max(range(number), key=lambda i: means[i])

    def drawn():
        jitter = [x + max(0.4, 0.04 * x) * data.draw(st.floats(0, 1)) for x in times]
        rows = [candidate(f"m{i}", x, means[i]) for i, x in enumerate(jitter)]
        return choice(data.draw(st.permutations(rows)))

    for found in (drawn(), drawn()):
        assert (found.pick.accuracy.method, found.tied) == (f"m{best}", number)
        assert [k.seconds for k in found.kept] == sorted(k.seconds for k in found.kept)


def test_the_least_time_alone_says_what_ties_so_that_near_and_nearer_do_not_chain():
    chain = [candidate(f"m{i}", 0.8 * i, 0.5 + 0.01 * i) for i in range(5)]
    assert choice(chain).pick.accuracy.method == "m1"
    assert choice([candidate("a", 100.0, 0.5), candidate("b", 110.0, 0.6), candidate("c", 111.0, 0.7)]).tied == 2


def test_a_larger_set_that_takes_a_moment_more_wins_by_its_mean():
    small, large = candidate("random", 0.0300, 0.5), candidate("random", 0.0301, 0.7, images=100)
    assert choice([small, large]).pick == choice([large, small]).pick == large


def test_equal_means_go_to_the_lower_cost_then_to_the_name():
    assert choice([candidate("b", 0.5, 0.5), candidate("a", 0.6, 0.5)]).pick.accuracy.method == "b"
    assert choice([candidate("b", 0.5, 0.5), candidate("a", 0.5, 0.5)]).pick.accuracy.method == "a"


def test_without_times_equal_sizes_tie():
    rows = [candidate("a", math.inf, 0.5), candidate("b", math.inf, 0.6), candidate("c", math.inf, 0.9, images=100)]
    found = choice(rows, measure=None)
    assert (found.pick.accuracy.method, found.tied, found.highest.accuracy.method) == ("b", 2, "c")
    told = Recommendation(Limit(1e9, "images"), None, (found,)).to_json()
    assert '"seconds_before_training": null' in json.dumps(told, allow_nan=False)


def test_a_tie_is_said(builder):
    truth = dict.fromkeys(builder.truth, 0.5)
    found = taken(*advised(builder, truth=truth, protocols=("erm",), budgets=("ipc=1",)), "1 h")
    (own,) = found.choices
    near = [k for k in own.kept if k.seconds <= max(own.kept[0].seconds + 1, 1.1 * own.kept[0].seconds)]
    assert own.tied == len(near)
    said = f"It has the highest mean of the {own.tied} cheapest (times within a second or a tenth of the least) of "
    assert (said in found.sentence()) == (own.tied > 1)


def test_seconds_are_of_all_that_a_student_stands_on_and_the_protocols_teachers_count(builder):
    tables, summary = advised(builder, budgets=("ipc=1",))
    found = taken(tables, summary, "1 h").choices[0]
    seconds = {(k.accuracy.method, k.accuracy.setting.protocol): k.seconds for k in found.kept}
    assert seconds[("rded", "single_teacher")] == pytest.approx(2 * (8 + 10))  # its teacher labels too: once
    assert seconds[("rded", "multi_teacher")] == pytest.approx(2 * (8 + 10 + 10))
    cheap = taken(tables, summary, "1 s").choices[0]
    assert {(k.accuracy.method, k.accuracy.setting.protocol) for k in cheap.kept} == {("random", "erm")}
    assert cheap.considered == 1 and "the only one within the limit" in taken(tables, summary, "1 s").sentence()


def test_bytes_are_of_images_and_labels(builder):
    found = taken(*advised(builder), "2 kB").choices[0]
    assert found.considered == 15 and {k.accuracy.setting.budget for k in found.kept} == {"ipc=1"}
    everything = taken(*advised(builder, jobs=[], folder=builder.folder.with_name("again")), "1 MB").choices[0]
    assert everything.considered == 30


def test_nothing_fits(builder):
    said = taken(*advised(builder), "9 images").sentence()
    assert "nothing can be recommended: nothing that was trained fits; the least is 10 images" in said


def test_one_replicate_recommends_nothing(builder):
    found = taken(*advised(builder, replicates=1), "100 images")
    assert found.choices[0].pick is None and found.choices[0].left_out == 30
    assert "two replicates or more" in found.sentence()


def test_a_method_with_one_replicate_is_left_out(builder):
    def hole(labels):
        return labels["kind"] == "train" and labels["method"] == "random" and labels["condense_replicate"] > 0

    (choice,) = taken(*advised(builder, holes=hole), "100 images").choices
    assert (choice.considered, choice.left_out) == (24, 6)
    assert all(k.accuracy.method != "random" for k in choice.kept)


def test_unlike_machines_leave_images_and_bytes(builder):
    tables, summary = advised(builder)
    job = next(j for j in tables.manifest.of_kind("condense") if j.labels["method"] == "rded")
    file = tables.manifest.cell(job) / "measured.json"
    write_cost(file.parent, read_cost(file).model_copy(update={"hardware": "Other"}))
    tables = frame.read(tables.manifest.folder)
    assert "unlike machines" in taken(tables, summary, "60 s").sentence()
    found = taken(tables, summary, "100 images")
    assert found.measure is None and found.choices[0].pick is not None
    assert "before training" not in found.sentence()
    assert {r.limit.kind for r in summarise(tables).advice} == {"images", "bytes"}


def test_each_student_has_its_own(builder):
    def twist(method, protocol, student):
        return 0.3 if (method, student) in (("rded", "a"), ("k_center", "b")) else 0.0

    found = taken(*advised(builder, students=("a", "b"), twist=twist, protocols=("erm",)), "10 images")
    assert [(c.student, c.pick.accuracy.method) for c in found.choices] == [("a", "rded"), ("b", "k_center")]
    assert found.sentence().count("take ") == 2


def test_controls_compete_with_none(builder):
    builder.methods["start"], builder.truth["start"] = ("control", True), 0.75
    (choice,) = taken(*advised(builder), "10 images").choices
    assert choice.considered == 15 and choice.highest.accuracy.method == "rded"


def test_break_points_are_the_sizes_and_a_few_round_numbers(builder):
    _, summary = advised(builder)
    images = [r.limit.amount for r in summary.advice if r.limit.kind == "images"]
    assert images == [10, 100]
    for kind in ("bytes", "seconds"):
        amounts = [r.limit.amount for r in summary.advice if r.limit.kind == kind]
        assert 1 < len(amounts) <= 4 and amounts == sorted(amounts)
    last = [r.choices[0] for r in summary.advice if r.limit.kind != "images"][-1]
    assert last.considered == 30  # the largest limit holds everything
    plain = json.loads(json.dumps(summary.to_json(), allow_nan=False))["advice"]
    assert len(plain) == len(summary.advice) and plain[0]["choices"][0]["take"]["images"] == 10
    merged = stretches(summary.advice, "convnet3_w32")
    assert len(merged) <= len(summary.advice) and merged[0][0].limit.amount == 10
    assert all(first.limit.amount <= last.limit.amount for first, last, _ in merged)


def test_nothing_trained_advises_nothing(builder):
    tables, summary = advised(builder, holes=lambda labels: labels["kind"] == "train")
    assert summary.advice == ()
    assert taken(tables, summary, "10 images").sentence().startswith("No student has been trained yet")


def test_a_text_that_is_no_budget_is_refused(builder):
    with pytest.raises(UsageError, match="no budget"):
        taken(*advised(builder), "plenty")


def shown(builder):
    folder = builder.build()
    summary = summarise(frame.read(folder))
    return summary, show(view(summary), summary.advice)


def test_a_row_for_every_stretch_and_its_sentence(builder):
    summary, section = shown(builder)
    found = stretches(summary.advice, "convnet3_w32")
    body = section[section.index("<tbody>") : section.index("</tbody>")]
    assert body.count("<tr>") == len(found) == section.count("<li>")
    assert "processor time of all that must be there before a student trains" in section
    words = " ".join(re.sub(r"<[^>]*>", " ", body).split())
    _, _, choice = found[0]
    assert words.startswith("10 images rded") and f"{len(choice.kept)} of {choice.considered}" in words
    assert "500 steps, 32,000 images seen" in words


def test_students_have_a_table_each(builder):
    builder.students = ("a", "b")
    _, section = shown(builder)
    assert section.count("<table") == 2 and section.count("<h3>") == 2


def test_one_replicate_says_why_nothing_is_recommended(builder):
    builder.replicates = 1
    _, section = shown(builder)
    assert "nothing: it takes two replicates or more" in section
    assert not re.search(r"\bnan\b|\bNone\b", section)


def test_nothing_trained_has_no_section(builder):
    builder.holes = lambda labels: labels["kind"] == "train"
    assert shown(builder)[1] == ""


@pytest.mark.parametrize(
    ("text", "amount", "kind", "said"),
    [
        ("100 images", 100, "images", "100 images"),
        ("1,000 images", 1000, "images", "1,000 images"),
        ("1image", 1, "images", "1 image"),
        ("2 MB", 2e6, "bytes", "2 MB"),
        ("2mb", 2e6, "bytes", "2 MB"),
        ("1.5 KiB", 1536, "bytes", "1.54 kB"),
        ("812 B", 812, "bytes", "812 B"),
        ("60 s", 60, "seconds", "60.0 s"),
        ("250ms", 0.25, "seconds", "250 ms"),
        (" 1 h 30 min ", 5400, "seconds", "1 h 30 min"),
    ],
)
def test_a_number_and_a_unit(text, amount, kind, said):
    assert (limit(text).amount, limit(text).kind, str(limit(text))) == (pytest.approx(amount), kind, said)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "say a number"),
        ("images", "say a number"),
        ("10", "say a number"),
        ("-3 s", "say a number"),
        ("1e9 s", "say a number"),
        ("10 parsecs", "'parsecs' in '10 parsecs' is no unit"),
        ("5 m", "no unit"),
        ("0 images", "above 0"),
        ("0.5 images", "above 0"),
        ("10 images 2 MB", "mixes bytes and images"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, complaint):
    with pytest.raises(UsageError, match=complaint):
        limit(text)


@given(st.text(max_size=12))
def test_any_text_is_a_limit_or_a_usage_error(text):
    try:
        found = limit(text)
    except UsageError:
        return
    assert found.amount > 0


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=20))
def test_round_numbers_hold_the_smallest_and_the_largest(values):
    steps = rounded(values)
    assert 1 <= len(steps) <= 4 and steps == sorted(set(steps))
    assert min(values) <= steps[0] * (1 + 1e-9) and max(values) <= steps[-1] * (1 + 1e-9)
    assert all(f"{step:e}"[0] in "125" for step in steps)
    assert steps[0] < 2.51 * min(values)


def test_no_number_gives_none():
    assert rounded([float("nan"), float("inf"), 0.0]) == []
    assert str(Limit(1, "images")) == "1 image"
