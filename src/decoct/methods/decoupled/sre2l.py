"""SRe2L: images recovered from noise that a teacher classifies correctly and that match its batch-norm statistics."""

from decoct.methods.decoupled._shared.recovery import Recovery

LITTLE = {"lr": 0.25, "iterations": 1000, "r": 0.01, "jitter": 4, "scale": (0.5, 1.0), "block": 100}


class SRe2L(Recovery):
    """Squeeze, recover, relabel (Yin et al., 2023, arXiv:2306.13092); relabelling is the protocol's.

    For image i of each ``block`` of consecutive classes, one image per class starts at N(0, 1) in normalised space and
    minimises CE(teacher, class) + r · R_BN. Without the optional TV and L2 priors, as in the final recipe of the paper.

    Presets: ``imagenet1k``, the authors' for ImageNet-1K; ``tiny``, theirs for Tiny-ImageNet, but its roll and crop,
    which are recalled; ``small``, theirs for CIFAR-100, except for a crop of (.5, 1), where theirs only rolls;
    ``small_cpu``, made for two cores and equal to ``small``.
    """

    presets = {
        "imagenet1k": {"lr": 0.25, "iterations": 4000, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0), "block": 100},
        "tiny": {"lr": 0.1, "iterations": 4000, "r": 1.0, "jitter": 4, "scale": (0.08, 1.0), "block": 100},
        "small": LITTLE,
        "small_cpu": LITTLE,
    }
