"""Jobs of one kind together: sums over those whose time is known, counts of the others."""

import pytest

from decoct.run.planning.estimates import Estimate, Once
from decoct.run.planning.groups import Group
from decoct.run.planning.kinds import kind_of


def group(jobs, **each):
    return Group("train", "train · …", tuple(map(str, range(jobs))), Estimate(**each))


def test_groups_add_up_by_their_jobs():
    known = group(3, seconds=10.0, cpu_seconds=9.0, overhead=1.0, bytes=100.0, peak=5, source="earlier", sure="sure")
    rough = group(2, seconds=4.0, cpu_seconds=3.0, overhead=0.5, peak=7, source="probe", sure="rough")
    blank = group(4)
    kind = kind_of("train", 12, [known, rough, blank])
    assert (kind.jobs, kind.done, kind.todo) == (12, 3, 9)
    assert (kind.seconds, kind.cpu_seconds, kind.overhead, kind.bytes) == (38.0, 33.0, 4.0, 300.0)
    assert (kind.peak, kind.unknown, kind.unsized) == (7, 4, 6)
    assert (kind.source, kind.sure) == ("both", "rough")
    assert kind_of("train", 3, [known]).source == "earlier"


def test_nothing_is_made_up_where_nothing_is_known_or_to_do():
    blank = kind_of("train", 4, [group(4)])
    assert (blank.seconds, blank.peak, blank.unknown, blank.source, blank.sure) == (0.0, None, 4, "none", "unknown")
    done = kind_of("train", 4, [])
    assert (done.done, done.todo, done.source, done.sure) == (4, 0, "", "")


def test_each_worker_works_out_once_what_the_others_share():
    kind = kind_of("measure", 3, [group(3, seconds=1.0, cpu_seconds=1.0, source="probe", sure="fair")])
    with_once = kind.with_once(Once("measure", 20.0, 15.0), 2)
    assert (with_once.seconds, with_once.cpu_seconds) == pytest.approx((43.0, 33.0))
    assert with_once.jobs == kind.jobs
