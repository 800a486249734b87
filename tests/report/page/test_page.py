"""The page: complete, self-contained, and text stays text."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from decoct.report.card.content import card
from decoct.report.doors import DOORS
from decoct.report.page.markup import embed, tag
from decoct.report.write import write_report

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

    @property
    def ids(self):
        """Addresses of doors and sections, in order."""
        return [a["id"] for e, a in self.elements if e in ("details", "section") and a.get("id")]


def written(builder):
    summary = write_report(builder.build())
    return summary, Reader(summary.page.read_text("utf-8"))


def test_the_page_says_all_that_was_promised(builder):
    summary, page = written(builder)
    assert page.ids == [
        *("evidence", "random", "coresets", "accuracy", "differences", "breakdown", "chance", "ranks", "robust"),
        "classes",
        *("beyond", "coverage", "representativeness", "diversity", "quality", "readings"),
        *("cost", "multiples", "equal", "times", "recommend", "weight"),
        *("pictures", "sets"),
        *("made", "teachers", "recipes", "methods", "provenance"),
    ]
    for promise in ("after its last step", "never at its best epoch", "n counts sets, the unit of inference", "Wilson"):
        assert promise in page.text
    assert "so no soft labels are stored, but the teachers must be available" in page.text
    assert "needs the weights of convnet3_bn 11 kB, resnet10t 9 kB" in page.text
    assert "herding, k_center: deterministic" in page.text
    assert "decoct run STUDY.toml" in page.text
    assert "This report has holes" not in page.text
    pictures = [a["alt"] for e, a in page.elements if e == "img" and a["alt"] in ("the set", "started from")]
    assert len(pictures) == 2 * (3 + 2 * 2)  # set, and start of the distilled ones
    assert page.text.count(summary.brief.because) == 1  # behind the door to the evidence
    for key in ("random", "coresets", "cost", "coverage"):
        assert all(line in page.text for line in summary.claims.of(key).methods)


def test_an_id_is_on_the_page_once(builder):
    builder.students, builder.maps = ("a", "b"), True
    _, page = written(builder)
    ids = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(ids) == len(set(ids)) and {"card", "featuremap", "transfer", *(door.key for door in DOORS)} <= set(ids)


def test_every_door_is_closed_and_begins_with_a_sentence(builder):
    summary, page = written(builder)
    inside = [i for i, (_, a) in enumerate(page.elements) if a.get("class") in ("door", "section")]
    assert len(inside) == 5 + 24 and all(page.elements[i][1].get("open") is None for i in inside)
    for door in DOORS:
        (at,) = [i for i, (_, a) in enumerate(page.elements) if a.get("id") == door.key]
        names = [(e, a.get("class")) for e, a in page.elements[at + 1 : at + 6]]
        assert names == [("summary", None), ("h2", None), ("span", "question"), ("p", "said"), ("section", None)]
        said = door.say(summary)
        assert f"{door.title}{door.question}{said}." in page.text and len(said.split()) > 5


def test_a_page_weighs_less_than_two_megabytes(builder):
    builder.maps = True
    assert len(written(builder)[0].page.read_bytes()) < 2e6


def test_every_figure_is_one_that_plotly_accepts(builder):
    _, page = written(builder)
    # protocols × (accuracy, breakdown, differences, ranks, times, bytes), an axis of readings each, and the card's
    assert len(page.figures) == 3 * 6 + 3 + 1
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
    builder.controls = {evil: "random", "random": evil}
    builder.said = {evil: {"about": f"On ``{evil}``.\n\n{evil}", "paper": {"preset": evil, evil: evil}}}
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
    assert {e for e, _ in page.elements} <= benign | {"article", "dd", "footer", "h4", "i", "code"}
    assert not any(name.startswith("on") or a.get("src") == "x" for _, a in page.elements for name in a)
    assert len([1 for e, _ in page.elements if e == "script"]) == len(page.figures) + 3  # its own, plotly, the card
    assert f"failed on {evil}" in page.text
    assert f"On {evil}." in page.text and f"in the paper's preset, {evil}" in page.text
    assert f"{evil} over random" in page.text and f"random over {evil}" in page.text
    for figure in page.figures:
        names = [trace.get("name", "") for trace in figure["data"]]
        assert not any(re.search(r"<(?!/?b>|br>)", name) for name in names)


def test_holes_come_first(builder):
    builder.holes = lambda labels: labels["kind"] == "train" and labels["method"] == "sre2l"
    builder.failures = {"sre2l": "loss is NaN at step 3"}
    summary, page = written(builder)
    assert (summary.trained, summary.planned) == (123, 153)
    assert page.text.index("30 students of 153 planned have no result") < page.text.index("Is distilling digits worth")
    assert page.text.index("loss is NaN at step 3") < page.text.index("How sure is the answer?")


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
        {"same_steps": 0.9, "students": ("a", "b"), "replicates": 1},
        {"same_steps": 0.9, "full": False, "holes": lambda labels: labels.get("protocol") == "erm"},
        {"same_steps": 0.9, "methods": {"rded": ("distillation", True)}, "students": ("a", "b", "c")},
        {"holes": lambda labels: labels["kind"] in ("train", "teacher"), "students": ("a", "b")},
        {"budgets": ()},
    ],
)
def test_a_page_whatever_the_run(builder, change):
    for name, value in change.items():
        setattr(builder, name, value)
    summary, page = written(builder)
    shown = card(summary)
    assert shown.question in page.text and shown.answer in page.text and shown.lead in page.text
    assert not re.search(r"\bnan\b|\bNone\b|NaN", page.text)
    json.dumps(summary.to_json(), allow_nan=False)
    assert summary.brief.because in page.text
    assert all(line in page.text for line in (*summary.failures, *summary.failed.sentences()))
    assert all(line in page.text for key in ("random", "coresets") for line in summary.claims.of(key).methods)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"holes": lambda j: j["kind"] == "train" and j["method"] == "sre2l"},
            "20 students of 102 planned have no result",
        ),
        ({"replicates": 1}, "it takes 3 replicates"),
        ({"replicates": 2}, "it takes 3 replicates"),
        ({"methods": {"rded": ("distillation", True)}}, "there is no coreset to compare with"),
        (
            {"methods": {"rded": ("distillation", True), "sre2l": ("distillation", True)}},
            "there is no coreset to compare with",
        ),
        ({"holes": lambda j: j["kind"] in ("measure", "reference")}, "No set has been measured"),
        ({"noise": 0.0, "truth": 0.5}, "is the same as random within 1 point"),
        (
            {"truth": 0.01, "budgets": ("ipc=1",)},
            "students hardly learn in either setting; raise the budgets or train for more steps",
        ),
        ({"holes": lambda j: True}, "No student has been trained yet"),
    ],
    ids=[
        "holes",
        "one replicate",
        "two replicates",
        "one method",
        "no coreset",
        "no metrics",
        "identical",
        "not readable",
        "nothing",
    ],
)
def test_what_cannot_be_said_is_said(builder, change, said):
    builder.protocols = ("erm", "single_teacher")
    if "truth" in change:
        change = change | {"truth": dict.fromkeys(builder.truth, change["truth"])}
    for name, value in change.items():
        setattr(builder, name, value)
    _, page = written(builder)
    assert said in page.text
    assert not re.search(r"\bNaN\b|\bnan\b|\bNone\b|\binf\b", page.text)


def test_settings_outside_the_counts_are_shown_and_lean_at_most(builder):
    """kd is a paper's own; under single_teacher random sets are at chance at IPC 1, under the hard ones they learn."""
    builder.protocols, builder.full = ("erm", "kd", "single_teacher"), False
    builder.methods["start"], builder.truth["start"] = ("control", True), 0.1
    builder.controls = {"rded": "start"}
    builder.twist = lambda method, protocol, _: -0.45 * (protocol == "single_teacher" and method == "random")
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    run["study"]["native"] = ["kd"]
    (folder / "run.json").write_text(json.dumps(run))
    summary = write_report(folder)
    page = Reader(summary.page.read_text("utf-8"))
    assert "2 of 6 settings are not readable and left out of every count" in page.text
    assert "NOT READABLE single_teacher with convnet3_w32 at IPC 1: random sets reach" in page.text
    assert "rded in 2 of 2" in page.text and "after Holm over all 24 comparisons of two methods" in page.text
    assert "kd, convnet3_w32, IPC 1: rded against random leans better: +" in page.text
    assert "after Holm over 2 comparisons" in page.text  # with controls, under erm alone
    assert not re.search(r"\b(nan|None|NaN)\b", page.text)
    told = {(v["protocol"], v["random"] and v["random"]["verdict"]) for v in summary.to_json()["verdicts"]}
    assert {word for protocol, word in told if protocol != "erm"} <= {"leans better", "leans worse", "open", None}
    needed = [
        c["needed"] for v in summary.to_json()["verdicts"] if v["protocol"] != "erm" for c in v["coresets"].values()
    ]
    assert set(needed) == {None}


