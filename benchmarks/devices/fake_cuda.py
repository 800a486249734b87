"""The device "cuda" where there is no GPU: its tensors are fake, the host's are real and compute.

Within ``FakeCuda`` a tensor that is made on, or moved to, the device "cuda" has a shape, a type and a layout, but no
values; operations on it go through torch's own rules for fake tensors, which refuse those of two devices. A copy to
the host is a tensor of zeros there. So whole jobs of decoct run "on CUDA" to their end with the CUDA build of torch,
with everything that depends on the device's name: ``is_cuda``, autocast, fused optimisers, pinning.

What is replaced for that is in ``REPLACED``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import compress
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from devices.elsewhere import place

BYTES = 80 * 2**30  # of memory, which the device says to have
GPU = SimpleNamespace(uuid="0", total_memory=BYTES, name="fake", major=9, minor=0, multi_processor_count=132)
STATE = torch.zeros(16, dtype=torch.uint8)  # of its generator
CUDA = {  # what is asked of torch.cuda, and what it answers
    "device": lambda *_: nullcontext(),
    "empty_cache": lambda: None,
    "get_device_properties": lambda *_: GPU,
    "get_device_name": lambda *_: GPU.name,
    "get_device_capability": lambda *_: (GPU.major, GPU.minor),
    "get_rng_state": lambda *_: STATE.clone(),
    "init": lambda: None,
    "is_bf16_supported": lambda *_, **__: True,
    "max_memory_allocated": lambda *_: 0,
    "mem_get_info": lambda *_: (BYTES, BYTES),
    "memory_allocated": lambda *_: 0,
    "memory_reserved": lambda *_: 0,
    "reset_peak_memory_stats": lambda *_: None,
    "set_rng_state": lambda *_: None,
    "synchronize": lambda *_: None,
}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
SIZED = {"nonzero", "masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive"} | INDEXING
REPLACED = {
    "values": "there are none: a copy to the host is zeros; a number that is read is 1, an index 0, a truth is true, "
    "but `any` finds nothing",
    "sizes that depend on values": "`nonzero`, and masks: as if all were true; `unique`: as if no two were equal",
    "the autograd engine": "it asks the driver for streams: the graph is walked in Python, each node is torch's own",
    "fused steps of SGD and AdamW": "torch has no rule for them: their tensors are looked at, nothing is changed",
    "`torch.cuda`": ", ".join(f"`{name}`" for name in sorted(CUDA)),
    "pinning": "the host's memory stays as it is",
    "whether CUDA is there, as autocast asks": "it is",
    "`nn.Module.to`": "puts new parameters in the place of the old ones",
}


class FakeCuda(FakeTensorMode):
    """In the block tensors of the device "cuda" are fake, all others real.

    Attributes:
        calls: operations on the device, by name.
        waits: how often the host waited for the device, by line of decoct and operation.
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=False)
        self.calls: Counter[str] = Counter()
        self.waits: Counter[tuple[str, str]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the host as ever; on the device infer what comes out, and refuse what CUDA would refuse."""
        kwargs = dict(kwargs or {})
        name = func._schema.name.partition("::")[2]
        if func.namespace != "aten":
            return super().__torch_dispatch__(func, types, args, kwargs)
        if func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
            with self, torch._C.DisableTorchFunction():  # in inference mode torch does not take them apart by itself
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        leaves = tree_leaves((args, kwargs))
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        here = any(isinstance(x, FakeTensor) for x in tensors)
        there = here if kwargs.get("device") is None else torch.device(kwargs["device"]).type == "cuda"
        if not here and not there:
            return func(*args, **{key: value for key, value in kwargs.items() if key != "pin_memory"})
        self.calls[name] += 1
        if any(isinstance(x, torch.Generator) and x.device.type != "cuda" for x in leaves):
            raise RuntimeError(f"{name}: expected a 'cuda' device type for generator but found 'cpu'")
        if name in ("_local_scalar_dense", "equal"):
            self.waits[place(), name] += 1
            return True if name == "equal" else self._number(args[0])
        if name == "copy_":
            return self._copy(*args[:2])
        if name == "_to_copy":
            if here and not there:
                self.waits[place(), name] += 1
                made = super().__torch_dispatch__(func, types, args, {**kwargs, "device": torch.device("cuda")})
                return torch.empty_strided(made.shape, made.stride(), dtype=made.dtype).zero_()
            return super().__torch_dispatch__(func, types, *self._over((args, kwargs)))
        self._together(func, name, args, tensors)
        if name.startswith("_fused_"):
            return None
        if name in SIZED and (sized := self._sized(func, name, args, kwargs)) is not None:
            return sized
        found = super().__torch_dispatch__(func, types, *self._over((args, kwargs)))
        if name in ("any", "all") and isinstance(found, FakeTensor):
            found.says = name == "all"
        return found

    @staticmethod
    def _together(func: Any, name: str, args: Any, tensors: list[Tensor]) -> None:
        """Refuse tensors of several devices; single numbers and indices may lie on the host."""
        if name in INDEXING:
            indices = {x.device for x in args[1] if x is not None} - {torch.device("cpu")}
            places = {x.device for x in (args[0], *args[2:3])} | indices
        else:
            places = {x.device for x in tensors if x.ndim or torch.Tag.pointwise not in func.tags}
        if len(places) > 1:
            found = ", ".join(sorted(map(str, places)))
            raise RuntimeError(f"{name}: expected all tensors on the same device, but found at least two: {found}")

    def _over(self, given: Any) -> Any:
        """Tensors of the host as fake ones there."""
        lies = lambda x: isinstance(x, Tensor) and not isinstance(x, FakeTensor)  # noqa: E731
        return tree_map(lambda x: self.from_tensor(x) if lies(x) else x, given)

    def __deepcopy__(self, _: Any) -> "FakeCuda":
        return self  # copied tensors stay in the mode

    @staticmethod
    def _number(x: Tensor) -> Any:
        return getattr(x, "says", True) if x.dtype == torch.bool else 1.0 if x.is_floating_point() else 0

    def _copy(self, target: Tensor, source: Tensor) -> Tensor:
        """``copy_`` within the device or across."""
        if not isinstance(target, FakeTensor):
            self.waits[place(), "copy_"] += 1
            return target.zero_()
        source.expand(target.shape)  # or it does not fit
        return target

    def _sized(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """What has a size that depends on values, or None if nothing has."""
        x = args[0]

        def indices(*shape: int) -> Tensor:
            with self:
                return torch.zeros(shape, dtype=torch.int64, device=x.device)

        masks = [by is not None and by.dtype in (torch.bool, torch.uint8) for by in args[1]] if name in INDEXING else []
        if name in INDEXING and not any(masks):
            return None
        if name not in INDEXING or any(isinstance(by, FakeTensor) for by in compress(args[1], masks)):
            self.waits[place(), name] += 1
        if name == "nonzero":
            return indices(x.numel(), x.ndim)
        if name == "masked_select":
            return torch.broadcast_tensors(x, args[1])[0].reshape(-1).clone()
        if "unique" in name:
            each = x.clone() if "dim" in name else x.reshape(-1).clone()
            return each, indices(len(each)), indices(len(each))
        rows: list[Tensor | None] = []
        for by, mask in zip(args[1], masks, strict=True):
            if mask and isinstance(by, FakeTensor):
                rows += [indices(by.numel()) for _ in range(by.ndim)]
            else:  # a mask of the host has values
                rows += by.nonzero().unbind(1) if mask else [by]
        with self:
            return func(x, rows, *args[2:], **kwargs)


class _Reads(TorchFunctionMode):
    """What does not come to operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.numpy, Tensor.__array__) and isinstance(args[0], FakeTensor):
            raise TypeError("can't convert cuda device type tensor to numpy: use Tensor.cpu() first")
        return func(*args, **(kwargs or {}))


