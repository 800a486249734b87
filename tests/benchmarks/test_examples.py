"""The tables of the ImageNet examples: what a set takes that is made in shards, and where tables go."""

import json
import sys
from pathlib import Path

from decoct.nets.imagenet_classes import wnids
from decoct.study.estimate.estimates import Estimate
from decoct.study.jobs import Job

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from examples import data, one, study
from yardstick import written


def job(kind, number, budget):
    labels = {"method": "sre2l", "budget": budget}
    return Job(kind=kind, keyed={"number": number}, config={}, data="", labels=labels)


def test_a_set_takes_what_all_its_shards_take():
    small = [job("condense", 0, "ipc=10"), job("condense", 1, "ipc=10")]
    shards = [job("shard", number, "ipc=10") for number in range(8)]
    large = [job("condense", 2, "ipc=50")]
    each = {made.key: Estimate("probe", 0.0) for made in small} | {large[0].key: Estimate("probe", 7200.0)}
    each |= {shard.key: Estimate("probe", 30.0) for shard in shards}
    assert one([*small, *shards, *large], "ipc=10", each, "seconds") == "2 min 0 s"
    assert one([*small, *shards, *large], "ipc=50", each, "seconds") == "2 h 0 min"
    assert one(shards, "ipc=1", each, "seconds") == ""


def test_tables_take_the_place_of_those_of_a_page_whose_introduction_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nWords.\n\n## Old\n\n| a |\n\n## Older\n", "utf-8")
    written(page, "## New\n\n| b |\n")
    written(page, "## Newer\n\n| c |\n")
    assert page.read_text("utf-8") == "# Title\n\nWords.\n\n## Newer\n\n| c |\n"


def test_data_of_a_shape_take_no_room(tmp_path):
    made = data("imagenette", tmp_path)
    assert (len(made.train), len(made.class_names), made.shape) == (8522, 10, (3, 224, 224))
    assert sum(file.stat().st_blocks * 512 for file in (tmp_path / "imagenette").iterdir()) < 1e6


def test_an_example_is_planned_on_the_shape_of_its_data(tmp_path, monkeypatch):
    (net := tmp_path / "net.safetensors").touch()  # a study asks whether it is there
    monkeypatch.setattr("examples.checkpoint", lambda *_: str(net))
    said = study("imagenette", tmp_path)
    labels = list(said.methods())
    assert {"mgd3", "sre2l", "sre2l, bfloat16"} <= set(labels) and len(labels) == len(set(labels))
    assert json.loads((tmp_path / "generator" / "generator.json").read_text("utf-8"))["class_names"] == list(wnids())
