"""CV-DD: two nets of a pool vote on each image, the better one with more weight."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Self

import numpy as np

from decoct.core.errors import UsageError
from decoct.core.interfaces import Inputs
from decoct.core.seeds import seed
from decoct.methods._shared.starts import Block
from decoct.methods.decoupled._shared.recovery import FromPatches

POOL = ("resnet18", "resnet50", "shufflenet_v2_x1_0", "mobilenet_v2", "densenet121")
TV = tuple(f"{net}.tv_in1k" for net in POOL)  # torchvision's first weights, which the priors of ImageNet-1K belong to
SLIM = ("resnet18", "resnet50", "shufflenet_v2_x0_5", "mobilenet_v2", "densenet121")
LARGE = {"nets": POOL, "lr": 0.25, "iterations": 4000, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0), "block": 100}
LITTLE = {**LARGE, "nets": SLIM, "jitter": 4}


class CVDD(FromPatches):
    """Committee voting (Cui et al., 2025, arXiv:2501.07575).

    Image number i of every class is judged by one pair of the pool at every iteration: at IPC 1 the ``first`` pair; at
    as many images as there are pairs (10 of five nets), or fewer, the pairs in order; else a random pair for each
    number. A pair's weights are softmax(prior / 5). A prior, as we read the authors' constants, is the accuracy, in
    percent, of students of images that were distilled from that net alone; with those of ImageNet-1K ResNet-18 has 94 %
    of the vote beside ResNet-50. Images start at real patches of medium difficulty: RDED's crops, taken around the
    median instead of the easiest, since the authors' own patches are a download. With one net this is their baseline
    SRe2L++.

    Presets: ``imagenet1k``, ``imagenette``, ``cifar10``, ``cifar100`` and ``tiny``, the authors', with their priors and
    their pairs at IPC 1; ``small``, theirs for CIFAR with equal priors and a crop of (.5, 1); ``small_cpu``, usual
    under 32 px, made for two cores: three nets that are cheap at 28 px, equal priors, 500 iterations. The nets of
    ``imagenet1k`` name torchvision's first weights. For CIFAR and Tiny-ImageNet the authors have small-image variants
    of ShuffleNet-V2 0.5, MobileNet-V2 and DenseNet-121; here these three are the usual ones, which halve the image five
    times.

    Attributes:
        priors: of the nets, in percent, in their order; None for those of the preset, or equal votes.
        first: the pair that judges at IPC 1; None for that of the preset (of the authors' code for Imagenette and
            CIFAR), or the two nets with the best prior.
    """

    presets = {
        "imagenet1k": {**LARGE, "nets": TV, "priors": (56.4, 42.3, 52.5, 44.2, 40.6)},
        "imagenette": {**LARGE, "block": 10, "priors": (62.4, 52.0, 57.2, 54.0, 60.8), "first": POOL[3:]},
        "cifar10": {**LITTLE, "block": 10, "priors": (63.0, 65.3, 68.5, 67.6, 67.4), "first": SLIM[3:]},
        "cifar100": {**LITTLE, "priors": (64.0, 60.6, 51.6, 59.4, 56.4), "first": SLIM[2:4]},
        "tiny": {**LITTLE, "priors": (46.5, 28.3, 43.6, 44.8, 41.5)},
        "small": {**LITTLE, "scale": (0.5, 1.0)},
        "small_cpu": {
            **LITTLE,
            "nets": ("convnet3_bn", "resnet10t", "test_resnet"),
            **{"iterations": 500, "scale": (0.5, 1.0)},
        },
    }
    priors: tuple[float, ...] | None = None
    first: tuple[str, str] | None = None

    def usual(self, size: int) -> str:
        """Below 32 px, nets of the pool would halve an image to nothing."""
        return "small_cpu" if size < 32 else super().usual(size)

    def at(self, size: int) -> Self:
        """As for any recovery; the priors of a preset, and its first pair, are those of its nets alone.

        Raises:
            UsageError: no such preset, other priors than nets, or a first pair of other nets.
        """
        spec = super().at(size)
        if self.nets is not None:
            spec = spec.model_copy(update={"priors": self.priors, "first": self.first})
        if spec.first is not None and not set(spec.first) <= set(spec.committee):
            raise UsageError(f"{self.name}: first = {list(spec.first)} is no pair of {', '.join(spec.committee)}")
        if spec.priors is not None and len(spec.priors) != len(spec.committee):
            raise UsageError(
                f"{self.name}: {len(spec.priors)} priors for {len(spec.committee)} nets: give one for each net"
            )
        return spec

    def jury(self, inputs: Inputs, block: Block) -> tuple[str, ...]:
        """The pair of this image number."""
        nets, ipc = self.committee, inputs.ipc(self.name)
        if len(nets) < 3:
            return nets
        pairs, i = list(combinations(range(len(nets)), 2)), block.ids[0]
        if ipc == 1 and self.first:
            return self.first
        if ipc == 1:
            pair = sorted(sorted(range(len(nets)), key=lambda net: -self._prior(net))[:2])
        elif ipc <= len(pairs):
            pair = list(pairs[i])
        else:
            pair = list(pairs[np.random.default_rng(seed(inputs.seed, self.name, "pair", i)).integers(len(pairs))])
        return tuple(nets[net] for net in pair)

    def votes(self, jury: Sequence[str], t: int) -> Mapping[str, float]:
        """Softmax of the priors / 5."""
        priors = [self._prior(self.committee.index(net)) for net in jury]
        powers = [math.exp((prior - max(priors)) / 5) for prior in priors]
        return {net: power / sum(powers) for net, power in zip(jury, powers, strict=True)}

    def _prior(self, net: int) -> float:
        return self.priors[net] if self.priors else 0.0