def walk(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    _retain: bool,
    create: bool,
    inputs: Sequence[Tensor],
    allow_unreachable: bool = False,
    accumulate_grad: bool = False,
) -> tuple[Tensor | None, ...]:
    """The graph walked backward as the autograd engine does it, which needs a driver: ``_engine_run_backward``."""
    if accumulate_grad and inputs:
        raise NotImplementedError("backward to some inputs alone")
    roots, wanted = ([torch.autograd.graph.get_gradient_edge(x) for x in given] for given in (outputs, inputs))
    ordered, ends = _ordered([root.node for root in roots]), {each.node for each in wanted}
    passing: set[Any] = set()  # nodes whose gradients are asked of them
    for node in reversed(ordered):
        if not wanted or any(each in ends or each in passing for each, _ in node.next_functions):
            passing.add(node)
    due: dict[Any, dict[int, Tensor]] = {node: {} for node in ordered}
    with torch.set_grad_enabled(create):
        for root, gradient in zip(roots, gradients, strict=True):
            _add(due, root.node, root.output_nr, gradient)
        for node in ordered:
            if node in passing and due[node]:
                given = _through(node, due[node])
                for (following, slot), gradient in zip(node.next_functions, given, strict=True):
                    if following is not None:
                        _add(due, following, slot, gradient)
    found = tuple(due.get(each.node, {}).get(each.output_nr) for each in wanted)
    if not allow_unreachable and any(x is None for x in found):
        raise RuntimeError("One of the differentiated Tensors appears to not have been used in the graph")
    return found


