"""Sets of which it is known what is wrong with them, or that nothing is: every metric must say so, and no other must.

A claim is about a mean over replicates, each with real data of its own, and holds for its whole interval.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from decoct.core.interfaces import Measured
from decoct.metrics.covering_radius import CoveringRadius, covering_radius
from decoct.metrics.memorisation import Memorisation, memorisation
from decoct.metrics.mmd import MMD, mmd
from decoct.metrics.prdc import PRDC, expected_coverage, prdc
from decoct.metrics.realism import realism
from decoct.metrics.vendi import Vendi, vendi

Values = Mapping[str, np.ndarray[Any, Any]]
N, M, D, MODES = 320, 80, 8, 4


def replicates(make: Callable[[np.random.Generator], Mapping[str, float]], runs: int = 30) -> Values:
    """Each value of ``make`` over as many draws of everything in it."""
    found = [make(np.random.default_rng([runs, number])) for number in range(runs)]
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def interval(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """99.9 % confidence interval of their mean."""
    half = stats.t.ppf(0.9995, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def change(planted: Values, beside: Values, name: str) -> tuple[float, float]:
    """Interval of the mean change by what was planted; replicates are paired."""
    return interval(planted[name] - beside[name])


def within_one_more(planted: Values, beside: Values, name: str) -> bool:
    """Whether the mean with what was planted lies where one more set without it would."""
    known = beside[name]
    half = stats.t.ppf(0.975, len(known) - 1) * np.std(known, ddof=1) * math.sqrt(1 + 1 / len(known))
    return bool(abs(np.mean(planted[name]) - np.mean(known)) <= half)


def modes(rng: np.random.Generator, n: int, kept: int = MODES) -> np.ndarray[Any, Any]:
    """n draws, as many of each mode; modes are alike and far apart."""
    return rng.normal(size=(n, D)) + 30 * np.eye(MODES, D)[np.arange(n) % kept]


def of_modes(kept: int) -> Values:
    def make(rng):
        real = modes(rng, N)
        condensed = modes(rng, M, kept)
        radius = {f"radius_{name}": value for name, value in covering_radius(real, condensed).items()}
        return {**prdc(real, condensed), **radius, **mmd(real, condensed), **memorisation(real, condensed)}

    return replicates(make)


def test_a_dropped_mode_costs_recall_coverage_and_distance_and_nothing_else():
    whole, dropped = of_modes(MODES), of_modes(MODES - 1)
    lost = 1 / MODES  # nothing of a mode is recalled or covered; balls are smaller in the others, which cover better
    assert change(dropped, whole, "recall")[1] < -0.5 * lost
    assert change(dropped, whole, "coverage")[1] < -0.3 * lost
    assert change(dropped, whole, "coverage_ratio")[1] < -0.3 * lost
    assert change(dropped, whole, "radius_mean")[0] > 5
    assert change(dropped, whole, "mmd")[0] > 0.01
    for name in ("precision", "density", "authenticity", "copies", "nearest_real"):
        assert within_one_more(dropped, whole, name), name
        lo, hi = change(dropped, whole, name)
        assert lo <= 0 <= hi, name


def test_duplicates_cost_diversity_and_covering_but_no_quality():
    def make(times):
        def one(rng):
            real, condensed = rng.normal(size=(N, D)), rng.normal(size=(M, D))
            condensed = condensed[np.arange(M) // times]
            radius = {f"radius_{name}": value for name, value in covering_radius(real, condensed).items()}
            return {**prdc(real, condensed), **radius, **vendi(real, condensed)}

        return replicates(one)

    unlike, twins = make(1), make(8)
    for name in ("vendi", "vendi_per_image", "coverage", "coverage_ratio"):
        lo, hi = change(twins, unlike, name)
        assert lo < hi < -0.1 * np.mean(unlike[name]), name
    for name in ("radius_mean", "radius_p95"):
        assert change(twins, unlike, name)[0] > 0.1 * np.mean(unlike[name]), name
    for name in ("precision", "density"):
        lo, hi = change(twins, unlike, name)
        assert lo <= 0 <= hi, name


def test_noise_has_diversity_and_no_quality():
    """Real images vary along a few directions of many, noise along all of them by as much in all."""
    inner, outer = 3, 16

    def draw(rng, n):
        labels = np.arange(n) % MODES
        seen = np.zeros((n, outer))
        seen[:, :inner] = 2 * rng.normal(size=(n, inner))
        seen[:, inner : inner + MODES] = 4 * np.eye(MODES)[labels]
        return seen + 0.1 * rng.normal(size=(n, outer)), labels

    def make(noisy):
        def one(rng):
            (real, of_real), (condensed, labels) = draw(rng, N), draw(rng, M)
            judge = LogisticRegression(max_iter=1000).fit(real, of_real)
            noise = real.mean(0) + math.sqrt(real.var(0).mean()) * rng.normal(size=(M, outer))
            condensed = np.where(np.arange(M)[:, None] < noisy, noise, condensed)
            seen = realism(judge.decision_function(condensed), labels)
            return {**seen, **prdc(real, condensed), **vendi(real, condensed), **memorisation(real, condensed)}

        return replicates(one, runs=12)

    clean, noisy = make(0), make(M // 2)
    assert change(noisy, clean, "vendi")[0] > 0.2 * np.mean(clean["vendi"])
    assert change(noisy, clean, "nearest_real")[0] > 0
    for name, least in (("p_true", 0.2), ("top1", 0.2), ("precision", 0.3), ("density", 0.3)):
        assert change(noisy, clean, name)[1] < -least, name
    assert interval(clean["top1"])[0] > 0.95  # the judge is worth asking


@pytest.mark.parametrize("n,m", [(100, 10), (100, 60), (200, 30)])
@pytest.mark.parametrize("k", [1, 5])
def test_random_sets_score_one_on_coverage_ratio_by_the_formula_that_fits_and_no_other(n, m, k):
    whole = 2 * n

    def one(rng):
        train, fresh = rng.normal(size=(whole, D)), rng.normal(size=(m, D))
        subset, real = train[rng.permutation(whole)[:m]], train[rng.permutation(whole)[:n]]
        return {
            "iid": prdc(train, fresh, k=k)["coverage_ratio"],
            "member": prdc(train, subset, k=k, member=True)["coverage_ratio"],
            "population": prdc(real, subset, k=k, population=whole)["coverage_ratio"],
            "unfit": prdc(train, subset, k=k)["coverage_ratio"],
        }

    found = replicates(one, runs=60)
    for name in ("iid", "member", "population"):
        lo, hi = interval(found[name])
        assert lo <= 1 <= hi and hi - lo < 0.35, name
    expected = expected_coverage(whole, m, k=k, member=True) / expected_coverage(whole, m, k=k)
    lo, hi = interval(found["unfit"])
    assert lo - 1e-9 <= expected <= hi + 1e-9  # of no width where k = 1: nothing but the members is covered
    assert k > 1 or lo > 1.04


def test_a_random_coreset_looks_better_against_train_by_what_its_own_points_explain():
    """With N as large for both, and images of train and of val alike, the differences have closed forms."""
    n, m, k = 60, 20, 5

    def one(rng):
        train, val = rng.normal(size=(n, D)), rng.normal(size=(n, D))
        condensed = train[rng.permutation(n)[:m]]
        found = {}
        for split, real in (("train", train), ("val", val)):
            values = {**prdc(real, condensed, k=k), **mmd(real, condensed), **memorisation(real, condensed)}
            values["radius"] = covering_radius(real, condensed)["mean"]
            found |= {f"{split}_{name}": value for name, value in values.items()}
        others = np.linalg.norm(train[:, None] - train, axis=2)[~np.eye(n, dtype=bool)]
        sigma = np.median(others)
        kernel = np.exp(-(others**2) / (2 * sigma**2)).mean()
        return {
            **found,
            # Each member is at distance 0 from itself; to the rest of train it is as to val.
            "radius": found["train_radius"] - (1 - m / n) * found["val_radius"],
            # A member meets itself once among the n pairs of the cross term, with k = 1.
            "mmd": found["train_mmd"] - found["val_mmd"] + 2 / n * (1 - kernel),
        }

    found = replicates(one, runs=100)
    for split, member in (("train", True), ("val", False)):
        lo, hi = interval(found[f"{split}_coverage"])
        assert lo <= expected_coverage(n, m, k=k, member=member) <= hi
        lo, hi = interval(found[f"{split}_density"])  # own ball and k − 1 others, or k of them
        assert lo <= 1 <= hi
    for name in ("radius", "mmd", "val_mmd"):
        lo, hi = interval(found[name])
        assert lo <= 0 <= hi, name
    assert (found["train_precision"] == 1).all() and interval(found["val_precision"])[1] < 1
    assert (found["train_copies"] == 1).all() and (found["val_copies"] == 0).all()
    assert interval(found["train_coverage"] - found["val_coverage"])[0] > 0
    assert interval(found["train_radius"] - found["val_radius"])[1] < 0
    assert interval(found["train_mmd"] - found["val_mmd"])[1] < 0


def test_images_that_started_from_train_cover_it_by_a_ball_and_a_half_of_their_own():
    """Each lies in k + ½ balls of train, as derived in ``prdc``, and in k of val; so train is left out for them."""
    n, m, k, runs = 300, 20, 5, 60
    far = 0.01  # of the deviation: nearer than any other real image

    def one(rng):
        train, val = rng.normal(size=(n, D)), rng.normal(size=(n, D))
        condensed = train[rng.permutation(n)[:m]] + far * rng.normal(size=(m, D))
        found = {split: prdc(real, condensed, k=k) for split, real in (("train", train), ("val", val))}
        return {f"{split}_{name}": value for split, values in found.items() for name, value in values.items()}

    found = replicates(one, runs)
    lo, hi = interval(found["train_density"])
    assert lo <= (k + 0.5) / k <= hi and lo > 1
    lo, hi = interval(found["val_density"])
    assert lo <= 1 <= hi
    assert interval(found["train_coverage_ratio"])[0] > 1.03 and interval(found["train_coverage_ratio"])[1] < 1.2
    lo, hi = interval(found["val_coverage_ratio"])
    assert lo <= 1 <= hi

    rng = np.random.default_rng(0)
    real, labels = {split: rng.normal(size=(n, D)) for split in ("train", "val")}, np.zeros(n, int)

    def splits(member, **kept):
        own = dict.fromkeys(kept, labels)
        measured = Measured(real["train"][:m], labels[:m], kept, own, ("a",), member, np.zeros((m, 1)))
        return {r.reference for r in PRDC()(measured)}

    assert splits(False, **real) == {"val"} and splits(True, **real) == {"train", "val"}
    assert splits(False, train=real["train"]) == {"train"}  # there is nothing else


def test_a_spread_out_set_covers_at_a_smaller_radius_than_a_random_one():
    def spread(real, m):
        """Greedy k-center: each pick is the image farthest from all before it."""
        picks, far = [0], np.linalg.norm(real - real[0], axis=1)
        for _ in range(m - 1):
            picks.append(int(far.argmax()))
            far = np.minimum(far, np.linalg.norm(real - real[picks[-1]], axis=1))
        return real[picks]

    def one(rng):
        real, val = rng.normal(size=(N, D)), rng.normal(size=(N, D))
        sets = {"spread": spread(real, M), "random": real[rng.permutation(N)[:M]]}
        found = {}
        for name, chosen in sets.items():
            found |= {f"{name}_{value}": covering_radius(real, chosen)[value] for value in ("p95", "max")}
            found[f"{name}_mmd"] = mmd(val, chosen)["mmd"]
        return found

    found = replicates(one)
    for value in ("p95", "max"):
        lo, hi = interval(found[f"spread_{value}"] / found[f"random_{value}"])
        assert lo < hi < 1, value
    assert (found["spread_max"] < found["random_max"]).all()
    assert interval(found["spread_mmd"] - found["random_mmd"])[0] > 0  # what lies at the rim is not what is usual


@pytest.mark.parametrize("member", [False, True])
def test_a_class_that_a_set_lacks_is_not_covered_and_else_not_judged(member):
    """On train the set is of members or of others; either way nothing else of the readings per class changes."""
    rng, classes, n, m = np.random.default_rng(0), 4, 40, 10
    labels = {split: np.repeat(np.arange(classes), n) for split in ("train", "val")}
    real = {split: rng.normal(size=(classes * n, D)) + 30 * np.eye(classes, D)[labels[split]] for split in labels}
    rows = np.flatnonzero(np.arange(classes * n) % n < m)
    condensed = real["train"][rows] + (0 if member else rng.normal(size=(len(rows), D)))

    def read(metric, lacking):
        kept = ~np.isin(labels["train"][rows], lacking)
        own, seen = labels["train"][rows][kept], condensed[kept]
        names = tuple(map(str, range(classes)))
        measured = Measured(seen, own, real, labels, names, member, np.zeros((len(own), classes)))
        return {(r.metric, r.scope, r.reference): r for r in metric(measured)}

    for metric in (PRDC(), CoveringRadius(), MMD(), Vendi(), Memorisation()):
        each = [read(metric, [c for c in range(classes) if c != own]) for own in range(classes)]
        lacking = read(metric, [0])
        for name, reading in lacking.items():
            if reading.scope == "pooled":
                continue
            covers = reading.metric in ("coverage", "coverage_ratio")
            total = sum(one[name].value * (classes if covers else 1) for one in each[1:])
            assert reading.classes == (classes if covers else classes - 1), name
            assert reading.value == pytest.approx(total / reading.classes), name

    whole, lacking = read(PRDC(), []), read(PRDC(), [0, 1])
    for split in ("train", "val") if member else ("val",):
        assert lacking["coverage", "per_class", split].value < 0.75 * whole["coverage", "per_class", split].value
        pooled = "coverage_ratio", "pooled", split
        assert lacking[pooled].value < 0.9 * whole[pooled].value
