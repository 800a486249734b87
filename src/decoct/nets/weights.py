"""Weights as files: read without running foreign code, and fitted to a net, with a head cut to the data's classes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.core.notation import from_json
from decoct.core.tensorfile import openable
from decoct.nets import imagenet_classes
from decoct.nets.features import classifier
from decoct.nets.renormalise import Normalisation

HEADER = "decoct"  # one entry: safetensors writes several in no fixed order
TOP = "state_dict", "model"  # what training scripts call the weights among the rest


@dataclass(frozen=True)
class Weights:
    """A state dict, and what its origin records about it.

    Attributes:
        state: tensors by name.
        origin: the file's name, or whose pretrained weights they are.
        class_names: what the outputs stand for; None where it is not said.
        normalisation: of the images that the net was trained on; None where it is not said.
        imagenet: the outputs are known to be ImageNet-1K's, in order.
        zca: digest of the data by whose whitening the net was given its images; None for images that are not whitened.
    """

    state: dict[str, Tensor]
    origin: str
    class_names: tuple[str, ...] | None = None
    normalisation: Normalisation | None = None
    imagenet: bool = False
    zca: str | None = None


@dataclass(frozen=True)
class Fitted:
    """How weights went into a net.

    Attributes:
        sliced_from: outputs of the head that was cut; None if it was taken whole.
        imagenet: the head is, or is a part of, one of ImageNet-1K's.
    """

    sliced_from: int | None = None
    imagenet: bool = False


def write(
    file: Path, net: nn.Module, class_names: Sequence[str], normalisation: Normalisation, zca: str | None = None
) -> None:
    """Save a net as safetensors whose header says what its outputs stand for and what it expects of its input."""
    state = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    said = {"class_names": list(class_names), **normalisation._asdict(), **({"zca": zca} if zca else {})}
    save_file(state, file, metadata={HEADER: json.dumps(said, sort_keys=True)})


def read(file: Path) -> Weights:
    """A checkpoint; a wrapper's ``state_dict`` or ``model`` key and a ``module.`` prefix are undone.

    Raises:
        DecoctError: unreadable, pickled code, or no state dict of tensors.
    """
    state: Any
    said: dict[str, Any] = {}
    try:
        if file.suffix == ".safetensors":
            state, said = _safetensors(file)
        else:
            state = torch.load(file, "cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        blame(error)
        raise DecoctError(f"{file} is damaged or not a checkpoint: {str(error).partition(chr(10))[0]}") from error
    except Exception as error:  # the unpickler's own error type is private to pickle, and its text advises to trust
        raise DecoctError(
            f"{file} holds more than weights, or is damaged, and was not loaded\n"
            "save the net's state_dict() alone, best as safetensors"
        ) from error
    for wrapper in TOP:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    kinds = {(type(name), type(value)) for name, value in state.items()} if isinstance(state, dict) else set()
    if not kinds or not all(name is str and issubclass(value, Tensor) for name, value in kinds):
        raise DecoctError(f"{file} holds no state dict of tensors")
    return Weights({name.removeprefix("module."): value for name, value in state.items()}, file.name, **said)


def fit(net: nn.Module, weights: Weights, class_names: Sequence[str]) -> Fitted:
    """Load weights into a net of the data's classes, in place; the rows of its head are taken by class name.

    Args:
        net: with one output a class.
        weights: of the same net with these classes, with more of which these are a part, or with ImageNet-1K's.
        class_names: of the data, in order.

    Raises:
        DecoctError: other classes or another order, a head that cannot be cut, or names and shapes that do not fit.
    """
    names, state, head = tuple(class_names), dict(weights.state), _head(net, len(class_names))
    weight = state.get(f"{head}.weight") if head is not None else None
    outputs = len(weight) if weight is not None and weight.ndim else None
    rows, imagenet = _rows(weights, outputs, names)
    if rows is not None:
        if outputs is None:
            raise DecoctError(f"{weights.origin} has no linear head that could be cut to {len(names)} classes")
        for tensor in (f"{head}.weight", f"{head}.bias"):
            if tensor in state:
                state[tensor] = state[tensor][rows]
    load(net, state, weights.origin)
    return Fitted(None if outputs in (None, len(names)) else outputs, imagenet)


def load(net: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Load a state dict in place.

    Raises:
        DecoctError: names or shapes that do not fit, in few words.
    """
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise DecoctError(f"{origin} does not fit the net: {' '.join(lines[1:3]).strip() or lines[0]}") from None


def same_classes(taught: Sequence[str], asked: Sequence[str], origin: str) -> None:
    """Raise a DecoctError that names the first class in which two lists differ; order counts."""
    for number, (one, other) in enumerate(zip_longest(taught, asked)):
        if one != other:
            had, has = ("missing" if name is None else f"'{name}'" for name in (one, other))
            order = "in another order" if sorted(taught) == sorted(asked) else "others"
            raise DecoctError(
                f"{origin} was taught the classes {order}: its class {number} is {had}, the data's is {has}\n"
                "outputs are never reordered: take data with the same classes in the same order, or train a teacher"
            )


def _rows(weights: Weights, outputs: int | None, names: tuple[str, ...]) -> tuple[list[int] | None, bool]:
    """The head's outputs to take, None for all as they are; and whether the head is ImageNet-1K's."""
    taught, large = weights.class_names, outputs == imagenet_classes.CLASSES
    if weights.imagenet:
        if not large:
            raise DecoctError(
                f"{weights.origin} has no linear head of ImageNet-1K's {imagenet_classes.CLASSES} classes"
            )
        return imagenet_classes.rows(names), True
    if taught is not None:
        if outputs is not None and outputs != len(taught):
            raise DecoctError(f"{weights.origin} has {outputs} outputs, and names {len(taught)} classes: it is damaged")
        if len(taught) > len(names) and set(names) <= set(taught):
            return [taught.index(name) for name in names], False
        same_classes(taught, names, weights.origin)
        return None, False
    if large and imagenet_classes.known(names):
        rows = imagenet_classes.rows(names)
        if len(rows) == outputs and rows != sorted(rows):
            raise DecoctError(
                f"{weights.origin} does not say whether its outputs are in ImageNet-1K's order or in the data's\n"
                "name the classes by their WordNet ids, whose sorted order is ImageNet-1K's"
            )
        return rows, True
    if outputs is None or outputs == len(names):
        return None, False
    if large:
        return imagenet_classes.rows(names), True  # which names the class that is unknown
    raise DecoctError(
        f"{weights.origin} has {outputs} outputs, and the data have {len(names)} classes\n"
        "only a head whose classes are known can be cut: ImageNet-1K's, or that of a teacher which decoct saved"
    )


def _head(net: nn.Module, classes: int) -> str | None:
    """Name of the linear layer that makes the logits; None if they come from something else."""
    try:
        layer = classifier(net)
    except DecoctError:
        return None
    if layer.out_features != classes:
        return None
    names: dict[nn.Module, str] = {module: name for name, module in net.named_modules()}
    return names[layer]


def _safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(openable(file), framework="pt") as opened:
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        header = (opened.metadata() or {}).get(HEADER)
    if header is None:
        return state, {}
    facts = from_json(header)
    names = tuple(map(str, facts["class_names"]))
    takes = Normalisation.of(facts["mean"], facts["std"])
    return state, {"class_names": names, "normalisation": takes, "zca": facts.get("zca")}
