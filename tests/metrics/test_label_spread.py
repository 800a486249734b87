"""Label-conditional spread against covariances by numpy, the analysis of variance, simulation, planted sets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f_oneway

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured
from decoct.metrics import _measure as measure
from decoct.metrics import label_spread as module
from decoct.metrics._resampling import random_sets
from decoct.metrics.label_spread import LabelSpread, label_spread, spread

SEEDS = st.integers(0, 2**32 - 1)


def traces(points, labels, classes):
    return [np.trace(np.atleast_2d(np.cov(points[labels == c], rowvar=False))) for c in classes]


def separation(points, labels, classes):
    """The between term from pairs of classes: a difference of two means holds the noise of both."""
    v, n = traces(points, labels, classes), [np.sum(labels == c) for c in classes]
    means = [points[labels == c].mean(0) for c in classes]
    apart = [
        (np.sum((means[a] - means[b]) ** 2) - v[a] / n[a] - v[b] / n[b]) / 2
        for a in range(len(classes))
        for b in range(a)
    ]
    return np.mean(apart) / np.mean(v)


def naive(x, of_x, y, of_y):
    classes = [c for c in range(9) if min(np.sum(of_x == c), np.sum(of_y == c)) > 1]
    ratios = np.divide(traces(y, of_y, classes), traces(x, of_x, classes))
    real = separation(x, of_x, classes) if len(classes) > 1 else math.nan
    return {
        "label_spread": ratios.mean() if classes else math.nan,
        "class_separation": separation(y, of_y, classes) / real if real > 0 else math.nan,
    }


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    m=st.integers(1, 25),
    d=st.integers(1, 5),
    offset=st.sampled_from([0.0, 1e3]),
    seed=SEEDS,
)
def test_it_is_what_its_definition_says(n, m, d, offset, seed):
    rng = np.random.default_rng(seed)
    means = 5 * rng.normal(size=(4, d)) + offset
    of_x, of_y = rng.integers(0, 4, n), rng.integers(0, 4, m)
    x, y = means[of_x] + rng.normal(size=(n, d)), means[of_y] + 2 * rng.normal(size=(m, d))
    got, expected = label_spread(x, y, labels=(of_x, of_y)), naive(x, of_x, y, of_y)
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


def test_class_separation_is_the_variance_component_of_a_balanced_one_way_layout():
    """There between/within = (F − 1)/m, with F as scipy has it, in one dimension."""
    rng = np.random.default_rng(0)
    of_x, of_y = np.repeat(np.arange(5), 30), np.repeat(np.arange(5), 4)
    x, y = of_x + rng.normal(size=150), of_y + rng.normal(size=20)
    f = [f_oneway(*(s[of == c] for c in range(5))).statistic for s, of in ((x, of_x), (y, of_y))]
    got = label_spread(x[:, None], y[:, None], labels=(of_x, of_y))["class_separation"]
    assert got == pytest.approx(((f[1] - 1) / 4) / ((f[0] - 1) / 30), rel=1e-9)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 5, 20), (40, 40, 40)])
def test_random_subsets_of_any_size_have_the_spread_and_separation_of_the_data(sizes):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), (80, 120, 60))
    x = 2 * rng.normal(size=(3, 32))[labels] + rng.normal(size=(260, 32)) * np.array([1.0, 2.0, 0.5])[labels, None]
    got = [
        list(label_spread(x, x[rows], labels=(labels, labels[rows])).values())
        for rows in random_sets(labels, sizes, 400, seed=0)
    ]
    error = 4 * np.std(got, axis=0) / math.sqrt(len(got))
    # At two images a class the noise of the means is .23 of the between term, and the quotient .05 too large.
    assert np.mean(got, axis=0) == pytest.approx(np.ones(2), abs=error.max() + 0.05) and error.max() < 0.06


def test_the_quotient_errs_by_as_much_as_it_says():
    rng, k, m, d = np.random.default_rng(0), 3, 2, 4
    labels = np.repeat(np.arange(k), 300)
    x = rng.normal(size=(k, d))[labels] + rng.normal(size=(900, d))
    sets = random_sets(labels, (m,) * k, 2000, seed=0)
    got = [label_spread(x, x[rows], labels=(labels, labels[rows]))["class_separation"] for rows in sets]
    said = 1 + 2 / (k * (m - 1) * d) * (1 + 1 / (m * separation(x, labels, range(k))))
    assert said > 1.1
    assert np.mean(got) == pytest.approx(said, abs=4 * np.std(got) / math.sqrt(len(got)))


def test_collapse_and_noise_are_told_from_a_random_set():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 100)
    means = 3 * rng.normal(size=(4, 16))
    x, some = means[labels] + rng.normal(size=(400, 16)), np.arange(0, 400, 5)
    of_y = labels[some]
    measure = lambda y: label_spread(x, y, labels=(labels, of_y))  # noqa: E731
    collapsed, noise = measure(means[of_y] + 0.1 * rng.normal(size=(80, 16))), measure(3 * rng.normal(size=(80, 16)))
    assert collapsed["label_spread"] == pytest.approx(0.01, rel=0.2)
    assert collapsed["class_separation"] == pytest.approx(100, rel=0.2)
    assert noise["label_spread"] == pytest.approx(9, rel=0.2)
    assert abs(noise["class_separation"]) < 0.05
    assert list(measure(x[some]).values()) == pytest.approx([1, 1], rel=0.2)


def test_each_class_counts_alike_and_those_without_a_pair_do_not():
    x = np.array([[0.0], [2], [0], [4], [100], [200], [7]])
    of_x = np.array([0, 0, 1, 1, 2, 2, 3])  # variances 2, 8, 5000; one image of class 3
    y = np.array([[0.0], [1], [0], [4], [9], [1], [2], [3]])
    of_y = np.array([0, 0, 1, 1, 2, 3, 3, 3])  # .5, 8; one image of class 2
    assert label_spread(x, y, labels=(of_x, of_y))["label_spread"] == pytest.approx((0.25 + 1) / 2)


def test_pieces_change_nothing_but_the_order_of_sums(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 4)) + 100
    monkeypatch.setattr(module, "ROWS", 7)
    got = spread(rows)
    assert got.count == 50
    assert got.mean.numpy() == pytest.approx(rows.mean(0), rel=1e-12)
    assert got.trace == pytest.approx(rows.var(0, ddof=1).sum(), rel=1e-12)


def test_a_mean_far_from_zero_takes_no_digits():
    rng = np.random.default_rng(0)
    rows = rng.integers(-8, 9, size=(60, 3))
    far = (rows + 2**23).astype(np.float32)  # whole numbers, all of them exact
    assert spread(far).trace == pytest.approx(rows.var(0, ddof=1).sum(), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_is_taken_at_its_own_values(dtype):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 6, generator=generator).to(dtype) for n in (40, 15))
    x[::2] += 5
    y[::2] += 5
    labels = torch.arange(40) % 2, torch.arange(15) % 2
    expected = label_spread(x.double().numpy(), y.double().numpy(), labels=labels)
    assert label_spread(x, y, labels=labels) == pytest.approx(expected, rel=1e-12)


def test_what_is_not_defined_is_nan():
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 2
    x = rng.normal(size=(20, 3)) + 10 * labels[:, None]
    values = lambda *args, **options: list(map(math.isnan, label_spread(*args, **options).values()))  # noqa: E731
    assert values(x, x[:2], labels=(labels, [0, 1])) == [True, True]  # one image a class
    assert values(x, x[::2], labels=(labels, labels[::2])) == [False, True]  # one class
    assert values(x, x[:3], labels=(labels, [2, 2, 2])) == [True, True]  # none in common
    centred = x - np.array([x[labels == c].mean(0) for c in (0, 1)])[labels]
    assert values(centred, x, labels=(labels, labels)) == [False, True]  # real classes of one mean
    same = 0.1 * np.ones((20, 3)) * (1 + labels[:, None])
    assert values(same, x, labels=(labels, labels)) == [True, True]  # nothing differs among the real
    assert label_spread(x, same, labels=(labels, labels))["label_spread"] == 0
    assert values(x, same, labels=(labels, labels)) == [False, True]  # nothing to hold the distance of classes against


def test_bad_input_is_refused_by_name():
    good = np.zeros((4, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        label_spread(good, np.full((2, 2), np.nan), labels=([0] * 4, [0] * 2))
    with pytest.raises(ValueError, match="2 dimensions, condensed 1"):
        label_spread(good, good[:, :1], labels=([0] * 4, [0] * 4))
    with pytest.raises(ValueError, match="as many labels"):
        label_spread(good, good, labels=([0] * 3, [0] * 4))
    with pytest.raises(ValueError, match="negative"):
        label_spread(good, good, labels=([0] * 4, [-1] * 4))


def test_the_metric_is_the_function_on_each_split():
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(60) % 3, [3]])
    real = {
        "train": rng.normal(size=(61, 3)) + 9 * labels[:, None],
        "val": rng.normal(size=(40, 3)) + labels[:40, None],
    }
    split_labels = {"train": labels, "val": labels[:40]}
    condensed, own = rng.normal(size=(14, 3)) + 5 * labels[:14, None], labels[:14].copy()
    own[0] = 3  # two images of class 3, which has one in train and none in val
    own[3] = 3
    measured = Measured(condensed, own, real, split_labels, tuple("abcd"), False, np.zeros((14, 4)))
    readings = LabelSpread()(measured)
    assert [(r.metric, r.scope, r.reference, r.classes) for r in readings] == [
        (name, scope, split, classes)
        for split in ("train", "val")
        for name, scope, classes in (("label_spread", "per_class", 3), ("class_separation", "pooled", None))
    ]
    assert set(LabelSpread.lead) < set(LabelSpread.higher_is_better)
    for r in readings:
        expected = label_spread(real[r.reference], condensed, labels=(split_labels[r.reference], own))
        assert r.value == pytest.approx(expected[r.metric], rel=1e-12)


def test_the_metric_draws_some_of_a_large_class(monkeypatch):
    monkeypatch.setattr(measure, "MOST", 10)
    rng = np.random.default_rng(0)
    real, labels = {"train": rng.normal(size=(300, 3))}, np.arange(300) % 2
    measured = Measured(real["train"], labels, real, {"train": labels}, ("a", "b"), True, np.zeros((300, 2)))
    ratio = LabelSpread()(measured)[0].value
    assert ratio != pytest.approx(1, abs=1e-6)  # of a set that is the data itself, and was not drawn from
    assert LabelSpread()(measured)[0].value == ratio


def test_a_split_without_images_is_left_out_and_no_shared_class_is_one_undefined_value():
    x, labels = np.random.default_rng(0).normal(size=(6, 2)), np.array([0, 0, 0, 1, 1, 1])
    real, split_labels = {"train": x, "val": x[:0]}, {"train": labels, "val": labels[:0]}
    readings = LabelSpread()(
        Measured(x[[0, 3]], labels[[0, 3]], real, split_labels, ("a", "b"), True, np.zeros((2, 2)))
    )
    assert [(r.metric, r.reference, r.classes) for r in readings] == [
        ("label_spread", "train", 0),
        ("class_separation", "train", None),
    ]
    assert all(math.isnan(r.value) for r in readings)


def test_the_metric_names_the_split_in_its_errors():
    real, labels = {"train": np.ones((5, 2))}, {"train": np.zeros(5, int)}
    bad = Measured(np.full((4, 2), np.nan), np.zeros(4, int), real, labels, ("a",), False, np.zeros((4, 1)))
    with pytest.raises(DecoctError, match="against the train split: condensed features hold values"):
        LabelSpread()(bad)
