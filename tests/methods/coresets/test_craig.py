"""CRAIG against its definition: distances of whole gradients, greedy picks, cluster sizes."""

import numpy as np
import pytest
import torch
from torch import nn

from decoct.methods.coresets.craig import CRAIG
from decoct.needs.features import Features
from decoct.needs.teacher import Teacher
from decoct.nets.features import penultimate

IPC = 6


@pytest.fixture
def box(toy):
    return toy()


def given(box, ipc=IPC, **rest):
    """Inputs with the teacher's own features."""
    features = penultimate(box.teacher, box.data.train.images, box.data.mean, box.data.std).numpy()
    return box.inputs(ipc, features=features, **rest)


def gradients(box, kind):
    """Of the last layer, or of the logits, by autograd, one image after the other."""
    layer, found = box.teacher[-1], []
    images = box.normalised(box.data.train.images)
    for image, label in zip(images, torch.from_numpy(box.data.train.labels), strict=True):
        logits = box.teacher(image[None])
        logits.retain_grad()
        layer.zero_grad()
        nn.functional.cross_entropy(logits, label[None]).backward()
        whole = torch.cat([layer.weight.grad.flatten(), layer.bias.grad])
        found.append(whole if kind == "last_layer" else logits.grad[0])
    return torch.stack(found).double()


@pytest.mark.parametrize("kind", ["logits", "last_layer"])
def test_picks_and_weights_are_those_of_the_definition(box, kind):
    draft = CRAIG(gradient=kind)(given(box))
    g = gradients(box, kind)
    for c, (rows, weights) in enumerate(zip(draft.indices.reshape(3, IPC), draft.weights.reshape(3, IPC), strict=True)):
        members = np.flatnonzero(box.data.train.labels == c)
        apart = torch.cdist(g[members], g[members], compute_mode="donot_use_mm_for_euclid_dist")
        picks = []
        for _ in range(IPC):
            values = [apart[:, [*picks, i]].min(1).values.sum() if i not in picks else torch.inf for i in range(40)]
            picks.append(int(np.argmin(values)))
        assert rows.tolist() == members[picks].tolist()
        assert weights.tolist() == apart[:, picks].argmin(1).bincount(minlength=IPC).tolist()
    assert draft.weights.dtype == np.float32 and draft.weights.sum() == 120


def test_weights_make_the_picks_gradient_that_of_the_class(box):
    """Within the sum of distances, which bounds it."""
    draft, g = CRAIG(gradient="last_layer")(given(box)), gradients(box, "last_layer")
    for c, (rows, weights) in enumerate(zip(draft.indices.reshape(3, IPC), draft.weights.reshape(3, IPC), strict=True)):
        members = np.flatnonzero(box.data.train.labels == c)
        off = (g[members].sum(0) - torch.from_numpy(weights).double() @ g[rows]).norm()
        bound = torch.cdist(g[members], g[rows]).min(1).values.sum()
        assert off <= bound + 1e-4
        assert off < (g[members].sum(0) - 40 / IPC * g[members[:IPC]].sum(0)).norm()


def test_pooled_picks_are_among_all_classes(box):
    draft = CRAIG(pooled=True)(given(box))
    assert len(set(draft.indices.tolist())) == 18 and draft.weights.sum() == 120


def test_needs_are_the_teacher_and_its_features():
    assert CRAIG(net="resnet18").needs() == (Teacher(net="resnet18"), Features(extractor="resnet18"))
