"""DATM: trajectory matching with learnt soft labels and start epochs that suit the size of the set."""

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from decoct.core.errors import UsageError
from decoct.core.interfaces import Inputs
from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import random_rows
from decoct.methods.matching._shared.synthetic import Synthetic, check_enough
from decoct.methods.matching._shared.trajectories import TrajectoryMatching
from decoct.needs.trajectory import Experts

BLOCK = 256  # images that an expert looks at together
COMMON: dict[str, Any] = {  # of the authors' settings
    "syn_steps": 80,
    "min_start_epoch": 0,
    "growth": 1,
    "lr_lr": 1e-5,
    "lr_teacher": 0.01,
    "lr_y": 2.0,
    "threshold": 1.0,
}
MANY = COMMON | {"min_start_epoch": 40, "max_start_epoch": 60, "batch_syn": 1000, "lr_img": 50.0, "lr_y": 10.0}


class DATM(TrajectoryMatching):
    """Difficulty-aligned trajectory matching (Guo et al., 2024, arXiv:2310.05773).

    MTT with three changes. A student's start epoch is at least ``min_start_epoch`` and below a bound that may grow from
    ``first_max_start_epoch`` to ``max_start_epoch`` over the first ``growth`` iterations; the student learns by
    cross-entropy from soft labels, the softmax of logits that are learnt too; and an update is skipped if the loss is
    above ``threshold``. The set starts from real images, in a random order, that the last weights of the first
    expert classify correctly; then those that the second does, and so on; where all experts together find too few in a
    class, those with the highest mean probability of it fill up (the authors' code loops forever). A logit is at
    first the mean over the experts that are right about the image, over all where none is. No further teacher.

    Soft labels and the learnt rate travel with the set: a student uses them where its protocol has ``own_labels`` and
    ``own_rate``. Numbers that may be None are those of the authors' configurations for CIFAR-10 by IPC: up to 1, 10,
    50, 500 and 1,000; the bound grows at 10 and 50 alone. All of them, and those for CIFAR-100 and Tiny-ImageNet, are
    for whitened images (``zca`` of the data). ``epochs`` is that of their command for experts, who are FTD's (Du et
    al., 2023, arXiv:2211.11004), trained for flat minima; here they are MTT's. The authors go through the experts in a
    random order, file by file; here each iteration draws one.

    Attributes:
        init: "right", images that experts are right about; or "real", random ones whose logits are the first expert's,
            as in the authors' configuration for CIFAR-100 at IPC 50.
        lr_y: of the logits.
        momentum_y: of SGD on them.
        min_start_epoch: the first start epoch.
        first_max_start_epoch: the bound at first; None for the authors', and for ``max_start_epoch`` where they have
            none or where that is less.
        growth: iterations over which the bound grows.
        threshold: the largest loss that moves anything.
    """

    quick = {"net": "convnet2_w8", "experts": 1, "epochs": 3, "iterations": 3, "syn_steps": 2}
    version = 2
    usual = {
        1: COMMON | {"max_start_epoch": 4, "lr_img": 100.0, "lr_lr": 1e-7, "lr_y": 5.0, "threshold": 1.1},
        10: COMMON | {"first_max_start_epoch": 10, "max_start_epoch": 20, "growth": 1000, "lr_img": 100.0},
        50: COMMON | {"first_max_start_epoch": 20, "max_start_epoch": 40, "growth": 2000, "lr_img": 1000.0},
        500: MANY | {"syn_steps": 40},
        1000: MANY | {"syn_steps": 100},
    }

    starting = frozenset({"min_start_epoch", "first_max_start_epoch", "max_start_epoch"})

    init: Literal["right", "real"] = "right"
    epochs: int = Field(100, ge=1)
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
        """As MTT's, and the start epochs in order: lowest, first bound, last bound.

        Raises:
            UsageError: one that is set does not go with the authors' others for this IPC.
        """
        spec = super().for_ipc(ipc)
        most = spec.max_start_epoch or 1
        first = min(spec.first_max_start_epoch or most, most)
        bounds = {"first_max_start_epoch": first, "min_start_epoch": min(spec.min_start_epoch or 0, first - 1)}
        for name, value in bounds.items():
            if (said := getattr(self, name)) not in (None, value):
                raise UsageError(
                    f"{self.name}: {name} {said} does not go with the bounds {first} and {most} of the start epoch at "
                    f"IPC {ipc}: set first_max_start_epoch and max_start_epoch too"
                )
        return spec.model_copy(update=bounds)

    def span(self, t: int) -> tuple[int, int]:
        """The bound at iteration t is  first + ⌊(last − first) · t / growth⌋, at most the last."""
        first, last = self.first_max_start_epoch or 1, self.max_start_epoch or 1
        return self.min_start_epoch or 0, min(last, first + (last - first) * t // (self.growth or 1))

    def groups(self, images: Tensor, rate: Tensor, labels: Tensor) -> list[dict[str, Any]]:
        """Images, step size and logits."""
        return [
            *super().groups(images, rate, labels),
            {"params": [labels], "lr": self.lr_y, "momentum": self.momentum_y},
        ]

    def takes(self, loss: Tensor) -> Tensor:
        """Updates whose loss is at most the threshold."""
        return loss <= (self.threshold or torch.inf)

    def start(self, inputs: Inputs, experts: Experts, ipc: int) -> tuple[Synthetic, Tensor]:
        """Real images and their logits, as ``init`` says.

        Raises:
            DecoctError: a class has fewer images than are to be made.
        """
        check_enough(inputs, self.name, ipc, "lower --ipc")
        data, scale, classes = inputs.data, Pixels.seen(inputs.data, inputs.device), inputs.wanted()
        last = [experts.parameters(experts.weights(e, self.epochs, inputs.device)) for e in range(len(experts))]

        def says(expert: int, rows: NDArray[np.int64]) -> Tensor:
            with torch.no_grad():
                x = scale.normalise(scale.load(data.train.images[rows]))
                return torch.cat([experts.logits(last[expert], part) for part in x.split(BLOCK)])

        if self.init == "real":
            rows = np.concatenate([random_rows(inputs, self.name, c, ipc) for c in classes])
        else:
            rows = np.concatenate([self._right(inputs, says, len(experts), c, ipc) for c in classes])
        labels = torch.tensor(classes, device=inputs.device).repeat_interleave(ipc)
        initial = np.array(data.train.images[rows])
        images = scale.normalise(scale.load(initial)).requires_grad_()
        asked = 1 if self.init == "real" else len(experts)
        outputs = torch.stack([says(expert, rows) for expert in range(asked)])
        right = (outputs.argmax(2) == labels).float()
        right = torch.where(right.any(0), right, 1.0)
        logits = (outputs * right[..., None]).sum(0) / right.sum(0)[:, None]
        return Synthetic(images, labels, initial, scale, [ipc] * len(inputs.wanted())), logits.requires_grad_()

    def _right(
        self, inputs: Inputs, says: Callable[[int, NDArray[np.int64]], Tensor], experts: int, c: int, ipc: int
    ) -> NDArray[np.int64]:
        """Rows of a class that the first expert is right about, then the second, …; then the likeliest."""
        order = random_rows(inputs, self.name, c, len(inputs.members()[inputs.wanted().index(c)]))
        taken, likely = np.zeros(len(order), bool), np.zeros(len(order))
        picked: list[int] = []
        for expert in range(experts):
            for begin in range(0, len(order), BLOCK):
                logits = says(expert, order[begin : begin + BLOCK])
                right = (logits.argmax(1) == c).cpu().numpy()
                likely[begin : begin + BLOCK] += logits.softmax(1)[:, c].cpu().numpy()
                new = begin + np.flatnonzero(right & ~taken[begin : begin + BLOCK])[: ipc - len(picked)]
                picked += new.tolist()
                taken[new] = True
                if len(picked) == ipc:
                    return order[picked]
        best = np.argsort(-np.where(taken, -np.inf, likely), kind="stable")
        return order[[*picked, *best[: ipc - len(picked)]]]
