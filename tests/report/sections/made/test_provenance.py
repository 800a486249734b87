"""The study on the page can be run again: data, machines, versions, and the study as TOML."""

import html
import re
import tomllib

import pytest

from decoct.report.read.manifest import Manifest
from decoct.report.sections.made.provenance import show


@pytest.fixture
def shown(builder):
    run = Manifest.read(builder.build())
    return run, str(show(run))


def test_the_study_on_the_page_reads_back_with_every_default(shown):
    run, page = shown
    command, study = (html.unescape(text) for text in re.findall(r'<pre class="study">(.*?)</pre>', page, re.S))
    assert command == "decoct run STUDY.toml --out DIR"
    told = tomllib.loads(study)
    assert told["protocols"] == list(run.protocols.values())
    assert {key: value for key, value in told.items() if key != "protocols"} == {
        key: value for key, value in run.study.items() if key != "protocols"
    }


def test_machine_versions_and_data_are_named(shown):
    _, page = shown
    assert "digits: 1,257 train, 180 val, 360 test images" in page
    assert all(fact in page for fact in ("1 × 8 × 8", "d1ge57", "Test CPU (cpu)", "python 3.11"))


def test_names_of_data_and_machines_are_text(builder):
    builder.name, evil = "<b>x", "&lt;b&gt;x"
    page = str(show(Manifest.read(builder.build())))
    assert "<b>x" not in page and page.count(evil) >= 2  # data, and the study
