"""A method says how it is built, and how it departs from its paper."""

from html.parser import HTMLParser

import pytest
from tests.report.conftest import view

from decoct.report.read import frame
from decoct.report.sections.made import methods as section
from decoct.report.summary import summarise


class Details(HTMLParser):
    """Of each details element: its summary, paragraphs, code, and the cells of its rows."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)

    def handle_starttag(self, element, attributes):
        self.open.append(element)
        if element == "details":
            self.found.append({"summary": "", "p": [], "code": [], "tr": []})
        elif "details" in self.open:
            for kind in {element} & {"p", "code"}:
                self.found[-1][kind].append("")
            if element == "tr":
                self.found[-1]["tr"].append([])
            if element in ("th", "td"):
                self.found[-1]["tr"][-1].append("")

    def handle_endtag(self, element):
        while self.open and self.open.pop() != element:
            pass

    def handle_data(self, data):
        for kind in {"summary", "p", "code"} & set(self.open) if "details" in self.open else ():
            if kind == "summary":
                self.found[-1]["summary"] += data
            else:
                self.found[-1][kind][-1] += data
        if {"th", "td"} & set(self.open) and "details" in self.open:
            self.found[-1]["tr"][-1][-1] += data


@pytest.fixture
def methods(builder):
    """The section of a run whose rded and sre2l say more."""

    def shown(**said):
        builder.said = said
        run = frame.read(builder.build())
        summary = summarise(run)
        return section.show(view(summary), run.manifest)

    return shown


def test_a_method_says_how_it_is_built_and_where_it_departs_from_its_paper(methods):
    config = {"name": "rded", "preset": "small_cpu", "factor": 1, "nets": ["a", "b"], "lr": None, "batch": 7}
    paper = {"name": "rded", "preset": "imagenet1k", "factor": 2, "nets": ["a"], "lr": 0.5, "batch": 7}
    about = "One ``x``,\ntwo.\n\nPresets: ``imagenet1k`` and ``small_cpu``."
    page = methods(rded={"about": about, "config": config, "paper": paper})
    (one,) = Details(page).found
    assert one["summary"] == "rded: how it is built, and how that departs from its paper"
    assert one["p"] == ["One x,\ntwo.", "Presets: imagenet1k and small_cpu."]
    assert one["code"] == ["x", "imagenet1k", "small_cpu", "factor", "lr", "nets"]
    assert one["tr"] == [
        ["field", "in the paper's preset, imagenet1k", "here"],
        ["factor", "2", "1"],
        ["lr", "0.5", "–"],
        ["nets", '["a"]', '["a", "b"]'],
    ]
    assert "preset = &quot;small_cpu&quot;" in page


def test_the_papers_own_preset_departs_in_nothing(methods):
    config = {"name": "rded", "preset": "imagenet1k", "factor": 2}
    (one,) = Details(methods(rded={"about": "Text.", "config": config, "paper": config})).found
    assert one["tr"] == []


def test_a_method_without_presets_speaks_of_none(methods):
    page = methods(rded={"about": "Text."}, sre2l={"about": ""})
    (one,) = Details(page).found
    assert (one["summary"], one["tr"]) == ("rded: how it is built", [])
    assert "resolution" not in page


def test_a_run_of_before_says_what_it_knows(methods):
    page = methods()
    assert Details(page).found == [] and "What sre2l does." in page


def test_what_a_docstring_holds_is_text(methods):
    evil = "<b>``<i>``</b>"
    page = methods(rded={"about": evil, "paper": {"preset": evil, evil: evil}, "config": {evil: "<u>"}})
    assert not any(element in page for element in ("<b>", "<i>", "<u>"))
    (one,) = Details(page).found
    assert one["p"] == ["<b><i></b>"] and one["code"] == ["<i>", evil]
    assert one["tr"][1] == [evil, f'"{evil}"', '"<u>"']


def test_weighted_sets_are_named_as_such(methods, builder):
    plain = methods()
    assert "weight" not in plain
    builder.folder, builder.jobs, builder.weighted = builder.folder / "again", [], ("herding", "rded")
    page = methods()
    assert page.count("one set, weighted") == 1 and page.count("each replicate, weighted") == 1
    assert "by their weight over the set&#x27;s mean weight, under every protocol" in page
