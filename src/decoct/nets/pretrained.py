"""Weights that timm or torchvision have pretrained on ImageNet-1K, by the net's name."""

from typing import Any

from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import imagenet_classes, resnet, zoo
from decoct.nets.renormalise import IMAGENET, Normalisation
from decoct.nets.weights import Weights

ADVICE = "fetch them where there is a network and keep the cache, or load a file with checkpoint = …"


def pretrained(name: str, size: int) -> Weights:
    """The weights of a net from timm's hub or torchvision's, or from their caches.

    Args:
        name: of a net as the zoo builds it; timm's names may carry a tag, such as "resnet50.a1_in1k".
        size: height and width of the images; transformers of timm's are resampled to it.

    Raises:
        UsageError: nobody has pretrained this net as it is built at this size.
        DecoctError: the weights are not available, or are not of ImageNet-1K.
    """
    zoo.check_name(name)
    if name in resnet.NAMES:
        if size <= resnet.SMALL:
            raise UsageError(
                f"{name} has another stem than the pretrained net up to {resnet.SMALL} px\n"
                f"train it, or take timm's with a tag, such as {name}.a1_in1k"
            )
        return _torchvision(name)
    if any(pattern.fullmatch(name) for pattern in zoo.PATTERNS):
        raise UsageError(f"nobody has pretrained {name}: train it, or take one of timm's nets or torchvision's")
    import timm  # late: it takes a second to import

    return _timm(name, size) if timm.is_model(name) else _torchvision(name)


def expected(net: nn.Module) -> Normalisation:
    """The normalisation of a net's ImageNet weights: what timm says of it, else ImageNet's usual one."""
    facts = getattr(net, "pretrained_cfg", None) or {}
    return Normalisation.of(facts["mean"], facts["std"]) if {"mean", "std"} <= set(facts) else IMAGENET


def configuration(name: str) -> Any:
    """What timm says of the pretrained weights that it means by a name: architecture, tag, input …

    Raises:
        UsageError: it has none of that name.
    """
    import timm

    try:
        facts = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise UsageError(f"timm has no such weights: {error}") from error
    if facts is None or not facts.has_weights:
        raise UsageError(f"timm has no pretrained weights of {name}: see timm.list_pretrained()")
    return facts


def out_of_reach(what: str, error: Exception, advice: str = ADVICE) -> DecoctError:
    """The error for weights that cannot be fetched, in two lines."""
    said = (str(error).splitlines() or [""])[0]
    return DecoctError(f"cannot get the weights of {what}: {type(error).__name__}: {said}\n{advice}")


def _timm(name: str, size: int) -> Weights:
    facts = configuration(name)
    try:
        net = zoo.of_timm(name, size, pretrained=True)
    except UsageError:
        raise
    except Exception as error:  # the hub's client has many kinds of errors
        raise out_of_reach(f"timm's {name}", error) from error
    return _checked(net, f"{facts.architecture}.{facts.tag} of timm" if facts.tag else f"{name} of timm", expected(net))


def _torchvision(name: str) -> Weights:
    from torchvision import models

    best = models.get_model_weights(name).DEFAULT
    try:
        net: nn.Module = models.get_model(name, weights="DEFAULT")
    except Exception as error:
        raise out_of_reach(f"torchvision's {name}", error) from error
    view: Any = best.transforms()
    takes = Normalisation.of(view.mean, view.std)
    if getattr(net, "transform_input", False):  # it turns that into this by itself, which the zoo's net does not do
        takes = Normalisation((0.5,) * 3, (0.5,) * 3)
    return _checked(net, f"{name} {best.name} of torchvision", takes)


def _checked(net: nn.Module, origin: str, normalisation: Normalisation) -> Weights:
    outputs = getattr(net, "num_classes", imagenet_classes.CLASSES)
    if outputs != imagenet_classes.CLASSES:
        raise DecoctError(f"{origin} has {outputs} outputs, not ImageNet-1K's: take weights that end in in1k")
    return Weights(net.state_dict(), origin, normalisation=normalisation, imagenet=True)
