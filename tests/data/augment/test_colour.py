"""Colours against torchvision's adjustments, one image and one operation at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm
from torchvision.transforms.v2 import functional as reference

from decoct.data.augment.colour import EIGENVALUES, EIGENVECTORS, Jitter, draw_jitter, draw_lighting, jitter, lighting

ADJUST = (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=60)
@given(
    channels=st.sampled_from([1, 3]),
    size=st.integers(1, 12),
    strength=st.sampled_from([0.0, 0.1, 0.4, 1.0, 1.5]),
    seed=st.integers(0, 2**31),
)
def test_jitter_is_torchvision_s_adjustments_in_the_order_drawn(channels, size, strength, seed):
    images = torch.rand(8, channels, size, size, generator=rng(seed))
    drawn = draw_jitter(8, strength, rng(seed))
    made = jitter(images, drawn)
    for image, factors, order, ours in zip(images, drawn.factors.tolist(), drawn.order.tolist(), made, strict=True):
        for kind in order:
            image = ADJUST[kind](image, factors[kind])
        torch.testing.assert_close(ours, image, atol=2e-6, rtol=0)


def test_factors_and_orders_are_uniform():
    drawn = draw_jitter(6000, 0.4, rng())
    for factors in drawn.factors.T.numpy():
        assert kstest(factors, "uniform", (0.6, 0.8)).pvalue > 1e-3
    orders, counts = drawn.order.unique(dim=0, return_counts=True)
    assert len(orders) == 6
    assert ((counts - 1000) ** 2 / 1000).sum() < 20.5  # chi-square with 5 degrees: p < 0.001
    assert draw_jitter(1000, 2.0, rng()).factors.min() >= 0


@pytest.mark.parametrize("channels", [1, 3])
def test_strength_zero_changes_nothing(channels):
    images = torch.rand(5, channels, 6, 6, generator=rng())
    assert torch.equal(jitter(images, draw_jitter(5, 0, rng())), images)
    assert torch.equal(lighting(images, draw_lighting(5, 0, rng())), images)


def test_saturation_leaves_grey_images_as_they_are():
    images = torch.rand(3, 1, 5, 5, generator=rng())
    saturated = Jitter(torch.tensor([[1.0, 1.0, 0.3]] * 3), torch.tensor([[2, 0, 1]] * 3))
    assert torch.equal(jitter(images, saturated), images)


def test_lighting_adds_principal_components():
    images = torch.rand(20, 3, 4, 5, generator=rng())
    alphas = draw_lighting(20, 0.1, rng(1))
    made = lighting(images, alphas)
    for image, alpha, ours in zip(images, alphas, made, strict=True):
        expected = image.clone()
        for channel in range(3):
            for component in range(3):
                expected[channel] += EIGENVECTORS[channel][component] * EIGENVALUES[component] * float(alpha[component])
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)
    grey = lighting(images[:, :1], alphas)
    shift = (made - images).mean((1, 2, 3))
    torch.testing.assert_close(grey - images[:, :1], shift.view(20, 1, 1, 1).expand(20, 1, 4, 5), atol=1e-6, rtol=0)


def test_lighting_s_weights_are_normal_and_its_components_orthonormal():
    weights = draw_lighting(2000, 0.1, rng()).numpy()
    assert all(kstest(column, norm(0, 0.1).cdf).pvalue > 1e-3 for column in weights.T)
    assert np.corrcoef(weights.T) == pytest.approx(np.eye(3), abs=0.08)
    vectors = np.array(EIGENVECTORS)
    assert vectors.T @ vectors == pytest.approx(np.eye(3), abs=1e-3)


def test_gradients_reach_the_pixels():
    images = 0.4 + 0.2 * torch.rand(2, 3, 3, 3, generator=rng(), dtype=torch.float64)
    drawn, alphas = draw_jitter(2, 0.1, rng()), draw_lighting(2, 0.1, rng())
    assert torch.autograd.gradcheck(lambda x: lighting(jitter(x, drawn), alphas), images.requires_grad_())


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channels_are_refused(channels):
    images = torch.rand(1, channels, 3, 3)
    with pytest.raises(ValueError, match=f"{channels} channels"):
        jitter(images, draw_jitter(1, 0.4, rng()))
    with pytest.raises(ValueError, match=f"{channels} channels"):
        lighting(images, draw_lighting(1, 0.1, rng()))


def test_draws_come_from_the_generator_alone():
    def draw(seed):
        drawn = draw_jitter(9, 0.4, rng(seed))
        return torch.cat([drawn.factors, drawn.order, draw_lighting(9, 0.1, rng(seed))])

    torch.random.default_generator.manual_seed(0)
    one = draw(1)
    torch.random.default_generator.manual_seed(1)
    assert torch.equal(draw(1), one)
    assert not torch.equal(draw(2), one)
