"""A net's penultimate features and logits of images, block by block."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Progress, silent
from decoct.nets.layout import as_input
from decoct.nets.precision import within
from decoct.nets.room import Halving

PIXELS = 64 * 224**2  # of images in one forward pass: what a net holds of each is many times that


@runtime_checkable
class Split(Protocol):
    """Images that are read in the order in which they are stored, as those of ``decoct.data.dataset.Split``."""

    @property
    def images(self) -> Any:
        """[N, C, H, W]."""

    def __len__(self) -> int: ...

    def batches(self, size: int, alone: bool = True) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Rows and images, some at a time."""


Images = Tensor | NDArray[Any] | Split
How = ParamSpec("How")


def at_once(height: int, width: int, most: int = 512) -> int:
    """Images in one forward pass without gradients: fewer where they are large, so that memory is about the same."""
    return max(1, min(most, PIXELS // (height * width)))


def penultimate_blocks(
    net: nn.Module,
    images: Images,
    mean: ArrayLike | Tensor,
    std: ArrayLike | Tensor,
    device: str | torch.device = "cpu",
    batch: int | None = None,
    progress: Progress = silent,
    precision: str = "float32",
) -> Iterator[Tensor]:
    """Features [n, d] float32, on the CPU, batch by batch: what the net's classifier, its last linear layer, sees.

    ``penultimate`` gives those of all batches at once.

    Args:
        net: moved to ``device`` and left there; its train and eval modes are as before afterwards.
        images: [n, C, H, W] uint8, or floating point in [0, 1]; an array, a memory map or a tensor. Or a split of a
            data set: then features come in the order of its ``order``.
        mean: per channel, of images in [0, 1]; the net sees (x − mean) / std.
        std: per channel.
        device: where to compute.
        batch: images at a time; None for as many as ``at_once`` says.
        progress: called with (images done, images in all).
        precision: of the forward pass.

    Raises:
        DecoctError: the net has no linear classifier that sees one vector an image, or there are no images.
    """
    seen: list[Tensor] = []
    hook = classifier(net).register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        for out in logit_blocks(net, images, mean, std, device, batch, progress, precision):
            if not seen or seen[-1].ndim != 2 or len(seen[-1]) != len(out):
                shape = list(seen[-1].shape) if seen else "nothing"
                raise DecoctError(f"{type(net).__name__}: its last linear layer gets {shape}, not one vector an image")
            yield seen[-1].float().cpu()
            seen.clear()
    finally:
        hook.remove()


def logit_blocks(
    net: nn.Module,
    images: Images,
    mean: ArrayLike | Tensor,
    std: ArrayLike | Tensor,
    device: str | torch.device = "cpu",
    batch: int | None = None,
    progress: Progress = silent,
    precision: str = "float32",
) -> Iterator[Tensor]:
    """Outputs [n, classes] batch by batch, as the net gives them, on its device; the rest as ``penultimate_blocks``.

    ``logits`` gives those of all batches at once, float32 on the CPU.
    """
    if len(images) == 0:
        raise DecoctError("there are no images to take features of")
    whole = images.images if isinstance(images, Split) else images
    net, batch = net.to(device), batch or at_once(*whole.shape[-2:])
    shift, scale = (torch.as_tensor(v, dtype=torch.float32, device=device).reshape(-1, 1, 1) for v in (mean, std))
    halving, seeing, done = Halving("a forward pass", device), within(net, precision), 0

    def forward(some: Tensor | NDArray[Any]) -> Tensor:
        block = (some if isinstance(some, Tensor) else torch.from_numpy(np.array(some))).to(device)
        pixels = block.float() if block.is_floating_point() else block.float() / 255
        with torch.inference_mode():
            out: Tensor = seeing((pixels - shift) / scale)
        return out

    with evaluating(net):
        for some in _blocks(images, batch, device):
            for out in halving(forward, some):
                yield out
                progress(done := done + len(out), len(images))


def _whole(blocks: Callable[How, Iterator[Tensor]]) -> Callable[How, Tensor]:
    """All batches at once, float32 on the CPU."""

    @functools.wraps(blocks)
    def whole(*args: How.args, **rest: How.kwargs) -> Tensor:
        return torch.cat([block.float().cpu() for block in blocks(*args, **rest)])

    return whole


penultimate, logits = _whole(penultimate_blocks), _whole(logit_blocks)


def _blocks(images: Images, batch: int, device: str | torch.device) -> Iterator[Tensor | NDArray[Any]]:
    if isinstance(images, Split):
        yield from (block for _, block in images.batches(batch, alone=torch.device(device).type == "cpu"))
        return
    for start in range(0, len(images), batch):
        yield images[start : start + batch]


def classifier(net: nn.Module) -> nn.Linear:
    """The layer that makes the logits: timm's ``get_classifier()`` if that is linear, else the last linear layer.

    Raises:
        DecoctError: the net has no linear layer.
    """
    named: Any = getattr(net, "get_classifier", None)
    if callable(named) and isinstance(layer := named(), nn.Linear):
        return layer
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise DecoctError(f"{type(net).__name__} has no linear classifier, so it gives no penultimate features")
    return linear[-1]


class _Reached(Exception):  # noqa: N818, no error
    """The forward pass has come as far as it has to."""


def entering(net: nn.Module, images: Tensor, layer: int) -> Tensor:
    """The input of a child of the net, counted from the end (−1: the last); with a gradient, on normalised images.

    The rest of the net is not run.

    Raises:
        UsageError: the net has fewer children.
    """
    children = list(net.children())
    if len(children) < -layer:
        raise UsageError(f"{type(net).__name__} has {len(children)} children, none at layer {layer}: raise layer")
    seen: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0])
        raise _Reached

    handle = children[layer].register_forward_pre_hook(keep)
    try:
        net(as_input(images, net))
    except _Reached:
        pass
    finally:
        handle.remove()
    return seen[0]


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """The net in eval mode, its modes as they were afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
