"""Each transform against a rewrite that goes pixel by pixel; how draws are made; what a shared draw does."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from decoct.data.augment.dsa import DSA, OPS, Drawn, apply, draw


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def draw_op(op, count, size, seed=0, **options):
    """The first draw of an op from a stream of draws."""
    generator = rng(seed)
    while (drawn := draw(count, size, True, generator, **options)).op != op:
        pass
    return drawn


def at(image, y, x):
    """Bilinear colour at fractional pixel indices, zero outside."""
    size, total = image.shape[-1], torch.zeros(len(image), dtype=image.dtype)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < size and 0 <= column < size:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * image[:, row, column]
    return total


def naive(image, op, values):
    """One image by the formulas of the authors' code, pixel by pixel."""
    size, made = image.shape[-1], torch.zeros_like(image)
    if op == "colour":
        brightness, saturation, contrast = values
        image = image + brightness
        image = (image - image.mean(0)) * saturation + image.mean(0)
        return (image - image.mean()) * contrast + image.mean()
    centre = (size - 1) / 2
    for i in range(size):
        for j in range(size):
            y, x = i, j
            if op == "crop":
                y, x = i + values[0], j + values[1]
            elif op == "cutout":
                y = -9 if values[0] <= i < values[2] and values[1] <= j < values[3] else i
            elif op == "flip":
                x = size - 1 - j if values else j
            elif op == "scale":
                y, x = centre + (i - centre) * values[0], centre + (j - centre) * values[1]
            elif op == "rotate":
                y = centre + (i - centre) * math.cos(values) + (j - centre) * math.sin(values)
                x = centre + (j - centre) * math.cos(values) - (i - centre) * math.sin(values)
            made[:, i, j] = at(image, y, x)
    return made


@pytest.mark.parametrize("op", OPS)
@settings(deadline=None, max_examples=8)
@given(channels=st.sampled_from([1, 3]), size=st.integers(2, 9), seed=st.integers(0, 2**31))
def test_each_transform_is_its_naive_rewrite(op, channels, size, seed):
    images = torch.randn(4, channels, size, size, generator=rng(seed), dtype=torch.float64)
    drawn = draw_op(op, 4, size, seed)
    made = apply(images, drawn)
    for image, values, ours in zip(images, drawn.values.tolist(), made, strict=True):
        torch.testing.assert_close(ours, naive(image, op, values), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("flip", "ops"), [(True, set(OPS)), (False, set(OPS) - {"flip"})])
def test_transforms_are_equally_likely_and_flip_is_left_out_where_asked(flip, ops):
    generator, draws = rng(), 300 * len(ops)
    seen = [draw(1, 8, flip, generator).op for _ in range(draws)]
    assert set(seen) == ops
    assert sum((seen.count(op) - 300) ** 2 / 300 for op in ops) < 20.5  # chi-square, at most 5 degrees: p < 0.001


def test_a_choice_of_transforms_is_kept_to_and_each_is_as_likely():
    """CIM's three; the data's flip has no say where transforms are named."""
    ops, generator = ("crop", "cutout", "flip"), rng(4)
    seen = [draw(1, 8, False, generator, ops=ops).op for _ in range(900)]
    assert set(seen) == set(ops)
    assert sum((seen.count(op) - 300) ** 2 / 300 for op in ops) < 13.8  # chi-square with 2 degrees: p < 0.001
    assert {draw(1, 8, True, generator, ops=("rotate",)).op for _ in range(20)} == {"rotate"}


@pytest.mark.parametrize("flip", [True, False])
def test_all_transforms_named_are_none_named(flip):
    named = OPS if flip else OPS[:-1]
    for seed in range(20):
        one, other = draw(3, 8, flip, rng(seed)), draw(3, 8, flip, rng(seed), ops=named)
        assert one.op == other.op and torch.equal(one.values, other.values)


