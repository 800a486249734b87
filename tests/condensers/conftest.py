"""A data set of three tiny classes and a teacher that has learnt nothing."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.budget import Budget
from decoct.core.kinds import Features, Inputs


@dataclass
class Toy:
    """Random images of a size; ``inputs`` builds what a runner would hand over."""

    data: SimpleNamespace
    teacher: nn.Module

    def inputs(self, ipc, seed=0, features=None, **rest):
        rows = self.data.train.images.reshape(len(self.data.train.labels), -1).astype(np.float32)
        needed = {} if features is None else {Features(): rows if features is True else features}
        given = {"teachers": {"teacher": self.teacher}, "features": needed}
        return Inputs(data=self.data, budget=Budget(ipc=ipc), seed=seed, **(given | rest))


@pytest.fixture
def toy():
    def make(size=8, channels=1, per_class=40, classes=3, flip=False):
        rng = np.random.default_rng(0)
        labels = rng.permutation(np.repeat(np.arange(classes), per_class))
        images = rng.integers(0, 256, (len(labels), channels, size, size), dtype=np.uint8)
        data = SimpleNamespace(
            train=SimpleNamespace(images=images, labels=labels),
            class_names=tuple("abcdefghij"[:classes]),
            mean=(0.5,) * channels,
            std=(0.25,) * channels,
            flip=flip,
            shape=(channels, size, size),
            size=size,
        )
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(channels, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, classes),
        )
        return Toy(data, net.eval())

    return make
