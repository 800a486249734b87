"""A card says what the summary says, for any run."""

import pytest
from tests.report.card.conftest import RUNS

from decoct.report.card.content import ABREAST, HIGH, card, tick
from decoct.report.read import frame
from decoct.report.summary import summarise


@pytest.mark.parametrize("run", RUNS)
def test_every_accuracy_of_a_card_is_the_summarys(told, run):
    summary, made = told(run)
    shown = 0
    for row in made.rows:
        for panel in row.panels:
            assert panel.ceiling is summary.ceiling.get((panel.protocol, row.student))
            for method, points in panel.points.items():
                for setting, point in zip(panel.settings, points, strict=True):
                    assert setting.panel == (panel.protocol, row.student)
                    assert point is summary.accuracy(method, setting)
                    shown += point is not None
    trained = [a for a in summary.accuracies if a.method in summary.methods]
    assert shown == len(trained) or made.left_out
    assert len(made.answer) <= 160 and made.answer.endswith((".", " …"))


def test_a_card_names_the_data_the_sets_and_the_test_images(told):
    _, made = told("usual")
    assert made.facts == ("digits", "convnet3_w32", "5 sets per method", "360 test images")
    assert made.drawn == ["random", "herding", "k_center", "rded", "sre2l"]
    assert made.notes[-1] == "Dashed: the same student on all training images."


def test_panels_stand_four_abreast_and_what_has_no_room_is_named(told, builder):
    _, made = told("many")
    assert [len(row.panels) for row in made.rows] == [ABREAST, 1] and made.left_out == 0
    builder.students, builder.replicates = ("a", "b", "c", "d"), 2
    four = card(summarise(frame.read(builder.build())))
    assert [row.student for row in four.rows] == ["a", "b", "c"] and len(four.rows) == HIGH
    assert four.left_out == 3 and four.notes[-1] == "3 more panels are in the report."


def test_what_cannot_be_read_and_what_has_no_result_is_said(told):
    _, made = told("chance")
    assert all(panel.unreadable == set(panel.settings) for row in made.rows for panel in row.panels)
    assert any(note.startswith("Shaded: cannot be read") for note in made.notes)
    assert "No result yet: sre2l." in told("holes")[1].notes


@pytest.mark.parametrize("run", RUNS)
def test_a_study_of_one_setting_is_ranked_best_first(told, run):
    summary, made = told(run)
    means = [a.interval.mean for a in made.ranked]
    assert means == sorted(means, reverse=True)
    places = {a.setting for a in summary.accuracies if a.method in summary.methods}
    assert len(means) == (len(made.drawn) if len(places) == 1 else 0)


def test_an_axis_has_short_budgets(told):
    _, made = told("thousand")
    assert [tick(setting.budget) for setting in made.rows[0].panels[0].settings] == [
        "1 % per class",
        "10 % per class",
        "IPC 3",
    ]


def test_a_run_without_a_student_has_a_card(told):
    for run in ("nothing", "untrained"):
        _, made = told(run)
        assert made.rows == () and made.takes == () and made.notes == ()
        assert (made.lead, made.answer) == ("Not yet", "No student has been trained, so there is no answer.")
    assert made.strips and made.costs


def test_the_legend_says_which_methods_are_distilled_where_there_are_both(told):
    _, made = told("usual")
    assert [word for word, _ in made.legend] == ["coresets", "distilled"]
    assert [m for _, own in made.legend for m in own] == made.drawn  # of this study; families stay together in any
    for word, own in made.legend:
        assert {made.families[m] for m in own} == {"coreset" if word == "coresets" else "distillation"}
    assert made.kinds["rded"] == "distilled" and made.kinds["herding"] == "coreset"
    assert [word for word, _ in told("coresets")[1].legend] == [""]
