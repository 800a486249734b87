"""GLISTER against autograd: gains, the step that refreshes the val gradient, rounds, and what it needs of val."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError
from decoct.data.dataset import Split as Rows
from decoct.methods.coresets.glister import GLISTER
from decoct.needs.features import Features
from decoct.nets.features import penultimate


class Split:
    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)


@pytest.fixture
def box(toy):
    box = toy()
    rng = np.random.default_rng(5)
    box.data.val = Split(rng.integers(0, 256, (24, 1, 8, 8), dtype=np.uint8), rng.permutation(np.repeat([0, 1, 2], 8)))
    return box


def seen(box, split):
    return penultimate(box.teacher, split.images, box.data.mean, box.data.std).numpy()


def given(box, ipc, **rest):
    held_out = {Features(): seen(box, box.data.val)}
    return box.inputs(ipc, features=seen(box, box.data.train), **({"held_out": held_out} | rest))


def layer_of(box):
    layer = nn.Linear(24, 3).double()
    layer.load_state_dict(box.teacher[-1].state_dict())
    return layer


def gradient(layer, features, labels):
    """Of the mean loss over images, by autograd."""
    layer.zero_grad()
    loss = nn.functional.cross_entropy(layer(torch.from_numpy(features).double()), torch.from_numpy(labels))
    loss.backward()
    return torch.cat([layer.weight.grad, layer.bias.grad[:, None]], 1)


def rewritten(box, groups, n, rounds, rate):
    """The greedy as the paper has it, with whole gradients: n picks of each group of images."""
    h, y, hv, yv = seen(box, box.data.train), box.data.train.labels, seen(box, box.data.val), box.data.val.labels
    layer = layer_of(box)
    each = torch.stack([gradient(layer, h[[i]], y[[i]]) for i in range(len(y))])
    picked = [[] for _ in groups]
    while len(picked[0]) < n:
        stepped, taken = layer_of(box), each[[i for own in picked for i in own]].sum(0)
        with torch.no_grad():
            stepped.weight -= rate * taken[:, :-1]
            stepped.bias -= rate * taken[:, -1]
        gains = (each * gradient(stepped, hv, yv)).sum((1, 2))
        for own, group in zip(picked, groups, strict=True):
            order = sorted((i for i in group.tolist() if i not in own), key=lambda i: -gains[i])
            own += order[: min(math.ceil(n / rounds), n - len(own))]
    return picked


@pytest.mark.parametrize(("ipc", "rounds"), [(1, 15), (7, 15), (7, 3), (20, 6), (40, 1)])
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_picks_are_those_of_the_definition_by_the_quotas_of_the_classes(box, ipc, rounds, rate):
    draft = GLISTER(rounds=rounds, rate=rate)(given(box, ipc))
    assert draft.weights is None
    groups = [np.flatnonzero(box.data.train.labels == c) for c in range(3)]
    assert draft.indices.reshape(3, ipc).tolist() == rewritten(box, groups, ipc, rounds, rate)


def test_pooled_picks_are_among_all_images(box):
    draft = GLISTER(pooled=True, rate=0.1)(given(box, 5))
    assert draft.indices.tolist() == rewritten(box, [np.arange(120)], 15, 15, 0.1)[0]


def test_a_step_changes_what_is_picked_next(box):
    still, far = (GLISTER(rounds=40, rate=rate)(given(box, 20)).indices.tolist() for rate in (1e-12, 1.0))
    assert still != far


def test_an_image_with_the_wrong_label_comes_last(box):
    """A step on it raises the loss of val images of the class that it claims to be of."""
    rng = np.random.default_rng(0)
    bright = np.clip(rng.normal(np.array([60, 130, 200])[box.data.train.labels], 10, (64, 120)).T, 0, 255)
    box.data.train = Rows(bright.reshape(120, 1, 8, 8).astype(np.uint8), box.data.train.labels)
    own = np.clip(rng.normal(np.array([60, 130, 200])[box.data.val.labels], 10, (64, 24)).T, 0, 255)
    box.data.val.images = own.reshape(24, 1, 8, 8).astype(np.uint8)
    planted = int(np.flatnonzero(box.data.train.labels == 0)[0])
    box.data.train.images[planted] = 210
    optimiser = torch.optim.Adam(box.teacher.parameters(), 0.01)
    for _ in range(30):
        loss = nn.functional.cross_entropy(
            box.teacher(box.normalised(box.data.train.images)), torch.from_numpy(box.data.train.labels)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    picks = GLISTER()(given(box, 40)).indices.reshape(3, 40)
    assert picks[0, -1] == planted


@pytest.mark.parametrize("held_out", [{}, {Features(): np.zeros((0, 24), np.float32)}])
def test_without_features_of_val_images_it_says_what_it_lacks(box, held_out):
    with pytest.raises(DecoctError, match="glister picks for the val images, and 'teacher' has no features of any"):
        GLISTER()(given(box, 2, held_out=held_out))


def test_classes_hang_together():
    assert GLISTER().together(10) is None and GLISTER(pooled=True).together(10) is None


def test_progress_counts_rounds(box):
    calls = []
    GLISTER(rounds=4)(given(box, 6, progress=lambda *a: calls.append(a)))
    assert calls == [(1, 3), (2, 3), (3, 3)]  # of two of each class
