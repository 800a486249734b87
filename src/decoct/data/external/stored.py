"""The raw content of an external set's file, and how to read it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from decoct.core.bounds import Bounded
from decoct.core.errors import DecoctError
from decoct.core.machine import blame

IMAGES = ("images", "x", "data", "image", "img")  # names under which they are looked for, in this order
LABELS = ("labels", "y", "label", "targets", "target")
SOFT = ("soft_labels", "soft_label")
WEIGHTS = ("weights", "weight")
RATE = ("rate", "syn_lr", "lr")  # a number
NAMES = ("class_names", "classes")


class SetFormat(Bounded):
    """How to read the file of an external set, where the file does not say.

    Attributes:
        normalised: of float images: "data" by the mean and standard deviation of the data set, "imagenet" by those of
            ImageNet, "zca" whitened as the data are (MTT's and DATM's own files), "none" not at all, so that values
            outside [0, 1] are meant; None refuses such values.
        layout: of the axes; None where one of them alone can be meant.
        resize: pictures of another size are resized and cropped as the data's were; without it they are refused.
        number: which set, where a file holds several, from 0.
        split: of a data set with several.

    Example:
        >>> decoct.SetFormat(normalised="imagenet", layout="NHWC")
        SetFormat(normalised='imagenet', layout='NHWC', resize=False, number=None, split='train')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalised: Literal["data", "imagenet", "zca", "none"] | None = None
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
        rate: learning rate that was learnt with the images, or None.
        format: in a word, such as "npz".
        said: what decoct wrote into the file, of a set that it exported.
    """

    images: NDArray[Any] | Sequence[bytes]
    labels: NDArray[Any] | Sequence[str]
    format: str
    class_names: tuple[str, ...] | None = None
    soft_labels: NDArray[Any] | None = None
    weights: NDArray[Any] | None = None
    rate: float | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def readable(path: Path, what: str, hint: str) -> Iterator[None]:
    """Turn an error that a library raises about a file into one that says what to do."""
    try:
        yield
    except DecoctError:
        raise
    except Exception as error:  # libraries raise whatever their parser stumbled on
        blame(error)
        raise DecoctError(f"{path} is damaged or {what} ({' '.join(str(error).split())[:120]}): {hint}") from error
