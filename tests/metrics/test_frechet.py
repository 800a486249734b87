"""Fréchet distance against matrix square roots, eigenvalues, closed forms, and the bias that small sets have."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.interfaces import Measured
from decoct.core.spec import parse
from decoct.metrics import frechet as module
from decoct.metrics.frechet import Frechet, frechet, mean_and_root


def moments(x):
    return x.mean(0), np.cov(x.T).reshape(x.shape[1], x.shape[1])


def by_square_root(x, y):
    (a, s), (b, t) = moments(x), moments(y)
    return ((a - b) ** 2).sum() + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real)


def by_eigenvalues(x, y):
    (a, s), (b, t) = moments(x), moments(y)
    return ((a - b) ** 2).sum() + np.trace(s + t) - 2 * np.sqrt(np.linalg.eigvals(s @ t).real.clip(0)).sum()


def mixed(rng, n, d):
    return rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d))) + rng.normal(size=d)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(20, 60), m=st.integers(20, 60), d=st.integers(1, 8), seed=st.integers(0, 2**32 - 1))
def test_it_is_what_its_definition_says(n, m, d, seed):
    rng = np.random.default_rng(seed)
    real, condensed = mixed(rng, n, d), mixed(rng, m, d)
    assert frechet(real, condensed)["frechet"] == pytest.approx(by_square_root(real, condensed), rel=1e-8, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 30), m=st.integers(2, 30), d=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_sets_of_fewer_images_than_dimensions_are_no_special_case(n, m, d, seed):
    rng = np.random.default_rng(seed)
    real, condensed = mixed(rng, n, d), mixed(rng, m, d)
    got = frechet(real, condensed)["frechet"]
    # Eigenvalues that are zero come out as rounding, whose root is of the order 1e-8.
    assert got == pytest.approx(by_eigenvalues(real, condensed), rel=1e-5, abs=1e-5)
    assert frechet(condensed, real)["frechet"] == pytest.approx(got, rel=1e-10, abs=1e-10)


def test_torchmetrics_gives_the_same():
    fid = pytest.importorskip("torchmetrics.image.fid")
    rng = np.random.default_rng(0)
    real, condensed = mixed(rng, 300, 16), mixed(rng, 60, 16)
    tensors = [torch.from_numpy(part) for x in (real, condensed) for part in moments(x)]
    assert frechet(real, condensed)["frechet"] == pytest.approx(fid._compute_fid(*tensors).item(), rel=1e-9)


def test_gaussians_with_common_axes_have_a_closed_form():
    rng, d = np.random.default_rng(0), 6
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]

    def exactly(n, mean, deviations):  # a sample whose own moments are these
        white = rng.normal(size=(n, d))
        white = np.linalg.qr(white - white.mean(0))[0] * math.sqrt(n - 1)
        return (white * deviations) @ axes + mean

    a, b, mean = rng.uniform(0.1, 3, d), rng.uniform(0.1, 3, d), rng.normal(size=d)
    b[0] = 0
    expected = (mean**2).sum() + ((a - b) ** 2).sum()
    assert frechet(exactly(50, 0, a), exactly(20, mean, b))["frechet"] == pytest.approx(expected, rel=1e-12)


def test_a_shift_of_both_changes_nothing_and_a_shift_of_one_adds_its_square():
    rng = np.random.default_rng(0)
    real, condensed, shift = mixed(rng, 100, 12), mixed(rng, 9, 12), 1e6 * rng.normal(size=12)
    before = frechet(real, condensed)["frechet"]
    assert frechet(real + shift, condensed + shift)["frechet"] == pytest.approx(before, rel=1e-8)
    assert frechet(real, real + 3)["frechet"] == pytest.approx(9 * 12, rel=1e-12)


@pytest.mark.parametrize("n", [2, 9, 40])
def test_equal_sets_are_at_distance_zero_and_not_below(n):
    for seed in range(10):
        x = 100 + 10 * np.random.default_rng(seed).normal(size=(n, 20))
        assert 0 <= frechet(x, x[::-1])["frechet"] < 1e-9


def test_equal_images_have_no_covariance():
    real = np.random.default_rng(0).normal(size=(30, 5))
    expected = ((real.mean(0) - 2) ** 2).sum() + real.var(0, ddof=1).sum()
    assert frechet(real, np.full((4, 5), 2.0))["frechet"] == pytest.approx(expected)
    assert frechet(np.ones((3, 5)), np.full((4, 5), 2.0))["frechet"] == pytest.approx(5)


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_blocks_change_nothing(monkeypatch, rows):
    rng = np.random.default_rng(0)
    x = np.sort(mixed(rng, 50, 9), axis=0) + 1e3  # a block's mean is not that of all
    monkeypatch.setattr(module, "ROWS", rows)
    mean, root = mean_and_root(x)
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(root.T @ root, np.cov(x.T), rtol=1e-9, atol=1e-9)


def test_a_memory_map_is_read_in_blocks(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    x = mixed(rng, 100, 4).astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    lengths, read, pair = [], module.as_features, module.as_pair
    monkeypatch.setattr(module, "ROWS", 30)
    monkeypatch.setattr(module, "as_pair", lambda x, y: lengths.append(len(x)) or pair(x, y))
    monkeypatch.setattr(module, "as_features", lambda rows, name: lengths.append(len(rows)) or read(rows, name))
    got = frechet(np.load(tmp_path / "x.npy", mmap_mode="r"), x[:10])["frechet"]
    assert max(lengths) == 30
    assert got == pytest.approx(by_square_root(x.astype(float), x[:10].astype(float)), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_any_float_type_is_computed_in_float64(dtype, wrap):
    rng = np.random.default_rng(0)
    real, condensed = (mixed(rng, n, 5).astype(dtype) + dtype(30) for n in (60, 20))
    expected = by_square_root(real.astype(float), condensed.astype(float))
    assert frechet(wrap(real), wrap(condensed))["frechet"] == pytest.approx(expected, rel=1e-9)


def test_the_fewer_images_the_further_the_very_same_gaussian():
    """Values of an independent implementation, by the square root of ΣΣ', for d = 256."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(20_000, 256)).astype(np.float32)
    known = mean_and_root(real)
    for m, expected in {100: 213, 500: 37, 1000: 18, 5000: 4.2, 10_000: 2.5}.items():
        condensed = rng.normal(size=(m, 256)).astype(np.float32)
        assert frechet(real, condensed, moments=known)["frechet"] == pytest.approx(expected, rel=0.04)


