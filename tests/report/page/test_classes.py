"""The section of accuracy by class: all of a few classes, both ends of many."""

from html.parser import HTMLParser

from decoct.report.page.classes import classes
from decoct.report.page.style import marks
from decoct.report.read import frame
from decoct.report.summary import summarise


class Rows(HTMLParser):
    """Texts of the cells of every row, and of every summary."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.into = [], None
        self.feed(page)

    def handle_starttag(self, element, attributes):
        if element == "tr":
            self.rows.append([])
        if element in ("td", "th"):
            self.rows[-1].append("")
            self.into = "cell"

    def handle_endtag(self, element):
        if element in ("td", "th"):
            self.into = None

    def handle_data(self, data):
        if self.into:
            self.rows[-1][-1] += data


def section(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    tables = frame.read(builder.build())
    summary = summarise(tables, builder.folder / "report.html")
    return str(classes(tables, summary, marks(summary.methods)))


def test_a_few_classes_stand_with_the_worst_first(builder):
    page = section(builder, skew=lambda method, c: -0.01 * (c == 7) + 0.01 * (c == 2), protocols=("erm",))
    assert page.count("<details") == page.count("<table") == 2 and "36 test images" in page
    rows = Rows(page).rows
    assert rows[0] == ["class", "random", "herding†", "k_center†", "rded", "sre2l"]
    assert rows[1][0] == "7" and rows[10][0] == "2" and len(rows) == 2 * 11
    assert all("[" in cell and "n = 5" in cell for cell in rows[1][1:])
    assert "lowest: " in page and " % of class <bdi>7</bdi> with <bdi>sre2l</bdi>" in page


def test_of_many_classes_each_method_shows_its_two_ends(builder):
    names = tuple(f"c{i}" for i in range(1000))
    page = section(builder, class_names=names, skew=lambda m, c: c / 1e5, protocols=("erm",), replicates=2)
    own = [row for row in Rows(page).rows if row[0] == "rded"][:20]
    assert [row[2] for row in own] == [f"c{i}" for i in (*range(10), *range(999, 989, -1))]
    assert [row[1] for row in own] == ["worst"] * 10 + ["best"] * 10
    assert len(page) < 150_000 and "tables/classes.csv" in page


def test_between_ten_and_twenty_no_class_is_shown_twice(builder):
    names = tuple(f"c{i}" for i in range(21))
    page = section(builder, class_names=names, skew=lambda m, c: c / 1e3, protocols=("erm",), budgets=("ipc=1",))
    own = [row[2] for row in Rows(page).rows if row[0] == "rded"]
    assert len(own) == len(set(own)) == 20


def test_one_replicate_has_no_interval_and_nothing_trained_no_section(builder):
    page = section(builder, replicates=1)
    assert "n = 1" in page and "nan" not in page and "[" not in page
    builder.folder, builder.jobs = builder.folder / "again", []
    assert section(builder, holes=lambda labels: labels["kind"] == "train") == ""
