"""The race against a look by hand, and what must hold whatever comes in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.shrinking.inference.expected import expected
from decoct.shrinking.inference.race import Lane, next_replicates, spent, standing, vote


def answers(rng, accuracy, rows, images=400, spread=0.01):
    return rng.random((rows, images)) < accuracy + spread * rng.normal(size=(rows, 1))


def by_hand(a, b):
    """One-sided p of "a is no better than b", [R, n] each: where √(t² v + t² v') is the distance."""
    d = a.astype(float) - b
    r, n = d.shape
    students = sum(max(x.mean(1).std(ddof=1), math.sqrt(1 / 6) / n) ** 2 / r for x in (a, b))
    paired = max(d.mean(1).std(ddof=1), math.sqrt(1 / 6) / n) ** 2 / r
    rest = d - d.mean(1, keepdims=True) - d.mean(0) + d.mean()
    noise = min(paired, max(0.0, (rest**2).sum() / ((r - 1) * (n - 1)) / (r * n)))
    image = d.mean(0)
    most = (image**2).sum() / np.abs(image).sum()
    padded = np.append(image, [most, -most])
    images = max(0.0, padded.var() / (n + 2) - noise)
    grid = 10 ** np.linspace(-12, math.log10(0.5), 40_001)
    half = np.sqrt(reference.t.isf(grid, r - 1) ** 2 * students + reference.t.isf(grid, n - 1) ** 2 * images)
    return float(np.interp(-d.mean(), -half, grid)) if d.mean() > 0 else 1.0


def test_looks_spend_the_cube_of_their_share():
    assert spent((3, 5, 8)) == pytest.approx([0.05 * x / 512 for x in (27, 98, 387)])
    assert sum(spent((2, 4, 6), 0.1)) == pytest.approx(0.1) and spent((4,)) == [0.05]
    for looks in ((), (3, 3), (5, 4), (0, 2), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="one to three looks"):
            spent(looks)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), gap=st.floats(0, 0.25))
def test_a_look_is_the_one_by_hand(seed, gap):
    rng = np.random.default_rng(seed)
    rows = {"random": answers(rng, 0.6, 4), "a": answers(rng, 0.6 + gap, 4), "b": answers(rng, 0.6 + gap / 2, 4)}
    found = standing({m: Lane(x) for m, x in rows.items()}, (4,))  # three methods are too few to lend anything
    order = sorted(rows, key=lambda m: -rows[m].mean())
    best, *others = order
    lost = {m for m in others if by_hand(rows[best], rows[m]) <= 0.05 / 2}
    ps = sorted((by_hand(rows[m], rows["random"]), m) for m in ("a", "b"))
    better = {m for (p, m), level in zip(ps, (0.025, 0.05), strict=True) if p <= level and ps[0][0] <= 0.025}
    if "random" in lost or better & lost:
        better.add(best)
    assert set(found.dropped) == lost and set(found.racing) == set(rows) - lost
    assert set(found.better) == better and found.racing[0] == best and found.look == 1 and not found.asks


def test_what_is_far_behind_goes_first_and_for_good():
    rng = np.random.default_rng(1)
    behind = np.concatenate([answers(rng, 0.4, 3), answers(rng, 0.99, 5)])  # later replicates would save it
    lanes = {m: answers(rng, 0.8, 8) for m in ("random", "a", "b", "c")} | {"hard": behind}
    first = standing({m: Lane(x[:3]) for m, x in lanes.items()}, (3, 5, 8))
    assert first.dropped == {"hard": 0} and first.asks == dict.fromkeys(("random", "a", "b", "c"), 5)
    asked = next_replicates({7: {m: Lane(x[:3]) for m, x in lanes.items()}})
    assert asked == [(7, m, r) for r in (3, 4) for m in first.racing]
    last = standing({m: Lane(x) for m, x in lanes.items()}, (3, 5, 8))
    assert last.dropped["hard"] == 0 and last.look == 3 and last.chosen == "random"


def test_a_size_is_settled_when_one_is_left():
    rng = np.random.default_rng(2)
    lanes = {"random": Lane(answers(rng, 0.5, 3)), "herding": Lane(answers(rng, 0.9, 3))}
    found = standing(lanes, (3, 5, 8))
    assert found.racing == ("herding",) and found.chosen == "herding" and not found.asks
    assert next_replicates({10: lanes}) == []


def test_nothing_is_known_before_the_first_look():
    rng = np.random.default_rng(3)
    lanes = {"random": Lane(np.empty((0, 50), np.bool_)), "herding": Lane(answers(rng, 0.9, 2, 50))}
    found = standing(lanes, (3, 5))
    assert (found.look, found.racing, found.chosen) == (0, ("herding", "random"), "random")
    assert next_replicates({5: lanes}, (3, 5)) == [
        (5, "random", 0),
        (5, "random", 1),
        (5, "herding", 2),
        (5, "random", 2),
    ]


def test_a_single_student_of_many_shows_nothing():
    lanes = {"random": Lane(np.zeros((1, 99), np.bool_)), "herding": Lane(np.ones((1, 99), np.bool_))}
    assert standing(lanes, (1,)).chosen == "random"


def test_one_student_of_a_deterministic_learner_says_all():
    rng = np.random.default_rng(4)
    a, b = answers(rng, 0.9, 1), answers(rng, 0.6, 1)
    lanes = {"random": Lane(answers(rng, 0.6, 3)), "a": Lane(a, True), "b": Lane(b, True)}
    found = standing(lanes, (3, 5))
    assert found.chosen == "a" and set(found.dropped) == {"random", "b"}
    # of two fixed ones only the images vary: the same single row, or copies of it, say no more
    d = a[0].astype(float) - b[0]
    assert reference.ttest_1samp(d, 0, alternative="greater").pvalue < spent((3, 5))[0] / 2
    copies = {"random": lanes["random"], "a": Lane(np.repeat(a, 3, 0), True), "b": Lane(np.repeat(b, 3, 0), True)}
    assert standing(copies, (3, 5)) == found


