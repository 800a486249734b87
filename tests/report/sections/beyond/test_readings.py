"""All readings: a table for each budget and extractor, how they are read, and where extractors disagree."""

import html

import pytest
from tests.report.conftest import SD

from decoct.report import standing
from decoct.report.doors import sections
from decoct.report.sections.beyond.readings import SECTION
from decoct.report.write import write_report

BOTH = ("convnet3_bn", "judge")


def written(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    summary = write_report(builder.build())
    return summary, str(SECTION.show(summary))


def test_every_reading_stands_beside_what_random_sets_give(builder):
    summary, page = written(builder, shift=lambda method, metric, e: 20 * SD * (method == "rded"))
    own = summary.found(standing.find)
    assert page.count("<table") == len({(s.budget, s.name.extractor) for s in own}) == 2
    assert "recall" in page  # which leads nowhere
    assert "0.310</span>" in page or "0.310<small>" in page
    assert "20 random subsets" in page


def test_its_numbers_and_words_are_in_the_json(builder):
    summary, _ = written(builder, shift=lambda method, metric, e: 20 * SD * (method == "rded"))
    told = summary.to_json()
    assert told["beside_random"][0].startswith("herding against random")
    words = {(m["method"], m["metric"], m["budget"]): m["word"] for m in told["metrics"]}
    assert words["rded", "coverage", "ipc=10"] == "better" and words["random", "coverage", "ipc=10"] is None


def test_a_run_of_before_has_its_values_and_no_random_sets(builder):
    _, page = written(builder, draws=0)
    assert "no random subsets" in page and "random sets</th>" in page and 'class="sign' not in page


def test_extractors_that_disagree_are_named_on_the_page_and_in_the_json(builder):
    def shift(method, metric, extractor):
        return 20 * SD * (1 if extractor == BOTH[0] else -1) * ((method, metric) == ("sre2l", "coverage"))

    summary, page = written(builder, shift=shift, extractors=BOTH)
    lines = [f"{a.sentence()}." for a in summary.found(standing.find_agreements)]
    assert len(lines) == 2 and all(f"<p>{html.escape(line)}</p>" in page for line in lines)
    assert summary.to_json()["extractors"] == lines


def test_means_over_some_of_the_classes_are_said_to_be(builder):
    assert "over the classes that a set has images of" not in written(builder)[1]
    builder.folder, builder.jobs, builder.class_names = builder.folder / "more", [], tuple("0123456789ab")
    assert "over the classes that a set has images of" in written(builder)[1]


def test_sets_whose_features_no_file_holds_are_named(builder, monkeypatch):
    summary, page = written(builder, extractors=("npy:0123", "judge"))
    assert "no reading by it" not in page
    every, find = summary.found(standing.find), standing.find
    cut = [s for s in every if s.name.extractor != "npy:0123" or s.method in ("random", "herding")]
    found = type(summary).found
    monkeypatch.setattr(type(summary), "found", lambda self, of: cut if of is find else found(self, of))
    others = ", ".join(sorted({s.method for s in every} - {"random", "herding"}))
    assert f"npy:0123 has no features of the images of {others}: no reading by it." in str(SECTION.show(summary))


def test_names_stay_text(builder):
    evil = '<img src=x onerror="alert(1)">'
    _, page = written(builder, extractors=(evil,))
    assert evil not in page and "&lt;img src=x" in page


def test_a_run_without_readings_says_so_and_has_no_axes(builder):
    summary, page = written(builder, holes=lambda job: job["kind"] in ("measure", "reference"))
    assert "No set has been measured" in page and "<table" not in page
    axes = [sections("beyond")[axis] for axis in ("representativeness", "diversity", "quality")]
    assert all(axis.show(summary) == "" and axis.say(summary) == "" for axis in axes)


@pytest.mark.parametrize("axis", ["representativeness", "diversity", "quality"])
def test_each_axis_has_a_section_with_one_figure_one_sentence_and_its_readings(builder, axis):
    summary, _ = written(builder)
    section = sections("beyond")[axis]
    page = str(section.show(summary))
    leading = {s.name.metric for s in summary.found(standing.find) if s.lead and s.name.axis == axis}
    others = {s.name.metric for s in summary.found(standing.find)} - leading
    assert page.count('<script type="application/json">') == 1 and section.say(summary).count(". ") == 0
    assert all(metric in page for metric in leading) and not any(f">{metric}<" in page for metric in others)
    assert section.title.lower() == axis