def _ordered(roots: Sequence[Any]) -> list[Any]:
    """Nodes, each before those that it gives gradients to."""
    after: list[Any] = []
    seen: set[Any] = set()
    stack = [(root, False) for root in roots]
    while stack:
        node, left = stack.pop()
        if left:
            after.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(each, False) for each, _ in node.next_functions if each is not None]
    return after[::-1]


def _through(node: Any, given: dict[int, Tensor]) -> Sequence[Tensor | None]:
    """The gradients that a node gives to those before it."""
    slots = [given.get(i) for i in range(len(node._input_metadata))]
    if not isinstance(node, torch.autograd.function.BackwardCFunction):
        gradients = node(*slots)  # a leaf notes its gradient, and gives none
    else:  # of a Function, which gets zeros for what is missing
        filled = (
            torch.zeros(meta.shape, dtype=meta.dtype, device=meta.device) if x is None else x
            for x, meta in zip(slots, node._input_metadata, strict=True)
        )
        gradients = node.apply(*filled)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return gradients[: len(node.next_functions)]  # tensors come first in every Function here


def _add(due: dict[Any, dict[int, Tensor]], node: Any, slot: int, gradient: Tensor | None) -> None:
    """Sum gradients of one slot, in its shape and type."""
    if gradient is None:
        return
    meta = node._input_metadata[slot]
    if gradient.device != meta.device:
        raise RuntimeError(f"{node.name()}: expected a gradient on {meta.device} but got one on {gradient.device}")
    if gradient.shape != meta.shape:
        gradient = gradient.sum_to_size(meta.shape)
    gradient = gradient.to(meta.dtype)
    due[node][slot] = due[node][slot] + gradient if slot in due[node] else gradient


def _apply(module: nn.Module, change: Any, recurse: bool = True) -> nn.Module:
    """``nn.Module._apply``, which cannot put a fake tensor into a parameter that was real: new parameters."""
    for child in module.children() if recurse else ():
        child._apply(change)
    for name, old in module._parameters.items():
        if old is not None and (moved := change(old.detach())) is not old:
            new = module._parameters[name] = nn.Parameter(moved, old.requires_grad)
            new.grad = None if old.grad is None else change(old.grad)
    module._buffers.update({name: change(x) for name, x in module._buffers.items() if x is not None})
    return module


def _backward(usual: Any) -> Any:
    """The engine where tensors are real, the walk where they are not."""

    def run(outputs: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        return (walk if any(x.is_cuda for x in outputs) else usual)(outputs, *args, **kwargs)

    return run


@contextmanager
def fake_cuda() -> Iterator[FakeCuda]:
    """A block in which the device "cuda" is there, and fake."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(nn.Module, "_apply", _apply))
        for name, answer in CUDA.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        stack.enter_context(mock.patch.object(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False))
        stack.enter_context(mock.patch.object(Tensor, "pin_memory", lambda x, *_: x))
        usual = torch.autograd._engine_run_backward
        stack.enter_context(mock.patch.object(torch.autograd, "_engine_run_backward", _backward(usual)))
        stack.enter_context(mock.patch.object(FakeTensor, "tolist", lambda x: x.cpu().tolist()))
        stack.enter_context(_Reads())
        yield stack.enter_context(FakeCuda())
