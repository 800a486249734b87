"""Every file in a door's folder is a section of its door, in order of place; another one is one file more."""

import importlib
import sys
from itertools import chain
from pathlib import Path

import pytest
from tests.report.conftest import SD

from decoct.report import doors, sections
from decoct.report.doors import DOORS, every
from decoct.report.read import frame
from decoct.report.render import render
from decoct.report.summary import summarise

FOLDER = Path(sections.__file__).parent
WITHOUT = {"consistent"}  # has no section: what it finds is said with coverage
NEW = '''"""A section that a test adds."""

from decoct.report.page.markup import Markup, tag
from decoct.report.page.section import Section

SECTION = Section(
    "How many sets <there> are",
    {place},
    lambda s: tag("p", f"counted: {{len(s.found(count))}}"),
    lambda s: "It was counted",
    lambda s: {{"counted": len(s.found(count))}},
)


def count(judged):
    return judged.frame.manifest.of_kind("condense")
'''


def files(door):
    return {path.stem for path in (FOLDER / door).glob("*.py") if not path.name.startswith("_")}


@pytest.mark.parametrize("door", [door.key for door in DOORS])
def test_every_file_of_a_doors_folder_is_found_by_its_name(door):
    found = doors.sections(door)
    assert set(found) == files(door) - WITHOUT and found
    for name, section in found.items():
        assert section is importlib.import_module(f"decoct.report.sections.{door}.{name}").SECTION
    places = [section.place for section in found.values()]
    assert places == sorted(places) and len(set(places)) == len(places)


def test_every_folder_is_a_door():
    assert {path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists()} == {d.key for d in DOORS}
    assert list(every()) == list(chain.from_iterable(doors.sections(d.key).values() for d in DOORS))


def test_addresses_are_told_apart():
    """An id is a file's name, in whichever folder, or a door's; the page's own are there too."""
    ids = [*(door.key for door in DOORS), *(name for door in DOORS for name in doors.sections(door.key))]
    assert len(ids) == len(set(ids)) and not set(ids) & {"card", "plotly"}


def test_what_sections_add_to_the_json_has_a_key_of_its_own(run):
    summary = summarise(frame.read(run))
    keys = [key for section in every() for key in section.to_json(summary)]
    assert len(keys) == len(set(keys)) and set(keys) < set(summary.to_json())
    own = {"name", "data", "worth", "claims", "advice", "accuracy", "verdicts", "failed", "not_readable", "margins"}
    assert not own & set(keys)


def test_every_door_has_a_question_and_a_sentence(run):
    summary = summarise(frame.read(run))
    assert len({door.question for door in DOORS}) == 5
    for door in DOORS:
        assert door.question.endswith("?")
        said = door.say(summary)
        assert said and not said[0].islower() and said[-1] not in ".?!"


@pytest.fixture
def added(tmp_path, monkeypatch):
    """``added(DOOR, PLACE)``: a file more in the folder of a door, and nothing else."""
    doors.sections.cache_clear()

    def add(door, place):
        package = importlib.import_module(f"decoct.report.sections.{door}")
        (tmp_path / "counted.py").write_text(NEW.format(place=place))
        (tmp_path / "_shared.py").write_text("SECTION = None\n")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        monkeypatch.delitem(sys.modules, f"{package.__name__}.counted", raising=False)

    yield add
    doors.sections.cache_clear()
    for name in [name for name in sys.modules if name.endswith(".counted")]:
        del sys.modules[name]


@pytest.mark.parametrize("door", [door.key for door in DOORS])
def test_another_section_is_one_file(run, added, door):
    before = list(doors.sections(door))
    last = max(section.place for section in doors.sections(door).values())
    doors.sections.cache_clear()
    added(door, last - 1)
    assert list(doors.sections(door)) == [*before[:-1], "counted", before[-1]]  # in order of place
    summary = summarise(frame.read(run))
    page = render(summary)
    sets = len(summary.run.of_kind("condense"))
    assert page.count('<section id="counted">') == 1
    own = page[page.index(f'class="door" id="{door}"') :].split('class="door"')[1]
    assert "<h3>How many sets &lt;there&gt; are</h3><p>It was counted.</p>" in own
    assert f"<p>counted: {sets}</p>" in own
    assert summary.to_json()["counted"] == sets


def test_a_section_with_nothing_to_show_is_left_out_and_a_door_with_none_as_well(builder):
    builder.holes = lambda labels: True
    summary = summarise(frame.read(builder.build()))
    page = render(summary)
    for door in DOORS:
        shown = {name: bool(section.show(summary)) for name, section in doors.sections(door.key).items()}
        assert (f'class="door" id="{door.key}"' in page) == any(shown.values())
        assert all((f'<section id="{name}">' in page) == there for name, there in shown.items())
    assert 'class="door" id="pictures"' not in page and 'class="door" id="made"' in page


def test_coresets_alone_have_sentences_of_their_own(builder):
    builder.methods = {m: own for m, own in builder.methods.items() if own[0] == "coreset"}
    sides = {"coverage": 20 * SD, "mmd": -20 * SD}
    builder.shift = lambda method, metric, extractor: sides.get(metric, 0) * (method == "k_center")
    builder.extractors = ("judge",)
    summary = summarise(frame.read(builder.build()))
    said = {door.key: door.say(summary) for door in DOORS}
    assert said["beyond"].startswith("k_center covers held-out images better than random sets of its size, in 2 of 2")
    assert said["cost"].startswith("Time per set, teachers included: random ")
    assert not any("distil" in words for words in said.values())
    assert "no distillation method" not in render(summary)


def test_a_study_without_metrics_has_no_door_to_them(builder):
    made = builder._job
    builder._job = lambda kind, *a, **k: "" if kind in ("measure", "reference") else made(kind, *a, **k)
    page = render(summarise(frame.read(builder.build())))
    assert 'id="evidence"' in page and 'id="beyond"' not in page and "No set has been measured" not in page
