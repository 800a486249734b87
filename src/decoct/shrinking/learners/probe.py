"""A linear classifier on the pool's features: of a frozen, pretrained net, in seconds."""

import time
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.seeds import seed as derive
from decoct.needs.dynamics import Traces, record
from decoct.shrinking.learner import Learner, Material, Rows
from decoct.shrinking.made import Made, Set
from decoct.shrinking.pool import Pool
from decoct.study.execute import threads as computing
from decoct.training.batches import TrainingSet
from decoct.training.probe import fit
from decoct.training.recipe import Recipe, epoch_steps

BLOCK = 8192  # rows that are predicted at once


@dataclass(frozen=True)
class Probe(Learner):
    """Multinomial logistic regression on standardised features with an L2 penalty, solved by L-BFGS: nothing is drawn.

    Where methods need traces of a training, the same classifier is trained by AdamW for some epochs.

    Attributes:
        extractor: title of what made the features.
        strength: C, as ``decoct.training.probe.fit`` has it; smaller is a stronger penalty.
        epochs: of the training that is traced.
        lr: its rate at the start.
        batch: its images a step.
    """

    stochastic: ClassVar[bool] = False

    extractor: str
    strength: float | None = None
    epochs: int = 20
    lr: float = 1e-3
    batch: int = 128

    @property
    def title(self) -> str:
        """Such as "a linear probe on timm:tf_efficientnet_lite0"."""
        return f"a linear probe on {self.extractor.partition('@')[0]}"

    def config(self) -> dict[str, Any]:
        """The fields."""
        return {"learner": "probe", "version": 1, **asdict(self)}

    def probabilities(self, pool: Pool, rows: Set, held: Rows, seed: int, threads: int = 1) -> NDArray[np.float32]:
        """Of the one classifier that the rows have; the seed decides nothing."""
        if isinstance(rows, Made):
            raise DecoctError("a linear probe learns from features of original files, and made images have none")
        features, made = _features(pool), np.empty((len(held), len(pool.class_names)), np.float32)
        with computing(threads):
            found = fit(features[rows], pool.labels[rows], len(pool.class_names), strength=self.strength)
            for at in range(0, len(held), BLOCK):
                made[at : at + BLOCK] = found.probabilities(features[held[at : at + BLOCK]])
        return made

    def material(self, pool: Pool, rows: Rows, seed: int, threads: int = 1) -> Material:
        """The pool's features, and the traces of a training by minibatches."""
        start = time.perf_counter()
        features = np.array(_features(pool)[rows], np.float32)
        deviation, mean = features.std(0, dtype=np.float64), features.mean(0, dtype=np.float64)
        deviation[deviation == 0] = 1.0
        pixels = torch.from_numpy(features)[:, :, None, None]  # every feature is a channel of an image of one pixel
        data = TrainingSet(pixels, torch.from_numpy(pool.labels[rows]), mean.tolist(), deviation.tolist())
        batch = min(self.batch, len(rows))
        steps = self.epochs * epoch_steps(len(rows), batch, drop_single=False)
        recipe = Recipe(steps, batch, "adamw", self.lr, weight_decay=0.01, schedule="cosine", drop_single=False)
        with computing(threads):
            layer = nn.Linear(features.shape[1], len(pool.class_names))
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
            net = nn.Sequential(nn.Flatten(), layer)
            trace = record(net, data, recipe, seed=derive(seed, "student"), batch=BLOCK)
        return Material(features, Traces((trace,)), time.perf_counter() - start)

    def work(self, rows: int) -> float:
        """In proportion to the rows, and what every call takes besides."""
        return float(rows + 200)


def _features(pool: Pool) -> NDArray[Any]:
    if pool.features is None:
        raise DecoctError("a linear probe learns from features of a frozen net, and these images were read without")
    return pool.features
