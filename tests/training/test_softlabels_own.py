"""A set's own soft labels: cross-entropy to them is what a student learns from; mixed by area where images are."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.core.condensed import Condensed
from decoct.core.record import Provenance
from decoct.data.augment.augment import Mix
from decoct.protocols.dc import DC
from decoct.protocols.erm import ERM
from decoct.training.batches import Batches
from decoct.training.loop import objective, train
from decoct.training.recipe import Recipe
from decoct.training.softlabels import OwnLabels, own_labels
from decoct.training.views import View

RECIPE = Recipe(12, 8, "sgd", 0.05, 0.0, "multistep", loss="kl", temperature=1.0)


@pytest.fixture
def labels():
    return OwnLabels(torch.rand(20, 3, generator=torch.Generator().manual_seed(0)).softmax(1))


def test_every_batch_has_the_labels_of_its_images(small_set, labels):
    """Images of one colour tell which label is theirs."""
    data = small_set(n=20, size=4)
    data.images[:] = torch.arange(20, dtype=torch.uint8).view(-1, 1, 1, 1)
    for batch in Batches(data, RECIPE, seed=3, labels=labels):
        rows = ((batch.images[:, 0, 0, 0] * 0.3 + 0.4) * 255).round().long()
        assert torch.allclose(batch.teacher.softmax(1), labels.probabilities[rows], atol=1e-6)


@pytest.mark.parametrize("mixing", [{"cutmix": 1.0}, {"mixup": 1.0}])
def test_labels_are_mixed_by_the_share_of_the_image(small_set, labels, mixing):
    recipe = Recipe(12, 8, "sgd", 0.05, 0.0, "multistep", loss="kl", **mixing)
    data = small_set(n=20, size=4)
    onehot = OwnLabels(F.one_hot(data.labels, 3).float())
    shares = []
    for batch in Batches(data, recipe, seed=3, labels=onehot):
        expected = batch.mixed.share * F.one_hot(batch.labels, 3) + (1 - batch.mixed.share) * F.one_hot(
            batch.mixed.labels, 3
        )
        assert torch.allclose(batch.teacher.exp(), expected.float(), atol=1e-6)
        shares.append(batch.mixed.share)
    assert min(shares) < 0.9


def test_several_batches_are_labelled_at_once_each_with_its_own_mix():
    labels = OwnLabels(torch.eye(3))
    mix = Mix(torch.tensor([1, 0]), 0.25)
    view = View(torch.tensor([0, 1, 2, 2]), (2, 2), mixes=(mix, None))
    expected = torch.tensor([[0.25, 0.75, 0], [0.75, 0.25, 0], [0, 0, 1], [0, 0, 1]])
    assert torch.allclose(labels.logits(0, 2, 0, view).exp(), expected)


def test_a_label_of_one_class_is_that_class_with_no_number_that_is_not_finite(small_set, linear):
    """Probabilities of 0 have no logarithm."""
    data = small_set(n=20, size=4)
    onehot, nets = OwnLabels(F.one_hot(data.labels, 3).float()), (linear(), linear())
    train(nets[0], data, RECIPE, seed=1, labels=onehot)
    train(nets[1], data, Recipe(12, 8, "sgd", 0.05, 0.0, "multistep"), seed=1)
    for ours, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert ours.isfinite().all() and torch.allclose(ours, theirs, atol=1e-5)


def test_the_gradient_is_that_of_cross_entropy_to_the_label(labels):
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    view = View(torch.arange(20), (20,))
    loss = objective(z, torch.zeros(20, dtype=torch.long), None, labels.logits(0, 1, 0, view), RECIPE)
    soft = -(labels.probabilities * z.log_softmax(1)).sum(1).mean()
    (ours,), (theirs,) = (torch.autograd.grad(value, z) for value in (loss, soft))
    assert torch.allclose(ours, theirs, atol=1e-7)


def test_they_are_taken_where_the_protocol_asks_and_the_set_has_some():
    def made(soft):
        images = np.zeros((2, 1, 4, 4), np.uint8)
        return Condensed(np.array([0, 1]), ("a", "b"), Provenance(method="m"), images=images, soft_labels=soft)

    soft = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    found = own_labels(DC(own_labels=True), made(soft))
    assert found is not None and torch.equal(found.probabilities, torch.from_numpy(soft))
    assert found.views(0, 1, 0) is None
    assert own_labels(DC(own_labels=True), made(None)) is own_labels(DC(own_labels=True), None) is None
    assert own_labels(DC(), made(soft)) is own_labels(ERM(), made(soft)) is None