def test_parameters_are_uniform_over_the_ranges_of_the_paper():
    def uniform(values, low, high):
        return kstest(values.numpy(), "uniform", (low, high - low)).pvalue > 1e-3

    brightness, saturation, contrast = draw_op("colour", 2000, 32).values.T
    assert uniform(brightness, -0.5, 0.5) and uniform(saturation, 0, 2) and uniform(contrast, 0.5, 1.5)
    height, width = draw_op("scale", 2000, 32).values.T
    assert uniform(height, 1 / 1.2, 1.2) and uniform(width, 1 / 1.2, 1.2)
    assert abs(torch.corrcoef(torch.stack([height, width]))[0, 1]) < 0.1
    assert uniform(draw_op("rotate", 2000, 32).values.rad2deg(), -15, 15)
    assert abs(draw_op("flip", 2000, 32).values.float().mean() - 0.5) < 0.05
    assert draw_op("crop", 2000, 32).values.unique().tolist() == list(range(-4, 5))
    top, left, bottom, right = draw_op("cutout", 2000, 32).values.T
    assert (bottom - top == 16).all() and (right - left == 16).all()
    assert top.unique().tolist() == list(range(-8, 25))  # a part of the square may be outside
    top, _, bottom, _ = draw_op("cutout", 2000, 32, params=DSA(cutout=0.1)).values.T
    assert (bottom - top == 3).all()
    assert top.unique().tolist() == list(range(-1, 31))  # the centre is inside


@pytest.mark.parametrize("op", OPS)
def test_a_shared_draw_transforms_batches_of_different_sizes_alike(op):
    shared, own = draw_op(op, 5, 12, siamese=True), draw_op(op, 5, 12)
    assert len(shared.values) == 1
    real, synthetic = torch.randn(5, 3, 12, 12, generator=rng()), torch.randn(2, 3, 12, 12, generator=rng(1))
    made = apply(torch.cat([real, synthetic]), shared)
    torch.testing.assert_close(made[:5], apply(real, shared))
    torch.testing.assert_close(made[5:], apply(synthetic, shared))
    same = apply(real[:1].expand(4, 3, 12, 12), shared)
    torch.testing.assert_close(same, same[:1].expand(4, 3, 12, 12))
    if op != "flip":
        assert not torch.equal(same[0], real[0])
    assert own.values.shape[1:] == shared.values.shape[1:]


def test_a_shared_draw_is_the_first_image_s():
    seen = set()
    for seed in range(40):
        own, shared = draw(6, 16, True, rng(seed)), draw(6, 16, True, rng(seed), siamese=True)
        assert own.op == shared.op
        assert torch.equal(own.values[:1], shared.values)
        seen.add(own.op)
    assert seen == set(OPS)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("size", [7, 8])
def test_strengths_of_zero_change_nothing(op, size):
    none = DSA(flip=0, rotate=0, saturation=0, brightness=0, contrast=0, scale=1, crop=0, cutout=0)
    images = torch.randn(3, 3, size, size, generator=rng())
    torch.testing.assert_close(apply(images, draw_op(op, 3, size, params=none)), images, atol=1e-5, rtol=1e-5)


def test_a_quarter_turn_is_counter_clockwise():
    images = torch.randn(2, 3, 9, 9, generator=rng())
    turned = apply(images, Drawn("rotate", torch.tensor([math.pi / 2, 0.0])))
    torch.testing.assert_close(turned[0], images[0].rot90(1, (1, 2)), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned[1], images[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("siamese", [False, True])
def test_gradients_reach_the_pixels(op, siamese):
    images = torch.randn(2, 2, 5, 5, generator=rng(), dtype=torch.float64, requires_grad=True)
    drawn = draw_op(op, 2, 5, siamese=siamese)
    assert torch.autograd.gradcheck(lambda x: apply(x, drawn), images)
    assert torch.autograd.grad(apply(images, drawn).square().sum(), images)[0].abs().sum() > 0


def test_draws_come_from_the_generator_alone():
    def draws(seed):
        generator = rng(seed)
        made = [draw(4, 10, True, generator) for _ in range(12)]
        return [(drawn.op, drawn.values.tolist()) for drawn in made]

    torch.random.default_generator.manual_seed(0)
    state = torch.random.get_rng_state()
    one = draws(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert draws(1) == one
    assert draws(2) != one
