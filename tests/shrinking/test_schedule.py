import pytest

from decoct.shrinking.schedule import FEW, Pace, schedule

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
METHODS = ("random", "herding", "k_means", "facility_location", "moderate", "ccs", "el2n_easy", "el2n_hard")


def planned(left, each=0.01, folds=1, fixed=False, splits=4, shares=SHARES, choosing=lambda name, n: 0.0):
    pace = Pace(lambda n: each * n, choosing, 2, fixed)
    return schedule(shares, METHODS, folds, (1500, 2000), splits, pace, left)


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
    racing = 4 * (15 + sum(15 * s * (14 if s >= 0.5 else 12) for s in SHARES)) / 2  # three methods draw, three times
    assert plan.seconds - plan.testing == pytest.approx(racing)
    assert planned(None, fixed=True, splits=1).splits == 1


def test_a_single_size_stays():
    assert planned(0.001, shares=(0.25,)).raced == planned(None, shares=(0.25,)).tested == (0.25,)


def test_choosing_counts_once_for_a_method_that_does_not_draw_and_each_time_for_one_that_does():
    plain, dear = planned(None), planned(None, choosing=lambda name, n: {"herding": 1.0, "k_means": 2.0}.get(name, 0.0))
    racing = len(SHARES) * (1.0 + 3 * 2.0) / 2  # three replicates, two workers
    testing = len(SHARES) * 2.0 / 2  # a set for all students, by k-means at worst
    assert dear.testing - plain.testing == pytest.approx(testing)
    assert dear.seconds - plain.seconds == pytest.approx(racing + testing)
    folds = planned(None, folds=5, choosing=lambda name, n: 2.0 if name == "k_means" else 0.0)
    own = 5 * 3 * len(SHARES) * 2.0 / 2  # each student of a fold has a set of its own
    assert folds.testing - planned(None, folds=5).testing == pytest.approx(own)


def test_what_takes_long_to_choose_goes_before_the_few_that_are_left():
    plan = planned(600, choosing=lambda name, n: 60.0 if name == "k_means" else 0.0)
    assert plan.methods == tuple(name for name in METHODS if name != "k_means") and plan.raced == SHARES
    least = planned(0.001, choosing=lambda name, n: 60.0 if name != "random" else 0.0)
    assert least.methods == ("random",)


@pytest.mark.parametrize("left", [None, 600, 60, 0.001])
def test_where_only_sets_are_drawn_three_of_them_race_at_least(left):
    assert planned(left, fixed=True).looks[0] >= 3


def test_the_test_may_open_sizes_at_which_nothing_raced():
    plan = planned(0.001)
    assert plan.raced == (0.1, 0.3, 0.7) and plan.tested == SHARES[::-1]
