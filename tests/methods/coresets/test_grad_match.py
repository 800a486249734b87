"""GRAD-MATCH against whole gradients: the best weights of its picks, a full budget, the paper's approximations."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from torch import nn

from decoct.core.errors import UsageError
from decoct.core.spec import parse
from decoct.methods.coresets._shared.coreset import Group
from decoct.methods.coresets.grad_match import GradMatch
from decoct.nets.features import penultimate

IPC = 6


@pytest.fixture
def box(toy):
    return toy()


def given(box, ipc=IPC, **rest):
    features = penultimate(box.teacher, box.data.train.images, box.data.mean, box.data.std).numpy()
    return box.inputs(ipc, features=features, **rest)


def gradients(box, row=None):
    """Of the whole last layer or of one class's row of it, by autograd, one image after the other."""
    layer, found = box.teacher[-1], []
    images = box.normalised(box.data.train.images)
    for image, label in zip(images, torch.from_numpy(box.data.train.labels), strict=True):
        layer.zero_grad()
        nn.functional.cross_entropy(box.teacher(image[None]), label[None]).backward()
        whole = torch.cat([layer.weight.grad, layer.bias.grad[:, None]], 1)
        found.append((whole if row is None else whole[row]).flatten())
    return torch.stack(found).double().numpy()


def off(g, rows, weights, target, ridge):
    return ((weights @ g[rows] - target) ** 2).sum() + ridge * (weights**2).sum()


@pytest.mark.parametrize("kind", ["class", "last_layer"])
@pytest.mark.parametrize("ridge", [0.5, 1e-3])
def test_weights_are_the_best_that_the_picks_can_have_and_beat_other_picks(box, kind, ridge):
    draft = GradMatch(gradient=kind, ridge=ridge)(given(box))
    rng = np.random.default_rng(0)
    for c, (rows, weights) in enumerate(
        zip(draft.indices.reshape(3, IPC), draft.weights.reshape(3, IPC).astype(float), strict=True)
    ):
        g = gradients(box, c if kind == "class" else None)
        members = np.flatnonzero(box.data.train.labels == c)
        target = g[members].sum(0)

        def best(some, g=g, target=target):
            below = np.sqrt(ridge) * np.eye(len(some))
            return nnls(np.vstack([g[some].T, below]), np.concatenate([target, np.zeros(len(some))]))[0]

        np.testing.assert_allclose(weights, best(rows), rtol=1e-3, atol=1e-4)
        others = [rng.permutation(members)[:IPC] for _ in range(20)]
        mine = off(g, rows, weights, target, ridge)
        assert mine < min(off(g, some, best(some), target, ridge) for some in others)


def test_the_first_pick_points_most_towards_the_sum(box):
    draft = GradMatch()(given(box, 1))
    for c, row in enumerate(draft.indices):
        g, members = gradients(box, c), np.flatnonzero(box.data.train.labels == c)
        assert row == members[np.argmax(g[members] @ g[members].sum(0))]


@pytest.mark.parametrize("kind", ["class", "last_layer"])
@pytest.mark.parametrize("ipc", [1, 20, 39, 40])
def test_every_class_gives_its_budget_once_and_all_images_count(box, kind, ipc):
    draft = GradMatch(gradient=kind, ridge=1e-4)(given(box, ipc))
    assert all(len(set(rows)) == ipc for rows in draft.indices.reshape(3, ipc).tolist())
    assert (draft.weights > 0).all()


def test_what_the_match_has_no_use_for_fills_up_with_weight_one():
    """Images whose gradients point away from the sum, those that point away least first."""
    errors, h = np.array([-1.0, 0.3, -1.0, 0.1, -1.0, 0.2]), np.array([5.0, 5, 4, 5, 6, 5])
    g = errors[:, None] * np.stack([h, np.ones(6)], 1)

    def pick(quota):
        given = torch.from_numpy(errors)[:, None].expand(-1, 2)
        return GradMatch().pick(given, torch.from_numpy(h)[:, None], Group(0, np.arange(6), quota, 0))

    rows, weights = pick(6)
    left = g @ (g.sum(0) - weights[:3].numpy() @ g[rows[:3]])
    assert (left[[1, 3, 5]] < 0).all()
    assert set(rows[:3].tolist()) == {0, 2, 4} and (weights[:3] != 1).all()
    assert rows[3:].tolist() == [3, 5, 1] and weights[3:].tolist() == [1, 1, 1]
    assert pick(5)[0].tolist() == rows[:5].tolist()


def test_a_class_without_a_gradient_is_filled_in_order_with_equal_weights(toy):
    """A teacher that is certain of everything: p = y to the last digit."""
    box = toy(classes=2, per_class=5)
    with torch.no_grad():
        box.teacher[-1].weight.zero_()
        box.teacher[-1].bias.copy_(torch.tensor([2000.0, 0.0]))
    features = penultimate(box.teacher, box.data.train.images, box.data.mean, box.data.std).numpy()
    draft = GradMatch()(box.inputs(3, features=features))
    assert draft.indices[:3].tolist() == np.flatnonzero(box.data.train.labels == 0)[:3].tolist()
    assert draft.weights[:3].tolist() == [1, 1, 1]


def test_pooled_matches_the_whole_layer_over_all_classes(box):
    draft = GradMatch(pooled=True)(given(box))
    g = gradients(box)
    assert draft.indices[0] == np.argmax(g @ g.sum(0))
    assert len(set(draft.indices.tolist())) == 18


def test_no_ridge_is_a_slip_that_is_told():
    with pytest.raises(UsageError, match="ridge"):
        parse("condenser", {"name": "grad_match", "ridge": 0})
