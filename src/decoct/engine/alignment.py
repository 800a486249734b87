"""The distance of a batch's layer statistics from those of real images: the loss that decoupled methods share."""

from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from decoct.engine.moments import Moments, group_moments, on_inputs


class Alignment:
    """R, the distance of each group's statistics from targets, over the layers of one net.

    R = Σ_l w_l Σ_s ‖s_l − S_l‖₂ over the statistics s of layer l's input: channel means and biased variances, and patch
    means and variances where the target has them; w = ``first`` for the first layer in order of registration, 1 for the
    others. Statistics are taken in float32 at least, under autocast too. Use as a context, and call ``loss`` once after
    each forward pass.

    With ``decay`` α, the statistics are averages over the iterations: s̄ ← α s̄ + (1 − α) s, from the first s on; the
    gradient is that of s alone (G-VBSM; Shao et al., 2024, arXiv:2311.17950, whose code starts the average at 0). With
    ``by_class``, ``share`` of the loss is the distance from the mean of the targets of the images' classes (EDC; Shao
    et al., 2024, arXiv:2404.13733).

    Source:
        Yin et al., 2020, arXiv:1912.08795 (DeepInversion); weights as in SRe2L, Yin et al., 2023, arXiv:2306.13092.

    Args:
        net: in eval mode.
        groups: G, how many groups a batch holds, one after the other.
        targets: by layer, [C] and [P].
        first: weight of the first layer.
        decay: of the average over iterations; 0 for none.
        by_class: the same targets of every class, [classes, C] and [classes, P].
        labels: [G, B] classes of the images, with ``by_class``.
        share: of the classes' part of the loss.
    """

    def __init__(
        self,
        net: nn.Module,
        groups: int,
        targets: Mapping[str, Moments],
        *,
        first: float = 10.0,
        decay: float = 0.0,
        by_class: Mapping[str, Moments] | None = None,
        labels: Tensor | None = None,
        share: float = 0.5,
    ) -> None:
        self.net, self.groups, self.targets, self.first, self.decay = net, groups, targets, first, decay
        self.of_labels = {} if by_class is None or labels is None else of_labels(by_class, labels)
        self.share = share if self.of_labels else 0.0
        self.averages: dict[str, Tensor] = {}
        self._terms: dict[str, Tensor] = {}
        self._watching = ExitStack()

    def __enter__(self) -> "Alignment":
        self._watching.enter_context(on_inputs(self.net, self.targets, self._see))
        return self

    def __exit__(self, *_: object) -> None:
        self._watching.close()
        self._terms.clear()

    def loss(self) -> Tensor:
        """[G] R of each group in the last forward pass."""
        weights = [self.first if i == 0 else 1.0 for i in range(len(self.targets))]
        total = torch.stack([w * self._terms[name] for w, name in zip(weights, self.targets, strict=True)]).sum(0)
        self._terms.clear()
        return total

    def _see(self, name: str, x: Tensor) -> None:
        target = self.targets[name]
        found = group_moments(x, self.groups, target.mean, target.patch_mean is not None)
        parts = [self._averaged(f"{name}:{i}", part) for i, part in enumerate(found.parts())]
        term = distance(parts, target.parts())
        if self.share:
            term = (1 - self.share) * term + self.share * distance(parts, self.of_labels[name].parts())
        self._terms[name] = term

    def _averaged(self, key: str, value: Tensor) -> Tensor:
        """The running average, with the gradient of the value alone."""
        if not self.decay:
            return value
        now = value.detach()
        before = self.averages.get(key, now)
        self.averages[key] = average = torch.lerp(now, before, self.decay)
        return average + (value - now)


def distance(found: list[Tensor], targets: list[Tensor]) -> Tensor:
    """[G] Σ ‖s − S‖₂ over several statistics, each [G, K] against [K] or [G, K]."""
    apart = [torch.linalg.vector_norm(s - t.to(s), dim=1) for s, t in zip(found, targets, strict=True)]
    return torch.stack(apart).sum(0)


def of_labels(by_class: Mapping[str, Moments], labels: Tensor) -> dict[str, Moments]:
    """Targets [G, K] of groups with these labels [G, B]: the mean over its images of their classes' statistics."""
    return {
        name: Moments(*(part[labels.to(part.device)].mean(1) for part in moments.parts()))
        for name, moments in by_class.items()
    }
