"""Realism: whether a net that took no part in making the set sees in its images what their labels say."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured, Metric, Reading
from decoct.metrics._measure import mean_readings, rows_by_class
from decoct.select.nearest import as_features


def realism(logits: ArrayLike | Tensor, labels: ArrayLike | Tensor) -> dict[str, float]:
    """Confidence and agreement of a teacher with the labels y of a set, z its logits.

    p_true = mean_i softmax(z_i)[y_i]        top1 = mean_i 1[argmax z_i = y_i]

    The teacher must be held out: the one that an image was optimised or labelled with is confident of it by
    construction.

    Args:
        logits: [n, classes].
        labels: [n] classes.

    Returns:
        p_true: mean softmax probability of the image's class. top1: fraction where that class is the likeliest, and the
        first of those that are as likely.

    Raises:
        ValueError: logits that are empty or not finite; labels that do not fit them.

    Example:
        >>> decoct.functional.realism(np.array([[2.0, 0.0], [0.0, 3.0]]), [0, 0])["top1"]
        0.5
    """
    scores = as_features(logits, "logits of the held-out teacher as")
    own = labels if isinstance(labels, Tensor) else torch.from_numpy(np.array(labels))  # may be read-only: a copy
    truth = own.to(scores.device, torch.int64)
    if truth.shape != (len(scores),):
        raise ValueError(f"{len(scores)} rows of logits need as many labels, not {list(truth.shape)}")
    if truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise ValueError(f"labels run from {truth.min()} to {truth.max()}, but there are {scores.shape[1]} classes")
    p = scores.double().softmax(1)
    return {
        "p_true": p.gather(1, truth[:, None]).mean().item(),
        "top1": (scores.argmax(1) == truth).double().mean().item(),
    }


class Realism(Metric):
    """Confidence and agreement of the held-out teacher."""

    axis = "quality"
    needs = "logits"
    lead = ("p_true",)
    limits = {"p_true": (0, 1), "top1": (0, 1)}
    higher_is_better = {"p_true": True, "top1": True}

    def __call__(self, measured: Measured) -> list[Reading]:
        """Mean over classes, and over images."""
        rows = [r for r in rows_by_class(measured.labels, len(measured.class_names)) if len(r)]
        try:
            pooled = realism(measured.logits, measured.labels)
            each = [realism(measured.logits[r], measured.labels[r]) for r in rows]
        except ValueError as error:
            raise DecoctError(f"cannot measure realism: {error}") from error
        return mean_readings(each, "none") + [Reading(name, value, "pooled", "none") for name, value in pooled.items()]
