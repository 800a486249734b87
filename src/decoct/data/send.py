"""Copies from the host to a device for which the host does not wait."""

import torch
from torch import Tensor


def send(x: Tensor, to: Tensor | torch.device | str) -> Tensor:
    """What lies on the host, on a device, or on that of a tensor; of its own type.

    torch waits for the device at every plain copy. It has read what is not pinned when it returns, so the host may
    go on; but not on MPS, where it may read later (pytorch issue 189690).
    """
    where = to.device if isinstance(to, Tensor) else torch.device(to)
    return x.to(where, non_blocking=ahead(where))


def ahead(device: torch.device | str) -> bool:
    """Whether the host may go on before a copy to the device is done."""
    return torch.device(device).type not in ("cpu", "mps")
