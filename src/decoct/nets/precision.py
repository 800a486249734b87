"""The precision of nets: only forward passes run in bfloat16, if asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor
from torch.compiler import is_compiling

Precision = Literal["float32", "bfloat16"]


@contextmanager
def autocast(device: torch.device | str, precision: str) -> Iterator[None]:
    """Nets in the block compute in a precision: "bfloat16" by autocast, "float32" as they are.

    Only the forward pass belongs in the block: what comes out is made float32 before anything is computed of it, so
    that losses, statistics, optimisers and images stay in float32. Weights do; autocast computes with copies of them.
    Products that autocast leaves in float32 are in TF32 on CUDA, in the block alone, but for what is compiled, which
    cannot change that. That the device computes in bfloat16 is known before a job begins (``decoct.study.device``).
    """
    if precision == "float32":  # autocast that is not enabled does not take every type of device
        yield
        return
    where = torch.device(device).type
    with torch.autocast(where, torch.bfloat16), nullcontext() if where != "cuda" or is_compiling() else _in_tf32():
        yield


@contextmanager
def _in_tf32() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def exact(device: torch.device | str) -> Iterator[None]:
    """No autocast in the block, where one is active around it: for statistics that are taken within a forward pass."""
    where = torch.device(device).type
    known = is_compiling() or torch.amp.is_autocast_available(where)  # torch 2.9 cannot compile the question
    if known and torch.is_autocast_enabled(where):
        with torch.autocast(where, enabled=False):
            yield
    else:
        yield


def within(net: Callable[..., Tensor], precision: str) -> Callable[..., Tensor]:
    """The forward pass of a net, or of anything that gives a tensor, in a precision: its result is float32.

    In float32 it is the net itself.
    """
    if precision == "float32":
        return net

    def forward(x: Tensor, *args: Any, **rest: Any) -> Tensor:
        with autocast(x.device, precision):
            return widened(net(x, *args, **rest))

    return forward


def widened(x: Tensor) -> Tensor:
    """The same numbers in float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
