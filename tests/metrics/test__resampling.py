"""Intervals over images against the textbook's for a mean, random sets, what one more of them would give."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import stats

from decoct.core.interfaces import Measured, Metric, Reading
from decoct.metrics import _resampling as resampling
from decoct.metrics._measure import mean_readings, rows_by_class
from decoct.metrics._resampling import of_random, over_images, random_sets, thinned, within


class Mean(Metric):
    """Mean of the first feature: over classes of at least ``least`` images, over images, and less that of val."""

    name: ClassVar[str] = "mean"
    higher_is_better: ClassVar[Mapping[str, bool | None]] = {"mean": None}
    least: int = 1

    def __call__(self, measured):
        column = measured.condensed[:, 0]
        classes = rows_by_class(measured.labels, len(measured.class_names))
        each = [{"mean": float(column[r].mean())} if len(r) >= self.least else {} for r in classes]
        found = [*mean_readings(each, "none"), Reading("mean", float(column.mean()), "pooled", "none")]
        val = measured.real.get("val", ())
        return found + ([Reading("mean", float(column.mean() - val[:, 0].mean()), "pooled", "val")] if len(val) else [])


class Fraction(Mean):
    """The same, between 0 and 1."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {"mean": (0, 1)}


def example(values, sizes, val=(), val_sizes=()):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    condensed = np.asarray(values, float).reshape(len(labels), 1)
    of_val = np.repeat(np.arange(len(val_sizes)), val_sizes)
    real = {"train": np.arange(10.0)[:, None], "val": np.asarray(val, float).reshape(len(of_val), 1)}
    split_labels = {"train": np.zeros(10, np.int64), "val": of_val}
    return Measured(condensed, labels, real, split_labels, tuple(map(str, range(len(sizes)))), False, condensed)


def standardised(rng, n):
    """n values of mean 0 and standard deviation 1, as far as so few have any."""
    x = rng.normal(size=n)
    return (x - x.mean()) / x.std(ddof=1) if n > 1 else np.zeros(n)


def bounds(metric, measured, resamples=20):
    return {(r.scope, r.reference): (r.value, lo, hi) for r, lo, hi in over_images(metric, measured, resamples)}


@pytest.mark.parametrize(
    "sizes", [[50], [2], [3], [7, 7], [0, 20, 20], [2, 4, 50], [2] * 4 + [50], [1, 10], [1] * 5 + [50] * 5, [9, 1, 1]]
)
def test_the_interval_of_a_mean_is_the_textbook_one(sizes):
    """Where images vary alike in all classes, whatever their sizes and means."""
    rng, resamples = np.random.default_rng(0), 1000
    x = np.concatenate([standardised(rng, n) + 100 * c for c, n in enumerate(sizes)])
    got = bounds(Mean(), example(x, sizes), resamples)
    sizes = [n for n in sizes if n]
    kept = [max(1, round((1 - 1 / math.e) * n)) for n in sizes]
    per_class, pooled = math.sqrt(sum(1 / n for n in sizes)) / len(sizes), 1 / math.sqrt(sum(sizes))
    for scope, error, weights in (("per_class", per_class, [1] * len(sizes)), ("pooled", pooled, kept)):
        parts = [(w**2 * (1 / m - 1 / n), n - 1) for w, m, n in zip(weights, kept, sizes, strict=True) if n > 1]
        freedom = sum(p for p, _ in parts) ** 2 / sum(p**2 / f for p, f in parts)  # Satterthwaite
        half = stats.t.ppf(0.975, 1 / (1 / freedom + 1 / (resamples - 1))) * error
        value, lo, hi = got[scope, "none"]
        assert value == pytest.approx((lo + hi) / 2)
        assert (hi - lo) / 2 == pytest.approx(half, rel=4 / math.sqrt(2 * (resamples - 1)))


@pytest.mark.parametrize(
    "sizes,val_sizes",
    [([50, 50], []), ([50, 50], [50, 50]), ([2, 2], [20, 20]), ([10] * 5, [10] * 5), ([3, 3, 30], []), ([1, 1, 9], [])],
)
def test_intervals_cover_the_true_mean_as_often_as_they_say(sizes, val_sizes):
    rng, runs, covered = np.random.default_rng(0), 250, []
    for _ in range(runs):
        measured = example(rng.normal(size=sum(sizes)), sizes, rng.normal(size=sum(val_sizes)), val_sizes)
        covered.append([lo <= 0 <= hi for _, lo, hi in bounds(Mean(), measured).values()])
    assert all(0.90 <= rate <= 0.98 for rate in np.mean(covered, axis=0))


