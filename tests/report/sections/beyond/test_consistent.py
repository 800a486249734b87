"""Covering less everywhere: over places against a naive rewrite."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.conftest import SD

from decoct.report.read import frame
from decoct.report.sections.beyond._agreed import Check, Coverage
from decoct.report.sections.beyond.consistent import consistencies, sentences
from decoct.report.sections.beyond.coverage import coverages
from decoct.report.standing import Name, standings
from decoct.report.stats.welch import Contrast

P = st.floats(1e-6, 1)
PLACES = "combinations of budget and independent extractor"


def place(method, budget, extractor, *p_worse):
    name = Name("representativeness", "coverage", "per_class", "val", extractor)
    against = {str(i): Contrast(0.0, -0.1, 0.1, (5, 5), 1 - p, p) for i, p in enumerate(p_worse)}
    even = {other: Contrast(0.0, -0.1, 0.1, (5, 5), 0.5, 0.5) for other in against}
    return Coverage(method, budget, name, 0.4, against, "", math.nan, Check("mmd", against), Check("modes", even))


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
    less = "less than the best coreset in"
    first, second = found = consistencies(everywhere + somewhere)
    assert sentences(found) == (f"a covers {less} all 4 {PLACES}", f"b covers {less} 2 of 4 {PLACES}")
    assert first.shown and not second.shown
    both = consistencies([place("d", b, "x", 1e-4) for b in ("1", "10")])
    assert sentences(both) == (f"d covers {less} both {PLACES}",)
    none = consistencies([place(method, "1", "x", 0.5) for method in "ce"])
    assert sentences(none) == (f"c and e cover {less} none of 1 {PLACES.replace('combinations', 'combination')}",)


def test_what_cannot_be_tested_in_one_place_is_not_shown_everywhere():
    (found,) = consistencies([place("a", "1", "x", 1e-6), place("a", "10", "x", math.nan)])
    assert not found.shown and math.isnan(found.p) and found.behind == 1
    assert consistencies([]) == () and consistencies([place("a", "1", "x")]) == ()


def test_planted_coverage_is_found_in_independent_features_alone(builder):
    """ "teacher" gives herding its features and trained with the distilled sets; "judge" has no part in them."""
    builder.extractors = ("teacher", "judge")
    sides = {"coverage": -20 * SD, "mmd": 20 * SD}
    builder.shift = lambda method, metric, extractor: sides.get(metric, 0) * (method == "sre2l")
    tables = frame.read(builder.build())
    covered = coverages(tables, standings(tables))
    assert {c.name.extractor for c in covered} == {"teacher", "judge"}
    rded, sre2l = consistencies(covered)
    assert (sre2l.shown, sre2l.behind, sre2l.places) == (True, 2, 2) and not rded.shown


def test_sets_alike_are_rarely_said_to_cover_less_everywhere():
    """Of 400 studies, two methods, one place each: 5 % at most, one-sided at 2.5 % after Holm."""
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(400):
        wrong += any(c.shown for c in consistencies([place(m, "1", "x", *rng.random(3)) for m in "ab"]))
    assert wrong / 400 < 0.05
