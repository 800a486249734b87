"""What nets say of images that they were not trained on: cross-validation on the train split."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from decoct.core import arrayfile
from decoct.core.bounds import TIMES
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Task
from decoct.core.needs import Need, Part, Plan, Work
from decoct.data.dataset import Dataset
from decoct.needs.teacher import Teach, Teacher, seen_whitened, taught_throughout
from decoct.nets import zoo
from decoct.nets.features import logits
from decoct.training.loop import TrainingSet, train

ROWS, PROBABILITIES = "rows.npy", "probabilities.npy"
BLOCK = 4096  # images that are looked at together


class OutOfSample(Need):
    """Class probabilities [N, classes] of all train images, each by a net that was trained without it.

    The train split is cut into folds with about the same share of each class. For each fold a net is trained on the
    others, whose images it holds in memory, and asked about the fold's images as they are.

    Attributes:
        net: that is trained, as the teacher of that name is but that no accuracy ends it; a net that is loaded is
            trained as usual. ``"teacher"`` is the default label teacher.
        epochs: None for as many as the teacher gets.
        folds: so many nets.
    """

    net: str = "teacher"
    epochs: int | None = Field(None, ge=1)
    folds: int = Field(5, ge=2, le=TIMES)

    def check(self) -> None:
        """Raise a UsageError if the zoo does not know the net."""
        Teacher(net=self.net).check()

    def parts(self, plan: Plan) -> list[Part]:
        """A training for each fold."""
        spec = taught_throughout(plan, self.net, self.epochs)
        split = plan.derive("out_of_sample", self.folds)
        return [
            Part(
                self._named(zoo.resolve(self.net, plan.data.size), fold),
                spec,
                {
                    "seed": plan.derive("out_of_sample", spec.net, self.folds, fold),
                    "split": split,
                    "folds": self.folds,
                    "fold": fold,
                },
                labels={"net": spec.net, "training": f"{spec.epochs} epochs without fold {fold + 1} of {self.folds}"},
            )
            for fold in range(self.folds)
        ]

    @classmethod
    def make(cls, work: Work) -> None:
        """Train a net without the images of a fold, and ask it about them; its weights are not kept.

        Files:
            rows.npy: the fold's images by their index in the train split [n]
            probabilities.npy: what the net says of them [n, classes]
        """
        data, spec, seed, machine = work.data, Teach.again(work.job.config), work.job.keyed["seed"], work.machine()
        held = in_fold(data.train.labels, work.job.keyed)
        rest = np.flatnonzero(~held)
        if not held.any() or len(rest) < 2:
            raise DecoctError(f"{len(held)} train images are too few for so many folds: lower folds")
        net = zoo.build(spec.net, data.shape[0], len(data.class_names), data.size, seed)
        images = torch.from_numpy(np.ascontiguousarray(data.train.images[rest]))
        labels = torch.from_numpy(np.asarray(data.train.labels)[rest])
        with work.meter():
            given = TrainingSet(images, labels, data.mean, data.std, None, data.whitening)
            train(net, given, spec.recipe(Task.of(data, images=len(rest))), seed=seed, machine=machine)
            said = probabilities(net, data, np.flatnonzero(held), work.device)
        np.save(work.folder / ROWS, np.flatnonzero(held))
        np.save(work.folder / PROBABILITIES, said)

    def load(self, work: Work) -> dict[str, dict[Need, NDArray[np.float32]]]:
        """The folds put together, [N, classes]."""
        net = zoo.resolve(self.net, work.data.size)
        whole = np.empty((len(work.data.train), len(work.data.class_names)), np.float32)
        for fold in range(self.folds):
            folder = work.cell("out_of_sample", self._named(net, fold))
            whole[arrayfile.load(folder / ROWS)] = arrayfile.read(folder / PROBABILITIES)
        return {"others": {self: whole}}

    def _named(self, net: str, fold: int) -> str:
        return f"{net}/{self.epochs or 'own'}/{fold}-of-{self.folds}"


def in_fold(labels: NDArray[np.int64], keyed: Mapping[str, Any]) -> NDArray[np.bool_]:
    """[N] which images belong to a fold: every ``folds``-th in a random order of each class, class after class.

    Args:
        labels: [N] classes.
        keyed: of the part: ``folds``, ``fold`` from 0, and ``split``, the seed that all folds share.
    """
    shuffled = np.random.default_rng(keyed["split"]).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held = np.zeros(len(labels), bool)
    held[by_class[keyed["fold"] :: keyed["folds"]]] = True
    return held


def probabilities(net: nn.Module, data: Dataset, rows: NDArray[np.int64], device: str) -> NDArray[np.float32]:
    """[n, classes] of some train images, not augmented.

    Raises:
        DecoctError: logits that are not finite.
    """
    seeing, said = seen_whitened(net, data), []
    for at in range(0, len(rows), BLOCK):
        images = torch.from_numpy(np.array(data.train.images[rows[at : at + BLOCK]]))
        out = logits(seeing, images, data.mean, data.std, device)
        if not out.isfinite().all():
            raise DecoctError("the net's logits are not finite: lower lr")
        said.append(out.double().softmax(1).float().numpy())
    return np.concatenate(said)
