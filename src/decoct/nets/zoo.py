"""Nets by name: ConvNet-D, ResNets with a small stem, and everything that timm and torchvision know."""

import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from decoct.core.errors import UsageError
from decoct.core.names import check_name as named
from decoct.core.spec import suggest
from decoct.nets import convnet, resnet, resnet_ap

HELD_OUT = "held_out"  # the word for a net that judges sets, and takes no part in making or labelling them
OWN = (convnet.convnet, resnet.resnet, resnet_ap.resnet_ap)  # in the order in which they are asked for a name
PATTERNS = (convnet.NAME, resnet.NAME, resnet_ap.NAME)
EXAMPLES = ("convnet3", "convnet3_bn", "convnet3_w32", *resnet.NAMES, "resnet18_in", "resnet_ap10")
COMMON = (  # known to be timm's and torchvision's, which take a second to import
    "mobilenetv3_small_050",
    "test_efficientnet",
    "resnet10t",
    "test_resnet",
    "mobilenet_v2",
    "mobilenetv2_100",
    "efficientnet_b0",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "densenet121",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "alexnet",
)
TAGS = ("tv_in1k", "tv2_in1k")  # timm's words for torchvision's first and second weights; here also of nets it lacks
LOGITS_ALONE = {"aux_logits": False, "init_weights": True}  # else these two also give what their side heads say
AUXILIARY = {"googlenet": LOGITS_ALONE, "inception_v3": LOGITS_ALONE}
SWIN = re.compile(r"swin.*_window(?P<window>\d+)")
PATCH = re.compile(r"_patch(?P<patch>\d+)")


