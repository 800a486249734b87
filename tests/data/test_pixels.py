"""8-bit pixels survive the way to normalised floats and back."""

from types import SimpleNamespace

import torch

from decoct.data.pixels import Pixels

PIXELS = Pixels.of(SimpleNamespace(mean=(0.485, 0.1307), std=(0.229, 0.3081)), "cpu")
LEVELS = torch.arange(256, dtype=torch.uint8).view(16, 1, 1, 16).expand(16, 2, 3, 16)


def test_every_level_comes_back():
    assert torch.equal(PIXELS.truncate(PIXELS.normalise(PIXELS.load(LEVELS.numpy().copy()))), LEVELS)


def test_bits_are_truncated_not_rounded():
    assert torch.equal(PIXELS.truncate(PIXELS.normalise(LEVELS.float() + 0.9)), LEVELS)


def test_range_is_that_of_the_paper():
    mean, std = torch.tensor([0.485, 0.1307]), torch.tensor([0.229, 0.3081])
    torch.testing.assert_close(PIXELS.low.flatten(), -mean / std)
    torch.testing.assert_close(PIXELS.high.flatten(), (1 - mean) / std)