def test_a_fixed_set_is_compared_with_random_by_what_random_draws_vary():
    rng = np.random.default_rng(5)
    drawn = np.stack([rng.random(3000) < p for p in (0.55, 0.8, 0.95)])  # draws differ by far more than images
    lanes = {"random": Lane(drawn), "a": Lane(rng.random((1, 3000)) < 0.9, True)}
    assert standing(lanes, (3,)).chosen == "random"
    lanes["random"] = Lane(np.repeat(drawn[1:2], 3, 0))
    assert standing(lanes, (3,)).chosen == "a"


def test_better_than_one_that_is_better_than_random_is_better():
    rng = np.random.default_rng(6)
    start = {"random": answers(rng, 0.5, 2), "a": answers(rng, 0.7, 2), "b": answers(rng, 0.9, 2)}
    found = standing({m: Lane(x) for m, x in start.items()}, (2,))
    assert found.chosen == "b" and found.racing[0] == "b"


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    accuracies=st.lists(st.floats(0.3, 0.95), min_size=1, max_size=6),
    fixed=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_what_always_holds(seed, accuracies, fixed):
    rng = np.random.default_rng(seed)
    lanes = {"random": Lane(answers(rng, 0.6, 6, 80))}
    for i, (p, one) in enumerate(zip(accuracies, fixed, strict=False)):
        lanes[f"m{i}"] = Lane(answers(rng, p, 1 if one else 6, 80), one)
    found = standing(lanes, (2, 4, 6))
    assert set(found.racing) | set(found.dropped) == set(lanes) and not set(found.racing) & set(found.dropped)
    assert found.racing and "random" not in found.better and found.chosen in {*found.racing, "random"}
    assert found.chosen == "random" or found.chosen in found.better
    assert not found.asks  # all replicates are there
    if "random" in found.dropped:
        assert found.chosen != "random"
    # a race that was stopped after a look continues as if it had not been
    grown = {m: Lane(lane.correct[:0], lane.fixed) for m, lane in lanes.items()}
    for _ in range(100):
        asks = next_replicates({1: grown}, (2, 4, 6))
        if not asks:
            break
        _, method, replicate = asks[0]
        grown[method] = Lane(lanes[method].correct[: replicate + 1], lanes[method].fixed)
    assert standing(grown, (2, 4, 6)) == found


def test_images_of_one_group_count_as_one():
    rng = np.random.default_rng(8)
    few = {m: rng.permutation(40) < 40 * p for m, p in (("random", 0.6), ("herding", 0.72))}
    many = {m: np.tile(np.repeat(x, 50), (5, 1)) for m, x in few.items()}
    groups = np.repeat(np.arange(40), 50)
    assert standing({m: Lane(x) for m, x in many.items()}, (5,)).chosen == "herding"
    assert standing({m: Lane(x, groups=groups) for m, x in many.items()}, (5,)).chosen == "random"


def test_several_inner_splits_count_every_image_of_each():
    rng = np.random.default_rng(9)
    lanes = {m: [answers(rng, p, 3, 300) for _ in range(4)] for m, p in (("random", 0.8), ("herding", 0.83))}
    one = standing({m: Lane(x[0]) for m, x in lanes.items()}, (3,))
    four = standing({m: Lane(x) for m, x in lanes.items()}, (3,))
    assert one.chosen == "random" and four.chosen == "herding"
    # with as many students by split the parts are means over splits, and students have 4 · 2 degrees of freedom
    errors = [expected([x], False, [False]) for x in lanes["random"]]
    together = Lane(lanes["random"]).accuracy
    students = sum(e.students for e in errors) / 16
    images = expected(lanes["random"], False, [False] * 4).images
    half = math.sqrt(reference.t.ppf(0.975, 8) ** 2 * students + reference.t.ppf(0.975, 1199) ** 2 * images)
    assert together.mean == pytest.approx(np.mean([x.mean() for x in lanes["random"]]))
    assert together.hi - together.mean == pytest.approx(half) and together.images == 1200
    short = {m: Lane([*x[:3], x[3][:2]]) for m, x in lanes.items()}
    assert standing(short, (3,)).look == 0 and next_replicates({4: short}, (3,)) == [
        (4, m, 2) for m in ("herding", "random")
    ]
    still = {m: Lane(x, True, [np.arange(300)] * 4) for m, x in lanes.items()}
    assert standing(still, (3,)).look == 1


def test_random_must_race():
    with pytest.raises(ValueError, match="random races"):
        standing({"herding": Lane(np.ones((3, 9), np.bool_))})


def test_folds_vote_and_random_wins_a_tie():
    assert vote(["a", "a", "random"]) == "a" and vote(["b", "random", "c"]) == "random" and vote(["b", "a"]) == "b"


def test_an_accuracy_has_an_interval_unless_one_student_of_many_stands_for_it():
    rng = np.random.default_rng(7)
    assert math.isnan(Lane(answers(rng, 0.8, 1)).accuracy.lo)
    for lane in (Lane(answers(rng, 0.8, 1), True), Lane(answers(rng, 0.8, 3))):
        assert lane.accuracy.lo < lane.accuracy.mean < lane.accuracy.hi