def build(name: str, channels: int, classes: int, size: int, seed: int) -> nn.Module:
    """A freshly initialised net; the same seed gives the same weights whatever was drawn before.

    Args:
        name: such as convnet3, convnet3_bn, convnet3_w32, resnet18, resnet18_in, resnet_ap10, or any timm or
            torchvision model; a timm transformer gets the patches of ``geometry``. A tag of pretrained weights
            (resnet50.tv_in1k, mobilenet_v2.tv_in1k) changes nothing here but that ResNets are timm's.
        channels: of the images.
        classes: outputs.
        size: height and width of the images.
        seed: of the initial weights.

    Raises:
        UsageError: nobody knows the name (with the nearest one), or the net cannot take such images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the GPU's generators as well
        for own in OWN:
            if net := own(name, channels, classes, size):
                return net
        net = _timm(name, channels, classes, size) or _torchvision(name, channels, classes)
        return tried(net, name, channels, classes, size)


def student(size: int, width: int | None = None) -> str:
    """The default student at a resolution: up to 128 px the ConvNet that fits it, of 128 filters or ``width``."""
    if size > 128:
        return "resnet18"
    return resolve("convnet", size) + (f"_w{width}" if width else "")


def label_committee(size: int) -> tuple[str, ...]:
    """The default label teachers at a resolution, architectures alone; the first is *the* teacher."""
    if size <= 64:
        return (f"convnet{convnet.depth(size)}_bn", "resnet10t", "test_resnet")
    return ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "densenet121")


def architecture(name: str, size: int) -> str:
    """The name without its tag, where that decides nothing but the weights: a net by both names is one.

    Up to 64 px a tagged ResNet is not the untagged one: it is timm's, and keeps the stem for large images.
    """
    net = name.partition(".")[0]
    return name if net in resnet.NAMES and size <= resnet.SMALL else net


def judges(size: int) -> tuple[str, ...]:
    """Candidates for the held-out net at a resolution, in order; none is a label teacher by default."""
    if size <= 64:  # nets that halve the image five times see little of it
        return ("test_efficientnet", "test_nfnet", "test_byobnet")
    return ("mobilenetv3_small_050", "mnasnet_small", "lcnet_050")


def judge(size: int, involved: Collection[str], loaded: Sequence[str] = ()) -> str:
    """The held-out net: the first candidate that takes no part in making or labelling sets.

    One that is loaded goes before one that would have to be trained for this alone.

    Args:
        size: height and width of the images.
        involved: nets that take part.
        loaded: nets that need not be trained; any of them may judge but those that are label teachers by default.

    Raises:
        UsageError: all of these take part.
    """
    taken = {architecture(net, size) for net in involved}
    others = [net for net in loaded if architecture(net, size) not in label_committee(size)]
    free = [net for net in (*judges(size), *others) if architecture(net, size) not in taken]
    if not free:
        raise UsageError(
            f"no net is left to judge the sets: leave one of {', '.join(judges(size))} out of their making"
        )
    return next((net for net in free if net in loaded), free[0])


def resolve(net: str, size: int) -> str:
    """``"teacher"`` becomes the default teacher of a resolution, ``"convnet"`` the ConvNet that fits it."""
    if net == "teacher":
        return label_committee(size)[0]
    return f"convnet{convnet.depth(size)}" if net == "convnet" else net


def check_fits(name: str, size: int) -> None:
    """Raise a UsageError, with the net to take, for an unknown name or a net that a resolution is too small for."""
    check_name(name)
    convnet.check_depth(name, size)
    try:
        _halves(name, size)
    except UsageError as error:
        own = convnet.NAME.fullmatch(name)
        fits = student(size, int(own["width"]) if own and own["width"] else None)
        raise UsageError(f"{error}\ntake {fits}, which fits {size} px") from None


@cache  # asked once for every student of a plan
def _halves(name: str, size: int) -> None:
    """Raise a UsageError if a ConvNet or ResNet of ours halves the image too often; nothing is allocated."""
    with torch.device("meta"):
        for own in OWN:
            own(name, 3, 10, size)


def check_name(name: str) -> None:
    """Raise a UsageError with the nearest known name if no net is called that."""
    if name in COMMON or any(pattern.fullmatch(name) for pattern in PATTERNS):
        return
    try:
        named(name)  # timm takes any text after a dot
    except ValueError as error:
        raise UsageError(f"unknown net {name!r}: {error}") from None
    import timm
    from torchvision import models

    if not timm.is_model(name):
        images = models.list_models(module=models)  # torchvision also has detectors, video nets …
        known = [*EXAMPLES, *timm.list_models(), *images]
        net, _, tag = name.partition(".")
        if net not in images or (tag or TAGS[0]) not in TAGS:
            hint = suggest(name, known)
            raise UsageError(f"unknown net '{name}'.{hint if 'mean' in hint else ' See timm.list_models().'}")


def _timm(name: str, channels: int, classes: int, size: int) -> nn.Module | None:
    import timm

    if not timm.is_model(name):
        return None
    try:
        return of_timm(name, size, pretrained=False, num_classes=classes, in_chans=channels)
    except (AssertionError, ValueError, ZeroDivisionError) as error:
        raise UsageError(f"timm's {name} cannot take {size} px images: {error}") from error


def of_timm(name: str, size: int, **options: Any) -> nn.Module:
    """timm's net for images of ``size`` px, which receives as much about the resolution as it accepts.

    Raises:
        UsageError: no such net is a classifier of images, or its patches do not fit them.
    """
    import timm

    patches, whole = geometry(name, size), {"img_size": size}
    shapes: list[dict[str, Any]] = [{**whole, **patches}, whole, {}] if patches else [whole, {}]
    for shape in shapes:
        try:
            net: nn.Module = timm.create_model(name, **options, **shape)
            return net
        except TypeError:  # it does not take this option
            continue
    raise UsageError(f"timm's {name} is not a classifier of images")


def _torchvision(name: str, channels: int, classes: int) -> nn.Module:
    from torchvision import models

    check_name(name)
    which = name.partition(".")[0]
    net: nn.Module = models.get_model(which, weights=None, num_classes=classes, **AUXILIARY.get(which, {}))
    if channels != 3:
        _take(net, name, channels)
    return net


def _take(net: nn.Module, name: str, channels: int) -> None:
    """Put a fresh first convolution for ``channels`` in the place of the one that takes colour."""
    for path, old in net.named_modules():
        if isinstance(old, nn.Conv2d) and old.in_channels == 3 and old.groups == 1:
            shape: dict[str, Any] = {key: getattr(old, key) for key in ("kernel_size", "stride", "padding", "dilation")}
            parent, _, last = path.rpartition(".")
            fresh = nn.Conv2d(channels, old.out_channels, **shape, bias=old.bias is not None)
            setattr(net.get_submodule(parent), last, fresh)
            return
    raise UsageError(f"torchvision's {name} takes colour images only, not {channels} channel(s): take a timm net")


def tried(net: nn.Module, name: str, channels: int, classes: int, size: int) -> nn.Module:
    """The net, if one image goes through it: some only know one resolution, or halve it to nothing.

    Raises:
        UsageError: none does, or it gives other outputs than one a class.
    """
    try:
        with torch.no_grad():
            shape = list(net.eval()(torch.zeros(1, channels, size, size)).shape)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UsageError(f"{name} cannot take {size} px images: {str(error).splitlines()[0]}") from error
    if shape != [1, classes]:
        raise UsageError(f"{name} is not a classifier: it gives {shape} for one image")
    return net.train()


def geometry(name: str, size: int) -> dict[str, int]:
    """timm's ``patch_size``, and ``window_size`` of a Swin, for images of ``size`` px; {} for nets that name neither.

    The patch is the largest divisor of the size, up to the one in the net's name, that leaves at least 7 × 7 patches
    (14 × 14 for a Swin, which merges them three times). At 224 px nets stay as published. vit_tiny_patch16_224 gets
    patches of 1, 4, 4 and 8 px at 8, 28, 32 and 64 px; swin_tiny_patch4_window7_224 gets 2, 2 and 4 px at 28, 32 and
    64 px: at 32 and 64 px the patches that Lee et al., 2021, arXiv:2112.13492, train both families with.
    The window is the largest from 4 to the one in the name that divides the grid of patches, else the one in the name.

    Raises:
        UsageError: no such patch, or only one that gives more than four times as many patches per side.
    """
    swin, patched = SWIN.match(name), PATCH.search(name)
    if not swin and not patched:
        return {}
    own, fewest = int(patched["patch"]) if patched else 4, 14 if swin else 7
    patch = _patch(size, own, fewest)
    if patch is None:
        near = next(s for d in range(1, size + 4 * fewest) for s in (size - d, size + d) if _patch(s, own, fewest))
        raise UsageError(
            f"{name} cannot take {size} px images: no patch of up to {own} px cuts them into {fewest} to {4 * fewest} "
            f"a side. The nearest size that it takes is {near} px"
        )
    if not swin:
        return {"patch_size": patch}
    largest, grid = int(swin["window"]), size // patch
    window = next((w for w in range(largest, 3, -1) if grid % w == 0), largest)
    return {"patch_size": patch, "window_size": window}


def _patch(size: int, own: int, fewest: int) -> int | None:
    """The patch of ``geometry``, or None."""
    patch = next((p for p in range(own, 0, -1) if size % p == 0 and size // p >= fewest), None)
    return patch if patch == own or (patch and size // patch <= 4 * fewest) else None
