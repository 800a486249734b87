from dataclasses import replace

import numpy as np
import pytest
from tests.shrinking.pools import make_pool
from tests.shrinking.toy import NearestMean, blobs

from decoct.shrinking import choose as choosing
from decoct.shrinking import folds
from decoct.shrinking.choose import RANDOM, choose, count
from decoct.shrinking.contest import Contest
from decoct.shrinking.trainings import Trainings
from decoct.study.workers.executors import Inline

METHODS = (RANDOM, "herding", "el2n_hard")
NONE = np.empty(0, np.int64)


@pytest.fixture
def contest(tmp_path):
    images, labels = blobs(240)
    pool = make_pool(tmp_path / "pool", [f"{i}.png" for i in range(240)], labels, ["a", "b", "c"], images=images)
    run = Trainings(pool, NearestMean(), tmp_path / "kept", lambda n: Inline())
    with run:
        made = Contest(run, folds.plan(pool, 3, 0), (0.1, 0.5), METHODS, (2, 4), 0, NONE, NONE, splits=2)
        made.prepare()
        made.line_up()
        made.begin()
        yield made


def test_every_lane_answers_what_its_student_says(contest):
    fold = contest.folds[1]
    contest.look(contest.asks())
    lane = contest.lanes[1][1]["herding"]
    assert len(lane.splits) == 2 and not lane.fixed
    for at, (inner, correct) in enumerate(zip(fold.inner, lane.splits, strict=False)):
        assert correct.shape == (2, len(inner.judges))
        n = count(0.5, inner.race, contest.pool)
        rows = choose("herding", contest.pool, inner.race, n, NearestMean().material(contest.pool, inner.race, 0), 0)
        for r in range(2):
            said = NearestMean().probabilities(contest.pool, np.sort(rows), inner.judges, contest.student(fold, at, r))
            assert correct[r].tolist() == (said.argmax(1) == contest.pool.labels[inner.judges]).tolist()


def test_the_glimpse_is_of_trainings_that_the_race_has(contest, monkeypatch):
    full, means = contest.glimpse()
    fold, n = contest.folds[0], count(0.1, contest.inner(contest.folds[0])[0].race, contest.pool)
    assert full == contest.full[0][0][0].mean() and set(means) == {0.1}
    contest.look(contest.asks())
    assert means[0.1] == contest.lanes[0][0][RANDOM].splits[0][0].mean()
    assert len(contest.pick(fold, 0, 0, RANDOM, 0).make(contest.pool, None)) == n


def test_races_and_tests_see_other_images(contest):
    for fold in contest.folds:
        assert not set(fold.train) & set(fold.test)
        for inner in fold.inner:
            assert not set(inner.race) & set(inner.judges)
            assert set(inner.race) | set(inner.judges) == set(fold.train)
        assert sorted(np.concatenate([inner.judges for inner in fold.inner])) == sorted(fold.train)
    assert sorted(np.concatenate([fold.test for fold in contest.folds])) == list(range(240))


def test_hardest_first_races_only_where_half_is_kept(contest):
    assert "el2n_hard" not in contest.lanes[0][0] and "el2n_hard" in contest.lanes[0][1]


def test_a_method_that_draws_has_a_set_of_its_own_each_time(contest):
    fold = contest.folds[0]
    one, two = (set(contest.pick(fold, 0, 0, RANDOM, r).make(contest.pool, None)) for r in range(2))
    assert one != two


def test_a_race_ends_and_says_who_won(contest):
    rounds = 0
    while asks := contest.asks():
        contest.look(asks)
        rounds += 1
    assert rounds <= 2
    choices = contest.choices((0.1, 0.3, 0.5, 0.7))
    assert set(choices) == {0.1, 0.3, 0.5, 0.7} and all(len(names) == 3 for names in choices.values())
    assert choices[0.3] == choices[0.1] and choices[0.7] == choices[0.5]
    assert contest.choices((0.05,))[0.05] == [RANDOM] * 3
    assert sorted(contest.curve()) == [12, 60, 120]


def test_random_images_stand_for_a_method_that_takes_too_long_at_a_size_that_was_not_raced(contest, monkeypatch):
    won = {
        number: {place: replace(own, racing=("k_means",), better=("k_means",)) for place, own in places.items()}
        for number, places in contest.standings().items()
    }
    monkeypatch.setattr(Contest, "standings", lambda self: won)
    assert contest.choices((0.1, 0.3)) == {0.1: ["k_means"] * 3, 0.3: ["k_means"] * 3}
    monkeypatch.setattr(choosing, "CLUSTERED", 500)  # of 53 images of a class 5 or 6 are a tenth, and 16 are 30 %
    assert contest.choices((0.1, 0.3, 0.5)) == {0.1: ["k_means"] * 3, 0.3: [RANDOM] * 3, 0.5: ["k_means"] * 3}


def test_what_is_not_to_be_chosen_is_in_no_set(contest):
    contest.without = contest.folds[0].inner[0].race[:40]
    pick = contest.pick(contest.folds[0], 0, 1, "herding", 0)
    assert not set(contest.trainings.picks({0: pick})[0]) & set(contest.without)


def test_the_first_look_comes_in_pieces_that_make_the_same_race(contest):
    asks = contest.asks()
    pieces = contest.parts(asks)
    assert sorted(ask for piece in pieces for ask in piece) == sorted(asks) and len(pieces) == 3
    assert {(fold, r) for fold, _, _, r in pieces[0]} == {(0, 0)}
    contest.look(pieces[0])
    assert [fold.number for fold in contest.begun] == [0]
    for place, share in enumerate(contest.shares):
        name, gain = contest.ahead()[share]
        means = {each: lane.splits for each, lane in contest.lanes[0][place].items()}
        means = {each: np.concatenate([rows.mean(0) for rows in splits]).mean() for each, splits in means.items()}
        full = np.concatenate([said.mean(0) for said in contest.full[0]]).mean()
        assert means[name] == max(means.values()) and gain == pytest.approx(means[name] - full)
    for piece in pieces[1:]:
        contest.look(piece)
    assert not [ask for ask in contest.asks() if ask[3] < 2]


def test_it_is_known_what_choosing_takes(contest):
    contest.time_choosing()
    took = contest.trainings.chosen
    assert set(took) == {"herding"} and contest.trainings.choosing("herding", 60) > 0  # el2n_hard races at half alone
    assert contest.trainings.choosing(RANDOM, 60) == 0
    before = contest.work([(0, 1, "herding", 1)])
    contest.trainings.chosen = {"herding": {10: 5.0, 20: 7.0}}
    first, second = contest.work([(0, 1, "herding", 0)]), contest.work([(0, 1, "herding", 1)])
    assert second == pytest.approx(before)
    sizes = [contest.size(inner, 1) for inner in contest.inner(contest.folds[0])]
    assert first - second == pytest.approx(sum(5 + 0.2 * (n - 10) for n in sizes))
