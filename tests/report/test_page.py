"""The page: complete, self-contained, and text stays text."""

import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest
from rich.console import Console

from decoct.report import provenance, terminal, wording
from decoct.report.markup import embed, tag
from decoct.report.page import write_report

HOSTILE = ("<script>alert(1)</script>", '"quo\'te" & <b>', "مرحبا", "a\u2028b", "</script><img src=x onerror=alert(2)>")


class Reader(HTMLParser):
    """Collects elements, text outside scripts, and embedded JSON."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words, self.figures, self.inside = [], [], [], []
        self.feed(page)

    def handle_starttag(self, element, attributes):
        self.elements.append((element, dict(attributes)))
        self.inside.append((element, dict(attributes).get("type")))

    def handle_endtag(self, element):
        while self.inside and self.inside.pop()[0] != element:
            pass

    def handle_data(self, data):
        if self.inside and self.inside[-1][0] == "script":
            if self.inside[-1][1] == "application/json":
                self.figures.append(json.loads(data))
        elif not (self.inside and self.inside[-1][0] == "style"):
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)


def written(builder):
    summary = write_report(builder.build())
    return summary, Reader(summary.page.read_text("utf-8"))


def printed(summary):
    console = Console(width=120, file=io.StringIO())
    console.print(terminal.render(summary))
    return console.file.getvalue()


def test_the_page_says_all_that_was_promised(builder):
    _, page = written(builder)
    ids = [a.get("id") for e, a in page.elements if e == "section"]
    assert ids == [
        "verdict",
        "accuracy",
        "differences",
        "cost",
        "metrics",
        "pictures",
        "teachers",
        "recipes",
        "methods",
        "provenance",
    ]
    for promise in ("after its last step", "best epoch is never", "n counts condense-level replicates", "Wilson"):
        assert promise in page.text
    assert "Online teachers label each batch as it comes and store nothing" in page.text
    assert "herding, k_center: deterministic" in page.text
    assert "decoct run STUDY.toml" in page.text
    assert "This report has holes" not in page.text
    assert len([1 for e, _ in page.elements if e == "img"]) == 2 * (3 + 2 * 2)  # set, and start of the distilled ones


def test_every_figure_is_one_that_plotly_accepts(builder):
    _, page = written(builder)
    assert len(page.figures) == 3 * 4  # protocols × (accuracy, differences, cost, bytes)
    for figure in page.figures:
        go.Figure(figure)  # raises on an unknown property or value


def test_nothing_is_loaded_from_elsewhere(builder):
    _, page = written(builder)
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    (policy,) = [a["content"] for e, a in page.elements if e == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("evil", HOSTILE)
def test_names_and_messages_are_shown_as_text(builder, evil):
    builder.methods = {"random": ("coreset", True), evil: ("distillation", True)}
    builder.truth = {"random": 0.5, evil: 0.6}
    builder.name, builder.class_names, builder.students = evil, (evil, "b"), (evil,)
    builder.holes = lambda labels: labels.get("method") == evil and labels.get("condense_replicate") == 1
    builder.failures = {evil: f"failed on {evil}"}
    _, page = written(builder)
    benign = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "h1",
        "p",
        "bdi",
        "span",
        "nav",
        "main",
        "aside",
    }
    benign |= {"b", "details", "summary", "ul", "li", "pre", "section", "h2", "div", "h3", "table", "thead", "tr", "th"}
    benign |= {
        "tbody",
        "td",
        "svg",
        "path",
        "sup",
        "small",
        "button",
        "figure",
        "figcaption",
        "script",
        "img",
        "dl",
        "dt",
    }
    assert {e for e, _ in page.elements} <= benign | {"dd", "footer", "i"}
    assert not any(name.startswith("on") or a.get("src") == "x" for _, a in page.elements for name in a)
    assert len([1 for e, _ in page.elements if e == "script"]) == len(page.figures) + 2
    assert f"failed on {evil}" in page.text
    for figure in page.figures:
        names = [trace["name"] for trace in figure["data"]]
        assert not any(re.search(r"<(?!/?b>|br>)", name) for name in names)


def test_holes_come_first(builder):
    builder.holes = lambda labels: labels["kind"] == "train" and labels["method"] == "sre2l"
    builder.failures = {"sre2l": "loss is NaN at step 3"}
    summary, page = written(builder)
    assert (summary.trained, summary.planned) == (123, 153)
    assert page.text.index("30 students of 153 planned have no result") < page.text.index(
        "Is distilling worth it here?"
    )
    assert "loss is NaN at step 3" in page.text


@pytest.mark.parametrize(
    "change",
    [
        {"replicates": 1},
        {"methods": {"rded": ("distillation", True)}},
        {"methods": {"random": ("coreset", True)}},
        {"full": False},
        {"noise": 0.0, "truth": dict.fromkeys(("random", "herding", "k_center", "rded", "sre2l"), 0.5)},
        {"holes": lambda labels: True},
        {"train_replicates": 2, "students": ("a", "b"), "protocols": ("erm",)},
        {"budgets": ()},
    ],
)
def test_a_page_whatever_the_run(builder, change):
    for name, value in change.items():
        setattr(builder, name, value)
    summary, page = written(builder)
    assert "Is distilling worth it here?" in page.text
    assert not re.search(r"\bnan\b|\bNone\b|NaN", page.text)
    json.dumps(summary.to_json(), allow_nan=False)
    assert "Is distilling worth it here?" in printed(summary)


def test_a_page_is_replaced_in_one_step(builder):
    folder = builder.build()
    write_report(folder)
    first = (folder / "report.html").read_bytes()
    write_report(folder)
    assert (folder / "report.html").read_bytes() == first
    assert not list(folder.glob(".tmp-*"))


def test_the_terminal_shows_markup_as_text(builder):
    builder.methods = {"random": ("coreset", True), "[red]evil[/red]": ("distillation", True)}
    builder.truth = {"random": 0.5, "[red]evil[/red]": 0.6}
    summary, _ = written(builder)
    shown = printed(summary)
    assert "[red]evil[/red]" in shown
    assert "Is distilling worth it here? Yes." in shown


def test_reporting_needs_neither_torch_nor_pandas():
    code = "import sys, decoct.report.page, decoct.report.terminal; print({'torch', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_markup_escapes_children_and_attributes():
    assert tag("p", "<b>", title='"') == '<p title="&quot;">&lt;b&gt;</p>'
    assert tag("p", tag("b", "&")) == "<p><b>&amp;</b></p>"


@pytest.mark.parametrize("evil", HOSTILE)
def test_embedded_json_cannot_close_its_script(evil):
    element = embed({"name": evil})
    body = element.removeprefix('<script type="application/json">').removesuffix("</script>")
    assert "<" not in body
    assert json.loads(body) == {"name": evil}


def test_the_study_reads_back_from_its_toml():
    import tomllib

    study = {
        "name": 'a "b" \\ ü',
        "data": {"name": "folder", "path": "x y"},
        "budgets": [{"ipc": 1}, {"ipc": 10}],
        "margin": 0.01,
        "condensers": [{"name": "rded", "factor": 2, "flip": True}],
        "protocols": ["erm"],
        "metrics": {"names": ["prdc"], "odd key": 1},
    }
    assert tomllib.loads(provenance.toml(study | {"nothing": None})) == study


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.points(0.0312), "+3.1"),
        (wording.points(-0.0312), "−3.1"),
        (wording.points(-0.0001), "0.0"),
        (wording.bounds(-0.0001, 0.05), "[0.0, 5.0]"),
        (wording.seconds(0.0853), "85 ms"),
        (wording.seconds(190), "3 min 10 s"),
        (wording.seconds(7500), "2 h 5 min"),
        (wording.size(999), "999 B"),
        (wording.size(5.67e9), "5.67 GB"),
        (wording.budget("ipc=10"), "IPC 10"),
    ],
)
def test_numbers_for_people(said, expected):
    assert said == expected
