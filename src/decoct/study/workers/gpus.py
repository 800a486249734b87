"""The GPUs of a machine: which there are, and which of them still compute."""

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence

from decoct.core.errors import DecoctError
from decoct.study.device import VISIBLE

ASKED = "import torch; assert torch.zeros(1, device='cuda').add(1).item() == 1"
PATIENCE = 120.0  # seconds for a GPU to answer, with the import of torch


class LostGpu(UserWarning):
    """A GPU no longer answers, and a run goes on without."""


def visible_gpus(count: int) -> tuple[str, ...]:
    """The GPUs that CUDA sees, named as in ``CUDA_VISIBLE_DEVICES`` if that is set, and otherwise by index.

    Numbers, UUIDs and what UUIDs begin with stay as they are. Of MIG slices a process sees one, however many are named:
    all of them are given, for as many workers.
    """
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    if count and named and all(name.startswith("MIG-") for name in named):
        return tuple(dict.fromkeys(named))
    return tuple(named or map(str, range(count)))[:count]


def answering(gpus: Sequence[str]) -> tuple[str, ...]:
    """Those of some GPUs that compute in a fresh process; a warning names the others.

    Raises:
        DecoctError: none does.
    """
    asked = {
        gpu: subprocess.Popen(
            [sys.executable, "-c", ASKED],
            env=os.environ | {VISIBLE: gpu},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for gpu in gpus
    }
    found = tuple(gpu for gpu, process in asked.items() if _ends_well(process))
    silent = ", ".join(gpu for gpu in gpus if gpu not in found)
    if not found:
        raise DecoctError(f"GPU {silent} no longer computes: see nvidia-smi; the same command continues from here")
    if silent:
        warnings.warn(
            f"GPU {silent} no longer computes; the run goes on with {', '.join(found)}", LostGpu, stacklevel=2
        )
    return found


def _ends_well(process: "subprocess.Popen[bytes]") -> bool:
    try:
        return process.wait(PATIENCE) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
