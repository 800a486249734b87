"""FLD against a naive rewrite with autograd, a closed form, and sets whose place is known."""

import math

import numpy as np
import pytest
import torch

from decoct.core.interfaces import Measured
from decoct.core.spec import parse
from decoct.metrics import fld as module
from decoct.metrics.fld import fld, half


def naive(y, x, z, rate=0.5, epochs=50, batch=10_000, rng=None):
    """NLL a dimension of z around y, with variances fitted to x: autograd through every density, written out."""
    mean, deviation = z.mean(0), z.std(0, ddof=1)
    y, x, z = (torch.from_numpy((part - mean) / deviation) for part in (y, x, z))
    x = x[torch.from_numpy(rng.permutation(len(x)))] if rng else x
    d = x.shape[1]

    def density(points, centres, logs):  # log N(point | centre, e^log I)
        squared = ((points[:, None] - centres[None]) ** 2).sum(2)
        return -squared / (2 * logs.exp()) - d / 2 * (logs + math.log(2 * math.pi))

    def around(points, logs):
        return density(points, y, logs) - math.log(len(y))

    nearest = ((x[:, None] - y[None]) ** 2).sum(2).min(0).values
    logs = ((nearest + 1e-3) / d).log().requires_grad_()
    wide = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam, losses = torch.optim.Adam([logs, wide], lr=rate), []
    for _ in range(epochs):
        each = []
        for some in x.split(batch):
            adam.zero_grad()
            centre = torch.zeros(1, d, dtype=torch.float64)
            alone = density(0.9 * (some - x.mean(0)), centre, wide)
            loss = -torch.cat([around(some, logs), alone], 1).logsumexp(1).mean() / d
            loss.backward()
            adam.step()
            with torch.no_grad():
                logs.clamp_(-40, 40)
            each.append(loss.item())
        losses.append(np.mean(each))
        if len(losses) > 6 and np.ptp([abs(losses[-1] - before) for before in losses[-5:]]) < 5e-4:
            break
    return -around(z, logs.detach()).logsumexp(1).mean().item() / d


@pytest.fixture
def draw():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(12, 12)) * np.arange(1, 13) ** -0.5
    return lambda n, seed: np.random.default_rng(seed).normal(size=(n, 12)) @ mixing + 3


@pytest.mark.parametrize("m", [1, 7, 40])
@pytest.mark.parametrize("change", [lambda y: y, lambda y: 3 * y, lambda y: 0.2 * y + 2])
def test_the_likelihood_is_that_of_a_naive_rewrite(draw, m, change, monkeypatch):
    y, x, z = change(draw(m, 1)), draw(150, 2), draw(60, 3)
    wanted = 100 * naive(y, x, z)
    for block in (module.BLOCK, 5 * m + 1):
        monkeypatch.setattr(module, "BLOCK", block)
        found = fld(x, y, z, baseline=0.0)["fld"]
        assert found == pytest.approx(wanted, rel=5e-4)  # Adam's steps are as long where the slope is but rounding


