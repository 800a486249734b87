"""Small sets and nets for training."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from decoct.engine.batches import TrainingSet
from decoct.nets.convnet import ConvNet

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def toy() -> Make:
    """Make a set of random bytes: toy(n=20, size=8), with the mean .4 and deviation .3 in every channel."""

    def make(
        n: int = 20, classes: int = 3, size: int = 4, channels: int = 1, seed: int = 0, **rest: Any
    ) -> TrainingSet:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, classes, (n,), generator=generator)
        return TrainingSet(images, labels, (0.4,) * channels, (0.3,) * channels, **rest)

    return make


@pytest.fixture(scope="session")
def linear() -> Make:
    """Make a linear net for flattened images: linear(features=64, seed=1)."""

    def make(features: int = 16, classes: int = 3, seed: int = 0) -> nn.Sequential:
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))

    return make


@pytest.fixture(scope="session")
def normal_net() -> Make:
    """Make a small net with batch norm for images of 8 px: normal_net(channels=3, seed=1)."""

    def make(channels: int = 1, classes: int = 3, size: int = 8, seed: int = 0) -> ConvNet:
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            return ConvNet(channels, classes, size, width=8, depth=2, norm="batch")

    return make
