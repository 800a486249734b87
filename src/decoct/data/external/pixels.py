"""Images of an external set to [n, C, S, S] in the data's own scale: layout, range and normalisation are not guessed.

uint8 images are used unchanged, and so are float images within [0, 1]; all others are refused until the reader is told
how they were normalised.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.core.condensed import finite
from decoct.core.errors import DecoctError
from decoct.data.dataset import Dataset
from decoct.data.external.stored import SetFormat
from decoct.data.reading.decode import DecodeError, centre, decode, shape

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation, as torchvision has them
BEYOND = 3.0  # how far outside [0, 1] a set may lie that was optimised without clipping; more is another scale
CHANNELS = (1, 3)
OPTIONS = (
    "--normalised data (by the data's mean and std), --normalised imagenet (by ImageNet's), "
    "--normalised zca (whitened as the data), --normalised none (as is)"
)
Said = dict[str, Any]  # how it was read, for the provenance


def from_pictures(files: Sequence[bytes], data: Dataset, how: SetFormat) -> tuple[NDArray[np.uint8], Said]:
    """Picture files decoded, [n, C, S, S] uint8.

    Raises:
        DecoctError: a damaged picture, or one of another size and no word that it may be resized.
    """
    channels, size = data.shape[0], data.size
    images, resized = np.empty((len(files), *data.shape), np.uint8), 0
    for row, content in enumerate(files):
        known = shape(content)  # None: it does not decode either
        if known and known != (size, size) and not how.resize:
            raise _other_size(f"picture {row} is", *known, size)
        try:
            images[row] = decode(content, size, channels)
            resized += known != (size, size)
        except DecodeError as error:
            raise DecoctError(f"picture {row} of the set: {error}; replace or remove it") from error
    _no_format(how, "pictures")
    return images, {"pixels": "pictures", **({"resized": resized} if resized else {})}


def from_array(array: NDArray[Any], data: Dataset, how: SetFormat) -> tuple[NDArray[Any], Said]:
    """An array of images, [n, C, S, S] uint8, or float32 in data space and not clipped.

    Raises:
        DecoctError: axes that could be two layouts or are none, other channels or size than the data's, values that are
            not finite, outside [0, 1] with no word on how they were normalised, or far outside with one.
    """
    if array.dtype.kind not in "uif":
        raise DecoctError(f"the images are of the type {array.dtype}: save them as uint8 or float32")
    images, layout = channels_first(array, how)
    if images.shape[1] != data.shape[0]:
        raise DecoctError(f"the set's images have {images.shape[1]} channels, the data's {data.shape[0]}: convert them")
    if not len(images):
        raise DecoctError("the set is empty: it holds no image")
    if not finite(images):
        raise DecoctError("the images hold values that are not finite")
    said: Said = {"layout": layout}
    scaled, range_ = _bytes(images, how) if images.dtype.kind in "ui" else _floats(images, data, how)
    said |= range_
    height, width = scaled.shape[2:]
    if (height, width) != (data.size, data.size):
        if not how.resize:
            raise _other_size("the set's images are", width, height, data.size)
        scaled, said = np.stack([_resized(image, data.size) for image in scaled]), said | {"resized": len(scaled)}
    return np.ascontiguousarray(scaled), said


def channels_first(array: NDArray[Any], how: SetFormat) -> tuple[NDArray[Any], str]:
    """The array as [n, C, H, W], and the layout that it had; [n, H, W] are grey images.

    Raises:
        DecoctError: both layouts can be meant, or none.
    """
    if array.ndim == 3:
        return array[:, None], "NHW"
    shape = list(array.shape)
    if array.ndim != 4:
        raise DecoctError(f"images must have the axes [n, C, H, W] or [n, H, W, C], not {shape}")
    can = [name for name, axis in (("NCHW", 1), ("NHWC", 3)) if array.shape[axis] in CHANNELS]
    if how.layout is not None and how.layout not in can:
        raise DecoctError(f"images of the shape {shape} have no 1 or 3 channels in the layout {how.layout}")
    if not can:
        raise DecoctError(f"images of the shape {shape} have no axis of 1 or 3 channels: save them as [n, C, H, W]")
    if len(can) > 1 and how.layout is None:
        raise DecoctError(f"images of the shape {shape} can be NCHW or NHWC: say which with --layout")
    layout = how.layout or can[0]
    return (array if layout == "NCHW" else array.transpose(0, 3, 1, 2)), layout


def _bytes(images: NDArray[Any], how: SetFormat) -> tuple[NDArray[np.uint8], Said]:
    _no_format(how, "images of whole numbers")
    low, high = images.min(), images.max()
    if low < 0 or high > 255:
        raise DecoctError(f"the images are whole numbers from {low} to {high}: 8-bit ones go from 0 to 255")
    return images.astype(np.uint8), {"range": "0 to 255"}


def _floats(images: NDArray[Any], data: Dataset, how: SetFormat) -> tuple[NDArray[np.float32], Said]:
    values = images.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if how.normalised is None:
        if low < 0 or high > 1:
            hint = "\nif they are 8-bit values, save them as uint8" if low >= 0 and high <= 255 else ""
            raise DecoctError(f"the images' values run from {low:.3g} to {high:.3g}, not 0 to 1: say {OPTIONS}{hint}")
        return values, {"range": "0 to 1"}
    if how.normalised == "zca":
        if data.whitening is None or images.shape[1:] != data.shape:
            raise DecoctError("--normalised zca is for data with zca = true, and images of the data's size")
        flat = values.reshape(len(values), -1) @ data.whitening.inverse + data.whitening.mean
        values = flat.reshape(values.shape)
    elif how.normalised != "none":
        if how.normalised == "imagenet" and images.shape[1] != 3:
            raise DecoctError("--normalised imagenet is for three channels; the data's images have one")
        mean, std = IMAGENET if how.normalised == "imagenet" else (data.mean, data.std)
        axes = (1, -1, 1, 1)
        scale, shift = (np.array(numbers, np.float32).reshape(axes) for numbers in (std, mean))
        values = values * scale + shift
    lowest, highest = float(values.min()), float(values.max())
    if lowest < -BEYOND or highest > 1 + BEYOND:
        raise DecoctError(
            f"with --normalised {how.normalised} the values run from {lowest:.3g} to {highest:.3g}, where 0 is black "
            f"and 1 is white: they were normalised otherwise, say {OPTIONS}"
        )
    outside = float(((values < 0) | (values > 1)).mean())
    return values, {"range": f"{low:.6g} to {high:.6g}", "normalised": how.normalised, "outside_0_1": round(outside, 6)}


def _no_format(how: SetFormat, what: str) -> None:
    if how.normalised not in (None, "none"):
        raise DecoctError(f"{what} are not normalised: leave out --normalised {how.normalised}")


def _other_size(what: str, width: int, height: int, size: int) -> DecoctError:
    return DecoctError(
        f"{what} {width} × {height} px, the data's are {size} × {size}\n"
        "--resize resizes and crops them as the data's pictures were; or prepare the data at that size"
    )


def _resized(image: NDArray[Any], size: int) -> NDArray[Any]:
    """[C, H, W] with the shorter side resized to ``size`` and the centre cropped, as ``decode`` does with pictures."""
    box = centre(image.shape[2], image.shape[1])
    layers = [Image.fromarray(np.ascontiguousarray(layer)) for layer in image]  # mode L, or F without clipping
    return np.stack([np.asarray(one.resize((size, size), Image.Resampling.BICUBIC, box=box)) for one in layers])
