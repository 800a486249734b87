"""An exact affine map in front of a net that expects another normalisation than the data's."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.nets.precision import exact


class Normalisation(NamedTuple):
    """Mean and deviation per channel, on the scale 0 to 1, that images are normalised with."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> "Normalisation":
        """From any sequences of numbers.

        Raises:
            ValueError: not as many deviations as means, none, or a deviation that is not above 0.
        """
        made = cls(tuple(map(float, mean)), tuple(map(float, std)))
        if not made.mean or len(made.mean) != len(made.std) or not all(s > 0 for s in made.std):
            raise ValueError(f"no mean and deviation per channel: {list(mean)}, {list(std)}")
        return made


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Renormalised(nn.Module):
    """``net`` behind an affine map from the data's normalisation to its own.

    From x = (p − m) / s the net gets  (p − m′) / s′ = x · s/s′ + (m − m′)/s′.  Grey images become as many channels as
    the net expects. It is a module in front, since zero padding forbids to fold the shift into the first convolution.

    Args:
        net: takes images [B, C′, H, W] under ``own``.
        data: how the images that come in are normalised, over one channel or C′.
        own: how the net wants them, over C′ channels.

    Raises:
        DecoctError: images of several channels for a net of another number.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, net: nn.Module, data: Normalisation, own: Normalisation) -> None:
        super().__init__()
        if len(data.mean) not in (1, len(own.mean)):
            raise DecoctError(f"the net takes {len(own.mean)} channel(s), and the images have {len(data.mean)}")
        self.net = net
        (m, s), (m_own, s_own) = (torch.tensor(n, dtype=torch.float64).reshape(2, -1, 1, 1) for n in (data, own))
        self.register_buffer("scale", (s / s_own).float(), persistent=False)  # follow from what is on record
        self.register_buffer("shift", ((m - m_own) / s_own).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] under the data's normalisation -> logits [B, classes]."""
        logits: Tensor = self.net(x * self.scale + self.shift)
        return logits

    def get_classifier(self) -> nn.Module | None:
        """The net's own answer, as timm's nets give it; None where it has none."""
        named = getattr(self.net, "get_classifier", None)
        return named() if callable(named) else None


class Whitened(Renormalised):
    """``net`` behind an affine map from the data's normalisation to the data's whitening  z = (p − m) W.

    Args:
        net: takes whitened images.
        data: how the images that come in are normalised.
        mean: m, [D], of images on the scale 0 to 1.
        matrix: W, [D, D].
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, net: nn.Module, data: Normalisation, mean: Tensor, matrix: Tensor) -> None:
        none = Normalisation((0.0,) * len(data.mean), (1.0,) * len(data.mean))
        super().__init__(net, data, none)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] under the data's normalisation -> logits [B, classes]."""
        with exact(x.device):
            pixels = (x * self.scale + self.shift).flatten(1)
            whitened = ((pixels - self.mean) @ self.matrix).view(x.shape)
        logits: Tensor = self.net(whitened)
        return logits


def renormalised(net: nn.Module, data: Normalisation, own: Normalisation) -> nn.Module:
    """The net for images under the data's normalisation: itself where the two are one."""
    return net if data == own else Renormalised(net, data, own)


def bare(net: nn.Module) -> nn.Module:
    """The net without what ``renormalised`` put in front of it, or a whitening."""
    return net.net if isinstance(net, Renormalised) else net
