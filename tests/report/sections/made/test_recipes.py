"""What each student went through: its protocol's table, steps, images seen and label bytes, as the run has them."""

import html
import re
import tomllib

from tests.report.conftest import view

from decoct.report import wording
from decoct.report.read import frame
from decoct.report.sections.made.recipes import show
from decoct.report.summary import summarise


def shown(builder):
    summary = summarise(frame.read(builder.build()))
    return summary, str(show(view(summary), summary.run))


def test_every_accuracy_has_a_row_and_every_protocol_its_table(builder):
    builder.same_steps = 0.9
    summary, page = shown(builder)
    (study,) = re.findall(r'<pre class="study">(.*?)</pre>', page, re.S)
    assert tomllib.loads(html.unescape(study))["protocols"] == list(summary.run.protocols.values())
    rows = re.findall(r"<tr>(.*?)</tr>", page)[1:]
    assert len(rows) == len(summary.accuracies) == 3 * (5 * 2 + 2 + 1)
    assert sum("full data, same steps" in row for row in rows) == 3 * 2
    told = [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]
    for a in summary.accuracies:
        steps, seen = f"{a.steps:,}", f"{a.images_seen:,}"
        labels = wording.size(a.label_bytes) if a.label_bytes else "none stored"
        numbers = [steps, seen, labels, str(a.students)]
        assert any(row[0] == a.setting.protocol and row[5:] == numbers for row in told)


def test_without_a_student_there_is_no_section(builder):
    builder.holes = lambda labels: labels["kind"] == "train"
    assert shown(builder)[1] == ""
