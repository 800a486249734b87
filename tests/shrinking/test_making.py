from types import SimpleNamespace

import numpy as np
import pytest
from tests.shrinking.pools import make_pool
from tests.shrinking.toy import NearestMean, blobs, means_of

from decoct.core.errors import UsageError
from decoct.shrinking import distil, folds
from decoct.shrinking.asked import Asked
from decoct.shrinking.choose import RANDOM
from decoct.shrinking.contest import Contest
from decoct.shrinking.job import Job
from decoct.shrinking.making import Making, making, small
from decoct.shrinking.schedule import Pace, schedule
from decoct.shrinking.trainings import Trainings
from decoct.study.workers.executors import Inline

NONE = np.empty(0, np.int64)
SET = 30.0  # seconds that a set takes here


@pytest.fixture
def race(tmp_path, monkeypatch):
    """Makes a contest of 240 images in three folds, and its job."""
    monkeypatch.setattr(distil, "make", means_of)
    monkeypatch.setattr(distil, "pace", lambda *more: SET)

    def make(shares=(0.05, 0.1, 0.5), k=3, names=("dm",)):
        images, labels = blobs(240)
        pool = make_pool(tmp_path / "pool", [f"{i}.png" for i in range(240)], labels, ["a", "b", "c"], images=images)
        run = Trainings(
            pool, NearestMean(), tmp_path / "kept", lambda n: Inline(), makers=distil.check(names, *[None] * 3)
        )
        run.__enter__()
        plan = folds.plan(pool, k, 0)
        job = Job(pool, run.learner, Asked(), plan, 0, lambda title: None, SimpleNamespace(), NONE, NONE)
        job.say = lambda line: None
        return job, Contest(run, plan, shares, (RANDOM, "herding"), (2,), 0, NONE, NONE)

    return make


def test_sets_are_made_at_a_tenth_or_less_or_at_the_smallest_size(race):
    assert small(race()[1]) == (0.05, 0.1)
    assert small(race((0.3, 0.5))[1]) == (0.3,)
    with pytest.raises(UsageError, match=r"at most 50 images of a class, and 168 would be 56"):
        small(race((0.7, 0.8))[1])


def test_nothing_is_made_where_nobody_asks(race):
    job, contest = race((0.7,), names=())
    assert making(job, contest, 1.0).at == {}


def test_what_fits_half_of_the_time_is_made_at_small_sizes_first(race):
    job, contest = race()
    each = 7 * SET  # three folds' races, three tests, and the final set
    assert making(job, contest, 4 * each + 1).at == {"dm": (0.05, 0.1)}
    assert making(job, contest, 4 * each - 1).at == {"dm": (0.05,)}
    with pytest.raises(UsageError, match=r"--minutes \d"):
        making(job, contest, 2 * each - 1)


def test_several_methods_share_the_time(race):
    job, contest = race(names=("dm", "dsa"))
    found = making(job, contest, 8 * 7 * SET + 1)
    assert found.at == {"dm": (0.05, 0.1), "dsa": (0.05, 0.1)}
    assert found.racing == 12 * SET and found.testing == 16 * SET


def test_sets_that_are_kept_take_no_time_and_say_how_long_others_take(race, monkeypatch):
    job, contest = race((0.05, 0.5))
    monkeypatch.setattr(distil, "pace", lambda *more: pytest.fail("measured"))
    contest.trainings.picks({fold.number: contest.pick(fold, 0, 0, "dm", 0) for fold in contest.folds})
    found = making(job, contest, 2 * 4 * SET + 1)
    assert found.at == {"dm": (0.05,)} and found.racing == 0 and found.testing == 4 * SET


def test_a_schedule_gets_the_methods_their_sizes_and_their_time(race):
    job, contest = race()
    found = making(job, contest, 1e9)
    pace = Pace(lambda n: n, lambda name, n: 0.0, 1, False)
    lean = schedule((0.05, 0.1, 0.5), contest.methods, 3, (100, 200), 1, pace, 0.0)
    plan = found.added(lean)
    assert lean.raced == (0.05, 0.5) and plan.raced == (0.05, 0.1, 0.5) and plan.tested == (0.5, 0.1, 0.05)
    assert plan.methods == (*lean.methods, "dm") and plan.seconds == lean.seconds + found.seconds
    assert lean.tested == (0.5, 0.1, 0.05) and Making({}).added(lean) == lean
    raced = found.race(contest, plan)
    raced.line_up()
    assert ["dm" in raced.lanes[0][place] for place in range(3)] == [True, True, False]
