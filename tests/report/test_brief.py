"""At most twelve lines, each one that the tables bear out."""

import re

import pytest

from decoct.report.read import frame
from decoct.report.summary import summarise


def told(builder):
    """The summary of a run, and its lines."""
    summary = summarise(frame.read(builder.build()))
    return summary, list(summary.brief.lines)


def starting(lines, start):
    return next((line for line in lines if line.startswith(start)), None)


def test_there_are_at_most_twelve_lines_with_the_pages_name(builder):
    builder.students = ("convnet3_w32", "resnet10t")
    builder.failures, builder.holes = {"sre2l": "out of memory"}, lambda job: job.get("method") == "sre2l"
    _, lines = told(builder)
    assert len(lines) <= 11
    assert all(line.endswith(".") for line in lines)
    assert any("Failed: " in line for line in lines)
    assert sum(", take " in line for line in lines) == 4  # two students, the smallest size and the largest


def test_the_first_three_lines_are_what_where_and_how_often(builder):
    summary, lines = told(builder)
    assert lines[0] == "digits, convnet3_w32: 5 sets per method, 360 test images."
    assert lines[1].startswith("IS DISTILLING WORTH IT HERE? In part: rded beats every coreset in 6 of 6 settings")
    words = [v.against_coresets for v in summary.verdicts if v.family == "distillation"]
    better, worse = words.count("better"), words.count("worse")
    said = (
        rf"{len(words)} distilled results: {better} beats? every coreset( \(\d more leans? that way\))?, "
        rf"{worse} loses? to at least one"
    )
    assert re.match(said, lines[2])


@pytest.mark.parametrize(
    ("students", "protocols", "where"),
    [
        (("convnet3_w32",), ("erm", "single_teacher"), "(erm at IPC 1; erm at IPC 10)"),
        (
            ("convnet3_w32", "resnet10t"),
            ("erm", "single_teacher"),
            "(under erm with resnet10t at IPC 1; under erm with resnet10t at IPC 10)",
        ),
        (("convnet3_w32", "resnet10t"), ("erm",), "(with resnet10t at IPC 1; with resnet10t at IPC 10)"),
    ],
)
def test_the_answer_names_the_settings_where_a_method_wins(builder, students, protocols, where):
    def twist(method, protocol, student):
        return -0.3 if method == "rded" and (protocol, student) != ("erm", students[-1]) else 0.0

    builder.students, builder.protocols, builder.twist = students, protocols, twist
    _, lines = told(builder)
    assert lines[1].endswith(f"rded beats every coreset in 2 of {2 * len(students) * len(protocols)} settings {where}.")


def test_sets_at_chance_under_some_labels_are_named_with_what_they_reach_under_others(builder):
    builder.twist = lambda m, protocol, _: -0.7 if m == "rded" and protocol != "erm" else 0.0
    summary, lines = told(builder)
    own = {(a.setting.protocol, a.setting.budget): a.interval.mean for a in summary.accuracies if a.method == "rded"}
    assert own["multi_teacher", "ipc=1"] < 0.1 < own["erm", "ipc=1"]
    reached = f"{100 * own['erm', 'ipc=1']:.1f} % under erm"
    assert starting(lines, "At chance") == (
        "At chance (10.0 %) where random sets are not: "
        f"rded under single_teacher and multi_teacher at IPC 1 ({reached}); "
        f"rded under single_teacher and multi_teacher at IPC 10 ({100 * own['erm', 'ipc=10']:.1f} % under erm)."
    )


def test_sets_at_chance_under_all_labels_reach_nothing(builder):
    builder.truth |= {"sre2l": 0.05}
    builder.budgets = ("ipc=1",)
    soft = "sre2l under single_teacher and multi_teacher at IPC 1."
    assert starting(told(builder)[1], "At chance") == f"At chance (10.0 %) where random sets are not: {soft}"


def test_without_random_sets_nothing_is_said_of_chance(builder):
    del builder.methods["random"]
    builder.twist = lambda m, protocol, _: -0.7 if m == "rded" and protocol != "erm" else 0.0
    assert starting(told(builder)[1], "At chance") is None


def test_sets_at_chance_under_hard_labels_alone_are_no_matter_of_teachers(builder):
    builder.twist = lambda m, protocol, _: -0.7 if m == "rded" and protocol == "erm" else 0.0
    assert starting(told(builder)[1], "At chance") is None


def test_where_random_sets_are_at_chance_nothing_else_is_said_to_be(builder):
    builder.truth |= {"random": 0.08, "sre2l": 0.05}
    builder.budgets = ("ipc=1",)
    summary, lines = told(builder)
    assert len(summary.unreadable) == 3 and starting(lines, "At chance") is None


def test_the_clearest_difference_is_that_of_its_verdict(builder):
    summary, lines = told(builder)
    line = starting(lines, "Clearest difference: ")
    method, points, side, other, lo, hi = re.match(
        r"Clearest difference: (\w+) under .* is ([\d.]+) points (above|below) (\w+) \[([\d.]+), ([\d.]+)\]\.", line
    ).groups()
    every = [
        (v.method, o, c)
        for v in summary.verdicts
        if v.family == "distillation"
        for o, c in v.coresets.items()
        if c.verdict in ("better", "worse")
    ]
    a, b, c = max(every, key=lambda each: max(each[2].lo, -each[2].hi))
    assert (method, other, side) == (a, b, "above" if c.mean > 0 else "below")
    assert float(points) == pytest.approx(100 * abs(c.mean), abs=0.051) and float(lo) < float(points) < float(hi)