def test_one_image_has_no_covariance():
    x = np.random.default_rng(0).normal(size=(5, 3))
    assert math.isnan(frechet(x, x[:1])["frechet"])
    assert math.isnan(frechet(x[:1], x)["frechet"])
    assert not math.isnan(frechet(x[:2], x[:2])["frechet"])


def test_bad_input_is_refused():
    good, bad = np.zeros((4, 2)), np.array([[0.0, 0.0], [np.nan, 0.0]])
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        frechet(good, bad)
    with pytest.raises(ValueError, match="real features hold values that are not finite"):
        frechet(bad, good)
    with pytest.raises(ValueError, match="real features have 2 dimensions, condensed 3"):
        frechet(good, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="real features must be"):
        frechet(np.zeros((0, 2)), good)
    with pytest.raises(ValueError, match="real features must be"):
        mean_and_root(np.zeros(4))


def test_the_metric_is_pooled_and_looks_at_each_real_split_once(monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    real = {"train": rng.normal(size=(40, 3)), "val": rng.normal(size=(30, 3))}
    looked, look = [], mean_and_root
    monkeypatch.setattr(module, "mean_and_root", lambda features: looked.append(len(features)) or look(features))
    for m in (8, 12):
        condensed = rng.normal(size=(m, 3))
        measured = Measured(
            condensed, labels[:m], real, {"train": labels, "val": labels[:30]}, ("a", "b"), False, np.zeros((m, 2))
        )
        readings = parse("metric", "frechet")(measured)
        assert [(r.metric, r.scope, r.reference) for r in readings] == [
            ("frechet", "pooled", "train"),
            ("frechet", "pooled", "val"),
        ]
        for reading in readings:
            assert reading.value == pytest.approx(by_square_root(real[reading.reference], condensed), rel=1e-8)
    assert sorted(looked) == [8, 8, 12, 12, 30, 40]
    assert Frechet.higher_is_better == {"frechet": False} and Frechet.limits["frechet"][0] == 0
