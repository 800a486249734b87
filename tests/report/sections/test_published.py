"""The section of published numbers: there where they match, marked as of another recipe, escaped."""

from decoct.report.read import frame
from decoct.report.render import render
from decoct.report.summary import summarise


def page(folder):
    tables = frame.read(folder)
    return render(tables, summarise(tables, folder / "report.html"))


def section(text):
    start = text.index('<section id="published">')
    return text[start : text.index("</section>", start)]


def test_numbers_of_this_data_are_laid_beside(builder):
    builder.name = "cifar10"
    found = section(page(builder.build()))
    assert "37.1" in found and "DELT&#x27;s and CV-DD&#x27;s repositories" in found
    assert "of another recipe" in found and "no verdict of this page rests on them" in found
    assert "convnet3_w32" in found


def test_no_section_where_nothing_matches(run):
    assert '<section id="published">' not in page(run)
