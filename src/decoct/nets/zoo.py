"""Nets by name: ConvNet-D, ResNets with a small stem, and everything that timm and torchvision know."""

from typing import Any

import torch
from torch import nn

from decoct.core.errors import UsageError
from decoct.core.spec import suggest
from decoct.nets.convnet import NAME, convnet
from decoct.nets.resnet import NAMES, resnet

HELD_OUT = "mobilenetv3_small_050"  # judges realism; never labels a batch
COMMON = (HELD_OUT, "resnet10t", "test_resnet")  # known to be timm's, which takes a second to import


def build(name: str, channels: int, classes: int, size: int, seed: int) -> nn.Module:
    """A freshly initialised net; the same seed gives the same weights whatever was drawn before.

    Args:
        name: such as convnet3, convnet3_bn, convnet3_w32, resnet18, or any timm or torchvision model.
        channels: of the images.
        classes: outputs.
        size: height and width of the images.
        seed: of the initial weights.

    Raises:
        UsageError: nobody knows the name (with the nearest one), or the net cannot take such images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the GPU's generators as well
        net = convnet(name, channels, classes, size) or resnet(name, channels, classes, size)
        if net is not None:
            return net
        net = _timm(name, channels, classes, size) or _torchvision(name, channels, classes)
        return _tried(net, name, channels, classes, size)


def label_committee(size: int) -> tuple[str, ...]:
    """The default label teachers at a resolution; the first is *the* teacher."""
    if size <= 28:
        return ("convnet3_bn", "resnet10t", "test_resnet")
    if size <= 64:
        return ("resnet18", "convnet3_bn", "resnet10t")
    return ("resnet18", "mobilenetv2_100", "shufflenet_v2_x0_5", "densenet121")


def resolve(net: str, size: int) -> str:
    """``"teacher"`` becomes the default teacher of the resolution; other names stay."""
    return label_committee(size)[0] if net == "teacher" else net


def check_name(name: str) -> None:
    """Raise a UsageError with the nearest known name if no net is called that."""
    if NAME.fullmatch(name) or name in NAMES or name in COMMON:
        return
    import timm
    from torchvision import models

    if not timm.is_model(name):
        images = models.list_models(module=models)  # torchvision also has detectors, video nets …
        known = ["convnet3", "convnet3_bn", "convnet3_w32", *NAMES, *timm.list_models(), *images]
        if name not in images:
            hint = suggest(name, known)
            raise UsageError(f"unknown net '{name}'.{hint if 'mean' in hint else ' See timm.list_models().'}")


def _timm(name: str, channels: int, classes: int, size: int) -> nn.Module | None:
    import timm

    if not timm.is_model(name):
        return None
    options: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": channels}
    try:  # transformers must know the resolution, convolutional nets do not take it
        net: nn.Module = timm.create_model(name, img_size=size, **options)
    except TypeError:
        net = timm.create_model(name, **options)
    except (AssertionError, ValueError, ZeroDivisionError) as error:
        raise UsageError(f"timm's {name} cannot take {size} px images: {error}") from error
    return net


def _torchvision(name: str, channels: int, classes: int) -> nn.Module:
    from torchvision import models

    check_name(name)
    if channels != 3:
        raise UsageError(f"torchvision's {name} takes colour images only, not {channels} channel(s): take a timm net")
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def _tried(net: nn.Module, name: str, channels: int, classes: int, size: int) -> nn.Module:
    """The net, if one image goes through it: some only know one resolution, or halve it to nothing."""
    try:
        with torch.no_grad():
            shape = list(net.eval()(torch.zeros(1, channels, size, size)).shape)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UsageError(f"{name} cannot take {size} px images: {str(error).splitlines()[0]}") from error
    if shape != [1, classes]:
        raise UsageError(f"{name} is no classifier: it gives {shape} for one image")
    return net.train()
