"""DATM: trajectory matching with soft labels that are learnt, on start epochs that suit the size of the set."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from decoct.core.kinds import Inputs
from decoct.core.seeds import seed
from decoct.engine.experts import Experts
from decoct.engine.pixels import Pixels
from decoct.engine.synthetic import Synthetic, check_enough
from decoct.engine.trajectory_matching import TrajectoryMatching

BLOCK = 256  # images that an expert looks at together


class DATM(TrajectoryMatching):
    """Difficulty-aligned trajectory matching (Guo et al., 2024, arXiv:2310.05773).

    MTT, but that a student's start epoch is at least ``min_start_epoch`` and below a bound that grows from
    ``first_max_start_epoch`` to ``max_start_epoch`` over the first ``growth`` iterations; that the student learns by
    cross-entropy from soft labels, the softmax of logits that are learnt too; and that an update is left out where the
    loss is above ``threshold``. The set starts from real images, in a random order, that the last weights of the first
    expert classify correctly; then those that the second does, and so on; where all experts together find too few in a
    class, those with the highest mean probability of it fill up (the authors' code goes round for ever). A logit is at
    first the mean over the experts that are right about the image, over all where none is. No further teacher.

    The soft labels travel with the set: a student learns from them where its protocol has ``own_labels``. Numbers that
    may be None are the authors' for CIFAR-10 by IPC: up to 1, up to 10, up to 50, and above. The authors train experts
    as FTD does and whiten the images (ZCA); here experts are MTT's, and students see the images of every set alike.

    Attributes:
        lr_y: of the logits.
        momentum_y: of SGD on them.
        min_start_epoch: the first start epoch.
        first_max_start_epoch: the bound at first; None for the authors', and for ``max_start_epoch`` where they have
            none or where that is less.
        growth: iterations over which the bound grows.
        threshold: the largest loss that moves anything.
    """

    quick: ClassVar[dict[str, Any]] = {"net": "convnet3_w8", "experts": 1, "epochs": 3, "iterations": 3, "syn_steps": 2}
    usual: ClassVar[Mapping[int, Mapping[str, Any]]] = {
        1: COMMON | {"max_start_epoch": 4, "lr_img": 100.0, "lr_lr": 1e-7, "lr_y": 5.0, "threshold": 1.1},
        10: COMMON | {"first_max_start_epoch": 10, "max_start_epoch": 20, "growth": 1000, "lr_img": 100.0},
        50: COMMON | {"first_max_start_epoch": 20, "max_start_epoch": 40, "growth": 2000, "lr_img": 1000.0},
        1000: COMMON
        | {"min_start_epoch": 40, "first_max_start_epoch": 56, "max_start_epoch": 60, "growth": 10}
        | {"syn_steps": 40, "batch_syn": 1000, "lr_img": 50.0, "lr_y": 10.0},
    }

    iterations: int = Field(10000, ge=1)
    lr_y: float | None = Field(None, ge=0)
    momentum_y: float = Field(0.9, ge=0, lt=1)
    min_start_epoch: int | None = Field(None, ge=0)
    first_max_start_epoch: int | None = Field(None, ge=1)
    growth: int | None = Field(None, ge=1)
    threshold: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _epochs_to_start_from(self) -> Self:
        low, most = self.min_start_epoch or 0, self.max_start_epoch
        for bound in (self.first_max_start_epoch, most, self.epochs - self.expert_epochs):
            if bound is not None and low >= bound:
                said = f"min_start_epoch {low} leaves no epoch to start from below {bound}"
                raise PydanticCustomError("trajectory", "{said}: lower it", {"said": said})
        if most is not None and (self.first_max_start_epoch or 0) > most:
            said = f"first_max_start_epoch {self.first_max_start_epoch} is above max_start_epoch {most}"
            raise PydanticCustomError("trajectory", "{said}: lower it", {"said": said})
        return self

    def for_ipc(self, ipc: int) -> Self:
        """As MTT's; the bounds of the start epoch in order, of which those that the user set stay."""
        spec = super().for_ipc(ipc)
        most = spec.max_start_epoch or 1
        first = spec.first_max_start_epoch or most
        if self.first_max_start_epoch is not None:
            most = max(most, first)
        first = min(first, most)
        low = min(spec.min_start_epoch or 0, first - 1)
        if self.min_start_epoch is not None and low < self.min_start_epoch:
            low, first, most = self.min_start_epoch, self.min_start_epoch + 1, max(most, self.min_start_epoch + 1)
        return spec.model_copy(
            update={"min_start_epoch": low, "first_max_start_epoch": first, "max_start_epoch": most}
        )
