"""What work would take on a GPU that is not here: each of its operations at the speed of that GPU."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import conv_flop_count, flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from decoct.core.errors import UsageError

REACHED = 0.68  # of the roof, in the median of what others measured: benchmarks/roofline.py
LAUNCH = 5e-6  # seconds at least of an operation: PyTorch starts each by itself
FREE = {"_unsafe_view", "lift_fresh", "set_", "resize_", "_local_scalar_dense", "is_same_size"}
FREE |= {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted"}
PICKING = {"index", "index_select", "gather", "embedding", "take"}  # they read what they give, not all that there is
PUTTING = {"index_put", "index_add", "index_copy", "scatter", "scatter_add"}  # they touch what is put
FILLING = {"copy", "fill", "zero", "normal", "uniform", "random", "bernoulli", "exponential"}  # they read no target


@dataclass(frozen=True)
class Gpu:
    """A GPU as its maker describes it; operations a second are those of dense matrices.

    Attributes:
        name: of the GPU.
        half: operations a second in bfloat16 and float16, summed in float32.
        rounded: in TF32, which convolutions in float32 are rounded to.
        single: in float32.
        double: in float64.
        bandwidth: bytes a second of its memory.
    """

    name: str
    half: float
    rounded: float
    single: float
    double: float
    bandwidth: float


GPUS = {  # tera-operations a second, and terabytes
    key: Gpu(f"NVIDIA {name}", *(1e12 * value for value in numbers))
    for key, (name, *numbers) in {
        "h200": ("H200 SXM", 989.4, 494.7, 66.9, 66.9, 4.8),
        "h100": ("H100 SXM", 989.4, 494.7, 66.9, 66.9, 3.35),
        "h100_pcie": ("H100 PCIe", 756.5, 378.2, 51.2, 51.2, 2.0),
        "a100_80gb": ("A100 SXM 80 GB", 311.9, 155.9, 19.5, 19.5, 2.039),
        "a100_40gb": ("A100 SXM 40 GB", 311.9, 155.9, 19.5, 19.5, 1.555),
        "l40s": ("L40S", 362.1, 183.2, 91.6, 1.41, 0.864),
        "l4": ("L4", 121.0, 60.0, 30.3, 0.47, 0.3),
        "rtx5090": ("GeForce RTX 5090", 209.5, 104.8, 104.8, 1.64, 1.792),
        "rtx4090": ("GeForce RTX 4090", 165.2, 82.6, 82.6, 1.29, 1.008),
        "rtx3090": ("GeForce RTX 3090", 71.0, 35.6, 35.6, 0.556, 0.936),
    }.items()
}


def gpu(key: str) -> Gpu:
    """The GPU of a short name, such as h100.

    Raises:
        UsageError: none of that name is known.
    """
    known = key.lower().replace("-", "_").replace(" ", "_")
    if known not in GPUS:
        raise UsageError(f"no GPU '{key}' is known; there are {', '.join(GPUS)}")
    return GPUS[known]


class Roofline:
    """A clock of a GPU that is not here: what the operations of a block would take there, while they are computed here.

    An operation takes as long as its arithmetic or as its memory traffic, whichever is longer, divided by ``REACHED``;
    ``LAUNCH`` at least. What is no operation of torch is not seen: disks, decoding, numpy.

    Args:
        gpu: on which.
        nets_alone: only forward passes of nets are on the GPU; all else takes the time that it takes here.

    Source:
        Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
        architectures", CACM 52(4), 2009.
    """

    def __init__(self, gpu: Gpu, nets_alone: bool = False) -> None:
        self.gpu, self.nets_alone, self.entered = gpu, nets_alone, ExitStack()
        self.seconds, self.away, self.depth = 0.0, 0.0, 0  # on the GPU; here, in nets; of nets within nets

    def clock(self) -> tuple[float, float]:
        """Seconds up to now: on the GPU and outside of it, and of this machine's processors, as far as they count."""
        if not self.nets_alone:
            return self.seconds, 0.0
        return time.perf_counter() - self.away + self.seconds, time.process_time() - self.away

    def __enter__(self) -> "Roofline":
        """Start to count."""
        if self.nets_alone:
            self.entered.callback(register_module_forward_pre_hook(self._into).remove)
            self.entered.callback(register_module_forward_hook(self._out, always_call=True).remove)
        self.entered.enter_context(_Seen(self._count))
        return self

    def __exit__(self, *error: object) -> None:
        """Count no longer."""
        self.entered.close()

    def _into(self, *_: Any) -> None:
        self.away -= 0 if self.depth else time.perf_counter()
        self.depth += 1

    def _out(self, *_: Any) -> None:
        self.depth -= 1
        self.away += 0 if self.depth else time.perf_counter()

    def _count(self, function: Any, args: Any, kwargs: Any, made: Any) -> None:
        if (self.depth or not self.nets_alone) and not (function.is_view or _name(function) in FREE):
            operations, moved = _operations(function, args, kwargs, made), _bytes(function, args, kwargs, made)
            arithmetic = operations / self._rate(function, args) if operations else 0.0
            self.seconds += max(max(arithmetic, moved / self.gpu.bandwidth) / REACHED, LAUNCH)

    def _rate(self, function: Any, args: Any) -> float:
        """Operations a second in the precision of the first operand."""
        dtype = next(_tensors(args)).dtype
        if dtype in (torch.bfloat16, torch.float16):
            return self.gpu.half
        if dtype == torch.float64:
            return self.gpu.double
        rounds = "conv" in _name(function) or torch.get_float32_matmul_precision() != "highest"
        return self.gpu.rounded if rounds else self.gpu.single


