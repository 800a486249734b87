"""Hard labels, from pretrained weights: the student is fine-tuned under a fresh head."""

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from decoct.core.interfaces import Start, Task
from decoct.training.recipe import FromScratch, Recipe


class FineTune(FromScratch):
    """AdamW 2e-3 at the head, × .75 from each layer to the one before it, cosine to 0, 20 epochs; crop and flip.

    Rates that fall layer by layer are those of BEiT (Bao et al., 2022, arXiv:2106.08254), with timm's layers; the
    numbers come from no paper: of 5e-4, 2e-3, 5e-3 and 1e-2 the two in the middle were best for EfficientNet-Lite0 on
    800 pictures of clip art (one seed, 5 epochs). A student is a net with weights: timm's or torchvision's from their
    hub or its cache, ``NAME@FILE``, or ``package.module:make`` whose code loads them. Crops and batches are as of
    ``erm``, 64 images a step above 64 px.

    Attributes:
        epochs: passes over the set.
        lr: rate of the head, at the start.
        weight_decay: on weights of two or more dimensions.
        layer_decay: factor on the rate from each layer to the one before it; 1 for one rate.
        freeze: the first layers, so many, stay as they are.
        size: side that images are resized to before the net; None for the data's own.
    """

    quick: ClassVar[dict[str, Any]] = {"epochs": 3}

    epochs: int = Field(20, ge=1)
    lr: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    layer_decay: float = Field(0.75, gt=0, le=1)
    freeze: int = Field(0, ge=0)
    size: int | None = Field(None, ge=1)

    def start(self) -> Start:
        """Pretrained weights."""
        return "pretrained"

    def resized(self, size: int) -> int:
        """The field, or the data's own."""
        return self.size or size

    def recipe(self, task: Task) -> Recipe:
        """As ``erm``, with rates by layer."""
        base = self.base(task, large_batch=64)
        return self.finished(replace(base, layer_decay=self.layer_decay, freeze=self.freeze))
