import pytest

from decoct.shrinking.schedule import FEW, schedule

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
METHODS = ("random", "herding", "k_means", "facility_location", "moderate", "ccs", "el2n_easy", "el2n_hard")


def planned(left, each=0.01, folds=1, fixed=False, splits=4, shares=SHARES):
    return schedule(shares, METHODS, folds, (1500, 2000), splits, lambda n: each * n, 2, left, fixed)


def test_with_all_the_time_everything_is_done():
    plan = planned(None)
    assert plan.methods == METHODS and plan.raced == SHARES and plan.looks == (3, 5, 8) and plan.students == 5
    assert plan.tested == SHARES[::-1]


def test_the_time_of_a_schedule_is_that_of_its_trainings():
    plan = planned(None)
    racing = 3 * (15 + sum(15 * s * (8 if s >= 0.5 else 6) for s in SHARES)) / 2
    testing = 5 * (20 + 20 * sum(SHARES)) / 2
    assert plan.testing == pytest.approx(testing)
    assert plan.seconds == pytest.approx(racing + testing)


@pytest.mark.parametrize("left", [60, 120, 240, 480, 960])
def test_less_time_never_does_more(left):
    much, little = planned(2 * left), planned(left)
    assert little.seconds <= much.seconds
    assert set(little.methods) <= set(much.methods) and set(little.raced) <= set(much.raced)
    assert little.seconds <= left or little == planned(0)


def test_the_leanest_is_done_where_nothing_fits():
    plan = planned(0.001)
    assert plan.methods == FEW and plan.raced == (0.1, 0.3, 0.7) and plan.looks == (2,)


def test_a_learner_that_draws_nothing_trains_once_and_races_on_all_splits():
    plan = planned(None, fixed=True)
    assert plan.splits == 4 and planned(None).splits == 1
    racing = 4 * (15 + sum(15 * s * (8 if s >= 0.5 else 6) for s in SHARES)) / 2
    assert plan.seconds - plan.testing == pytest.approx(racing)
    assert planned(None, fixed=True, splits=1).splits == 1


def test_a_single_size_stays():
    assert planned(0.001, shares=(0.25,)).raced == planned(None, shares=(0.25,)).tested == (0.25,)
