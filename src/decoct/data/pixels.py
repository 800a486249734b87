"""The two scales of a pixel: 8 bits on disk, normalised floats in front of a net."""

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from decoct.data.whitening import Whitening


@dataclass(frozen=True, eq=False)
class Pixels:
    """Mean and deviation per channel, [C, 1, 1], on the scale 0 to 255.

    Attributes:
        mean: of the train split.
        std: likewise.
        whitening: that stands in their place; None without one. A whitened image has no black and white, ``low`` and
            ``high``.
    """

    mean: Tensor
    std: Tensor
    whitening: Whitening | None = None

    @classmethod
    def of(cls, data: Any, device: str) -> "Pixels":
        """The scale of a ``decoct.data.dataset.Dataset``, in which teachers are given its images."""
        mean, std = (torch.tensor(v, dtype=torch.float32, device=device).view(-1, 1, 1) for v in (data.mean, data.std))
        return cls(mean * 255, std * 255)

    @classmethod
    def seen(cls, data: Any, device: str) -> "Pixels":
        """The scale in which students and experts see images: whitened where the data are."""
        plain = cls.of(data, device)
        return plain if data.whitening is None else cls(plain.mean, plain.std, data.whitening.to(device))

    @property
    def low(self) -> Tensor:
        """A black pixel, normalised: [C, 1, 1]."""
        return -self.mean / self.std

    @property
    def high(self) -> Tensor:
        """A white pixel, normalised: [C, 1, 1]."""
        return (255 - self.mean) / self.std

    def load(self, images: NDArray[Any]) -> Tensor:
        """[..., C, H, W] uint8 -> floats from 0 to 255 on the device."""
        return torch.as_tensor(images).to(self.mean.device).float()

    def normalise(self, images: Tensor) -> Tensor:
        """Scale 0 to 255 -> normalised, or whitened."""
        return (images - self.mean) / self.std if self.whitening is None else self.whitening(images / 255)

    def restore(self, normalised: Tensor) -> Tensor:
        """What ``normalise`` gave -> scale 0 to 255, not clipped."""
        return normalised * self.std + self.mean if self.whitening is None else self.whitening.undo(normalised) * 255

    def truncate(self, normalised: Tensor) -> Tensor:
        """Normalised -> uint8 by truncation; a thousandth of a level keeps float error from costing a whole one."""
        return (self.restore(normalised) + 1e-3).floor().clamp(0, 255).to(torch.uint8)
