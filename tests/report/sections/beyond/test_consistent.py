"""Covering less everywhere: over places against a naive rewrite, and which extractors had no part in the sets."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.conftest import SD

from decoct.report.read import frame
from decoct.report.sections.beyond.consistent import consistencies, independent
from decoct.report.sections.beyond.coverage import Coverage, coverages
from decoct.report.standing import Name, standings
from decoct.report.stats.welch import Contrast

P = st.floats(1e-6, 1)
PLACES = "combinations of budget and independent extractor"


def place(method, budget, extractor, *p_worse):
    name = Name("representativeness", "coverage", "per_class", "val", extractor)
    against = {str(i): Contrast(0.0, -0.1, 0.1, (5, 5), 1 - p, p) for i, p in enumerate(p_worse)}
    return Coverage(method, budget, name, 0.4, against, "", math.nan)


@given(st.lists(st.lists(st.tuples(P, P, P), min_size=2, max_size=2), min_size=1, max_size=3))
def test_the_largest_over_places_of_the_smallest_over_coresets_after_holm_over_methods(methods):
    covered = [place(str(i), str(j), "judge", *p) for i, places in enumerate(methods) for j, p in enumerate(places)]
    naive = [max(min(1.0, 3 * min(p)) for p in places) for places in methods]
    found = consistencies(covered)
    assert [c.p for c in found] == pytest.approx(naive)
    left, shown = len(naive), set()
    for p in sorted(set(naive)):
        if left * p >= 0.025:
            break
        shown |= {i for i, own in enumerate(naive) if own == p}
        left -= naive.count(p)
    if len(set(naive)) == len(naive):
        assert {i for i, c in enumerate(found) if c.shown} == shown


def test_all_places_or_those_that_are_shown_each():
    everywhere = [place("a", b, e, 1e-4, 0.9) for b in ("1", "10") for e in ("x", "y")]
    somewhere = [place("b", b, e, 1e-5 if b == "1" else 0.5, 0.9) for b in ("1", "10") for e in ("x", "y")]
    first, second = consistencies(everywhere + somewhere)
    assert first.sentence() == f"a covers less than the best coreset in all 4 {PLACES}"
    assert second.sentence() == f"b covers less than the best coreset in 2 of 4 {PLACES}" and not second.shown
    both = consistencies([place("d", b, "x", 1e-4) for b in ("1", "10")])
    assert both[0].sentence() == f"d covers less than the best coreset in both {PLACES}"
    none = consistencies([place("c", "1", "x", 0.5)])
    one = PLACES.replace("combinations", "combination")
    assert none[0].sentence() == f"c covers less than the best coreset in none of 1 {one}"


def test_what_cannot_be_tested_in_one_place_is_not_shown_everywhere():
    (found,) = consistencies([place("a", "1", "x", 1e-6), place("a", "10", "x", math.nan)])
    assert not found.shown and math.isnan(found.p) and found.behind == 1
    assert consistencies([]) == () and consistencies([place("a", "1", "x")]) == ()


def test_planted_coverage_is_found_in_independent_features_alone(builder):
    """ "teacher" gives herding its features and trained with the distilled sets; "judge" has no part in them."""
    builder.extractors = ("teacher", "judge")
    builder.shift = lambda method, metric, extractor: -20 * SD * (method == "sre2l" and metric == "coverage")
    tables = frame.read(builder.build())
    covered = coverages(tables, standings(tables))
    apart = independent(tables.manifest, covered)
    assert {c.name.extractor for c in covered} == {"teacher", "judge"}
    assert {c.name.extractor for c in apart} == {"judge"}
    rded, sre2l = consistencies(apart)
    assert (sre2l.shown, sre2l.behind, sre2l.places) == (True, 2, 2) and not rded.shown


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
    tables = frame.read(folder)
    covered = coverages(tables, standings(tables))
    assert covered and bool(independent(tables.manifest, covered)) != part


def test_sets_alike_are_rarely_said_to_cover_less_everywhere():
    """Of 400 studies, two methods, one place each: 5 % at most, one-sided at 2.5 % after Holm."""
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(400):
        wrong += any(c.shown for c in consistencies([place(m, "1", "x", *rng.random(3)) for m in "ab"]))
    assert wrong / 400 < 0.05