def test_the_full_data_at_the_sets_steps_has_a_line_of_its_own(builder):
    builder.same_steps = 0.9
    _, page = written(builder)
    assert page.text.count("full data, same steps") >= 1
    assert "on all training images for as many steps as the sets of that budget" in page.text
    lines = [t for f in page.figures for t in f["data"] if t.get("name") == "full data, same steps (RS2)"]
    assert len(lines) == 3 * 2  # protocols × budgets, in the accuracy figures alone
    assert all(t["y"] == [90.0] * 3 and t["error_y"]["array"][0] > 0 for t in lines)
    assert "Against the full data after as many steps" in page.text


def test_budgets_of_every_word_stand_by_size_and_in_words(builder):
    builder.budgets = ("fraction=0.1 balanced", "images=24 unbalanced", "ipc=1", "fraction=0.02")
    builder.protocols, builder.same_steps = ("erm",), 0.9
    _, page = written(builder)
    words = ["IPC 1", "24 images, unbalanced", "2 % of each class", "10 %, balanced"]  # 10, 24, 25 and 126 images
    drawn = page.figures[1]["layout"]["xaxis"]["ticktext"]  # after the card's
    assert [text.strip("\u2068\u2069") for text in drawn] == words
    doors = page.text[page.text.index(DOORS[0].question) :]
    assert sorted(words, key=doors.index) == words
    (bytes_,) = [
        f for f in page.figures if f["layout"]["xaxis"].get("title", {}).get("text") == "images (PNG) and labels"
    ]
    assert all(t["marker"]["size"] == sorted(t["marker"]["size"]) and len(t["x"]) == 4 for t in bytes_["data"])
    assert not re.search(r"(fraction|images|ipc)=", page.text)


