"""Nets that start from their pretrained weights, under a fresh linear head of the data's classes."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from decoct.core.errors import DecoctError
from decoct.nets import backbone, weights, zoo
from decoct.nets.backbone import Backbone
from decoct.nets.features import classifier
from decoct.nets.pretrained import check, expected, pretrained, tagged
from decoct.nets.renormalise import Normalisation, bare, renormalised
from decoct.nets.student import Student, digest
from decoct.nets.weights import Weights


def started(
    student: Student, data: Normalisation, classes: int, size: int, seed: int, side: int | None = None
) -> nn.Module:
    """A net with pretrained weights and a fresh head, for images under the data's normalisation.

    It resizes images, bicubic and antialiased, to ``side``, normalises them as its weights expect, and makes grey
    images as many channels as it has. A net of the user's code has the weights, and the head, that this code gave it,
    and sees images under the data's normalisation unless timm's configuration at the net says another.

    Args:
        student: by name; weights come from its file, an installed package, timm's hub or torchvision's, or its code.
        data: normalisation of the images that come in.
        classes: outputs.
        size: height and width of the images that come in.
        seed: of the head.
        side: None for that which the weights were trained at, where timm knows it, else ``size``.

    Raises:
        UsageError: nobody has pretrained this net.
        DecoctError: the weights are not available, are damaged, or do not fit.
    """
    if student.own:
        net = student.build(len(data.mean), classes, side or size, seed)
        takes = expected(net) if "mean" in (getattr(net, "pretrained_cfg", None) or {}) else data
        made = Backbone(net, (side or size,) * 2, takes)
    elif _of_timm(student.name):
        made, _ = backbone.load(student.name, _file(student), side)
        _fresh_head(made.net, classes, seed)
    else:
        given = weights.read(student.where) if student.where else pretrained(student.name, side or size)
        takes = given.normalisation or data
        net = zoo.build(student.name, len(takes.mean), classes, side or size, seed)
        _load_body(net, given)
        made = Backbone(net, (side or size,) * 2, takes)
    as_stored = Normalisation((0.0,) * len(data.mean), (1.0,) * len(data.mean))
    return renormalised(made.train().requires_grad_(True), data, as_stored)


def identity(student: Student, channels: int, classes: int, size: int) -> dict[str, str]:
    """What decides the pretrained weights of a net: their name, the digest of their file, or of what the code makes.

    Raises:
        UsageError: nobody has pretrained this net.
    """
    if student.own:
        net, sha = student.build(channels, classes, size, seed=0), hashlib.sha256()
        for name, value in sorted(net.state_dict().items()):
            sha.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return {"weights": sha.hexdigest()[:32]}
    if (file := _file(student)) is not None:
        return {"weights": digest(file)}
    if _of_timm(student.name):
        return {"weights": backbone.full_name(student.name)}
    check(student.name, size)
    return {"weights": tagged(student.name)}


def at_hand(student: Student) -> bool:
    """Whether weights are on this machine or their server answers; nothing is fetched."""
    if student.own or _file(student) is not None:
        return True
    try:
        if not _of_timm(student.name):
            return False
        backbone.at_hand(student.name)
    except DecoctError:
        return False
    return True


def inner(net: nn.Module) -> nn.Module:
    """The net itself, without what resizes and normalises its images."""
    net = bare(net)
    return net.net if isinstance(net, Backbone) else net


def _of_timm(name: str) -> bool:
    import timm  # late: it takes a second to import

    own = any(pattern.fullmatch(name) for pattern in zoo.PATTERNS)
    return not own and bool(timm.is_model(name))


def _file(student: Student) -> Path | None:
    return student.where or backbone.packaged(student.name)


def _fresh_head(net: Any, classes: int, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net.reset_classifier(classes)


def _load_body(net: nn.Module, given: Weights) -> None:
    """Load all but the head, which stays as it is."""
    names: dict[nn.Module, str] = {module: name for name, module in net.named_modules()}
    head = f"{names[classifier(net)]}."
    fresh = {name: value for name, value in net.state_dict().items() if name.startswith(head)}
    body = {name: value for name, value in given.state.items() if not name.startswith(head)}
    weights.load(net, body | fresh, given.origin)
