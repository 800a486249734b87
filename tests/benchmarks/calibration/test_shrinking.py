"""A small calibration of ``decoct shrink``: what is promised holds where all candidates are at the margin."""

import math

import numpy as np
import pytest

from calibration import shrinking, shrinking_folds
from calibration.shrinking import MARGIN, SIZES, World, judged, raced
from decoct.shrinking.inference.race import RANDOM

STUDIES = 200
MOST = 0.05 * STUDIES + 2.6 * math.sqrt(0.05 * 0.95 * STUDIES)  # 18: a rate of 5 % is above it once in 200 runs


@pytest.mark.parametrize(("folds", "fixed"), [(1, False), (5, False), (5, True)])
def test_a_set_at_the_margin_is_rarely_named_and_one_inside_often(folds: int, fixed: bool) -> None:
    bad = World(shrinking.SCENARIOS["all at the margin"], drawn=0.0, fixed=fixed)
    good = World({m: (0.5,) * len(SIZES) for m in bad.losses}, drawn=0.0, fixed=fixed)
    choices = [dict.fromkeys(SIZES, "herding")] * folds
    named = {}
    for name, world in (("bad", bad), ("good", good)):
        found = [judged(np.random.default_rng([1, i]), world, choices, 3000, 3) for i in range(STUDIES)]
        named[name] = sum(v.size is not None for v in found)
        assert all(v.loss == pytest.approx(MARGIN if name == "bad" else 0.5) for v in found if v.size)
    assert named["bad"] <= MOST and named["good"] > 0.6 * STUDIES


def test_the_race_keeps_the_best_and_calls_nothing_better_than_random_that_is_not() -> None:
    world = World(shrinking.SCENARIOS["all at the margin"], inner=300)
    ends = [raced(np.random.default_rng([2, i]), world)[SIZES[0]] for i in range(60)]
    assert sum("facility_location" in at.dropped for at in ends) <= 8  # of 60, at 5 %: once in 100 runs
    assert sum(at.chosen != RANDOM for at in ends) <= 8
    apart = World({"random": (9.0,) * 5, "facility_location": (1.0,) * 5, "herding": (9.5,) * 5})
    assert all(at.chosen == "facility_location" for at in raced(np.random.default_rng(3), apart).values())


def test_sizes_that_are_truly_inside() -> None:
    assert shrinking.smallest(World(shrinking.CURVES)) == 900
    assert shrinking.smallest(World(shrinking.SCENARIOS["all at the margin"])) is None
    assert shrinking.races_like("all just outside, deterministic learner") == "all at the margin, deterministic learner"
    assert shrinking.races_like("inside from 30 % on") == "inside from 30 % on"


def test_five_folds_of_a_real_learner_hold_out_every_point_once() -> None:
    found = shrinking_folds.study(np.random.default_rng(4), 1)
    assert sorted(found.outcomes) == [15, 30, 60] and all(len(folds) == 5 for folds in found.outcomes.values())
    assert all(o.full.shape[1] == 600 for folds in found.outcomes.values() for o in folds)
    assert found.folds[15] > found.folds[60] > -1 and found.final[15] > found.final[60]
