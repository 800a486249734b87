"""A data set with planted mislabelled, ambiguous, duplicate and easy images, and what two real trainings make of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs
from decoct.needs.dynamics import Dynamics, Traces, record
from decoct.nets.convnet import ConvNet
from decoct.training.batches import TrainingSet
from decoct.training.recipe import Recipe, epoch_steps

CLASSES, EPOCHS = 3, 30
KINDS = ("easy",) * 30 + ("noisy",) * 14 + ("ambiguous",) * 8 + ("mislabelled",) * 6 + ("duplicate",) * 2  # of a class


class Planted:
    """180 images of 8 × 8: a pattern a class, and noise.

    Attributes:
        labels: [N]; one in ten is wrong.
        kind: [N] easy, with little noise; noisy; ambiguous, halfway to another class; mislabelled, else noisy; or a
            duplicate of the first easy image of its class.
        traces: of two trainings that learn the wrong labels in part, by heart and late.
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        patterns = rng.integers(40, 216, (CLASSES, 1, 8, 8)).astype(float)
        self.labels, self.kind = np.repeat(np.arange(CLASSES), len(KINDS)), np.tile(KINDS, CLASSES)
        images = patterns[np.where(self.of("mislabelled"), (self.labels + 1) % CLASSES, self.labels)]
        images[self.of("ambiguous")] += patterns[(self.labels + 2) % CLASSES][self.of("ambiguous")]
        images[self.of("ambiguous")] /= 2
        noise = np.where(self.of("easy"), 10, 25)[:, None, None, None]
        images = (images + noise * rng.normal(size=images.shape)).clip(0, 255).astype(np.uint8)
        for c in range(CLASSES):
            images[self.of("duplicate") & (self.labels == c)] = images[self.of("easy") & (self.labels == c)][0]
        self.images = images
        self.traces = Traces(tuple(self._train(seed) for seed in range(2)))

    def of(self, kind):
        return self.kind == kind

    def _train(self, seed):
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(seed)
            net = ConvNet(1, CLASSES, 8, width=16, depth=1, norm="batch")
        steps = EPOCHS * epoch_steps(len(self.labels), 30)
        data = TrainingSet(torch.from_numpy(self.images), torch.from_numpy(self.labels), (0.5,), (0.25,))
        return record(net, data, Recipe(steps, 30, "adamw", 1e-2, 0.01, "cosine"), seed=seed)

    def inputs(self, method, ipc=None, seed=5, budget=None, **rest):
        """What a runner would hand to a method that scores by traces; two runs, whatever it asks for."""
        split = SimpleNamespace(images=self.images, labels=self.labels)
        data = SimpleNamespace(train=split, class_names=("a", "b", "c"))
        (need,) = method.needs()
        assert isinstance(need, Dynamics)
        return Inputs(
            data=data, budget=budget or Budget(ipc=ipc), seed=seed, **({"dynamics": {need: self.traces}} | rest)
        )

    def above(self, difficulty, kind, other):
        """How often an image of a kind is harder than one of another: 1 for always, .5 for by chance."""
        ours, theirs = difficulty[self.of(kind)][:, None], difficulty[self.of(other)]
        return (ours > theirs).mean() + (ours == theirs).mean() / 2


@pytest.fixture(scope="session")
def planted():
    return Planted()
