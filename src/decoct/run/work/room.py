"""Whether a construction fits the memory of the device that is to make it: asked before anything runs."""

from pathlib import Path

import psutil
import torch

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.kinds import Condenser
from decoct.data.dataset import Dataset

LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container; "max" where there is none


def check_room(method: Condenser, data: Dataset, budget: Budget, device: str) -> None:
    """Refuse a construction whose estimated peak is more than the device has.

    Args:
        method: any; one that estimates nothing passes.
        data: the data set.
        budget: how many images.
        device: such as "cpu" or "cuda".

    Raises:
        DecoctError: with the estimate and what there is.
    """
    ipc = max(budget.per_class(data.counts(), data.class_names))
    need, have = method.at(data.size).memory(data.shape, len(data.class_names), ipc), room(device)
    if need > have:
        channels, height, width = data.shape
        raise DecoctError(
            f"{method.name} of {len(data.class_names)} classes × {ipc} images of {channels} × {height} × {width} is "
            f"estimated to take {need / 2**30:,.1f} GiB; {device} has {have / 2**30:,.1f} GiB\n"
            "lower the budget, take a smaller net or smaller batches, or a machine with more memory"
        )


def room(device: str) -> int:
    """Bytes of memory that the device has, or that this container may use of it."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    total = int(psutil.virtual_memory().total)
    try:
        limit = LIMIT.read_text("utf-8").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total
