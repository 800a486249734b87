"""Which extractors had no part in the sets."""

import json

import pytest

from decoct.report.read import frame
from decoct.report.sections.beyond._independent import independent


def test_what_a_selection_reads_and_what_a_set_is_made_with_is_not_independent(builder):
    """ "teacher" gives herding its features and trained with the distilled sets; "judge" has no part in them."""
    builder.extractors = ("teacher", "judge")
    run = frame.read(builder.build()).manifest
    assert independent(run, ("teacher", "convnet3_bn", "judge")) == {"judge"}


@pytest.mark.parametrize(
    ("extractor", "kind", "labels", "part"),
    [
        ("resnet10t", "teacher", {"net": "resnet10t"}, True),  # a method is made with it
        ("timm:resnet18.a1", "features", {"extractor": "timm:resnet18.a2@0123"}, True),  # the same net, other weights
        ("timm:resnet18.a1", "features", {"extractor": "timm:resnet50"}, False),
    ],
)
def test_a_net_that_takes_part_is_not_independent(builder, extractor, kind, labels, part):
    builder.extractors = (extractor,)
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    run["jobs"].append({"key": "f" * 32, "kind": kind, "inputs": {}, "labels": labels})
    for job in run["jobs"]:
        if job["kind"] == "condense" and job["labels"]["method"] == "rded":
            job["inputs"]["more"] = "f" * 32
    (folder / "run.json").write_text(json.dumps(run))
    run = frame.read(folder).manifest
    assert independent(run, {extractor, "another"}) == ({"another"} if part else {extractor, "another"})
