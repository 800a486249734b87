"""What a run says of itself, in the study's order and words."""

import json

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
