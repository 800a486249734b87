"""The memory layout of a net's images, which affects only speed."""

import torch
from torch import Tensor, nn


def has_batch_norm(net: nn.Module) -> bool:
    """Whether a net normalises over the batch."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())


def layout(net: nn.Module) -> torch.memory_format:
    """Channels last for nets with batch norm, up to three times as fast; with group norm it would halve the speed."""
    return torch.channels_last if has_batch_norm(net) else torch.contiguous_format


def laid_out(net: nn.Module) -> nn.Module:
    """The net itself, its weights in its layout."""
    return net.to(memory_format=layout(net))  # type: ignore[call-overload, no-any-return]


def as_input(images: Tensor, net: nn.Module) -> Tensor:
    """Images [B, C, H, W] in the layout of the net that they go into."""
    return images.contiguous(memory_format=layout(net))
