"""A learner for tests that takes milliseconds: the nearest class mean of pixels, of four fifths of the rows by seed."""

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from decoct.needs.dynamics import Trace, Traces
from decoct.shrinking.choose import quotas
from decoct.shrinking.learner import Learner, Material
from decoct.shrinking.made import Made


@dataclass(frozen=True)
class NearestMean(Learner):
    """Real, small and imperfect: more rows make its means better."""

    stochastic: ClassVar[bool] = True
    slow: float = 0.0

    @property
    def title(self):
        return "nearest mean"

    def config(self):
        return {"learner": "nearest_mean"}

    def probabilities(self, pool, rows, held, seed, threads=1):
        time.sleep(self.slow)
        x, labels = (rows.images, rows.labels) if isinstance(rows, Made) else (pool.images[rows], pool.labels[rows])
        some = np.random.default_rng(seed).permutation(len(rows))[: max(1, round(0.8 * len(rows)))]
        return _said(*_means(_flat(x), labels, some, len(pool.class_names)), _flat(pool.images[held]))

    def material(self, pool, rows, seed, threads=1):
        x = _flat(pool.images[rows])
        said = _said(*_means(x, pool.labels[rows], np.arange(len(rows)), len(pool.class_names)), x)
        own = said[np.arange(len(rows)), pool.labels[rows]]
        two = np.stack([own, own]).astype(np.float32)
        others = said.copy()
        others[np.arange(len(rows)), pool.labels[rows]] = 0
        right = np.stack([said.argmax(1) == pool.labels[rows]] * 2).astype(np.uint8)
        run = Trace(
            probability=two,
            error=1 - two,
            margin=two - others.max(1),
            confidence=two,
            entropy=-two * np.log(two + 1e-9),
            gap=two,
            correct=right,
            gradient=1 - two,
            shift=np.zeros((1, len(rows)), np.float32),
        )
        return Material(x.astype(np.float32), Traces((run,)), 0.01)

    def work(self, rows):
        return float(rows)


def means_of(spec, pool, rows, n, seed, device, folder):
    """In place of ``distil.make``: images that are near the mean of their class, which suits the toy."""
    counts, rng = pool.counts(rows), np.random.default_rng(seed)
    images, labels = [], []
    for c, number in enumerate(quotas(counts, n)):
        mean = pool.images[rows[pool.labels[rows] == c]].mean(0)
        images += [np.clip(mean + rng.normal(0, 1, mean.shape), 0, 255).astype(np.uint8) for _ in range(number)]
        labels += [c] * number
    return Made(np.stack(images), np.array(labels), 30.0)


def _flat(images):
    return images.reshape(len(images), -1).astype(np.float64) / 255


def _means(x, labels, some, number):
    """Means of the classes; of one without a row in ``some``, those of all."""
    classes = np.unique(labels)
    means = []
    for c in classes:
        own = some[labels[some] == c]
        means.append(x[own if len(own) else labels == c].mean(0))
    return classes, np.stack(means), number


def _said(classes, means, number, x):
    far = ((x[:, None] - means[None]) ** 2).sum(2)
    near = np.exp(-(far - far.min(1, keepdims=True)))
    said = np.zeros((len(x), number), np.float32)
    said[:, classes] = near / near.sum(1, keepdims=True)
    return said


def blobs(n, classes=3, side=4, noise=70, seed=0):
    """[n, 3, side, side] uint8 noisy pictures of a class each, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.integers(80, 176, (classes, 3, side, side))
    images = np.clip(centres[labels] + rng.normal(0, noise, (n, 3, side, side)), 0, 255).astype(np.uint8)
    return images, labels
