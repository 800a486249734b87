"""Recommendations on planted truths: the highest mean within the limit, and what is cheaper and near."""

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.core.record import read_cost, write_cost
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.advice.candidates import Candidate
from decoct.report.advice.limits import Limit
from decoct.report.advice.recommend import (
    Adviser,
    Choice,
    Recommendation,
    cheapest,
    leader,
    recommend,
    stretches,
)
from decoct.report.judged import judge
from decoct.report.read import frame
from decoct.report.stats import selected
from decoct.report.stats.crossed import Crossed
from decoct.report.stats.intervals import Interval
from decoct.report.summary import summarise


def advised(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    return judge(frame.read(builder.build()))


def summed(builder, **changes):
    return summarise(advised(builder, **changes).frame)


def far(method, protocol, student):
    """rded under single_teacher far above all, so that it alone stays; the rest as planted."""
    return 0.25 if (method, protocol) == ("rded", "single_teacher") else 0.0


def test_the_best_by_far_is_taken_if_it_fits(builder):
    found = recommend(advised(builder, twist=far, budgets=("ipc=1",)), "10 images")
    (choice,) = found.choices
    a = choice.pick.accuracy
    assert (a.method, a.setting.protocol, choice.kept, len(choice.within)) == (
        "rded",
        "single_teacher",
        (choice.pick,),
        15,
    )
    said = found.sentence()
    assert said.startswith("For at most 10 images with convnet3_w32, take rded under single_teacher at IPC 1: ")
    assert "36.0 s of processor time before training" in said and said.endswith("It is shown to be the best of them")
    assert choice.cheaper is None and choice.sure
    assert found.line(choice).startswith("For 10 images, take rded under single_teacher, 8")
    assert re.search(r"\(random \d\d\.\d\): the best of 15\.$", found.line(choice))


def test_the_interval_is_that_of_the_highest_of_all_within(builder):
    (choice,) = recommend(advised(builder, protocols=("erm",)), "10 images").choices
    own = choice.pick.estimate
    assert choice.pick == max(choice.within, key=lambda c: c.mean) and len(choice.within) == 5
    assert (choice.interval.lo, choice.interval.hi) == pytest.approx(selected.highest(own, 5))
    assert own.df > choice.pick.crossed.n - 1  # it borrows from the other candidates


def test_the_example_of_the_built_in_study_names_herding():
    """Random (63.3 %) took 13.6 points less than herding (76.9 %), and a rule by cost alone named it."""
    rows = [candidate("random", 0.001, 0.633), candidate("herding", 11.0, 0.769), candidate("rded", 11.0, 0.657)]
    assert leader(rows).accuracy.method == "herding" and cheapest(rows, rows[1], 0.01) is None


def test_the_cheapest_within_the_margin_stands_beside_the_highest_mean(builder):
    truth = {"random": 0.5, "herding": 0.505, "k_center": 0.3, "rded": 0.3, "sre2l": 0.3}
    judged = advised(builder, truth=truth, protocols=("erm",), budgets=("ipc=1",), noise=0.001)
    found = recommend(judged, "1 h")
    (choice,) = found.choices
    assert (choice.pick.accuracy.method, choice.cheaper.accuracy.method) == ("herding", "random")
    apart = {v.method: v for v in judged.verdicts}["herding"].random
    assert choice.difference.mean == pytest.approx(apart.mean) and choice.difference.margin == 0.01
    assert (choice.difference.lo, choice.difference.hi) == pytest.approx((apart.lo, apart.hi))
    assert "Cheaper and within 1 point of it: random under erm at IPC 1, " in found.sentence()
    assert ", or the cheaper random at IPC 1, " in found.line(choice)
    told = found.to_json()["choices"][0]
    assert told["cheaper"]["method"] == "random" and told["difference"]["n"] == 5
    assert told["take"]["ci95"] == [choice.interval.lo, choice.interval.hi] != told["take"]["ci95_alone"]


def candidate(name, seconds, mean, images=10, weight=None):
    a = Accuracy(
        name,
        Setting("erm", "net", f"ipc={images}"),
        Interval(mean, mean, mean, 5),
        5,
        images,
        1,
        1,
        images if weight is None else weight,
        0,
    )
    error = Crossed(5, mean, 1e-4)
    return Candidate(a, {}, seconds, error, error.estimate())


def near(rows, margin=0.01):
    return cheapest(rows, leader(rows), margin)


@given(data=st.data(), least=st.sampled_from([0.0, 3.0, 9.0, 400.0]), number=st.integers(1, 6), dear=st.integers(0, 4))
def test_a_timer_does_not_decide_nor_does_the_order_of_rows(data, least, number, dear):
    """Up to 0.4 s of jitter, or 4 % of a long time, on times of which some are alike and the rest are far away."""
    means = data.draw(st.permutations([0.5 + k / 1000 for k in range(number + dear)]))
    sizes = data.draw(st.permutations([10 * (k + 1) for k in range(number + dear)]))
    times = [least * data.draw(st.floats(1, 1.01)) for _ in range(number)]
    times += [2 * least + 2 + data.draw(st.floats(0, 1000)) for _ in range(dear)]
    fewest, best = min(range(number), key=lambda i: sizes[i]), max(range(number + dear), key=lambda i: means[i])

    for _ in range(2):
        jitter = [x + max(0.4, 0.04 * x) * data.draw(st.floats(0, 1)) for x in times]
        rows = [candidate(f"m{i}", x, means[i], sizes[i]) for i, x in enumerate(jitter)]
        rows = data.draw(st.permutations(rows))
        found = near(rows, 0.05)
        assert leader(rows).accuracy.method == f"m{best}"
        assert found is None if fewest == best else found.accuracy.method == f"m{fewest}"


def test_nothing_below_the_margin_is_named_however_cheap():
    dear, cheap, free = candidate("a", 100.0, 0.7), candidate("b", 10.0, 0.69), candidate("c", 0.0, 0.68)
    assert near([dear, cheap, free]) == cheap
    assert near([dear, free]) is None


def test_the_least_time_alone_says_what_ties_so_that_near_and_nearer_do_not_chain():
    chain = [candidate(f"m{i}", 0.8 * i, 0.5 + 0.001 * i) for i in range(5)]
    assert near(chain).accuracy.method == "m1"


def test_fewer_images_win_a_tie_then_fewer_bytes_then_the_higher_mean():
    small, large = candidate("random", 0.0301, 0.695), candidate("random", 0.0300, 0.7, images=100)
    assert near([small, large]) == near([large, small]) == small
    light, heavy = candidate("a", 5.0, 0.695), candidate("b", 5.0, 0.7, weight=12)
    assert near([light, heavy]) == light
    assert near([light, candidate("b", 5.0, 0.7, weight=11)]) is None  # a tenth of the bytes is a tie


def test_equal_means_go_to_fewer_images_then_to_the_name():
    assert leader([candidate("b", 0.5, 0.5), candidate("a", 0.6, 0.5)]).accuracy.method == "a"
    assert leader([candidate("b", 0.5, 0.5), candidate("a", 0.5, 0.5, images=20)]).accuracy.method == "b"


def test_without_times_fewer_images_are_cheaper():
    rows = [candidate("a", math.inf, 0.695), candidate("b", math.inf, 0.699), candidate("c", math.inf, 0.7, images=100)]
    assert near(rows).accuracy.method == "b"
    choice = Choice("net", rows[2], Interval(0.7, 0.6, 0.8, 5), within=tuple(rows))
    told = Recommendation(Limit(1e9, "images"), None, (choice,)).to_json()
    assert '"seconds_before_training": null' in json.dumps(told, allow_nan=False)


def test_seconds_are_of_all_that_a_student_stands_on_and_the_protocols_teachers_count(builder):
    judged = advised(builder, budgets=("ipc=1",))
    found = recommend(judged, "1 h").choices[0]
    seconds = {(k.accuracy.method, k.accuracy.setting.protocol): k.seconds for k in found.within}
    assert seconds[("rded", "single_teacher")] == pytest.approx(2 * (8 + 10))  # its teacher labels too: once
    assert seconds[("rded", "multi_teacher")] == pytest.approx(2 * (8 + 10 + 10))
    cheap = recommend(judged, "1 s")
    (choice,) = cheap.choices
    assert [(k.accuracy.method, k.accuracy.setting.protocol) for k in choice.within] == [("random", "erm")]
    assert "the only one within the limit" in cheap.sentence() and cheap.line(choice).endswith("nothing else fits.")


def test_settings_outside_take_no_part(builder):
    judged = advised(builder)
    soft = {s: "" for s in judged.settings if s.protocol != "erm"}
    found = recommend(replace(judged, outside=soft), "100 images")
    (choice,) = found.choices
    assert {c.accuracy.setting.protocol for c in choice.within} == {"erm"} and len(choice.within) == 10
    assert " under " not in found.line(choice)
    dark = replace(judged, outside=dict.fromkeys(judged.settings, "all at chance"))
    said = recommend(dark, "9 s").sentence()
    assert said.endswith("nothing can be recommended: none of its settings counts: all at chance")
    assert Adviser.of(dark).break_points() == ()


def test_bytes_are_of_images_and_labels(builder):
    found = recommend(advised(builder), "2 kB").choices[0]
    assert len(found.within) == 15 and {k.accuracy.setting.budget for k in found.within} == {"ipc=1"}
    everything = recommend(advised(builder, jobs=[], folder=builder.folder.with_name("again")), "1 MB").choices[0]
    assert len(everything.within) == 30


def test_nothing_fits(builder):
    said = recommend(advised(builder), "9 images").sentence()
    assert "nothing can be recommended: nothing that was trained fits; the least is 10 images" in said


@pytest.mark.parametrize("replicates", [1, 2])
def test_with_fewer_than_three_sets_the_highest_mean_is_named_and_not_sure(builder, replicates):
    found = recommend(advised(builder, replicates=replicates), "100 images")
    (choice,) = found.choices
    assert choice.pick == max(choice.within, key=lambda c: c.mean) and not choice.sure
    assert choice.cheaper is None and math.isnan(choice.interval.lo) and len(choice.within) == 30
    assert found.sentence().endswith("This is uncertain: it takes 3 sets to distinguish one from another")
    assert found.line(choice).endswith(f"; uncertain, n = {replicates}.")
    assert found.to_json()["choices"][0]["take"]["ci95"] == [None, None]


def test_a_method_with_two_replicates_is_left_out(builder):
    def hole(labels):
        return labels["kind"] == "train" and labels["method"] == "random" and labels["condense_replicate"] > 1

    (choice,) = recommend(advised(builder, holes=hole), "100 images").choices
    assert (len(choice.within), choice.left_out) == (24, 6)
    assert all(k.accuracy.method != "random" for k in choice.within)


def test_unlike_machines_leave_images_and_bytes(builder):
    judged = advised(builder)
    tables = judged.frame
    job = next(j for j in tables.manifest.of_kind("condense") if j.labels["method"] == "rded")
    file = tables.manifest.cell(job) / "measured.json"
    write_cost(file.parent, read_cost(file).model_copy(update={"hardware": "Other"}))
    judged = judge(frame.read(tables.manifest.folder))
    assert "different machines" in recommend(judged, "60 s").sentence()
    found = recommend(judged, "100 images")
    assert found.measure is None and found.choices[0].pick is not None
    assert "before training" not in found.sentence()
    assert {r.limit.kind for r in Adviser.of(judged).break_points()} == {"images", "bytes"}


def test_each_student_has_its_own(builder):
    def twist(method, protocol, student):
        return 0.3 if (method, student) in (("rded", "a"), ("k_center", "b")) else 0.0

    found = recommend(advised(builder, students=("a", "b"), twist=twist, protocols=("erm",)), "10 images")
    assert [(c.student, c.pick.accuracy.method) for c in found.choices] == [("a", "rded"), ("b", "k_center")]
    assert found.sentence().count("take ") == 2
    assert [found.line(c).split(" ")[3:5] for c in found.choices] == [["a,", "take"], ["b,", "take"]]


def test_controls_compete_with_none(builder):
    builder.methods["start"], builder.truth["start"] = ("control", True), 0.75
    (choice,) = recommend(advised(builder), "10 images").choices
    assert len(choice.within) == 15 and choice.pick.accuracy.method == "rded"


def test_break_points_are_the_sizes_and_a_few_round_numbers(builder):
    summary = summed(builder)
    images = [r.limit.amount for r in summary.advice if r.limit.kind == "images"]
    assert images == [10, 100]
    for kind in ("bytes", "seconds"):
        amounts = [r.limit.amount for r in summary.advice if r.limit.kind == kind]
        assert 1 < len(amounts) <= 4 and amounts == sorted(amounts)
    last = [r.choices[0] for r in summary.advice if r.limit.kind != "images"][-1]
    assert len(last.within) == 30  # the largest limit holds everything
    plain = json.loads(json.dumps(summary.to_json(), allow_nan=False))["advice"]
    assert len(plain) == len(summary.advice) and plain[0]["choices"][0]["take"]["images"] == 10
    merged = stretches(summary.advice, "convnet3_w32")
    assert len(merged) <= len(summary.advice) and merged[0][0].limit.amount == 10
    assert all(first.limit.amount <= last.limit.amount for first, last, _ in merged)


def test_nothing_trained_advises_nothing(builder):
    judged = advised(builder, holes=lambda labels: labels["kind"] == "train")
    assert Adviser.of(judged).break_points() == ()
    assert recommend(judged, "10 images").sentence().startswith("No student has been trained yet")


def test_a_text_that_is_no_budget_is_refused(builder):
    with pytest.raises(UsageError, match="is not a budget"):
        recommend(advised(builder), "plenty")


def test_limits_that_say_the_same_are_one_row_with_the_interval_over_the_most(builder):
    summary = summed(builder, protocols=("erm",), budgets=("ipc=1",))
    for first, last, choice in stretches(summary.advice, "convnet3_w32"):
        same = [r for r in summary.advice if first.limit.kind == r.limit.kind]
        same = [r for r in same if first.limit.amount <= r.limit.amount <= last.limit.amount]
        assert {r.choices[0].says() for r in same} == {choice.says()}
        assert len(choice.within) == max(len(r.choices[0].within) for r in same)