class _Seen(TorchDispatchMode):
    """Tells every operation that is computed in the block, in the parts that torch puts it together from."""

    def __init__(self, tell: Callable[[Any, Any, Any, Any], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tell = tell

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute the operation, and tell of it."""
        kwargs = kwargs or {}
        if not function.has_kernel_for_dispatch_key(torch._C.DispatchKey.CPU):
            with self:
                parts = function.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        made = function(*args, **kwargs)
        self.tell(function, args, kwargs, made)
        return made


def _operations(function: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> float:
    """Of arithmetic, as far as torch counts them: in products of matrices, convolutions and attention."""
    if _name(function) == "convolution_backward":  # torch counts those in groups as if there were none
        there, images, weight = (value.shape for value in args[:3])
        return float(conv_flop_count(images, weight, there, transposed=args[7]) * sum(args[10][:2]))
    if _name(function).startswith("_scaled_dot_product_flash_attention_for_cpu"):  # it counts those on GPUs alone
        backward = _name(function).endswith("backward")
        shapes = [value.shape for value in args[: 4 if backward else 3]]
        return float((sdpa_backward_flop_count if backward else sdpa_flop_count)(*shapes))
    count = flop_registry.get(function.overloadpacket)
    return float(count(*args, **kwargs, out_val=made)) if count else 0.0


def _bytes(function: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> int:
    """That an operation reads and writes."""
    name, given = _name(function).rstrip("_"), list(args)
    if name in PICKING:
        return 2 * _size(made) + sum(map(_size, args[1:]))
    if name in PUTTING:
        return 3 * sum(map(_size, args[1:]))
    total = 0
    for number, about in enumerate(function._schema.arguments):
        size = _size(given[number] if number < len(given) else kwargs.get(about.name))
        writes = about.alias_info is not None and about.alias_info.is_write
        reads = not (about.is_out or (writes and name in FILLING))
        total += size * (writes + reads)
    new = all(about.alias_info is None for about in function._schema.returns)
    return total + (_size(made) if new else 0)


def _tensors(value: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _size(value: Any) -> int:
    """Bytes of the tensors in it; what an expanded one repeats is stored once."""
    return sum(
        each.element_size() * math.prod(n for n, step in zip(each.shape, each.stride(), strict=True) if step or not n)
        for each in _tensors(value)
    )


def _name(function: Any) -> str:
    return str(function.overloadpacket.__name__)
