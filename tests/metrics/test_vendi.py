"""Vendi against the eigenvalues of the kernels themselves, closed forms, planted duplicates, sets that shrink."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.interfaces import Measured
from decoct.core.spec import names, parse
from decoct.data.dataset import load_data
from decoct.metrics import vendi as module
from decoct.metrics.vendi import Vendi, vendi


def score(kernel):
    spectrum = np.linalg.eigvalsh(kernel / len(kernel))
    return np.exp(-sum(v * np.log(v) for v in spectrum if v > 1e-15))


def naive(real, condensed):
    """With a Gaussian kernel, and with a cosine kernel."""
    x, y = real.astype(np.float64), condensed.astype(np.float64)
    sigma = np.median([np.linalg.norm(a - b) for i, a in enumerate(x) for b in x[:i]])
    gauss = np.array([[np.exp(-((a - b) @ (a - b)) / (2 * sigma**2)) for b in y] for a in y])
    cosine = np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in y] for a in y])
    return score(gauss), score(cosine)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 20), d=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_it_is_what_its_definition_says_on_either_side_of_the_dual(n, d, seed):
    rng = np.random.default_rng(seed)
    real, condensed = (rng.normal(size=(rows, d)).astype(np.float32) + 1 for rows in (30, n))
    got, (gauss, cosine) = vendi(real, condensed), naive(real, condensed)
    assert got["vendi"] == pytest.approx(gauss, rel=1e-9)
    assert got["vendi_cosine"] == pytest.approx(cosine, rel=1e-9)
    assert got["vendi_per_image"] == pytest.approx(got["vendi"] / n)
    assert 1 - 1e-9 <= got["vendi"] <= n + 1e-9 and 1 - 1e-9 <= got["vendi_cosine"] <= min(n, d) + 1e-9


def test_closed_forms():
    eye, far = np.eye(6), 100 * np.eye(6)
    line = np.array([[0.0], [1.0]])
    assert vendi(line, np.ones((9, 1)))["vendi"] == pytest.approx(1)  # all alike
    assert vendi(eye, far)["vendi"] == pytest.approx(6)  # all but infinitely far apart, in widths
    p = np.array([1 + math.exp(-0.5), 1 - math.exp(-0.5)]) / 2  # of two images one width apart
    assert vendi(line, line)["vendi"] == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert vendi(eye, eye)["vendi_cosine"] == pytest.approx(6)  # orthogonal
    weights = np.array([4, 2]) / 6  # unequal shares: exp of their entropy
    got = vendi(eye, far[[0, 0, 0, 0, 1, 1]])
    for name in ("vendi", "vendi_cosine"):
        assert got[name] == pytest.approx(np.exp(-(weights * np.log(weights)).sum())), name


def test_duplicates_lower_it():
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(500, 64)), rng.normal(size=(20, 64))
    whole, copied = vendi(real, condensed), vendi(real, condensed[np.arange(20) // 4])
    assert all(copied[name] < 0.6 * whole[name] for name in whole)


def test_rows_without_a_direction_count_as_one_kind_and_a_width_is_needed():
    same = np.full((7, 3), 0.1)
    got = vendi(same, same)
    assert math.isnan(got["vendi"]) and math.isnan(got["vendi_per_image"]) and got["vendi_cosine"] == pytest.approx(1)
    assert vendi(np.eye(2), np.array([[0.0, 0.0], [1.0, 0.0]]))["vendi_cosine"] == pytest.approx(2)


def test_of_a_large_set_as_many_rows_as_can_be_had_evenly_spaced(monkeypatch):
    monkeypatch.setattr(module, "MOST", 5)
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(30, 4)), rng.normal(size=(17, 4))
    got = vendi(real, condensed)
    gauss, _ = naive(real, condensed[::4])
    assert got["vendi"] == pytest.approx(gauss) and got["vendi_per_image"] == pytest.approx(gauss / 5)
    assert got["vendi_cosine"] == pytest.approx(naive(real, condensed)[1])  # of all rows


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0.05, 0.95), n=st.integers(2, 12), d=st.integers(1, 12))
def test_a_set_that_shrinks_towards_its_mean_reads_lower_in_every_leading_reading_of_diversity(seed, size, n, d):
    """Of any metric that there is, by class and pooled: Schur products with a kernel raise the entropy of another."""
    rng = np.random.default_rng(seed)
    labels, of_set = np.arange(40) % 2, np.arange(2 * n) % 2
    real = {split: rng.normal(size=(40, d)) for split in ("train", "val")}
    condensed = rng.normal(size=(2 * n, d)) + rng.normal(size=d)

    def read(images):
        measured = Measured(images, of_set, real, dict.fromkeys(real, labels), ("a", "b"), False, np.zeros((2 * n, 2)))
        metrics = [parse("metric", name) for name in names("metric")]
        found = [(m, r) for m in metrics if m.axis == "diversity" for r in m(measured) if r.metric in m.lead]
        return {(r.metric, r.scope, r.reference): r.value for _, r in found}

    whole, shrunk = read(condensed), read(condensed.mean(0) + size * (condensed - condensed.mean(0)))
    assert {name for name, *_ in whole} == {"vendi_per_image", "nearest_distance", "label_spread"}
    assert all(shrunk[name] < whole[name] for name in whole)


def test_ten_copies_of_a_mean_image_are_not_ten_images():
    """Rows scaled to one length made ± one grey level as diverse as real images."""
    data, rng = load_data("digits"), np.random.default_rng(0)
    for c in range(10):
        real = data.train.images[data.train.labels == c].reshape(-1, 64).astype(np.float32)
        copies = real.mean(0) + rng.choice([-1.0, 1.0], size=(10, 64))
        ten = real[rng.permutation(len(real))[:10]]
        assert vendi(real, copies)["vendi"] < 1.1 and vendi(real, ten)["vendi"] > 2.5


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="real features hold values that are not finite"):
        vendi(np.array([[np.nan]]), np.ones((1, 1)))


def test_the_metric_takes_the_width_of_each_class_from_train():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    real = {"train": rng.normal(size=(30, 5)) * (1 + 3 * labels[:, None])}
    condensed = real["train"][:12]
    measured = Measured(condensed, labels[:12], real, {"train": labels}, ("a", "b"), True, np.zeros((12, 2)))
    got = {(r.metric, r.scope): r.value for r in Vendi()(measured)}
    each = [naive(real["train"][labels == c], condensed[labels[:12] == c])[0] for c in (0, 1)]
    assert got["vendi", "per_class"] == pytest.approx(np.mean(each))
    assert got["vendi", "pooled"] == pytest.approx(naive(real["train"], condensed)[0])
