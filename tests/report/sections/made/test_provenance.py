"""The study on the page can be run again, and a method says how it departs from its paper."""

import re
import tomllib
from html.parser import HTMLParser

import pytest
from tests.report.conftest import view

from decoct.report.read import frame
from decoct.report.read.manifest import Manifest
from decoct.report.sections.made import provenance
from decoct.report.summary import summarise


def test_the_study_reads_back_from_its_toml():
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


def test_protocols_read_back_as_the_tables_that_a_study_lists():
    kept = {"erm": {"name": "erm", "steps": 5}, "long": {"name": "erm", "steps": 9, "batch": None}}
    assert tomllib.loads(provenance.toml({"name": "a", "protocols": kept})) == {
        "name": "a",
        "protocols": [{"name": "erm", "steps": 5}, {"name": "erm", "label": "long", "steps": 9}],
    }


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

    def section(**said):
        builder.said = said
        run = frame.read(builder.build())
        summary = summarise(run)
        return provenance.methods(view(summary), run.manifest)

    return section


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
    assert "relative to the mean over the set, under every protocol" in page


def test_generators_stand_beside_the_teachers_with_what_they_have_seen(builder):
    builder.build()
    assert "enerator" not in provenance.teachers(Manifest.read(builder.folder))
    own = {"trained_here": True, "parameters": 717505, "steps": 4688, "origin": "trained by decoct on digits"}
    supplied = {"trained_here": False, "parameters": 675129632, "origin": "hub <b>x</b>", "seen": "ImageNet-1K"}
    builder.add(
        "generator", {"generator": "own"}, {"generator.json": own | {"seen": "the train split: 9 images"}}, 60.0
    )
    builder.add("generator", {"generator": "hub:x"}, {"generator.json": supplied}, 1.0)
    page = provenance.teachers(Manifest.read(builder.folder))
    assert "Teachers and generators" in page and "convnet3_bn" in page
    rows = [row for row in re.findall(r"<tr>.*?</tr>", page) if ">own<" in row or "hub:x" in row]
    assert all(part in rows[0] for part in ("717,505", "4,688", "60.0 s", "the train split: 9 images"))
    assert all(part in rows[1] for part in ("675,129,632", "training is not counted", "ImageNet-1K"))
    assert "4,688" not in rows[1] and "<b>x" not in page


def test_the_path_of_a_checkpoint_is_text(builder):
    builder.checkpoint = "/nets/<b>own</b> & co.pt"
    builder.build()
    page = provenance.teachers(Manifest.read(builder.folder))
    assert "loaded from /nets/&lt;b&gt;own&lt;/b&gt; &amp; co.pt; its training is not counted" in page
    assert "<b>own" not in page
