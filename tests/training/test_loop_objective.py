"""Schedules and losses against their formulas, number by number, and losses against torch's own."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from decoct.core.errors import DecoctError
from decoct.training.batches import Mixed
from decoct.training.loop import objective, schedule
from decoct.training.recipe import Recipe

SGD = Recipe(steps=60, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")


# Schedules


@given(st.sampled_from(["cosine", "half_cosine"]), st.integers(1, 500), st.data())
def test_the_cosines_are_their_formula(kind, steps, data):
    t = data.draw(st.integers(0, steps - 1))
    recipe = replace(SGD, steps=steps, schedule=kind)
    expected = math.cos(math.pi * t / steps / (4 if kind == "half_cosine" else 2)) ** 2  # (1 + cos 2a) / 2 = cos² a
    assert schedule(recipe, t) == pytest.approx(expected, abs=1e-12)


def test_a_cosine_ends_at_nothing_and_a_half_cosine_at_half():
    assert schedule(SGD, 0) == schedule(replace(SGD, schedule="half_cosine"), 0) == 1
    assert schedule(SGD, 60) == pytest.approx(0)
    assert schedule(replace(SGD, schedule="half_cosine"), 60) == pytest.approx(0.5)


@given(st.lists(st.integers(0, 40), max_size=4, unique=True), st.floats(0.05, 1))
def test_each_of_several_milestones_takes_the_factor_once(milestones, gamma):
    recipe = replace(SGD, steps=40, schedule="multistep", milestones=tuple(milestones), gamma=gamma)
    rate = 1.0
    for step in range(40):
        rate = rate * gamma if step in milestones else rate
        assert schedule(recipe, step) == pytest.approx(rate)


def test_a_milestone_is_the_first_step_of_the_lower_rate():
    recipe = replace(SGD, schedule="multistep", milestones=(10, 20), gamma=0.2)
    assert [schedule(recipe, step) for step in (0, 9, 10, 19, 20, 59)] == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04])


# Losses


def rows_of_logits(b, c):
    return st.lists(st.lists(st.floats(-8, 8), min_size=c, max_size=c), min_size=b, max_size=b)


def weights_of(b):
    return st.lists(st.floats(0, 5), min_size=b, max_size=b)


def log_p(row, temperature=1.0):
    return [v / temperature - math.log(sum(math.exp(u / temperature) for u in row)) for v in row]


def double(values):
    return torch.tensor(values, dtype=torch.float64)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(2, 4), st.sampled_from([1.0, 4.0, 20.0]), st.booleans(), st.data())
def test_the_losses_are_their_formulas(b, c, t, weighted, data):
    s, z = data.draw(rows_of_logits(b, c)), data.draw(rows_of_logits(b, c))
    y = data.draw(st.lists(st.integers(0, c - 1), min_size=b, max_size=b))
    w = data.draw(weights_of(b)) if weighted else [1.0] * b
    ce = [-log_p(s[i])[y[i]] for i in range(b)]
    kl = [sum(math.exp(p) * (p - q) for p, q in zip(log_p(z[i], t), log_p(s[i], t), strict=True)) for i in range(b)]
    mse = [sum((u - v) ** 2 for u, v in zip(s[i], z[i], strict=True)) / c for i in range(b)]
    each = {"ce": ce, "kl": kl, "mse_ce": [m + 0.025 * e for m, e in zip(mse, ce, strict=True)]}
    for kind, values in each.items():
        recipe = replace(SGD, loss=kind, temperature=t, ce_weight=0.025)
        expected = sum(v * k for v, k in zip(values, w, strict=True)) / b
        teacher = None if kind == "ce" else double(z)
        loss = objective(double(s), torch.tensor(y), double(w) if weighted else None, teacher, recipe)
        assert float(loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(
    b=st.integers(1, 4),
    c=st.integers(2, 4),
    share=st.floats(0, 1),
    eps=st.sampled_from([0.0, 0.1, 0.8]),
    data=st.data(),
)
def test_mixed_labels_share_the_loss_by_area_and_smoothing_spreads_each_over_all_classes(b, c, share, eps, data):
    """Cross-entropy against the distribution  λ·smooth(y) + (1 − λ)·smooth(y′),  smooth(y) = (1 − ε)·1_y + ε/C."""
    s = data.draw(rows_of_logits(b, c))
    own, partners = (data.draw(st.lists(st.integers(0, c - 1), min_size=b, max_size=b)) for _ in range(2))
    w, v = data.draw(weights_of(b)), data.draw(weights_of(b))
    recipe = replace(SGD, smoothing=eps)
    for weights, others in ((None, None), (w, v)):
        each = []
        for i, (row, y, other) in enumerate(zip(s, own, partners, strict=True)):
            mine, its = (share, 1 - share) if weights is None else (share * w[i], (1 - share) * v[i])
            target = [(1 - eps) * (mine * (k == y) + its * (k == other)) + eps / c * (mine + its) for k in range(c)]
            each.append(-sum(p * q for p, q in zip(target, log_p(row), strict=True)))
        mixed = Mixed(torch.tensor(partners), share, None if others is None else double(others))
        loss = objective(double(s), torch.tensor(own), None if weights is None else double(w), None, recipe, mixed)
        assert float(loss) == pytest.approx(sum(each) / b, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(2, 4), st.floats(0, 1), st.data())
def test_a_mixture_that_a_teacher_labels_has_the_mixture_of_both_weights(b, c, share, data):
    """The label of an image beside it, that image's weight alone."""
    s, z = double(data.draw(rows_of_logits(b, c))), double(data.draw(rows_of_logits(b, c)))
    y = torch.tensor(data.draw(st.lists(st.integers(0, c - 1), min_size=b, max_size=b)))
    w, v = double(data.draw(weights_of(b))), double(data.draw(weights_of(b)))
    mixed, both = Mixed(y.flip(0), share, v), share * w + (1 - share) * v
    kl = (torch.softmax(z, 1) * (torch.log_softmax(z, 1) - torch.log_softmax(s, 1))).sum(1)
    loss = objective(s, y, w, z, replace(SGD, loss="kl"), mixed)
    torch.testing.assert_close(loss, (both * kl).mean())
    ce = -torch.log_softmax(s, 1)[range(b), y]
    loss = objective(s, y, w, z, replace(SGD, loss="mse_ce", ce_weight=0.5), mixed)
    torch.testing.assert_close(loss, (both * (s - z).square().mean(1) + 0.5 * w * ce).mean())


