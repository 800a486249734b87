"""Gradients in a surrogate's weights, one an image, against a loop; and when they have turned."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.core.interfaces import Inputs
from decoct.data.pixels import Pixels
from decoct.methods.generative._shared.influence import Surrogate, milestones, real_images
from decoct.needs.trajectory import Experts, Trajectory, flattened, shapes_of
from decoct.nets import zoo


@pytest.fixture(params=["convnet1_w4", "convnet2_w8"])
def surrogate(request):
    net = zoo.build(request.param, 1, 3, 8, seed=0)
    rows = torch.stack([flattened(net), flattened(zoo.build(request.param, 1, 3, 8, seed=1))])
    experts = Experts(net.eval().requires_grad_(False), (Trajectory(rows.numpy(), shapes_of(net)),))
    return Surrogate(experts, Pixels.of(SimpleNamespace(mean=(0.4,), std=(0.3,)), "cpu"), "cpu")


def looped(surrogate, theta, images, labels):
    """One image after the other, by autograd on the net itself."""
    net, found = zoo_copy(surrogate, theta), []
    for image, label in zip(images, labels.tolist(), strict=True):
        x = (image[None] / 255 - 0.4) / 0.3
        loss = F.cross_entropy(net(x), torch.tensor([label]))
        parts = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


def zoo_copy(surrogate, theta):
    import copy

    net = copy.deepcopy(surrogate.experts.net).requires_grad_(True)
    torch.nn.utils.vector_to_parameters(theta, net.parameters())
    return net


def images(n=4):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 255


def test_each_image_has_the_gradient_of_its_own_loss(surrogate):
    theta, labels = surrogate.weights(1), torch.tensor([0, 2, 1, 2])
    found = surrogate.each(theta, images(), labels)
    assert torch.allclose(found, looped(surrogate, theta, images(), labels), atol=1e-5)


def test_it_is_differentiable_in_the_images(surrogate):
    theta, labels = surrogate.weights(0), torch.tensor([0, 2, 1, 2])
    direction = torch.randn(4, surrogate.experts.size, generator=torch.Generator().manual_seed(1))
    gradients = []
    for of in (surrogate.each, lambda *given: looped(surrogate, *given)):
        x = images().requires_grad_()
        gradients.append(torch.autograd.grad((of(theta, x, labels) * direction).sum(), x)[0])
    assert torch.allclose(*gradients, atol=1e-5) and gradients[0].abs().max() > 0


def test_the_mean_of_a_class_is_the_mean_of_its_images(surrogate):
    shots = np.random.default_rng(0).integers(0, 256, (70, 1, 8, 8), dtype=np.uint8)  # more than a block
    theta = surrogate.weights(1)
    each = surrogate.each(theta, torch.from_numpy(shots).float(), torch.full((70,), 2))
    assert torch.allclose(surrogate.mean(theta, shots, 2), each.mean(0), atol=1e-5)
    assert surrogate.epochs == 1


def test_an_epoch_is_picked_where_the_gradient_has_turned_since_the_last_one():
    angles = [0, 20, 40, 50, 80, 100, 120]  # degrees; cos 45° = .707
    rows = [torch.tensor([[np.cos(a), np.sin(a)]]) for a in np.radians(angles)]
    assert milestones(rows.__getitem__, 6, 0.7) == [0, 3, 5]
    assert milestones(rows.__getitem__, 6, -1) == [0]
    assert milestones(rows.__getitem__, 6, 1) == list(range(7))


def test_classes_count_alike():
    """The mean of cosines, not the cosine of the mean: a long gradient that stays hides no short one that turns."""
    still, turned = torch.tensor([[100.0, 0], [1, 0]]), torch.tensor([[100.0, 0], [-1, 0]])
    assert milestones([still, turned].__getitem__, 1, 0.5) == [0, 1]


def test_real_images_are_of_the_class_and_as_many_as_there_are():
    labels = np.arange(30) % 3
    train = SimpleNamespace(images=np.arange(30).reshape(30, 1, 1, 1), labels=labels)
    inputs = Inputs(data=SimpleNamespace(train=train), budget=None)
    some = real_images(inputs, "igd", 1, 4).ravel()
    assert len(set(some)) == 4 and (some % 3 == 1).all()
    assert sorted(real_images(inputs, "igd", 1, 99).ravel()) == list(range(1, 30, 3))


def test_real_images_are_drawn_anew_by_another_seed_and_of_another_method():
    train = SimpleNamespace(images=np.arange(200).reshape(200, 1, 1, 1), labels=np.arange(200) % 2)

    def drawn(root, name="igd", c=0):
        found = real_images(Inputs(data=SimpleNamespace(train=train), budget=None, seed=root), name, c, 30)
        return (found.ravel() // 2).tolist()  # the numbers of the images within their class

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2) and drawn(1) != drawn(1, "other") and drawn(1) != drawn(1, c=1)