def test_of_many_images_batches_are_fitted_to(draw, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 64)
    y, x, z = draw(9, 1), draw(150, 2), draw(60, 3)
    wanted = 100 * naive(y, x, z, batch=64, rng=np.random.default_rng(0))
    assert fld(x, y, z, baseline=0.0)["fld"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(("asked", "size", "draws"), [(12, 12, 9), (500, 15, 7)])
def test_half_is_the_likelihood_around_random_real_images(draw, asked, size, draws):
    x, z, rng = draw(30, 2), draw(20, 3), np.random.default_rng(5)
    orders = [rng.permutation(30) for _ in range(draws)]
    wanted = [100 * naive(x[order[:size]], x[order[size:]], z) for order in orders]
    assert half(x, z, size=asked, seed=5) == pytest.approx(np.mean(wanted), rel=5e-4)
    assert fld(x, x[:4] + 1, z)["fld"] == fld(x, x[:4] + 1, z, baseline=half(x, z, size=4))["fld"]


@pytest.mark.parametrize("log", [-1.0, 0.0, 2.0])
def test_around_the_mean_the_likelihood_has_a_closed_form(draw, monkeypatch, log):
    """Scaled held-out images have a mean square of (T − 1) / T: NLL/d = (log 2πs + (T − 1) / (T s)) / 2."""
    monkeypatch.setattr(module, "_fitted", lambda y, x, rng: torch.full((len(y),), log))
    z = draw(50, 3)
    found = fld(draw(9, 2), z.mean(0, keepdims=True), z, baseline=0.0)["fld"]
    assert found == pytest.approx(50 * (math.log(2 * math.pi) + log + 49 / 50 * math.exp(-log)), rel=1e-6)


def test_the_gradient_is_that_of_the_loss(draw):
    x, y = torch.from_numpy(draw(30, 2)), torch.from_numpy(draw(5, 1))
    squared = torch.cat([module._squared(x, y), module.NEARER * (x - 3).square().sum(1, keepdim=True)], 1).float()
    logs = torch.linspace(-1, 3, 6)
    _, slope = module._step([squared[:11], squared[11:]], logs, 12)
    for j in range(6):
        step = torch.zeros(6)
        step[j] = 0.01
        high, low = (module._step([squared], logs + sign * step, 12)[0] for sign in (1, -1))
        assert slope[j].item() == pytest.approx((high - low) / 0.02, abs=2e-4)


@pytest.mark.parametrize("m", [10, 100, 400])
def test_new_draws_are_at_0_for_any_size(draw, m):
    x, z = draw(1000, 2), draw(300, 3)
    found = [fld(x, draw(m, 10 + seed), z)["fld"] for seed in range(10)]
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(10) + 0.5
    inside = [fld(x, x[np.random.default_rng(s).choice(1000, m, False)], z, member=True)["fld"] for s in range(10)]
    assert abs(np.mean(inside) - np.mean(found)) < 4 * np.hypot(np.std(found), np.std(inside)) / math.sqrt(10)


def test_what_is_wrong_with_a_set_raises_it(draw):
    x, z, good = draw(600, 2), draw(300, 3), draw(60, 9)
    base = fld(x, good, z)["fld"]
    noise = np.random.default_rng(0).normal(size=good.shape) * good.std(0) * 3
    for wrong in (good + noise, good.mean(0) + 0.02 * (good - good.mean(0)), good + 4 * x.std(0)):
        assert fld(x, wrong, z)["fld"] > base + 5
    shares = [fld(x, np.concatenate([x[:copies], good[copies:]]), z)["fld"] for copies in (0, 30, 50, 60)]
    assert shares == sorted(shares) and shares[0] == base and shares[-1] > 1000 > base + 50
    assert fld(x, x[:60], z, member=True)["fld"] < base + 5  # a coreset's copies are left out of the fit


def test_dimensions_that_do_not_vary_are_left_out(draw):
    x, y, z = draw(80, 2), draw(9, 1), draw(40, 3)
    dead = [np.concatenate([part, np.full((len(part), 2), at)], 1) for part, at in ((x, 0), (y, 5), (z, 1))]
    assert fld(dead[0], dead[1], dead[2])["fld"] == pytest.approx(fld(x, y, z)["fld"], abs=1e-6)
    assert math.isnan(fld(x, y, np.ones((5, 12)))["fld"]) and math.isnan(fld(x, y, z[:1])["fld"])
    assert math.isnan(fld(x[:1], y, z)["fld"]) and math.isnan(fld(x, x, z, member=True)["fld"])


@pytest.mark.parametrize("which", range(3))
def test_features_that_are_none_are_refused(draw, which):
    parts = [draw(20, 2), draw(9, 1), draw(9, 3)]
    for bad, said in ((np.zeros((0, 12)), "at least one row"), (np.full((3, 12), np.nan), "not finite")):
        with pytest.raises(ValueError, match=said):
            fld(*[bad if i == which else part for i, part in enumerate(parts)])
    with pytest.raises(ValueError, match="dimensions"):
        fld(*[part[:, :5] if i == which else part for i, part in enumerate(parts)])


def measured(condensed, x, z, member=False):
    labels = [np.arange(len(part)) % 2 for part in (condensed, x, z)]
    real = {"train": x, "val": z}
    return Measured(condensed, labels[0], real, dict(zip(real, labels[1:], strict=True)), ("a", "b"), member, condensed)


def test_a_study_reads_it_against_val_alone(draw, monkeypatch):
    x, y, z = draw(80, 2).astype(np.float32), draw(9, 1).astype(np.float32), draw(40, 3).astype(np.float32)
    (reading,) = parse("metric", "fld")(measured(y, x, z))
    assert (reading.scope, reading.reference, reading.value) == ("pooled", "val", fld(x, y, z)["fld"])
    (reading,) = parse("metric", "fld")(measured(x[:9], x, z, member=True))
    assert reading.value == fld(x, x[:9], z, member=True)["fld"]
    assert parse("metric", "fld")(measured(x[:9], x, z))[0].value == 1000 < fld(x, x[:9], z)["fld"]
    assert parse("metric", "fld")(measured(y, x, z[:0])) == []
    monkeypatch.setattr(module, "MOST", 4)
    own = y[module.sample(np.arange(9) % 2, 4)]
    assert parse("metric", "fld")(measured(y, x, z))[0].value == fld(x, own, z)["fld"]
