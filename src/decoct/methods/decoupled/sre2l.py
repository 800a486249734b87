"""SRe2L: images recovered from noise that a teacher classifies correctly and that match its batch-norm statistics."""

from decoct.methods.decoupled._shared.recovery import Recovery

LITTLE = {"lr": 0.25, "iterations": 1000, "r": 0.01, "jitter": 4, "scale": (0.5, 1.0), "block": 100}


class SRe2L(Recovery):
    """Squeeze, recover, relabel (Yin et al., 2023, arXiv:2306.13092); relabelling is the protocol's.

    For image i of each ``block`` of consecutive classes, one image per class starts at N(0, 1) in normalised space and
    minimises CE(teacher, class) + r · R_BN. Without the optional TV and L2 priors, as in the final recipe of the paper.

    Presets: ``imagenet1k``, ``tiny`` and ``cifar100``, the authors'; those two differ from the others in their views:
    ``tiny`` rolls to both sides, ``cifar100`` neither crops nor mirrors; ``small``, made for 28 to 64 px: ``cifar100``
    with mirrors and a crop of (.5, 1); ``small_cpu``, made for two cores and equal to ``small``.
    """

    version = 2
    presets = {
        "imagenet1k": {"lr": 0.25, "iterations": 4000, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0), "block": 100},
        "tiny": {"lr": 0.1, "iterations": 4000, "r": 1.0, "jitter": 4, "scale": (0.08, 1.0), "block": 100},
        "cifar100": {**LITTLE, "scale": (1.0, 1.0)},
        "small": LITTLE,
        "small_cpu": LITTLE,
    }

    @property
    def both_ways(self) -> bool:
        """In the authors' program for Tiny-ImageNet."""
        return self.preset == "tiny"

    @property
    def upright(self) -> bool:
        """In the authors' program for CIFAR-100."""
        return self.preset == "cifar100"
