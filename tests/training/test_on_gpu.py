"""A training step on a GPU, which few machines that run these tests have: a stand-in refuses what a GPU refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from decoct.core.interfaces import Machine
from decoct.data.dataset import Split
from decoct.nets import zoo
from decoct.nets.features import penultimate
from decoct.training.evaluate import correct
from decoct.training.images import Images
from decoct.training.loop import train
from decoct.training.recipe import Recipe

PLAIN = Recipe(steps=2, batch=4, optimiser="sgd", lr=0.05, weight_decay=0.01, schedule="cosine")
GPU, HOST = torch.device("cuda:0"), torch.device("cpu")
INDEXED_FROM_HOST = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")


class OnGpu(Tensor):
    """A tensor that says it lies on ``cuda:0``; what it holds lies, and is computed, on the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __new__(cls, held: Tensor) -> "OnGpu":
        kind = {"dtype": held.dtype, "layout": held.layout, "strides": held.stride()}
        made = Tensor._make_wrapper_subclass(cls, held.shape, storage_offset=held.storage_offset(), **kind)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Refuse tensors of the host, but for numbers, indices and the two ends of a copy."""
        name, given = func._schema.name, (args, kwargs or {})
        tensors = [x for x in tree_leaves(given) if isinstance(x, Tensor)]
        if any(not isinstance(x, OnGpu) and x.ndim for x in tensors) and not (
            name == "aten::copy_" or (name in INDEXED_FROM_HOST and isinstance(args[0], OnGpu))
        ):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found cuda:0 and cpu")
        if any(isinstance(x, torch.Generator) for x in tree_leaves(given)):
            raise RuntimeError(f"{name}: expected a 'cuda' device type for generator but found 'cpu'")
        args, kwargs = tree_map(lambda x: x.held if isinstance(x, OnGpu) else x, given)
        known = {id(x.held if isinstance(x, OnGpu) else x): x for x in tensors}  # what is changed in place stays itself
        found = func(*args, **kwargs)

        def laid(x: Any) -> Any:
            return (known[id(x)] if id(x) in known else OnGpu(x)) if isinstance(x, Tensor) else x

        return tree_map(laid, found)


class Copied(torch.autograd.Function):
    """From the host to the GPU or back; so does the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, up: bool) -> Tensor:
        ctx.up = up
        return OnGpu(x.detach().clone()) if up else x.held.clone()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return moved(slope, not ctx.up), None


def moved(x: Tensor, up: bool) -> Tensor:
    return x if isinstance(x, OnGpu) == up else Copied.apply(x, up)


class Devices(TorchFunctionMode):
    """What a build of torch without CUDA cannot do itself: devices of tensors, and moves between them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        here = isinstance(args[0], OnGpu) if args else False
        if func == Tensor.device.__get__:
            return GPU if here else func(*args)
        if func == Tensor.is_cuda.__get__:
            return here
        if func in (Tensor.numpy, Tensor.__array__) and here:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if func is Tensor.pin_memory:
            if here:
                raise RuntimeError("cannot pin 'torch.cuda.ByteTensor' only dense CPU tensors can be pinned")
            return args[0]
        if func is Tensor.tolist and here:
            return args[0].held.tolist()
        if func is Tensor.cpu:
            return moved(args[0], False)
        if func is Tensor.to:
            return self._to(*args, **kwargs)
        if kwargs.get("device") is not None and torch.device(kwargs["device"]) != HOST:
            made = func(*args, **kwargs | {"device": HOST})
            return moved(made.detach(), True).requires_grad_(made.requires_grad)
        return func(*args, **kwargs)

    @staticmethod
    def _to(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = [*args, *kwargs.values()]
        like = [a for a in given if isinstance(a, Tensor)]
        places = [GPU if isinstance(a, OnGpu) else HOST for a in like]
        places += [torch.device(a) for a in given if isinstance(a, str | torch.device)]
        kinds = [a.dtype for a in like] + [a for a in given if isinstance(a, torch.dtype)]
        x = moved(x, places[0].type == "cuda") if places else x
        return Tensor.to(x, (*kinds, x.dtype)[0], memory_format=kwargs.get("memory_format", torch.preserve_format))


@contextmanager
def gpu(monkeypatch: pytest.MonkeyPatch, free: int = 2**34) -> Iterator[None]:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.zeros(16, dtype=torch.uint8))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Devices():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.mark.parametrize(
    "kind",
    [
        {"scale": (0.2, 1.0), "flip": True, "cutmix": 1.0},
        {"pad": 4, "flip": True, "mixup": 0.8, "ema": 0.9},
        {"shuffle": 2, "jitter": 0.4, "lighting": 0.1, "optimiser": "adamw", "lr": 1e-4},
        {"dsa": True},
    ],
    ids=["boxes", "crops", "tiles", "siamese"],
)
@pytest.mark.parametrize("free", [2**34, 0], ids=["images on the GPU", "images on the host"])
@pytest.mark.filterwarnings("ignore::decoct.training.images.HostImages")
def test_a_training_at_64_px_takes_its_steps_and_gives_what_the_cpu_gives(small_set, monkeypatch, kind, free):
    data, recipe = small_set(n=6, size=64, channels=3), replace(PLAIN, **kind)
    data = replace(data, images=data.images / 255)  # bytes would be resized as bytes, but on a CPU alone
    usual, net = (zoo.build("convnet3_w8", 3, 3, 64, seed=0) for _ in range(2))
    expected = train(usual, data, recipe, seed=0)
    with gpu(monkeypatch, free):
        found = train(net, data, recipe, seed=0, machine=Machine("cuda"))
        assert next(net.parameters()).device == GPU
    assert found.steps == expected.steps
    assert found.loss == pytest.approx(expected.loss, rel=1e-3)


def test_teachers_label_there_and_students_are_looked_at_there(small_set, monkeypatch):
    data, pixels = small_set(n=6, size=64, channels=3), SimpleNamespace(mean=(0.4,) * 3, std=(0.3,) * 3)
    teacher, net = (zoo.build(name, 3, 3, 64, seed=0) for name in ("convnet3_bn_w8", "convnet3_w8"))
    recipe = replace(PLAIN, loss="kl", scale=(0.2, 1.0), halves=True)
    with gpu(monkeypatch):
        assert train(net, data, recipe, seed=0, machine=Machine("cuda"), teachers=[teacher.to("cuda")]).steps == 2
        assert penultimate(net, data.images, data.mean, data.std, "cuda").device == HOST
        right = correct(net, Split(data.images.numpy(), data.labels.numpy()), pixels, "cuda")
    assert right.dtype == np.bool_ and right.shape == (6,)


@pytest.mark.parametrize(("room", "pinned"), [(None, 0), (0, 1)])
@pytest.mark.filterwarnings("ignore::decoct.training.images.HostImages")
def test_what_lies_on_the_host_alone_is_pinned(small_set, monkeypatch, room, pinned):
    seen = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda x: seen.append(x.device) or x)
    data = small_set(n=6, size=64)
    with gpu(monkeypatch):
        images = Images.of(data.images, data.mean, data.std, "cuda", room=room)
        assert images.rows(torch.tensor([4, 1])).device == GPU
    assert seen == [HOST] * pinned
