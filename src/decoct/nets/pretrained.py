"""Weights that timm or torchvision have pretrained on ImageNet-1K, by the net's name."""

from typing import Any

from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import hub, imagenet_classes, resnet, zoo
from decoct.nets.renormalise import IMAGENET, Normalisation
from decoct.nets.weights import Weights

FILE = "; or load a file with checkpoint = …"
ADVICE = f"fetch them where there is a network and keep the cache{FILE}"
ENUM = dict(zip(zoo.TAGS, ("IMAGENET1K_V1", "IMAGENET1K_V2"), strict=True))  # torchvision's names of them


def pretrained(name: str, size: int) -> Weights:
    """The weights of a net from timm's hub or torchvision's, or from their caches: those of ``tagged``.

    Args:
        name: of a net as the zoo builds it; it may carry a tag, such as "resnet50.a1_in1k".
        size: height and width of the images; transformers of timm's are resampled to it.

    Raises:
        UsageError: nobody has pretrained this net as it is built at this size.
        DecoctError: the weights are not available, or are not of ImageNet-1K.
    """
    check(name, size)
    if name in resnet.NAMES:
        return _torchvision(name)
    import timm  # late: it takes a second to import

    return _timm(name, size) if timm.is_model(name) else _torchvision(name)


def check(name: str, size: int) -> None:
    """Raise a UsageError if nobody has pretrained a net as the zoo builds it at a size."""
    zoo.check_name(name)
    if name in resnet.NAMES:
        if size <= resnet.SMALL:
            raise UsageError(
                f"{name} has another stem than the pretrained net up to {resnet.SMALL} px\n"
                f"train it, or take timm's with a tag, such as {name}.a1_in1k"
            )
    elif any(pattern.fullmatch(name) for pattern in zoo.PATTERNS):
        raise UsageError(f"nobody has pretrained {name}: train it, or take one of timm's nets or torchvision's")


def tagged(name: str) -> str:
    """The name with the tag of the weights that ``pretrained`` loads.

    timm's usual ones of nets that the zoo takes from timm ("densenet121" is "densenet121.ra_in1k"), torchvision's
    first, IMAGENET1K_V1, of those from torchvision ("resnet50" is "resnet50.tv_in1k", "mobilenet_v2" is
    "mobilenet_v2.tv_in1k"): the weights that the field's papers invert and label with. ``tv2_in1k`` asks for its
    second.
    """
    import timm

    net, _, tag = name.partition(".")
    if not tag and net not in resnet.NAMES and timm.is_model(net):
        facts = timm.get_pretrained_cfg(net)
        tag = (facts.tag if facts else "") or ""
        return f"{net}.{tag}" if tag else net
    return f"{net}.{tag or zoo.TAGS[0]}"


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
    overlay = hub.overlay(facts, FILE)
    try:
        net = zoo.of_timm(name, size, pretrained=True, pretrained_cfg_overlay=overlay)
    except UsageError:
        raise
    except Exception as error:  # the hub's client has many kinds of errors
        raise out_of_reach(f"timm's {name}", error) from error
    return _checked(net, f"{facts.architecture}.{facts.tag} of timm" if facts.tag else f"{name} of timm", expected(net))


def _torchvision(name: str) -> Weights:
    from torchvision import models

    name, _, tag = name.partition(".")
    those, asked = models.get_model_weights(name), ENUM[tag or zoo.TAGS[0]]
    if tag and asked not in those.__members__:
        raise UsageError(f"torchvision has no {asked} weights of {name}: take {name} without .{tag}")
    which = those[asked] if asked in those.__members__ else those.DEFAULT
    if hub.downloaded(which.url) is None:
        hub.reach_url(which.url, f"torchvision's {name}", FILE)
    try:
        net: nn.Module = models.get_model(name, weights=which)
    except Exception as error:
        raise out_of_reach(f"torchvision's {name}", error) from error
    view: Any = which.transforms()
    takes = Normalisation.of(view.mean, view.std)
    if getattr(net, "transform_input", False):  # it turns that into this by itself, which the zoo's net does not do
        takes = Normalisation((0.5,) * 3, (0.5,) * 3)
    return _checked(net, f"{name} {which.name} of torchvision", takes)


def _checked(net: nn.Module, origin: str, normalisation: Normalisation) -> Weights:
    outputs = getattr(net, "num_classes", imagenet_classes.CLASSES)
    if outputs != imagenet_classes.CLASSES:
        raise DecoctError(f"{origin} has {outputs} outputs, not ImageNet-1K's: take weights that end in in1k")
    return Weights(net.state_dict(), origin, normalisation=normalisation, imagenet=True)
