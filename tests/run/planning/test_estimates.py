"""Estimates: the same first, then another method's set, then another amount; nothing is made up."""

import pytest

from decoct.run.planning.estimates import OVERHEAD, Estimates, Known, Once
from decoct.run.planning.likeness import Likeness

LIKE = Likeness("train", "same", "aside", "work", 100.0)
OTHER_SET = LIKE._replace(same="of another method")
TWICE = LIKE._replace(same="more", set_aside="more", amount=200.0)
FAR = LIKE._replace(same="far", set_aside="far", amount=1000.0)


def test_nothing_known_is_said_to_be_unknown():
    found = Estimates([]).of(LIKE)
    assert (found.seconds, found.bytes, found.peak, found.source, found.sure) == (None, None, None, "none", "unknown")
    assert found.wall == 0


def test_the_median_of_the_same_with_other_seeds():
    known = [Known(LIKE, seconds, seconds / 2, bytes=size) for seconds, size in ((1.0, 10), (2.0, 20), (9.0, 60))]
    found = Estimates([*known, Known(OTHER_SET, 50.0, 50.0), Known(TWICE, 70.0, 70.0)]).of(LIKE)
    assert (found.seconds, found.cpu_seconds, found.bytes, found.by) == (2.0, 1.0, 30, 3)
    assert (found.source, found.sure) == ("earlier", "sure")
    assert found.wall == 2 + OVERHEAD


def test_then_the_same_on_another_methods_set_then_the_nearest_amount_in_proportion():
    far, twice = Known(FAR, 5.0, 5.0), Known(TWICE, 70.0, 60.0)
    assert Estimates([far, twice, Known(OTHER_SET, 50.0, 40.0)]).of(LIKE).sure == "fair"
    found = Estimates([far, twice]).of(LIKE)
    assert (found.seconds, found.cpu_seconds, found.sure) == (35.0, 30.0, "rough")


def test_without_an_amount_nothing_is_scaled():
    assert Estimates([Known(TWICE, 70.0, 60.0)]).of(LIKE._replace(amount=None)).seconds is None
    assert Estimates([Known(TWICE._replace(amount=None), 70.0, 60.0)]).of(LIKE).seconds is None


def test_a_probe_that_was_cut_short_is_less_sure_and_both_sources_are_named():
    probe = Known(LIKE, 3.0, 3.0, 0.5, 0.4, bytes=7, source="probe", cut_short=True)
    assert Estimates([probe]).of(LIKE).sure == "fair"
    around = Known(LIKE, None, None, 0.5, 0.4, bytes=7, source="probe")
    found = Estimates([Known(LIKE, 2.0, 2.0), around]).of(LIKE)
    assert (found.seconds, found.overhead, found.source, found.sure) == (2.0, 0.5, "both", "sure")


def test_what_stands_around_is_taken_from_the_most_alike():
    kind = Known(LIKE._replace(same="k", set_aside="k", work="k"), 1.0, 1.0, 9.0, 9.0, source="probe")
    assert Estimates([kind]).of(LIKE).overhead == 9.0
    assert Estimates([kind, Known(TWICE, 1.0, 1.0, 3.0, 3.0)]).of(LIKE).overhead == 3.0
    other = Likeness("measure", "m", "m", "m", 100.0)
    assert Estimates([Known(other, 1.0, 1.0, 3.0, 3.0)]).of(LIKE).overhead == OVERHEAD


@pytest.mark.parametrize(("kind", "size"), [("train", 5.0), ("condense", None)])
def test_a_students_cell_is_as_large_at_any_amount_and_a_set_is_not(kind, size):
    assert Estimates([Known(TWICE._replace(kind=kind), 1.0, 1.0, bytes=5.0)]).of(LIKE._replace(kind=kind)).bytes == size


def test_what_a_worker_works_out_once_is_that_of_one_process_that_probed():
    measure, reference = LIKE._replace(kind="measure"), LIKE._replace(kind="reference")
    gone = [Known(reference, 1.0, 1.0, once=20.0, cpu_once=19.0, process=1, source="probe")]
    whole = [
        Known(reference, 1.0, 1.0, once=18.0, cpu_once=17.0, process=2, source="probe"),
        Known(measure, 1.0, 1.0, once=3.0, cpu_once=2.0, process=2, source="probe"),
        Known(measure, 1.0, 1.0, once=1.0, cpu_once=1.0, process=2, source="probe"),
        Known(LIKE, 5.0, 5.0, process=2, source="probe"),
    ]
    earlier = [Known(measure, 1.0, 1.0, once=seconds, cpu_once=seconds) for seconds in (40.0, 0.0, 50.0)]
    assert set(Estimates([*gone, *whole, *earlier]).once()) == {Once("reference", 18, 17), Once("measure", 4, 3)}
    assert Estimates([*earlier, Known(LIKE, 5.0, 5.0)]).once() == (Once("measure", 50, 50),)
    assert Estimates([Known(LIKE, 5.0, 5.0)]).once() == ()
