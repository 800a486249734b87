"""One picture file of any kind to a square of uint8 pixels."""

import functools
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 2**30 // 4 // 3  # Pillow's own default limit, held to even where a program has lifted it
# Not pictures that Pillow decodes by itself: stubs for other libraries, and PostScript, which would run Ghostscript.
NOT_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
WHITE = (255, 255, 255, 255)
QUARTER_TURNS = (5, 6, 7, 8)  # EXIF's orientations in which width and height change places
NAMED = 3  # pictures that do not decode, in a message


class DecodeError(ValueError):
    """The bytes are no picture that can be used; the message says why in a few words."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A decoded picture and what its file says of it.

    Attributes:
        image: upright, 8-bit L or RGB; a large JPEG at a fraction of its size.
        width, height: of the whole picture, upright.
        format: Pillow's name of what the bytes are, whatever the file is called.
    """

    image: Image.Image
    width: int
    height: int
    format: str

    def square(self, size: int, channels: int) -> NDArray[np.uint8]:
        """The centre, resized with antialiasing, [channels, size, size]."""
        return _array(_square(self.image, size), channels)


@functools.cache
def formats() -> tuple[str, ...]:
    """Names of the formats that are read."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NOT_PICTURES))


@functools.cache
def extensions() -> frozenset[str]:
    """File extensions of these formats, lower case, with the dot."""
    known, read = Image.registered_extensions(), formats()
    return frozenset(extension for extension, name in known.items() if name in read)


def decode(data: bytes, size: int | None, channels: int) -> NDArray[np.uint8]:
    """Decode, orient by EXIF, lay over white, resize the shorter side to ``size`` with antialiasing, crop the centre.

    Args:
        data: the whole file.
        size: side of the result; None for the whole picture at its own size.
        channels: 1 (ITU-R 601 luma) or 3.

    Returns:
        [channels, size, size] uint8, or [channels, H, W].

    Raises:
        DecodeError: corrupt, truncated or empty; more than ``MAX_PIXELS``; or pixels without an agreed range.
    """
    image = opened(data, size).image
    return _array(_square(image, size) if size else image, channels)


def opened(data: bytes, size: int | None) -> Opened:
    """Decode, orient by EXIF, and lay over white.

    Args:
        data: the whole file.
        size: the largest square that is to be cut from it, so that a JPEG far larger is decoded at a fraction of its
            size; None for the whole picture.

    Raises:
        DecodeError: as of ``decode``.
    """
    if not data:
        raise DecodeError("empty file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _open(data, size)
        except (DecodeError, MemoryError):
            raise
        except UnidentifiedImageError:
            raise DecodeError("not an image") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise DecodeError(f"more than {MAX_PIXELS:,} pixels") from None
        except Exception as error:  # Pillow's decoders raise whatever their parser stumbled on
            raise DecodeError((str(error) or type(error).__name__).splitlines()[0]) from error


def shape(data: bytes) -> tuple[int, int] | None:
    """Width and height in a picture's header, without decoding it; None if the header cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=formats()) as image:
                width, height = image.size
        except Exception:  # Pillow's parsers raise whatever they stumbled on; decoding tells what is wrong
            return None
    return (width, height) if width * height <= MAX_PIXELS else None


def centre(width: int, height: int) -> tuple[float, float, float, float]:
    """The largest square in the centre of a picture: left, top, right, bottom."""
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def undecodable(where: str, bad: Mapping[str, str], total: int, listed: Path | None = None) -> str:
    """The message of pictures that do not decode: which, why, and what to do.

    Args:
        listed: a file that lists all that are bad, where the others are kept.
    """
    few = "; ".join(f"{file} ({why})" for file, why in sorted(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    kept = f"; the others are kept\nall are listed in {listed}" if listed else ""
    return (
        f"{len(bad)} of {total:,} images in {where} do not decode: {few}{more}\n"
        f"repair or remove them, or set skip_corrupt = true (--skip-corrupt) to leave them out{kept}"
    )


def _open(data: bytes, size: int | None) -> Opened:
    image: Image.Image = Image.open(io.BytesIO(data), formats=formats())
    width, height, kind = *image.size, str(image.format)
    if width * height > MAX_PIXELS:
        raise DecodeError(f"more than {MAX_PIXELS:,} pixels")
    if size:
        image.draft(None, (2 * size, 2 * size))
    image.load()
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in QUARTER_TURNS
        image = ImageOps.exif_transpose(image)
        width, height = (height, width) if turned else (width, height)
    except Exception:  # a damaged EXIF block leaves the pixels what they are
        pass
    return Opened(flat(image), width, height, kind)


def flat(image: Image.Image) -> Image.Image:
    """The picture as 8-bit L or RGB, transparency over white."""
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.mode == "F":
        raise DecodeError("floating-point pixels have no agreed range: save it with 8 or 16 bits")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, WHITE), layer).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DecodeError("32-bit integer pixels have no agreed range: save it with 8 or 16 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _square(image: Image.Image, size: int) -> Image.Image:
    """Resize and centre crop in one step, so that a long thin picture is never blown up whole."""
    return image.resize((size, size), Image.Resampling.BICUBIC, box=centre(*image.size), reducing_gap=3.0)


def _array(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
