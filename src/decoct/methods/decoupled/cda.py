"""CDA: SRe2L under crops that grow smaller, from the whole image to the usual range."""

from pydantic import Field
from torch import Tensor

from decoct.methods.decoupled._shared.invert import curriculum
from decoct.methods.decoupled._shared.recovery import Recovery

LITTLE = {"lr": 0.25, "iterations": 1000, "r": 0.01, "jitter": 4, "scale": (0.08, 1.0), "block": 100}


class CDA(Recovery):
    """Curriculum data augmentation (Yin & Shen, 2023, arXiv:2311.18838): SRe2L with other crops.

    A crop keeps (a(t), 1) of the area, a(t) = s + (1 − s)(1 + cos(π t / mT)) / 2 while t < mT and s after that: whole
    images first, detail later. The authors' code has no curriculum unless its milestone m is set to 1, as it is here.

    Presets: ``imagenet1k`` and ``tiny``, the authors', whose program for Tiny-ImageNet rolls by 0 to 4 px; ``small``,
    that of SRe2L with CDA's smallest crop; ``small_cpu``, made for two cores and equal to ``small``.

    Attributes:
        milestone: m, the share of the iterations in which crops grow smaller.
    """

    presets = {
        "imagenet1k": {"lr": 0.25, "iterations": 4000, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0), "block": 100},
        "tiny": {"lr": 0.4, "iterations": 4000, "r": 0.05, "jitter": 4, "scale": (0.08, 1.0), "block": 100},
        "small": LITTLE,
        "small_cpu": LITTLE,
    }
    milestone: float = Field(1.0, gt=0, le=1)

    def low(self, t: Tensor) -> Tensor | None:
        """a(t)."""
        assert self.scale is not None and self.iterations is not None
        return curriculum(t, self.scale[0], self.milestone * self.iterations)
