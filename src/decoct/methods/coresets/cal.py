"""CAL: real images that a net predicts differently from their nearest neighbours."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from decoct.core.interfaces import Draft, Inputs, Need
from decoct.methods.coresets._shared.coreset import FeatureCoreset, Group
from decoct.methods.coresets._shared.gradients import Head
from decoct.needs.features import Features
from decoct.needs.teacher import Teacher
from decoct.select.nearest import neighbours


class CAL(FeatureCoreset):
    """Contrastive active learning (Margatina et al., 2021, arXiv:2109.03764), as a coreset.

    An image's score is the mean of KL(p_j ‖ p_i) over its nearest neighbours j in feature space; the images with the
    highest scores are kept, in that order. p is the teacher's, computed from its stored features. Departures: the paper
    looks for neighbours among labelled examples, here they are images of the same class, or all images if ``pooled``;
    DeepCore (Guo et al., 2022, arXiv:2204.08499) has the symmetric divergence and keeps the lowest scores.

    Attributes:
        teacher: whose probabilities.
        neighbours: of each image; its whole class if that has fewer.
    """

    teacher: str = "teacher"
    neighbours: int = Field(10, ge=1)

    def needs(self) -> tuple[Need, ...]:
        """Features to find neighbours in, and the teacher with the features that its classifier gets."""
        features = dict.fromkeys((Features(extractor=self.extractor), Features(extractor=self.teacher)))
        return (*features, Teacher(net=self.teacher))

    def __call__(self, inputs: Inputs) -> Draft:
        """Score and rank each class by itself, or all images."""
        head, seen = Head.needed(inputs, self.teacher), inputs.features[Features(extractor=self.teacher)]

        def pick(group: Group, features: NDArray[Any]) -> NDArray[np.int64]:
            log_p = head.logits(torch.from_numpy(seen[group.rows])).log_softmax(1)
            score = contrast(log_p, neighbours(features, self.neighbours)[0])
            return np.argsort(-score, kind="stable")[: group.quota]

        return self.picked(inputs, pick)


def contrast(log_p: Tensor, near: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n] mean_j KL(p_j ‖ p_i) = mean_j Σ_c p_jc (log p_jc − log p_ic) over the neighbours j of i; 0 without any.

    Args:
        log_p: [n, classes].
        near: [n, k] rows of neighbours.
    """
    score = torch.zeros(len(log_p), dtype=torch.float64)
    for j in torch.from_numpy(near).unbind(1):
        score += (log_p[j].exp() * (log_p[j] - log_p)).sum(1)
    mean: NDArray[np.float64] = (score / max(1, near.shape[1])).numpy()
    return mean
