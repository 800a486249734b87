"""A device without values: jobs run on torch's ``meta`` device, whose tensors have shapes alone, and compute nothing.

What the host reads of them is 0, or true, so that losses are finite and loops go on. What a GPU does and ``meta`` does
not is put in its place: autocast, fused attention, fused optimisers.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = "meta"
aten = torch.ops.aten

# What autocast on CUDA casts, by the names that Python calls (docs: "CUDA Ops that can autocast to float16" and so on)
TO_HALF = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "matmul"}
TO_HALF |= {"__matmul__", "__rmatmul__", "mm", "mv", "bmm", "addmm", "addmv", "addr", "baddbmm", "addbmm", "einsum"}
TO_HALF |= {"prelu", "scaled_dot_product_attention", "multi_head_attention_forward"}
TO_SINGLE = {"softmax", "log_softmax", "layer_norm", "group_norm", "norm", "vector_norm", "cross_entropy", "nll_loss"}
TO_SINGLE |= {"mse_loss", "kl_div", "l1_loss", "smooth_l1_loss", "cosine_similarity", "exp", "log", "pow", "__pow__"}
TO_SINGLE |= {"rsqrt", "reciprocal", "sum", "prod", "cumsum", "var", "dist", "renorm", "softplus", "cdist"}
TO_WIDEST = {"cat", "stack", "addcmul", "addcdiv", "bilinear", "dot", "grid_sample", "index_put", "cross"}


class Unread(TorchDispatchMode):
    """Within it the host may read what has no values: 0, or true, but false of ``any``.

    Most kernels of ``meta`` are written in Python and slow, so what an operation gives is remembered by the shapes of
    what it takes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made: dict[Any, Any] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer a read; all else goes through."""
        kwargs = kwargs or {}
        if function is aten._local_scalar_dense.default and args[0].is_meta:
            if args[0].dtype == torch.bool:
                return not hasattr(args[0], "asked")
            return 0.0 if args[0].dtype.is_floating_point else 0
        if function is aten._to_copy.default and args[0].is_meta and _to_host(kwargs):
            return _answer(args[0].shape, kwargs.get("dtype") or args[0].dtype)
        if function is aten.copy_.default and args[1].is_meta and not args[0].is_meta:
            return args[0].copy_(_answer(args[0].shape, args[0].dtype))
        if str(function.overloadpacket.__name__).startswith("_fused_") and args[0][0].is_meta:
            return None  # in place, and without a kernel there
        with torch._C.DisableTorchFunction():  # what is written in Python shall not be cast again
            if function.is_view or not (returns := function._schema.returns):
                return function(*args, **kwargs)
            if returns[0].alias_info is not None:  # in place
                if len(returns) > 1 or not isinstance(args[0], Tensor) or not args[0].is_meta:
                    return function(*args, **kwargs)
                if (key := signature(function, args, kwargs)) not in self.made:
                    function(*args, **kwargs)
                    self.made[key] = None
                return args[0]
            if (key := signature(function, args, kwargs)) not in self.made:
                made = function(*args, **kwargs)
                there = [each.is_meta for each in tree_leaves(made) if isinstance(each, Tensor)]
                if not there or not all(there) or any(each is args[0] for each in tree_leaves(made)):
                    return made  # it has values, or is what was given
                self.made[key] = tree_map(_form, made)
            made = tree_map(_formed, self.made[key], is_leaf=lambda form: isinstance(form, Form))
            if function.overloadpacket is aten.any:  # what is asked so is a fault as a rule, and there is none
                made.asked = True
            return made


class Form(NamedTuple):
    """Of a tensor without values."""

    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype


def _form(value: Any) -> Any:
    return Form(value.shape, value.stride(), value.dtype) if isinstance(value, Tensor) else value


def _formed(value: Any) -> Any:
    return torch.empty_strided(*value[:2], dtype=value[2], device=DEVICE) if isinstance(value, Form) else value


def signature(function: Any, args: Any, kwargs: Any) -> Any:
    """All that what an operation gives and takes depends on, if not on values."""
    return function, _signature(args), tuple((name, _signature(value)) for name, value in kwargs.items())


def _signature(value: Any) -> Any:
    if isinstance(value, Tensor):
        some = int(value.sum()) if value.dtype == torch.bool and value.is_cpu else None  # a mask picks so many
        return value.shape, value.stride(), value.dtype, value.device.type, some
    return tuple(map(_signature, value)) if isinstance(value, list | tuple) else (type(value), value)


def _answer(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    return torch.full(shape, dtype == torch.bool, dtype=dtype)


def _to_host(kwargs: dict[str, Any]) -> bool:
    return kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cpu"


class Autocast(TorchFunctionMode):
    """Autocast as on CUDA, and attention in one kernel, for tensors without values; None for no autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.dtype: torch.dtype | None = None
        self.weights: dict[Tensor, Tensor] = {}  # as cast, until the outermost block is left

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Cast what the function is given, as its list says."""
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        if self.dtype is not None and name in TO_HALF:
            args, kwargs = tree_map(self._half, (args, kwargs))
        elif self.dtype is not None and name in TO_SINGLE:
            args, kwargs = tree_map(_single, (args, kwargs))
        elif self.dtype is not None and name in TO_WIDEST:
            given = [leaf.dtype for leaf in tree_leaves((args, kwargs)) if _floats(leaf)]
            if torch.float32 in given:
                args, kwargs = tree_map(_single, (args, kwargs))
        if function is F.scaled_dot_product_attention and args[0].is_meta:
            return attention(*args, **kwargs)
        return function(*args, **kwargs)

    def _half(self, value: Any) -> Any:
        if not _floats(value) or value.dtype == self.dtype or value.dtype == torch.float64:
            return value
        if not (value.is_leaf and value.requires_grad):
            return value.to(self.dtype)
        if value not in self.weights:
            self.weights[value] = value.to(self.dtype)
        return self.weights[value]

    @contextmanager
    def cast(self, dtype: torch.dtype | None) -> Iterator[None]:
        """In the block, cast to a type; None casts nothing."""
        before, self.dtype = self.dtype, dtype
        try:
            yield
        finally:
            self.dtype = before
            if before is None:
                self.weights.clear()


def _floats(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta and value.dtype.is_floating_point


def _single(value: Any) -> Any:
    return value.float() if _floats(value) and value.dtype in (torch.bfloat16, torch.float16) else value


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The kernel that a GPU takes: flash attention in half precision, the memory-efficient one in float32."""
    if attn_mask is None and query.dtype in (torch.bfloat16, torch.float16):
        made = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)
    else:
        graph = torch.is_grad_enabled() and query.requires_grad
        made = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, key, value, attn_mask, graph, dropout_p, is_causal, scale=scale
        )
    return made[0]


@contextmanager
def no_values() -> Iterator[None]:
    """In the block, work on the device ``meta`` runs as on a GPU, and no tensor there has values."""
    casts, usual, known, on = Autocast(), torch.autocast, torch.amp.is_autocast_available, torch.is_autocast_enabled

    def autocast(
        device_type: str,
        dtype: torch.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> Any:
        if device_type != DEVICE:
            return usual(device_type, dtype, enabled, cache_enabled)
        return casts.cast((dtype or torch.float16) if enabled else None)

    def enabled(*device_type: str) -> bool:
        return casts.dtype is not None if device_type == (DEVICE,) else on(*device_type)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "autocast", autocast))
        stack.enter_context(mock.patch.object(torch, "is_autocast_enabled", enabled))
        stack.enter_context(mock.patch.object(torch.amp, "is_autocast_available", lambda it: it == DEVICE or known(it)))
        for kernels in ("_get_fused_kernels_supported_devices", "_get_foreach_kernels_supported_devices"):
            for module in (importlib.import_module("torch.optim.optimizer"), _foreach_utils):
                stack.enter_context(mock.patch.object(module, kernels, lambda: [DEVICE, "cpu"]))
        stack.enter_context(Unread())
        stack.enter_context(casts)
        yield
