"""Accuracy over bytes: each student's own labels, and ways of keeping them in one panel."""

import pytest
from tests.report.conftest import view

from decoct.report.read import frame
from decoct.report.sections.cost.weight import figure, groups, kept, show, storing, variants
from decoct.report.summary import summarise

WAYS = {
    "online": {"name": "single_teacher", "labels": None},
    "fp16": {"name": "single_teacher", "labels": {"per": "view", "bits": 16, "prune": 1.0, "by": "batch"}},
    "pruned": {"name": "single_teacher", "labels": {"per": "view", "bits": 8, "prune": 20.0, "by": "class"}},
}


@pytest.fixture
def ways(builder):
    builder.protocols, builder.tables = ("erm", *WAYS), WAYS
    builder.teachers = {"online": ("convnet3_bn", "resnet10t")}
    return builder


def read(builder):
    folder = builder.build()
    tables = frame.read(folder)
    found = summarise(tables)
    return tables.manifest, found


def test_protocols_that_differ_in_labels_alone_share_a_panel():
    tables = WAYS | {"erm": {"name": "erm"}, "other": WAYS["fp16"] | {"steps": 9}}
    assert groups(tables, ["erm", "online", "other", "pruned", "fp16"]) == [
        ["erm"],
        ["online", "pruned", "fp16"],
        ["other"],
    ]
    assert groups({}, ["a", "b"]) == [["a"], ["b"]]


def test_bytes_are_images_and_the_students_own_labels(ways):
    run, found = read(ways)
    setting = {s.protocol: s for s in found.settings if s.budget == "ipc=10"}
    own = {protocol: found.accuracy("rded", s) for protocol, s in setting.items()}
    # 100 images of 90 bytes; labels of 1,000 bytes a bit and 10 more with each of the five sets
    assert {p: a.total_bytes for p, a in own.items()} == {
        **{"erm": 9080, "online": 9000},
        **{"fp16": 9000 + 16_020, "pruned": 9000 + 8_020},
    }
    drawn = figure(view(found), run, variants(run, list(WAYS)), "convnet3_w32")
    lines = [trace for trace in drawn["data"] if "rded" in trace["name"]]
    assert [trace["x"][1] for trace in lines] == [9000, 25_020, 17_020]
    assert len({trace["line"]["dash"] for trace in lines}) == 3
    assert [trace["text"][-1] for trace in lines] == ["A", "B", "C"]
    assert drawn["layout"]["xaxis"]["type"] == "log"
    assert "25 kB = 9 kB images + 16 kB labels" in lines[1]["customdata"][1]
    assert "2.5 kB per class" in lines[1]["customdata"][1]
    assert "plus 20 kB of teachers" in lines[0]["customdata"][1]


def test_one_panel_a_student_and_group(ways):
    ways.students = ("a", "b")
    run, found = read(ways)
    page = show(view(found), run)
    assert page.count("<figure") == 2 * 2
    assert page.count("no soft labels stored; needs the weights of convnet3_bn 11 kB, resnet10t 9 kB") == 2


def test_full_data_at_the_sets_steps_is_not_on_the_scale(ways):
    ways.same_steps = 0.9
    run, found = read(ways)
    drawn = figure(view(found), run, variants(run, ["erm"]), "convnet3_w32")
    assert len(drawn["data"]) == len(found.methods)
    assert not any("full" in trace["name"] for trace in drawn["data"])


def test_weights_that_are_gone_are_unknown_and_not_zero(ways):
    run, _ = read(ways)
    teacher = next(job for job in run.of_kind("teacher") if job.labels["net"] == "resnet10t")
    (run.cell(teacher) / "weights.safetensors").unlink()
    said, total = kept(run, "online")
    assert total is None and "convnet3_bn 11 kB, resnet10t" in said
    assert kept(run, "erm") == ("hard labels", 0)
    assert kept(run, "pruned")[0] == "soft labels stored, per view, 8 bits, one in 20, kept by class"


def test_how_labels_are_kept_in_words():
    assert list(storing({"by": "class", "prune": 1, "bits": 8, "top_k": 5})) == ["8 bits", "top 5"]
    assert list(storing({"a_new": 3, "top_k": None})) == ["a new 3"]


def test_nothing_trained_draws_nothing(ways):
    ways.holes = lambda labels: labels["kind"] == "train"
    run, found = read(ways)
    assert show(view(found), run) == ""