def test_every_student_has_its_table_and_a_place_in_the_comparison(builder):
    builder.students, builder.same_steps = ("net_a", "net_b"), 0.9
    summary, page = written(builder)
    assert "Across students" in page.text and "mean rank" in page.text
    assert page.text.count("Kendall's τ of the means of 5 methods") == 3 * 2  # protocols × budgets
    assert "Over 6 combinations of protocol and budget, " in page.text
    assert len(summary.to_json()["across_students"]) == 6


def test_every_method_stands_beside_its_control(builder):
    builder.methods["start"], builder.truth["start"] = ("control", True), 0.1
    builder.controls = {"sre2l": "start", "rded": "random"}
    builder.holes = lambda labels: labels["kind"] == "train" and labels["protocol"] == "multi_teacher"
    _, page = written(builder)
    assert "controls" in page.ids[page.ids.index("evidence") : page.ids.index("beyond")]
    about = page.text[page.text.index("Against their controls") : page.text.index("Method minus control")]
    assert "after Holm over 12 comparisons: 8 better, 4 without a shared replicate" in about
    assert "sre2l over start" in about and "rded over random" in about
    assert about.count("▲ better") == 2 * 2 * 2  # methods × protocols × budgets
    assert "erm, convnet3_w32, IPC 1: sre2l is better than start: +" in about
    assert "multi_teacher, convnet3_w32, IPC 10: sre2l and start share no replicate" in about
    assert "5 methods and 1 control, " in page.text
    assert page.text.count("rded is better than its control, random, in 4 of 6 settings") == 1


def test_a_control_alone_is_said_once(builder):
    builder.controls = {"rded": "random"}
    _, page = written(builder)
    said = "rded is better than its control, random, in 6 of 6 settings, after Holm over 6 comparisons"
    assert page.text.count(said) == 1


def test_robust_scores_say_what_their_intervals_rest_on(builder):
    builder.protocols = ("erm", "kd", "kd_plain")
    builder.teachers = {"kd": ("convnet3_bn",), "kd_plain": ("convnet3_bn",)}
    builder.tables = {"kd": {"name": "kd", "augment": True}, "kd_plain": {"name": "kd", "augment": False}}
    _, page = written(builder)
    for promise in ("Robust scores", "ARS", "Accuracies enter as fractions", "one student of the full data"):
        assert promise in page.text
    builder.folder, builder.jobs, builder.protocols = builder.folder.with_name("again"), [], ("erm", "kd")
    _, page = written(builder)
    assert "ARS" not in page.text  # there is no pair


def test_a_page_is_replaced_in_one_step(builder):
    folder = builder.build()
    write_report(folder)
    first = (folder / "report.html").read_bytes()
    write_report(folder)
    assert (folder / "report.html").read_bytes() == first
    assert not list(folder.glob(".tmp-*"))


def test_reporting_needs_neither_torch_nor_pandas():
    code = "import sys, decoct.report.write; print({'torch', 'pandas'} & set(sys.modules))"
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
