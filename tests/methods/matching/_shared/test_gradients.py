"""Gradients and their distance against their definitions; the inner loop against torch's SGD."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from decoct.data.augment import dsa
from decoct.methods.matching._shared import gradients as gradient_matching
from decoct.nets.convnet import ConvNet


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net(size=8):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        return ConvNet(1, 3, size, width=4, depth=2).double()


SHAPES = st.lists(
    st.one_of(st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 3)] * 4)), min_size=1, max_size=4
)


@given(shapes=SHAPES, seed=st.integers(0, 2**31))
def test_the_gradient_distance_is_one_minus_cosine_row_by_row(shapes, seed):
    real, made = ([drawn(*shape, seed=seed + k + 10 * i) for i, shape in enumerate(shapes)] for k in (0, 1))
    total = 0.0
    for r, m in zip(real, made, strict=True):
        for o in range(r.shape[0]):
            a, b = r[o].numpy().ravel(), m[o].numpy().ravel()
            total += 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6)
    assert float(gradient_matching.gradient_distance(real, made)) == pytest.approx(total, rel=1e-9, abs=1e-9)


def test_equal_gradients_are_at_distance_0_and_opposite_ones_at_2_a_row():
    real = [drawn(4, 3, 3, 3), drawn(5, 7)]
    assert float(gradient_matching.gradient_distance(real, [3 * r for r in real])) == pytest.approx(0, abs=1e-5)
    assert float(gradient_matching.gradient_distance(real, [-r for r in real])) == pytest.approx(2 * (4 + 5), abs=1e-5)


def test_a_row_without_a_gradient_is_at_distance_1_and_its_derivative_is_finite():
    real, made = [torch.zeros(2, 3)], [torch.zeros(2, 3, requires_grad=True)]
    distance = gradient_matching.gradient_distance(real, made)
    distance.backward()
    assert distance.item() == 2 and made[0].grad.isfinite().all()


def test_weights_are_matched_and_neither_biases_nor_norms():
    built = net()
    assert {id(p) for p in gradient_matching.matched(built)} == {
        id(m.weight) for m in built.modules() if isinstance(m, nn.Conv2d | nn.Linear)
    }


@pytest.mark.parametrize("block", [1, 3, 8, None])
def test_a_class_gradient_is_that_of_the_mean_loss_whatever_the_block(block):
    built, images = net(), drawn(8, 1, 8, 8)
    loss = torch.stack([F.cross_entropy(built(x[None]), torch.tensor([2])) for x in images]).mean()
    expected = torch.autograd.grad(loss, [p for p in built.parameters() if p.ndim >= 2])
    found = gradient_matching.class_gradient(built, images, 2, block=block)
    assert all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))
    assert not any(g.requires_grad for g in found)


@pytest.mark.parametrize("op", [None, "colour", "rotate", "cutout"])
def test_the_gradient_in_the_pixels_is_that_of_finite_differences(op):
    built, images = net(), drawn(2, 1, 8, 8, seed=1)
    real = gradient_matching.class_gradient(built, drawn(5, 1, 8, 8, seed=2), 1)
    rng = torch.Generator().manual_seed(0)
    one = dsa.draw(1, 8, False, rng, siamese=True, ops=(op,)) if op else None
    distance, gradient = gradient_matching.matching_gradient(built, images, 1, real, one)
    direction, step = drawn(*images.shape, seed=3), 1e-6
    ahead, behind = (
        gradient_matching.matching_gradient(built, images + sign * step * direction, 1, real, one)[0]
        for sign in (1, -1)
    )
    assert float((gradient * direction).sum()) == pytest.approx(float(ahead - behind) / (2 * step), rel=1e-4)
    assert not distance.requires_grad and gradient.abs().max() > 0
    assert all(p.grad is None for p in built.parameters())
