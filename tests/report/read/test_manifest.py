"""What a run says of itself, in the study's order and words."""

import json

import pytest

from decoct.core.errors import DecoctError
from decoct.report.read.manifest import Manifest


def test_methods_and_protocols_keep_the_studys_order(builder):
    builder.methods = {m: builder.methods[m] for m in ("sre2l", "random", "herding")}
    builder.protocols = ("single_teacher", "erm")
    folder = builder.build()
    assert list(json.loads((folder / "run.json").read_text())["methods"]) == ["herding", "random", "sre2l"]
    run = Manifest.read(folder)
    assert list(run.methods) == ["sre2l", "random", "herding"]
    assert list(run.protocols) == ["single_teacher", "erm"]
    assert run.protocols["erm"]["steps"] == 500


def test_budgets_are_ordered_by_the_images_of_a_set_whatever_their_word(builder):
    run = Manifest.read(builder.build())  # 1,257 images of 10 classes
    words = ["images=9", "ipc=1", "images=100 unbalanced", "ipc=10", "fraction=0.1", "fraction=0.1 balanced", "ipc=13"]
    assert sorted([*reversed(words), "all"], key=run.budget_order) == [
        "images=9",
        "ipc=1",
        "images=100 unbalanced",
        "ipc=10",
        "fraction=0.1",
        "fraction=0.1 balanced",
        "ipc=13",
        "all",
    ]


def test_labels_are_known_by_what_the_students_need(builder):
    builder.protocols = ("erm", "single_teacher", "kept")
    builder.tables = {"kept": {"name": "single_teacher", "labels": {"bits": 8}}}
    run = Manifest.read(builder.build())
    assert [run.labels(p) for p in builder.protocols] == ["hard", "online", "stored"]


def test_teachers_at_hand_have_the_size_of_their_weights(builder):
    run = Manifest.read(builder.build())
    assert run.label_teachers("multi_teacher") == {"convnet3_bn": 11_000, "resnet10t": 9_000}
    assert run.label_teachers("erm") == {}


def changed(builder, change):
    """A run whose ``run.json`` is as another version or study would have written it."""
    folder = builder.build()
    said = json.loads((folder / "run.json").read_text())
    change(said)
    (folder / "run.json").write_text(json.dumps(said))
    return Manifest.read(folder)


@pytest.mark.parametrize("stated", [None, 0.01, 0.05])
def test_a_margin_is_as_it_was_stated_or_unknown(builder, stated):
    assert changed(builder, lambda said: said["study"].update(margin=stated)).margin == stated


def test_native_protocols_are_those_that_the_study_marks(builder):
    assert changed(builder, lambda said: said["study"].update(native=["erm"])).native == {"erm"}


def test_an_older_run_has_no_native_protocol_and_one_teacher_for_all(builder):
    run = Manifest.read(builder.build())
    assert (run.native, run.teachers_vary) == (frozenset(), False)


def test_intervals_are_given_the_teachers_unless_each_set_has_its_own(builder):
    run = changed(builder, lambda said: None)
    assert (run.teachers_vary, run.given_teachers) == (False, True)
    said = json.loads((run.folder / "run.json").read_text())
    said["study"]["replicates"]["teacher"] = said["study"]["replicates"]["condense"]
    (run.folder / "run.json").write_text(json.dumps(said))
    run = Manifest.read(run.folder)
    assert (run.teachers_vary, run.given_teachers) == (True, False)


def test_what_is_loaded_would_be_the_same_for_another_seed(builder):
    def loaded(said):
        for job in said["jobs"]:
            job |= {"drawn": False} if job["kind"] in ("teacher", "features") else {}

    assert not changed(builder, loaded).given_teachers


def test_a_teacher_that_only_metrics_look_through_is_in_no_interval_of_accuracies(builder):
    builder.methods = {"random": ("coreset", True)}
    builder.protocols = ("erm",)
    run = Manifest.read(builder.build())
    assert run.of_kind("teacher") and not run.given_teachers


@pytest.mark.parametrize("field", ["study", "data", "methods", "jobs", "failures"])
@pytest.mark.parametrize("value", [[], "a", 3, [[]], {"a": []}])
def test_a_run_with_a_value_where_a_table_belongs_is_damaged(builder, field, value):
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text("utf-8")) | {field: value}
    (folder / "run.json").write_text(json.dumps(run))
    try:
        found = Manifest.read(folder)
    except DecoctError as error:
        assert "damaged" in str(error)
    else:
        assert all(isinstance(table, dict) for table in (found.study, found.data, *found.methods.values()))
