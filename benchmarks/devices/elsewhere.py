"""A device that is not the host, where there is none: torch's "meta" device, with values behind its tensors.

Within ``Elsewhere`` a tensor that is made on, or moved to, the device "meta" says that it lies there, and C++ believes
it; its values lie on the CPU, where they are computed as ever. So whole jobs run "on meta", forward and backward, and
leave what they leave on a CPU, while this holds them to what a GPU demands: tensors that an operation takes lie on one
device, but for single numbers and for indices; a generator of the host draws on the host; what is on the device
reaches numpy, Python or the host by a copy alone, which a GPU makes the host wait for. Such waits are counted, by the
line of decoct that causes them.

What it cannot show: streams, pinned memory, CUDA graphs, autocast, another rounding, memory that runs out.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._prims_common import suggest_memory_format
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "meta"
THERE, HOST = torch.device(NAME), torch.device("cpu")
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}  # which take indices of the host, as on a GPU
READS = {"_local_scalar_dense", "equal", "is_nonzero"}  # what the host gets to know
READS |= {"_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "linalg_qr", "linalg_lstsq"}  # or that all went well
SIZED = {"nonzero", "masked_select", "unique_dim", "_unique", "_unique2", "bincount", "repeat_interleave.Tensor"}
SIZED |= {"unique_consecutive", "unique_dim_consecutive"}  # whose shape depends on values, which the host gets to know
COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
FUSED = "_get_fused_kernels_supported_devices"


class There(Tensor):
    """A tensor that says it lies on the device; ``held``, on the CPU, has its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __new__(cls, held: Tensor) -> "There":
        kind = {"dtype": held.dtype, "layout": held.layout, "device": THERE, "strides": held.stride()}
        made = Tensor._make_wrapper_subclass(cls, held.shape, storage_offset=held.storage_offset(), **kind)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Outside of ``Elsewhere`` nothing can be done with it."""
        raise RuntimeError(f"{func}: a tensor of {NAME} is used outside of the block of Elsewhere")

    def __repr__(self, **_: Any) -> str:
        return f"There({self.held!r})"


@cache
def composed(func: Any) -> bool:
    """Whether an operation is put together of others, on a CPU too; torch's own rules in Python would round anew."""
    known = torch._C._dispatch_has_kernel_for_dispatch_key
    return known(func.name(), COMPOSITE) and not known(func.name(), torch._C.DispatchKey.CPU)


@cache
def named(func: Any) -> str:
    """The name of an operation, without its overload."""
    return str(func._schema.name).removeprefix("aten::")


def leaves(given: Any) -> Iterator[Any]:
    """What lists, tuples and dicts hold in the end; pytree takes half of a test's time."""
    if isinstance(given, list | tuple | dict):
        for each in given.values() if isinstance(given, dict) else given:
            yield from leaves(each)
    else:
        yield given


def mapped(of: Callable[[Any], Any], given: Any) -> Any:
    """The same lists, tuples and dicts of something of what they hold."""
    if isinstance(given, dict):
        return {key: mapped(of, each) for key, each in given.items()}
    return type(given)([mapped(of, each) for each in given]) if isinstance(given, list | tuple) else of(given)


class Elsewhere(TorchDispatchMode):
    """In the block, the device "meta" computes.

    Attributes:
        waits: how often the host waited for values, by file and line of decoct and by operation.
        uploads: how often it sent some and waited, as torch does for the whole stream unless it is told otherwise.
        sent: how often it sent some and went on (``non_blocking``).
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.uploads, self.sent = (Counter[tuple[str, str]]() for _ in range(3))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on what is held; refuse what a GPU would refuse, and count what it would wait for."""
        kwargs = dict(kwargs or {})
        if composed(func):
            with self, torch._C.DisableTorchFunction():  # in inference mode torch does not take them apart by itself
                return func._op_dk(COMPOSITE, *args, **kwargs)
        name, given = named(func), [*leaves(args), *leaves(kwargs)]
        tensors = [x for x in given if isinstance(x, Tensor)]
        here = any(isinstance(x, There) for x in tensors)
        asked = kwargs.get("device")
        there = here if asked is None else torch.device(asked).type == NAME
        if not here and not there:
            return func(*args, **kwargs)
        if name != "copy_" and name != "_to_copy":
            self._together(func, name, args, tensors)
        if any(isinstance(x, torch.Generator) for x in given):
            raise RuntimeError(f"{name}: expected a '{NAME}' device type for generator but found 'cpu'")
        if self._waits(func, name, args, kwargs, there, here):
            self.waits[place(), name] += 1
        if self._uploads(name, args, there):
            on = kwargs.get("non_blocking") or (name == "copy_" and args[2:] and args[2])
            (self.sent if on else self.uploads)[place(), name] += 1
        if asked is not None:
            kwargs["device"] = HOST
        kwargs.pop("pin_memory", None)
        known = {id(x.held if isinstance(x, There) else x): x for x in tensors}  # what is changed in place stays itself
        own, rest = (mapped(lambda x: x.held if isinstance(x, There) else x, each) for each in (args, kwargs))
        found = func(*own, **rest)
        if torch.Tag.inplace_view in func.tags:
            with no_dispatch():
                func(*args, **kwargs)  # the shape that it says it has
        if name == "_to_copy" and not there and found is own[0]:
            found = found.clone()
        if not there:
            return mapped(lambda x: known.get(id(x), x), found)
        # A view of what was made outside of inference mode is no tensor of that mode either.
        usual = func.is_view and not args[0].is_inference()
        with torch.inference_mode(torch.is_inference_mode_enabled() and not usual):
            return mapped(
                lambda x: (known[id(x)] if id(x) in known else There(x)) if isinstance(x, Tensor) else x, found
            )

    @staticmethod
    def _together(func: Any, name: str, args: Any, tensors: list[Tensor]) -> None:
        """Refuse tensors of the host beside those of the device."""
        strange = [x for x in tensors if not isinstance(x, There)]
        if any(isinstance(x, There) for x in tensors) and strange:
            numbers = all(x.ndim == 0 for x in strange) and torch.Tag.pointwise in func.tags
            into = name in INDEXING and isinstance(args[0], There)
            if into and not all(isinstance(x, There) or x.ndim == 0 for x in args[2:3]):
                into = False  # indices may lie on the host, values not
            if not numbers and not into:
                raise RuntimeError(
                    f"{name}: expected all tensors to be on the same device, but found at least two: {NAME} and cpu"
                )

    @staticmethod
    def _waits(func: Any, name: str, args: Any, kwargs: Any, there: bool, here: bool) -> bool:
        """Whether a GPU would make the host wait for its values."""
        if name == "copy_":
            return not isinstance(args[0], There) and isinstance(args[1], There)
        if name == "_to_copy":
            return here and not there
        if name in INDEXING:
            return any(isinstance(x, There) and x.dtype in (torch.bool, torch.uint8) for x in args[1] if x is not None)
        overload = f"{name}.{func._schema.overload_name}"
        sized = (name in SIZED or overload in SIZED) and kwargs.get("output_size") is None
        return here and (name in READS or sized)

    @staticmethod
    def _uploads(name: str, args: Any, there: bool) -> bool:
        """Whether something of the host goes over: what is copied, and indices."""
        if name == "copy_":
            return isinstance(args[0], There) and not isinstance(args[1], There)
        if name == "_to_copy":
            return there and not isinstance(args[0], There)
        return there and name in INDEXING and any(isinstance(x, Tensor) and not isinstance(x, There) for x in args[1])


