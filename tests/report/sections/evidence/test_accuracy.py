"""The full data at the sets' number of steps: beside the methods, and never one of them."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from decoct.report.accuracy import Accuracy, Setting, same_steps
from decoct.report.read import frame
from decoct.report.sections.evidence import robust
from decoct.report.sections.evidence.accuracy import SECTION, find, gaps, overall, sentences, show
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import Interval, grid_floor, wilson
from decoct.report.summary import Summary, summarise


def accuracy(method, mean, steps=500, budget="ipc=1", half=0.02, protocol="erm"):
    interval = Interval(mean, mean - half, mean + half, 5, "wilson" if method == "full" else "both")
    return Accuracy(method, Setting(protocol, "net", budget), interval, 5, 10, steps, 1, None, 0)


def summary(builder):
    folder = builder.build()
    return summarise(frame.read(folder))


HERE = Setting("erm", "net", "ipc=1")


def test_the_gap_is_to_the_set_of_the_highest_mean():
    full = accuracy("full", 0.8)
    (gap,) = gaps([accuracy("a", 0.5), accuracy("b", 0.6), full], [HERE])
    assert (gap.method, gap.interval.n) == ("b", 5)
    assert (gap.interval.mean, gap.interval.lo, gap.interval.hi) == pytest.approx((0.2, 0.18, 0.22))
    (line,) = sentences([gap])
    assert line.endswith("after as many steps, falls 20.0 points short [18.0, 22.0] at IPC 1 (b, n = 5)")


def test_several_students_of_the_full_data_are_in_the_interval():
    full = accuracy("full", 0.8)
    several = replace(full, interval=Interval(0.8, 0.75, 0.81, 5, "both"))
    (gap,) = gaps([accuracy("a", 0.5), several], [HERE])
    assert gap.interval.mean == pytest.approx(0.3)
    assert gap.interval.lo == pytest.approx(0.3 - (0.02**2 + 0.05**2) ** 0.5)
    assert gap.interval.hi == pytest.approx(0.3 + (0.02**2 + 0.01**2) ** 0.5)


def test_a_set_may_lie_above():
    (gap,) = gaps([accuracy("a", 0.85), accuracy("full", 0.8)], [HERE])
    (line,) = sentences([gap])
    assert line.endswith("lies 5.0 points above [3.0, 7.0] at IPC 1 (a, n = 5)")


def test_the_ceiling_serves_where_it_took_as_many_steps_as_every_set():
    ceiling = accuracy("full", 0.9, budget="all")
    assert same_steps([accuracy("a", 0.5), ceiling], HERE) is ceiling
    assert same_steps([accuracy("a", 0.5, steps=400), ceiling], HERE) is None
    assert same_steps([accuracy("a", 0.5), accuracy("b", 0.5, steps=400), ceiling], HERE) is None
    assert same_steps([ceiling], HERE) is None


def test_a_ceiling_of_as_many_steps_is_not_shown_twice():
    ceiling = accuracy("full", 0.8, budget="all")
    own = accuracy("full", 0.7)
    shown = [
        Summary.same_steps(SimpleNamespace(accuracies=[accuracy("a", 0.5), full]), HERE) for full in (ceiling, own)
    ]
    assert shown == [None, own]
    own = accuracy("full", 0.7)
    assert same_steps([accuracy("a", 0.5), ceiling, own], HERE) is own


def test_many_settings_have_one_sentence_over_all():
    settings = [HERE, Setting("kd", "net", "ipc=1")]
    found = [accuracy("a", 0.5), accuracy("full", 0.8)]
    found += [accuracy("a", 0.5, protocol="kd"), accuracy("full", 0.49, protocol="kd")]
    said = overall(gaps(found, settings))
    assert "falls short of the full data after as many steps in 1 of 2 settings, in 1 with an interval above 0" in said
    assert "it falls −1.0 to 30.0 points short" in said
    assert overall([]) == ""


def test_it_has_wilsons_interval_and_is_no_method(builder):
    plain = summary(builder)
    builder.folder, builder.jobs, builder.same_steps = builder.folder.with_name("again"), [], 0.9
    found = summary(builder)
    setting = found.settings[0]
    i, expected = found.same_steps(setting).interval, wilson(324, 360)
    assert (i.mean, i.lo, i.hi, i.n) == (expected.mean, expected.lo, expected.hi, 360)
    assert {a.setting.budget for a in found.ceiling.values()} == {"all"}
    assert found.settings == plain.settings and found.verdicts == plain.verdicts
    assert (found.brief.answer, found.claims, found.cautions) == (plain.brief.answer, plain.claims, plain.cautions)
    assert found.found(robust.find) == plain.found(robust.find) != ()
    assert len(found.found(find)) == 6 and plain.found(find) == ()
    assert SECTION.say(found) == overall(found.found(find)) and SECTION.say(plain) == ""
    assert (found.trained, found.planned) == (159, 159)


def test_three_students_or_more_have_an_interval_over_students_and_images(builder):
    builder.same_steps, builder.sampled = 0.9, 4
    found = summary(builder)
    setting = found.settings[0]
    a = found.same_steps(setting)
    rows = [row for row in found.frame.results.to_pylist() if row["method"] == "full" and Setting.of(row) == setting]
    said = {(row["condense_replicate"], 0): row["accuracy"] for row in rows}
    tally = found.judged.answers.accuracy("full", setting)
    assert (a.interval.n, a.students, a.components) == (4, 4, None) and a.interval.by != "wilson"
    assert a.interval == crossed(said, tally, grid_floor(360) / 2**0.5).interval
    assert {a.interval.by for a in found.ceiling.values()} == {"wilson"}
    page = show(found, found.found(find))
    assert "n = 4" in page and "full data, same steps (RS2)" in page


def test_a_low_ceiling_is_judged_without_it(builder):
    builder.same_steps = 0.2  # far below the ceiling's .97, because it is short
    assert summary(builder).unreadable == ()


def test_the_numbers_are_in_the_json(builder):
    builder.same_steps = 0.9
    plain = summary(builder).to_json()
    rows = [row for row in plain["accuracy"] if row["method"] == "full"]
    assert sorted({row["budget"] for row in rows}) == ["all", "ipc=1", "ipc=10"]
    assert len(plain["same_steps"]) == 3 and "falls" in plain["same_steps"][0]