@pytest.mark.parametrize("kind", [{}, {"loss": "kl", "temperature": 4.0}, {"loss": "mse_ce", "ce_weight": 0.3}])
@pytest.mark.parametrize("mix", [False, True])
def test_weights_of_one_change_no_bit(kind, mix):
    s, z = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    y, ones, recipe = torch.arange(9) % 5, torch.ones(9), replace(SGD, smoothing=0.1, **kind)
    teacher = z if kind else None
    plain, weighted = ((Mixed(y.flip(0), 0.37, w) if mix else None) for w in (None, ones))
    assert torch.equal(objective(s, y, ones, teacher, recipe, weighted), objective(s, y, None, teacher, recipe, plain))


@pytest.mark.parametrize("kind", [{}, {"loss": "kl", "temperature": 4.0}, {"loss": "mse_ce", "ce_weight": 0.3}])
def test_steps_over_an_epoch_add_up_to_the_gradient_of_the_weighted_set(kind):
    """Whatever the batches: this is what CRAIG's and GRAD-MATCH's weights are made for."""
    s, z = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, w, recipe = torch.arange(12) % 5, torch.rand(12).double() ** 8, replace(SGD, **kind)
    whole = objective(s, y, w, z if kind else None, recipe)
    for size in (2, 3, 6):
        rows = torch.randperm(12).split(size)
        parts = [objective(s[r], y[r], w[r], z[r] if kind else None, recipe) for r in rows]
        torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_smoothing_is_that_of_torch():
    s, y = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5
    theirs = nn.CrossEntropyLoss(label_smoothing=0.3)(s, y)
    torch.testing.assert_close(objective(s, y, None, None, replace(SGD, smoothing=0.3)), theirs)


def test_kl_is_the_batchmean_of_torch_s_own():
    s, z = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    theirs = nn.KLDivLoss(reduction="batchmean")(torch.log_softmax(s / 20, 1), torch.softmax(z / 20, 1))
    ours = objective(s, torch.zeros(8, dtype=torch.int64), None, z, replace(SGD, loss="kl", temperature=20.0))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("loss", ["kl", "mse_ce"])
def test_a_hard_step_of_a_soft_recipe_is_cross_entropy(loss):
    s, y = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 5
    hard = replace(SGD, smoothing=0.8)
    mixed = Mixed(y.flip(0), 0.7)
    soft = replace(hard, loss=loss, temperature=20.0, ce_weight=0.5)
    assert torch.equal(objective(s, y, None, None, soft, mixed), objective(s, y, None, None, hard, mixed))


@pytest.mark.parametrize("loss", ["kl", "mse_ce"])
def test_a_soft_step_knows_nothing_of_smoothing_and_mixed_labels(loss):
    """What was mixed in is in the teacher's logits; the cross-entropy beside them is on the unmixed label."""
    s, z = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(6) % 5
    recipe = replace(SGD, loss=loss, temperature=4.0, ce_weight=0.5)
    usual = objective(s, y, None, z, recipe)
    assert torch.equal(objective(s, y, None, z, replace(recipe, smoothing=0.8), Mixed(y.flip(0), 0.3)), usual)


def test_hard_labels_and_a_teacher_do_not_go_together():
    with pytest.raises(DecoctError, match="'ce' learns from hard labels"):
        objective(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), None, torch.zeros(2, 3), SGD)