def test_a_resample_takes_its_share_of_every_class_each_image_once():
    sizes = [0, 1, 2, 3, 10, 100]
    measured = example(np.arange(116), sizes, np.arange(60), [10, 20, 0, 0, 1, 29])
    part = thinned(measured, 0)
    assert np.bincount(part.labels).tolist() == [0, 1, 1, 2, 6, 63]
    assert np.bincount(part.real_labels["val"]).tolist() == [6, 13, 0, 0, 1, 18]
    kept = part.condensed[:, 0].astype(int)
    assert len(set(kept)) == len(kept)
    assert_array_equal(part.labels, measured.labels[kept])
    assert_array_equal(part.logits, measured.logits[kept])
    of_val = part.real["val"][:, 0].astype(int)
    assert len(set(of_val)) == len(of_val)
    assert_array_equal(part.real_labels["val"], measured.real_labels["val"][of_val])
    assert part.real["train"] is measured.real["train"]


def test_val_is_resampled_while_it_is_small_and_alike_for_every_set(monkeypatch):
    val, val_sizes = np.arange(40), [20, 20]
    one, other = example(np.zeros(20), [10, 10], val, val_sizes), example(np.ones(7), [3, 4], val, val_sizes)
    for number in range(3):
        assert_array_equal(thinned(one, number).real["val"], thinned(other, number).real["val"])
        shared = replace(other, real=one.real)  # so that what depends on it alone is worked out once
        assert thinned(shared, number).real["val"] is thinned(one, number).real["val"]
    assert thinned(one, 0).real["val"].tolist() != thinned(one, 1).real["val"].tolist()
    monkeypatch.setattr(resampling, "MOST", 40)
    assert len(thinned(one, 0).real["val"]) == 26
    monkeypatch.setattr(resampling, "MOST", 39)
    assert thinned(one, 0).real["val"] is one.real["val"]
    assert len(thinned(one, 0).condensed) == 12


def test_the_chance_in_val_counts_only_while_val_is_small(monkeypatch):
    measured = example(np.zeros(20), [20], np.random.default_rng(0).normal(size=20), [20])
    _, lo, hi = bounds(Mean(), measured)["pooled", "val"]
    assert lo < hi
    monkeypatch.setattr(resampling, "MOST", 10)
    value, lo, hi = bounds(Mean(), measured)["pooled", "val"]
    assert (lo, hi) == pytest.approx((value, value), abs=1e-12)


@pytest.mark.parametrize("resamples", [0, 1])
def test_fewer_than_two_resamples_give_no_interval_and_are_not_made(resamples, monkeypatch):
    monkeypatch.delattr(resampling, "thinned")
    for value, lo, hi in bounds(Mean(), example(np.arange(20), [10, 10]), resamples).values():
        assert value == 9.5 and math.isnan(lo) and math.isnan(hi)


def test_what_a_set_cost_has_no_interval():
    class Price(Mean):
        """The same whatever the images are."""

        name: ClassVar[str] = "price"
        needs: ClassVar[str] = "cost"

    for _, lo, hi in bounds(Price(), example(np.arange(20), [10, 10])).values():
        assert math.isnan(lo) and math.isnan(hi)


def test_one_image_a_class_gives_no_interval():
    for value, lo, hi in bounds(Fraction(), example([0, 1], [1, 1], np.arange(4), [2, 2])).values():
        assert math.isfinite(value) and math.isnan(lo) and math.isnan(hi)


def test_values_that_resamples_define_in_fewer_classes_have_no_interval():
    x = np.random.default_rng(0).normal(size=23)
    got = bounds(Mean(least=3), example(x, [3, 20]))
    assert math.isnan(got["per_class", "none"][1]) and math.isfinite(got["pooled", "none"][1])


def test_a_class_where_the_set_has_no_value_takes_no_part_in_the_interval():
    rng, resamples = np.random.default_rng(0), 1000
    x = np.concatenate([[7, 8], standardised(rng, 20)])
    _, lo, hi = bounds(Mean(least=3), example(x, [2, 20]), resamples)["per_class", "none"]
    half = stats.t.ppf(0.975, 1 / (1 / 19 + 1 / (resamples - 1))) / math.sqrt(20)
    assert (hi - lo) / 2 == pytest.approx(half, rel=4 / math.sqrt(2 * (resamples - 1)))


