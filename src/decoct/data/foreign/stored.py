"""What a file that decoct did not make says of a set, before anything is made of it; and how to read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from decoct.core.errors import DecoctError

IMAGES = ("images", "x", "data", "image", "img")  # names under which they are looked for, in this order
LABELS = ("labels", "y", "label", "targets", "target")
SOFT = ("soft_labels", "soft_label")
WEIGHTS = ("weights", "weight")
NAMES = ("class_names", "classes")


class SetFormat(BaseModel):
    """How a foreign file is to be read where it does not say so itself.

    Attributes:
        normalised: of float images: "data" by the mean and standard deviation of the data set, "imagenet" by those of
            ImageNet, "none" not at all, so that values outside [0, 1] are meant; None refuses such values.
        layout: of the axes; None where one of them alone can be meant.
        resize: pictures of another size are resized and cropped as the data's were; without it they are refused.
        number: which set, where a file holds several, from 0.
        split: of a data set with several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalised: Literal["data", "imagenet", "none"] | None = None
    layout: Literal["NCHW", "NHWC"] | None = None
    resize: bool = False
    number: int | None = Field(None, ge=0)
    split: str = Field("train", min_length=1)


@dataclass(frozen=True, eq=False)
class Stored:
    """A set as its file holds it.

    Attributes:
        images: [n, …] numbers in whatever layout and range, or the bytes of n picture files.
        labels: [n] class indices, or names.
        class_names: in the order of the indices, where the file says so.
        soft_labels: [n, classes] probabilities or logits, or None.
        weights: [n] or None.
        format: in a word, such as "npz".
        said: what decoct wrote into the file, of a set that it exported.
    """

    images: NDArray[Any] | Sequence[bytes]
    labels: NDArray[Any] | Sequence[str]
    format: str
    class_names: tuple[str, ...] | None = None
    soft_labels: NDArray[Any] | None = None
    weights: NDArray[Any] | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


def from_arrays(arrays: Mapping[str, Any], where: object, format: str) -> Stored:
    """The set that named arrays make; labels with two axes are soft ones, and the largest of a row is its class.

    Raises:
        DecoctError: no images, no labels, or two arrays that could both be them.
    """
    images, labels = _one(arrays, IMAGES, where), _one(arrays, (*LABELS, *SOFT), where, several=True)
    soft, weights, names = (_one(arrays, words, where, needed=False) for words in (SOFT, WEIGHTS, NAMES))
    labels, soft = hard_and_soft(np.asarray(labels), None if soft is None else np.asarray(soft))
    return Stored(
        images=np.asarray(images),
        labels=labels.tolist() if labels.dtype.kind == "U" else labels,
        format=format,
        class_names=None if names is None else tuple(map(str, np.asarray(names).tolist())),
        soft_labels=soft,
        weights=None if weights is None else np.asarray(weights),
    )


def hard_and_soft(labels: NDArray[Any], soft: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Classes [n] and soft labels [n, classes], or None, of labels that may be either."""
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind == "f":
        return labels.argmax(1), labels if soft is None else soft
    if labels.ndim == 2 and labels.shape[1] > 1 and set(np.unique(labels).tolist()) <= {0, 1}:
        return labels.argmax(1), soft  # one-hot
    return labels.reshape(-1) if labels.ndim == 2 else labels, soft


def _one(
    arrays: Mapping[str, Any], words: Sequence[str], where: object, needed: bool = True, several: bool = False
) -> Any:
    """The array under one of the names."""
    found = [word for word in words if word in arrays]
    if not found and needed:
        there = ", ".join(map(str, list(arrays)[:8])) or "nothing"
        raise DecoctError(f"{where} holds {there}: it needs '{words[0]}' (or {', '.join(words[1:])})")
    if len(found) > 1 and not several:
        raise DecoctError(f"{where} holds '{found[0]}' and '{found[1]}', which could both be meant: leave one out")
    return arrays[found[0]] if found else None