class _Made(TorchFunctionMode):
    """What does not come to operations, or not to all: torch makes no values where a new tensor is "meta"."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and kwargs.get("device") is not None:
            where = torch.device(kwargs.pop("device"))
            learnt = kwargs.pop("requires_grad", False)
            return func(*args, **kwargs).to(where).requires_grad_(learnt)
        if func is Tensor.tolist and isinstance(args[0], There):
            return args[0].cpu().tolist()
        if func in (Tensor.numpy, Tensor.__array__) and isinstance(args[0], There):
            raise TypeError(f"can't convert {NAME} device type tensor to numpy: use Tensor.cpu() first")
        if func is F.scaled_dot_product_attention and isinstance(args[0], There) and flash(*args, **kwargs):
            return torch._scaled_dot_product_flash_attention_for_cpu(*args, **kwargs)[0]
        if func is F.group_norm and isinstance(args[0], There) and last(args[0]):
            return _group_norm(*args, **kwargs)
        if func is Tensor.new_tensor and isinstance(args[0], There):
            kwargs.setdefault("dtype", None)
            where = kwargs.pop("device", None) or THERE
            return torch.tensor(*args[1:], **kwargs).to(where)
        return func(*args, **kwargs)


def flash(q: There, k: There, v: There, *args: Any, **kwargs: Any) -> bool:
    """Whether a CPU would take its flash attention, which torch does not offer to other devices."""
    return torch._fused_sdp_choice(q.held, k.held, v.held, *args, **kwargs) == 1


def last(x: Tensor) -> bool:
    """Whether the channels of images come last in memory."""
    return suggest_memory_format(x) == torch.channels_last


def _group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Torch's own arguments in their order: some versions name them."""
    return _GroupNorm.apply(input, num_groups, weight, bias, eps)


class _GroupNorm(torch.autograd.Function):
    """Of images whose channels come last, in that order, as on a CPU; other devices reorder them first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
        ctx.sizes = *x.shape[:2], math.prod(x.shape[2:]), groups
        x = x.contiguous(memory_format=torch.channels_last)
        out, *moments = torch.native_group_norm(x, weight, bias, *ctx.sizes, eps)
        ctx.save_for_backward(x, *moments, weight)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Any:
        x, *others = ctx.saved_tensors
        slope = slope.contiguous(memory_format=torch.channels_last)
        back = torch.ops.aten.native_group_norm_backward
        along, of_weight, of_bias = back(slope, x, *others, *ctx.sizes, [ctx.needs_input_grad[i] for i in (0, 2, 3)])
        return along, None, of_weight, of_bias, None


def place() -> str:
    """The innermost line of decoct that is running, as file:function:line."""
    frame = sys._getframe(2)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if "decoct" in file.parts and file.parts[-2:-1] != ("devices",):
            inside = "/".join(file.parts[len(file.parts) - file.parts[::-1].index("decoct") :])
            return f"{inside}:{frame.f_code.co_name}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside"


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """A block in which the device "meta" computes."""
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    with ExitStack() as stack:
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        for name in ("optimizer", "sgd", "adam", "adamw"):  # all that ask whether a device has fused steps
            module = sys.modules[f"torch.optim.{name}"]
            if hasattr(module, FUSED):
                stack.enter_context(mock.patch.object(module, FUSED, lambda: ["cpu", "cuda", NAME]))
        stack.enter_context(_Made())
        yield stack.enter_context(Elsewhere())
