"""What cannot be read, on the page: which settings, why, and by which rule."""

from decoct.report.accuracy import Setting
from decoct.report.read import frame
from decoct.report.readable import SHORT, Unreadable
from decoct.report.sections.evidence.readable import SECTION, show
from decoct.report.summary import summarise


def test_the_page_says_what_and_why_and_escapes_names():
    page = show([Unreadable(Setting("<erm>", "net", "ipc=1"), "chance", 0.1, 0.1)])
    assert "not shown to be above chance" in page and f"less than {SHORT:g} of what" in page
    assert "&lt;erm&gt;" in page and "<erm>" not in page
    assert show([]) == ""


def test_every_setting_is_named(builder):
    builder.truth, builder.budgets = dict.fromkeys(builder.truth, 0.02), ("ipc=1",)
    summary = summarise(frame.read(builder.build()))
    assert "NOT READABLE" in SECTION.show(summary)


def test_where_all_can_be_read_there_is_no_section(builder):
    summary = summarise(frame.read(builder.build()))
    assert SECTION.show(summary) == ""