def test_resamples_without_a_value_are_left_out():
    class Sometimes(Mean):
        """Not defined without the first image."""

        name: ClassVar[str] = "sometimes"

        def __call__(self, measured):
            known = measured.condensed[:, 0].min() == 0
            return [Reading("mean", float(measured.condensed.mean()) if known else math.nan, "pooled", "none")]

    measured, n, kept = example(np.arange(10), [10]), 10, 6
    parts = [thinned(measured, number).condensed for number in range(30)]
    values = [part.mean() for part in parts if part.min() == 0]
    assert 2 < len(values) < 30
    t = stats.t.ppf(0.975, 1 / (1 / (n - 1) + 1 / (len(values) - 1)))
    half = t * np.std(values, ddof=1) * math.sqrt(kept / (n - kept))
    ((reading, lo, hi),) = over_images(Sometimes(), measured, 30)
    assert (reading.value, lo, hi) == pytest.approx((4.5, 4.5 - half, 4.5 + half))
    first = [number for number in range(30) if parts[number].min() == 0][:2]
    assert math.isnan(over_images(Sometimes(), measured, first[1])[0][1])  # a single value has no spread
    assert math.isfinite(over_images(Sometimes(), measured, first[1] + 1)[0][1])


def test_bounds_keep_to_what_a_value_can_be():
    low, high = np.repeat([0, 1], [18, 2]), np.repeat([1, 0], [18, 2])
    for values, (least, most) in ((low, (True, False)), (high, (False, True))):
        _, lo, hi = bounds(Fraction(), example(values, [20]))["pooled", "none"]
        assert (lo == 0, hi == 1) == (least, most)
        _, free_lo, free_hi = bounds(Mean(), example(values, [20]))["pooled", "none"]
        assert (lo, hi) == (max(0, free_lo), min(1, free_hi))
        assert (free_lo < 0, free_hi > 1) == (least, most)
    assert within(Fraction(), "mean", -1.0, 2.0) == (0, 1)
    assert within(Fraction(), "other", -1.0, 2.0) == (-1, 2)
    assert all(map(math.isnan, within(Fraction(), "mean", math.nan, math.nan)))


@given(data=st.data(), seed=st.integers(0, 2**63 - 1), draws=st.integers(0, 4))
def test_random_sets_have_so_many_of_each_class_and_each_image_once(data, seed, draws):
    labels = np.array(data.draw(st.lists(st.integers(0, 3), max_size=40)), dtype=np.int64)
    counts = [data.draw(st.integers(0, int(n))) for n in np.bincount(labels, minlength=4)]
    sets = list(random_sets(labels, counts, draws, seed))
    assert len(sets) == draws
    for rows in sets:
        assert len(set(rows.tolist())) == len(rows)
        assert np.bincount(labels[rows], minlength=4).tolist() == counts
    for rows, again in zip(sets, random_sets(labels, counts, draws + 2, seed), strict=False):
        assert_array_equal(rows, again)


def test_random_sets_differ_by_draw_and_by_seed_and_take_every_image_alike():
    labels, counts = np.arange(200) % 2, (20, 10)
    sets = [frozenset(rows.tolist()) for seed in (0, 1) for rows in random_sets(labels, counts, 200, seed)]
    assert len(set(sets)) == len(sets)
    times = np.bincount([row for rows in sets for row in rows], minlength=200)
    for c, p in ((0, 0.2), (1, 0.1)):
        assert stats.chisquare(times[labels == c]).pvalue > 1e-3
        assert times[labels == c].mean() == pytest.approx(400 * p)
    with pytest.raises(ValueError, match="larger sample"):
        next(random_sets(labels, (101, 0), 1, 0))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_random_sets_give_a_prediction_interval(values):
    got, n = of_random(Mean(), "mean", values), len(values)
    mean, sd = np.mean(values), np.std(values, ddof=1)
    lo, hi = mean + stats.t.ppf([0.025, 0.975], n - 1) * sd * math.sqrt(1 + 1 / n)
    assert got == pytest.approx({"mean": mean, "sd": sd, "lo": lo, "hi": hi, "n": n}, abs=1e-9)


@pytest.mark.parametrize("n", [3, 20])
def test_one_more_random_set_falls_into_the_interval_as_often_as_it_says(n):
    rng, runs, inside = np.random.default_rng(0), 1500, 0
    for _ in range(runs):
        *known, more = rng.normal(5, 2, n + 1).tolist()
        found = of_random(Mean(), "mean", known)
        inside += found["lo"] <= more <= found["hi"]
    assert stats.binomtest(inside, runs, 0.95).pvalue > 1e-3


def test_values_that_are_not_finite_are_no_random_sets():
    some = [0.25, math.nan, 0.75, math.inf, 0.5, -math.inf]
    assert of_random(Mean(), "mean", some) == of_random(Mean(), "mean", [0.25, 0.75, 0.5])
    assert of_random(Fraction(), "mean", some)["lo"] == 0 and of_random(Fraction(), "mean", some)["hi"] == 1
    one, none = of_random(Mean(), "mean", [math.nan, 3.0]), of_random(Mean(), "mean", [math.nan])
    assert (one["mean"], one["n"], none["n"]) == (3, 1, 0)
    assert all(math.isnan(v) for v in (one["sd"], one["lo"], one["hi"], *map(none.get, ("mean", "sd", "lo", "hi"))))
