"""Gradients of the last layer from their factors, against autograd image by image and the whole vectors."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs
from decoct.methods.coresets._shared import gradients as module
from decoct.methods.coresets._shared.gradients import Gradients, Head
from decoct.needs.features import Features
from decoct.nets import zoo
from decoct.nets.features import penultimate

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def made(n=7, d=4, classes=3, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    head = Head(torch.from_numpy(scale * rng.normal(size=(classes, d))), torch.from_numpy(rng.normal(size=classes)))
    return head, rng.normal(size=(n, d)), rng.integers(0, classes, n)


def whole(head, features, labels):
    """[n, C (d + 1)] by autograd, one image after the other."""
    rows = []
    for h, y in zip(torch.from_numpy(features), torch.from_numpy(labels), strict=True):
        weight, bias = head.weight.clone().requires_grad_(), head.bias.clone().requires_grad_()
        nn.functional.cross_entropy(weight @ h + bias, y).backward()
        rows.append(torch.cat([weight.grad, bias.grad[:, None]], 1).flatten())
    return torch.stack(rows)


sizes = {
    "n": st.integers(1, 8),
    "d": st.integers(1, 5),
    "classes": st.integers(2, 5),
    "seed": st.integers(0, 2**32 - 1),
}


@settings(deadline=None, max_examples=40)
@given(**sizes)
def test_factors_give_what_whole_gradients_give(n, d, classes, seed):
    head, features, labels = made(n, d, classes, seed)
    g, inputs = whole(head, features, labels), torch.from_numpy(features)
    errors = head.errors(features, labels)
    logit_gradient = torch.stack([row.view(classes, d + 1)[:, -1] for row in g])
    torch.testing.assert_close(errors, logit_gradient)
    for gradients, full in ((Gradients(errors, inputs), g), (Gradients(errors), logit_gradient)):
        rows = torch.randperm(n)[: max(1, n // 2)]
        torch.testing.assert_close(gradients.products(rows), full[rows] @ full.T)
        torch.testing.assert_close(gradients.squares(), full.square().sum(1))
        apart = (full[rows, None] - full).norm(dim=2)
        torch.testing.assert_close(gradients.distances(rows), apart, atol=1e-7, rtol=1e-7)
        assert (gradients.distances(rows)[torch.arange(len(rows)), rows] == 0).all()
        torch.testing.assert_close(gradients.to_sum(), full @ full.sum(0))


@settings(deadline=None, max_examples=40)
@given(**sizes, block=st.integers(1, 60))
def test_sums_and_projections_are_those_of_whole_gradients_whatever_the_block(n, d, classes, seed, block):
    head, features, labels = made(n, d, classes, seed)
    g = whole(head, features, labels)
    direction = torch.randn(classes, d + 1, generator=torch.Generator().manual_seed(seed % 2**31), dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        torch.testing.assert_close(head.gradient(features, labels).flatten(), g.sum(0))
        torch.testing.assert_close(head.along(direction, features, labels), g @ direction.flatten())
    moved = head.moved(direction, 0.1)
    torch.testing.assert_close(moved.weight, head.weight - 0.1 * direction[:, :-1])
    torch.testing.assert_close(moved.bias, head.bias - 0.1 * direction[:, -1])


def test_an_image_that_is_known_for_certain_still_has_a_gradient_to_all_digits():
    """1 − p_y = Σ_{c ≠ y} p_c: the difference itself would be 0."""
    head = Head(torch.zeros(3, 1, dtype=torch.float64), torch.tensor([90.0, 0.0, 1.0], dtype=torch.float64))
    expected = torch.tensor([[-np.exp(-90.0) - np.exp(-89.0), np.exp(-90.0), np.exp(-89.0)]])
    torch.testing.assert_close(head.errors(np.zeros((1, 1)), np.array([0])), expected, rtol=1e-12, atol=0)


def test_no_images_have_no_gradients():
    head, features, labels = made(n=0)
    assert head.errors(features, labels).shape == (0, 3) and not head.gradient(features, labels).any()
    assert len(head.along(torch.zeros(3, 5, dtype=torch.float64), features, labels)) == 0


def test_a_read_only_map_in_half_precision_is_read_as_it_is(tmp_path):
    head, features, labels = made(n=9)
    np.save(tmp_path / "x.npy", features.astype(np.float16))
    mapped, near = np.load(tmp_path / "x.npy", mmap_mode="r"), features.astype(np.float16).astype(float)
    torch.testing.assert_close(head.gradient(mapped, labels), head.gradient(near, labels))
    torch.testing.assert_close(head.errors(np.array(mapped), labels), head.errors(near, labels))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(wrong):
    head, features, labels = made()
    features[3, 1] = wrong
    with pytest.raises(DecoctError, match="not finite"):
        head.gradient(features, labels)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_labels_that_the_head_does_not_have_are_refused(wrong):
    head, features, labels = made()
    labels[2] = wrong
    with pytest.raises(DecoctError, match="the teacher knows 3"):
        head.errors(features, labels)


# The head of a net


def needed(net, features=None, n=20):
    """Inputs with a teacher and its features."""
    rng = np.random.default_rng(0)
    train = SimpleNamespace(images=rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), labels=np.zeros(n, np.int64))
    data = SimpleNamespace(train=train, class_names=("a", "b"), mean=MEAN, std=STD)
    found = penultimate(net, train.images, MEAN, STD).numpy() if features is None else features
    return Inputs(data, Budget(ipc=1), teachers={"net": net}, features={Features(extractor="net"): found})


@pytest.mark.parametrize(
    "name", ["convnet3", "convnet3_bn", "resnet_ap10", "test_resnet", "mobilenetv3_small_050", "vit_tiny_patch16_224"]
)
def test_logits_are_the_head_of_the_stored_features(name):
    net = zoo.build(name, 3, 4, 32, seed=0).eval()
    inputs = needed(net)
    head = Head.needed(inputs, "net")
    images = (
        torch.from_numpy(inputs.data.train.images).float() / 255 - torch.tensor(MEAN).view(3, 1, 1)
    ) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        expected = net(images).double()
    stored = torch.from_numpy(inputs.features[Features(extractor="net")])
    torch.testing.assert_close(head.logits(stored), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    half = needed(net, stored.half().numpy())
    assert torch.equal(Head.needed(half, "net").weight, head.weight)


def test_a_layer_without_bias_has_none():
    head = Head.of(nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False)))
    assert head.bias.tolist() == [0, 0, 0] and head.weight.dtype == torch.float64


def test_a_net_that_does_more_behind_its_last_layer_is_refused():
    """This one averages what two heads say."""
    net = zoo.build("deit_tiny_distilled_patch16_224", 3, 4, 32, seed=0).eval()
    with pytest.raises(DecoctError, match="the logits of 'net' are not its last linear layer"):
        Head.needed(needed(net), "net")


@pytest.mark.parametrize("change", [lambda f: f[::-1], lambda f: f[:, :-1], lambda f: f * np.nan, lambda f: f * 0])
def test_features_of_something_else_are_refused(change):
    net = zoo.build("convnet3", 3, 4, 32, seed=0).eval()
    features = needed(net).features[Features(extractor="net")]
    with pytest.raises(DecoctError, match="take another net"):
        Head.needed(needed(net, np.ascontiguousarray(change(features))), "net")
