"""What to use, on the page: a row for all limits that say the same, and every recommendation as a sentence."""

import re

from tests.report.conftest import view

from decoct.report.advice.recommend import stretches
from decoct.report.read import frame
from decoct.report.sections.cost.recommend import show
from decoct.report.summary import summarise


def shown(builder):
    folder = builder.build()
    summary = summarise(frame.read(folder))
    return summary, show(view(summary), summary.advice)


def test_a_row_for_every_stretch_and_its_sentence(builder):
    summary, section = shown(builder)
    found = stretches(summary.advice, "convnet3_w32")
    body = section[section.index("<tbody>") : section.index("</tbody>")]
    assert body.count("<tr>") == len(found) == section.count("<li>")
    assert "Time is processor time of everything needed before a student trains" in section
    words = " ".join(re.sub(r"<[^>]*>", " ", body).split())
    _, _, choice = found[0]
    assert words.startswith("10 images rded") and f"{len(choice.kept)} of {len(choice.within)}" in words
    assert "500 steps, 32,000 images seen" in words


def test_students_have_a_table_each(builder):
    builder.students = ("a", "b")
    _, section = shown(builder)
    assert section.count("<table") == 2 and section.count("<h4>") == 2


def test_one_replicate_is_not_sure_on_the_page(builder):
    builder.replicates = 1
    _, section = shown(builder)
    assert "uncertain" in section and "it takes 3 sets" in section
    assert not re.search(r"\bnan\b|\bNone\b", section)


def test_nothing_trained_has_no_section(builder):
    builder.holes = lambda labels: labels["kind"] == "train"
    assert shown(builder)[1] == ""
