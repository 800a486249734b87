"""The precision of nets: only forward passes run in bfloat16, if asked for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.compiler import is_compiling
from torch.overrides import TorchFunctionMode

Precision = Literal["float32", "bfloat16"]

# What autocast computes in bfloat16 and torch, without instructions for it, number by number.
CONVOLUTIONS = {F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d}
PRODUCTS = {F.linear, torch.matmul, torch.mm, torch.bmm, torch.addmm, torch.baddbmm, torch.einsum}
METHODS = {Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__, Tensor.mm, Tensor.bmm, Tensor.addmm, Tensor.baddbmm}
SLOW = CONVOLUTIONS | PRODUCTS | METHODS | {F.scaled_dot_product_attention}
_fast = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # where nobody can say, the other way is right too
NATIVE = torch.backends.mkldnn.is_available() and _fast is not None and bool(_fast())  # this processor


@contextmanager
def autocast(device: torch.device | str, precision: str) -> Iterator[None]:
    """Nets in the block compute in a precision: "bfloat16" by autocast, "float32" as they are.

    Only the forward pass belongs in the block: what comes out is made float32 before anything is computed of it, so
    that losses, statistics, optimisers and images stay in float32. Weights do; autocast computes with copies of them.
    Products that autocast leaves in float32 are in TF32 on CUDA, in the block alone, but for what is compiled, which
    cannot change that. That the device computes in bfloat16 is known before a job begins (``decoct.study.device``);
    a processor that has no instructions for it multiplies numbers of bfloat16 in float32.
    """
    if precision == "float32":  # autocast that is not enabled does not take every type of device
        yield
        return
    where = torch.device(device).type
    products: AbstractContextManager[object] = nullcontext()
    if where == "cuda" and not is_compiling():
        products = _in_tf32()
    elif where == "cpu" and not NATIVE:
        products = Widened()
    with torch.autocast(where, torch.bfloat16), products:
        yield


class Widened(TorchFunctionMode):
    """Convolutions and matrix products under autocast: of bfloat16 numbers, in float32, the result in bfloat16.

    That is what instructions for bfloat16 do, but for the order of their sums; gradients are rounded where theirs are.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it, and widen what goes into a product."""
        rest = kwargs or {}
        if function is Tensor.unflatten:  # its body calls super(), which torch.compile cannot follow from here
            return args[0].unflatten(*args[1:], **rest)
        if function not in SLOW or not torch.is_autocast_enabled("cpu"):
            return function(*args, **rest)
        with torch.autocast("cpu", enabled=False):
            found = function(*map(_operand, args), **{name: _operand(x) for name, x in rest.items()})
        return found.to(torch.bfloat16) if found.dtype == torch.float32 else found


def _operand(x: Any) -> Any:
    """The bfloat16 number nearest to each, in float32; of several tensors each, and anything else as it is."""
    if isinstance(x, list | tuple):
        return type(x)(map(_operand, x))
    narrow = isinstance(x, Tensor) and x.is_floating_point() and x.dtype != torch.float64
    return x.to(torch.bfloat16).float() if narrow else x


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
