"""What EDC and G-VBSM share: hooks that match statistics, files of targets, and a process that has no GPU.

Targets are of the first ``IMAGES`` train images, each at one draw of crop and mirror.
"""

import io
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as tv

from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views
from decoct.needs.statistics import Statistics, collect, draw_views
from decoct.nets.moments import Moments
from decoct.training.images import Images
from decoct.training.views import render
from originals.data import fashion, teacher
from originals.trees import on_cpu, program, replaced

NETS = ("convnet3_bn_w32", "test_resnet")
IMAGES, BATCH, TILE = 5000, 64, 4
PARTS = {"dd_mean": "mean", "dd_var": "variance", "patch_mean": "patch_mean", "patch_var": "patch_variance"}
Parts = dict[str, np.ndarray[Any, Any]]


def views_of_all() -> Any:
    """The views of the images that targets are of."""
    return draw_views(IMAGES, fashion().size, fashion().flip, 0)


@cache
def statistics(net: str) -> Statistics:
    """Targets by decoct."""
    train = fashion().train
    split = Split(train.images[:IMAGES], train.labels[:IMAGES])
    pixels = Pixels.of(fashion(), "cpu")
    return collect(teacher(net), split, fashion().class_names, pixels, tile=TILE, views=views_of_all())


def in_double(stored: Statistics) -> Statistics:
    """The same in float64."""

    def doubled(moments: Any) -> dict[str, Moments]:
        return {name: Moments(*(part.double() for part in one.parts())) for name, one in moments.items()}

    return Statistics(doubled(stored.whole), doubled(stored.by_class), doubled(stored.within), stored.tile)


def arrange(x: Tensor, pattern: str, h: int, w: int) -> Tensor:
    """The two rearrangements that the programs ask einops for."""
    tiles = x.unflatten(3, (-1, w)).unflatten(2, (-1, h))  # b c u h v w
    if pattern.endswith("b (u v) (c h w)"):
        return tiles.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    return tiles.permute(2, 4, 0, 1, 3, 5).flatten(2).flatten(0, 1)


@contextmanager
def opened(path: Path) -> Iterator[ModuleType]:
    """A recovery program without its nets, which are ours, and without einops."""
    stubs = {"einops": ModuleType("einops"), "baseline": ModuleType("baseline"), "models": ModuleType("models")}
    stubs["einops"].rearrange = arrange  # type: ignore[attr-defined]
    stubs["baseline"].get_network = None  # type: ignore[attr-defined]
    with program(path, **stubs) as theirs:
        yield theirs


def begun(hook: type) -> type:
    """A hook whose averages start at the first statistics that it sees; until then it forgets the 0 it starts with."""

    def wrapped(name: str) -> Callable[..., None]:
        def call(self: Any, *args: Any) -> None:
            momentum = self.momentum
            self.momentum = 0.0 if isinstance(self.dd_var, float) else momentum
            getattr(hook, name)(self, *args)
            self.momentum = momentum

        return call

    return type(
        hook.__name__, (hook,), {name: wrapped(name) for name in ("post_hook_fn", "hook_fn") if name in vars(hook)}
    )


@contextmanager
def one_process(theirs: ModuleType, made: list[Tensor], *, mend: bool, double: bool) -> Iterator[None]:
    """In the block the program runs by itself, with Fashion-MNIST's scale; images that it saves go to ``made``.

    Args:
        theirs: the program.
        made: filled with [n, 1, 28, 28] in [0, 1].
        mend: averages start at the first statistics.
        double: what it casts to float32 is float64.
    """
    scale, real = Pixels.of(fashion(), "cpu"), nn.AdaptiveAvgPool2d
    ours: dict[str, Any] = {
        "clip": lambda x: x.clamp_(scale.low, scale.high),
        "denormalize": lambda x: ((x * scale.std + scale.mean) / 255).clamp(0, 1),
        "save_images": lambda how, images, *_: made.append(images.clone()),
        "GatherLayer": SimpleNamespace(apply=lambda x: (x,)),
    }
    if mend:
        ours |= {name: begun(getattr(theirs, name)) for name in ("ConvFeatureHook", "BNFeatureHook")}
    with ExitStack() as stack:
        for place, values in (
            (theirs, ours),
            (theirs.dist, {"init_process_group": lambda **_: None}),
            (torch.cuda, {"set_device": lambda _: None}),
            (theirs.transforms, {"Normalize": lambda *_, **__: lambda x: x}),
            # Pools of 32 px are the size of their images.
            (nn, {"AdaptiveAvgPool2d": lambda size: real(fashion().size if size == (32, 32) else size)}),
        ):
            stack.enter_context(replaced(place, **values))
        if double:  # what it says of the images on the way takes no float64
            stack.enter_context(replaced(theirs, validate=lambda *_: None))
            stack.enter_context(replaced(torch, float=torch.float64))
            stack.enter_context(replaced(Tensor, float=lambda self: self))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(on_cpu())
        yield


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    """The images that targets are of, as both programs see them."""
    train, scale, views = fashion().train, Pixels.of(fashion(), "cpu"), views_of_all()
    seen = render(
        Images(torch.from_numpy(np.array(train.images[:IMAGES])), scale.mean, scale.std, scale.mean.device), views, 4
    )
    labels = torch.from_numpy(np.array(train.labels[:IMAGES]))
    return zip(seen.split(BATCH), labels.split(BATCH), strict=True)


def store(folder: Path, kind: str, name: str, parts: Moments, cls: int | None = None) -> None:
    """Leave targets where a hook looks for them; of a class, or of all."""
    place = folder / kind / ("" if cls is None else f"class_{cls}") / name
    place.mkdir(parents=True, exist_ok=True)
    values = {f"running_{theirs}": getattr(parts, ours) for theirs, ours in PARTS.items()}
    known = {
        key: np.asarray(value if cls is None else value[cls]) for key, value in values.items() if value is not None
    }
    np.savez(place / "running.npz", **known)


def apart(theirs: Sequence[Any], ours: Sequence[Any]) -> float:
    """The largest ‖ours − theirs‖ / ‖theirs‖ of several tensors."""
    pairs = [(np.asarray(a, float), np.asarray(b, float)) for a, b in zip(theirs, ours, strict=True)]
    return float(max(np.linalg.norm(b - a) / (np.linalg.norm(a) or 1) for a, b in pairs))


def crops_of(views: Views) -> Callable[[Tensor], Tensor]:
    """Crop and mirror of one group's views, iteration after iteration, by torchvision."""
    waiting = iter(range(len(views.boxes)))

    def view(images: Tensor) -> Tensor:
        t, size = next(waiting), images.shape[-1]
        top, left, height, width = views.boxes[t, 0].tolist()
        if min(top, left) < 0 or max(top + height, left + width) > size or (height, width) == (size, size):
            seen = tv.crop(images, top, left, height, width)
        else:
            seen = tv.resized_crop(images, top, left, height, width, [size, size], antialias=True)
        return seen.flip(3) if views.mirrored[t, 0] else seen

    return view


def reseed(seed: int) -> None:
    """All generators that the programs draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def levels(made: list[Tensor]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """What the programs write, before its JPEG or PNG: truncated to 8 bits."""
    return (torch.cat(made).numpy() * 255).astype(np.uint8)


@contextmanager
def decoct_in_double() -> Iterator[None]:
    """In the block decoct's images are float64."""
    with replaced(Pixels, load=lambda self, images: torch.as_tensor(images).double()):
        yield