def test_where_nothing_is_better_and_that_is_shown_the_answer_is_no(builder):
    builder.truth |= {"rded": 0.30, "sre2l": 0.25}
    summary, lines = told(builder)
    assert summary.claims.conclusion.answer == "none"
    assert lines[1] == (
        "IS DISTILLING WORTH IT HERE? No: no distilled set beats the best coreset by more than 1 point (shown)."
    )


def test_where_nothing_is_shown_it_says_so_and_what_would_be_seen(builder):
    builder.truth, builder.noise = dict.fromkeys(builder.truth, 0.5), 0.05
    _, lines = told(builder)
    assert lines[1] == "IS DISTILLING WORTH IT HERE? Open: no result leans towards distilling."
    assert "are open (not equal)" in lines[2]
    assert "To detect 3 points, it needs about" in starting(lines, "This study can detect differences of about ")


def test_what_cannot_be_read_is_named_and_the_rest_speaks(builder):
    builder.twist = lambda method, protocol, student: -0.6 if protocol == "multi_teacher" else 0
    summary, lines = told(builder)
    assert {u.setting.protocol for u in summary.unreadable} == {"multi_teacher"}
    assert lines[1].endswith("Only erm and single_teacher can be read.")
    assert any(line.startswith("NOT READABLE multi_teacher") for line in lines)


def test_a_protocol_that_can_be_read_at_one_budget_is_not_left_out(builder):
    builder.twist = lambda method, protocol, student: -0.4 if protocol == "multi_teacher" else 0
    builder.budgets = ("ipc=1", "ipc=10", "ipc=50")
    summary, lines = told(builder)
    assert {u.setting.budget for u in summary.unreadable} == {"ipc=1"} and not any("Only" in line for line in lines)
    assert any(line.startswith("NOT READABLE multi_teacher") and "at IPC 1:" in line for line in lines)


def test_too_few_sets_say_nothing_but_name_the_highest(builder):
    builder.replicates = 1
    _, lines = told(builder)
    assert lines[1].startswith("IS DISTILLING WORTH IT HERE? No answer: ")
    assert "nan" not in " ".join(lines) and any("; uncertain, n = 1" in line for line in lines)


def test_without_a_distillation_method_the_question_is_which_coreset(builder):
    builder.methods = {m: own for m, own in builder.methods.items() if own[0] == "coreset"}
    builder.truth |= {"k_center": 0.9}
    summary, lines = told(builder)
    assert summary.brief.question == "Which coreset?"
    assert summary.brief.answer == "k_center: better than every other coreset in 6 of 6 settings"
    assert lines[1] == f"WHICH CORESET? {summary.brief.answer}."
    assert any(", take " in line for line in lines)


def test_with_one_the_question_is_whether_it_is_worth_it(builder):
    summary, lines = told(builder)
    assert summary.brief.question == "Is distilling worth it here?"
    assert lines[1].startswith(summary.brief.question.upper())
    assert summary.to_json()["worth"]["question"] == summary.brief.question


def test_an_unfinished_run_says_what_is_missing(builder):
    builder.holes = lambda job: job["kind"] == "train" and job.get("method") == "rded"
    _, lines = told(builder)
    assert lines[0].endswith("; 30 of 153 students are missing.")


def test_one_missing_student_is_missing(builder):
    builder.holes = lambda job: job["kind"] == "train" and job["budget"] == "all" and job["protocol"] == "erm"
    assert told(builder)[1][0].endswith("; 1 of 153 students is missing.")


def test_before_the_first_student_nothing_is_counted_and_nothing_conditioned_on(builder):
    builder.holes = lambda job: job["kind"] == "train"
    _, lines = told(builder)
    assert lines[1] == "IS DISTILLING WORTH IT HERE? No answer: no pair of students has been trained yet."
    assert not [line for line in lines if line.startswith(("Of ", "Against random", "This holds"))]
    assert starting(lines, "Time per set")


@pytest.mark.parametrize("families", [("coreset",), ("coreset", "distillation")])
def test_where_nothing_can_be_read_the_answer_is_what_to_change(builder, families):
    builder.methods = {m: own for m, own in builder.methods.items() if own[0] in families}
    builder.truth, builder.budgets = dict.fromkeys(builder.truth, 0.02), ("ipc=1",)
    summary, lines = told(builder)
    change = "students hardly learn in any setting; raise the budgets or train for more steps."
    assert lines[1].endswith(f"? No answer: {change}")
    assert summary.brief.because == f"No answer: {change}"
    assert not starting(lines, "This holds")


def test_a_name_that_is_markup_stays_text(builder):
    builder.methods = {"random": ("coreset", True), "[red]evil[/red]": ("distillation", True)}
    builder.truth = {"random": 0.5, "[red]evil[/red]": 0.6}
    _, lines = told(builder)
    assert "Yes: [red]evil[/red] beats every coreset in 6 of 6 settings" in lines[1]


def test_a_run_without_a_student_is_named_without_a_comma(builder):
    builder.budgets = ()
    _, lines = told(builder)
    assert lines[0] == "digits: no student trained yet, 360 test images."
