"""Every kind of picture, against what its pixels must be; every kind of damage, against a clear refusal."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from decoct.data.reading import decode as module
from decoct.data.reading.decode import DecodeError, decode, extensions, opened, shape

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (8, 8), dtype=np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chw(pixels: np.ndarray) -> np.ndarray:
    return pixels.transpose(2, 0, 1)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_colour_at_its_own_size_is_exact(kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert (decode(encode(Image.fromarray(RGB), kind, **options), 8, 3) == chw(RGB)).all()


def test_grey_is_exact_in_one_channel_and_in_three():
    data = encode(Image.fromarray(GREY))
    assert (decode(data, 8, 1) == GREY).all()
    assert (decode(data, 8, 3) == GREY[None]).all()


def test_colour_to_grey_is_luma():
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decode(encode(Image.fromarray(RGB)), 8, 1)[0] - luma).max() <= 1


def test_palette():
    image = Image.fromarray(GREY % 4).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]])
    assert (decode(encode(image), 8, 3) == chw(colours[GREY % 4])).all()


def test_a_transparent_palette_entry_is_white():
    image = Image.fromarray(GREY % 2).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    colours = np.array([[255, 255, 255], [0, 0, 255]])
    assert (decode(encode(image, transparency=0), 8, 3) == chw(colours[GREY % 2])).all()


@pytest.mark.parametrize("grey", [True, False])
def test_alpha_is_laid_over_white(grey):
    colour, alpha = (GREY[..., None] if grey else RGB), RNG.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    want = (colour * (alpha / 255.0) + 255 * (1 - alpha / 255.0)).round()
    got = decode(encode(Image.fromarray(np.concatenate([colour, alpha], 2))), 8, 3).transpose(1, 2, 0)
    assert np.abs(got - want).max() <= 1


def test_one_bit():
    image = Image.fromarray((GREY > 128).astype(np.uint8) * 255).convert("1")
    assert (decode(encode(image), 8, 1) == 255 * (GREY > 128)).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_range(kind):
    values = RNG.integers(0, 65536, (8, 8), dtype=np.uint16)
    assert (decode(encode(Image.fromarray(values), kind), 8, 1) == np.floor(values / 257 + 0.5)).all()


def test_thirty_two_bits_beyond_sixteen_and_floats_are_refused():
    with pytest.raises(DecodeError, match="32-bit"):
        decode(encode(Image.fromarray(np.full((8, 8), 70000, dtype=np.int32)), "TIFF"), 8, 1)
    with pytest.raises(DecodeError, match="floating-point"):
        decode(encode(Image.fromarray(np.ones((8, 8), dtype=np.float32)), "TIFF"), 8, 1)


def test_cmyk():
    ink = np.zeros((8, 8, 4), dtype=np.uint8)
    ink[:, :4, 0], ink[:, 4:, 3] = 255, 255  # left half cyan, right half black
    want = np.zeros((3, 8, 8))
    want[1:, :, :4] = 255
    assert (decode(encode(cmyk(ink), "TIFF"), 8, 3) == want).all()


def cmyk(ink: np.ndarray) -> Image.Image:
    return Image.frombytes("CMYK", (ink.shape[1], ink.shape[0]), ink.tobytes())


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(2, lambda x: x[:, ::-1]), (3, lambda x: x[::-1, ::-1]), (6, lambda x: np.rot90(x, -1)), (8, np.rot90)],
)
def test_exif_orientation_of_a_jpeg(orientation, turned):
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:8, :8], pixels[8:, :8] = (255, 0, 0), (0, 255, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(pixels), "JPEG", exif=exif, quality=100, subsampling=0)
    got = decode(data, 16, 3).transpose(1, 2, 0).astype(int)
    assert np.abs(got - turned(pixels)).max() < 16


def test_a_damaged_exif_block_changes_nothing():
    plain = encode(Image.fromarray(RGB), "JPEG")
    assert (
        decode(encode(Image.fromarray(RGB), "JPEG", exif=b"Exif\x00\x00garbage"), 8, 3) == decode(plain, 8, 3)
    ).all()


@pytest.mark.parametrize("shape", [(40, 64), (64, 40)])
def test_the_centre_is_kept(shape):
    pixels = np.zeros(shape, dtype=np.uint8)
    top, left = (shape[0] - 40) // 2, (shape[1] - 40) // 2
    pixels[top : top + 40, left : left + 40] = 200
    assert (decode(encode(Image.fromarray(pixels)), 40, 1) == 200).all()


def test_shrinking_averages():
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode(encode(Image.fromarray(checks)), 8, 1).astype(int) - 127).max() <= 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 700)])
def test_any_shape_becomes_a_square(shape):
    assert (decode(encode(Image.fromarray(np.full(shape, 77, dtype=np.uint8))), 32, 1) == 77).all()


def test_a_large_jpeg_is_as_good_as_its_slow_way():
    y, x = np.mgrid[:800, :1000]
    pixels = np.stack([x / 1000 * 255, y / 800 * 255, (x + y) / 1800 * 255], 2).astype(np.uint8)
    want = np.asarray(Image.fromarray(pixels[:, 100:900]).resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(decode(encode(Image.fromarray(pixels), "JPEG", quality=95), 32, 3) - chw(want.astype(int))).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncation_is_told(kind):
    data = encode(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    with pytest.raises(DecodeError):
        decode(data[: len(data) // 2], 8, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty file"), (b"hello", "not an image"), (b"%!PS-Adobe-3.0\nshowpage", "not an image")],
)
def test_what_is_no_picture_is_told(data, message):
    with pytest.raises(DecodeError, match=message):
        decode(data, 8, 3)


def test_a_flipped_bit_in_a_png_is_told():
    data = bytearray(encode(Image.fromarray(RGB)))
    data[data.index(b"IDAT") + 20] ^= 1
    with pytest.raises(DecodeError):
        decode(bytes(data), 8, 3)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    start = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(b"\x00" * 64)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [60000, 10000])  # Pillow's error, and what is a mere warning to it
def test_a_bomb_is_refused(side):
    with pytest.raises(DecodeError, match="more than 89,478,485 pixels"):
        decode(png_header(side, side), 8, 1)


def test_a_bomb_is_refused_undecoded_even_if_the_program_lifted_pillows_limit(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(module, "MAX_PIXELS", 50)
    with pytest.raises(DecodeError, match="more than 50 pixels"):
        decode(png_header(8, 8), 8, 1)


def test_as_many_pixels_as_are_allowed_are_decoded(monkeypatch):
    data = encode(Image.fromarray(np.full((8, 8), 7, np.uint8)))
    monkeypatch.setattr(module, "MAX_PIXELS", 64)
    assert (decode(data, 8, 1) == 7).all() and shape(data) == (8, 8)
    monkeypatch.setattr(module, "MAX_PIXELS", 63)
    with pytest.raises(DecodeError, match="more than 63 pixels"):
        decode(data, 8, 1)
    assert shape(data) is None


def test_extensions_are_those_of_pictures():
    assert {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm"} <= extensions()
    assert not {".txt", ".csv", ".pdf", ".eps", ".h5", ".hdf", ".mpg", ".json"} & extensions()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_opened_picture_says_its_upright_size_and_its_format(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(np.tile(RGB, (40, 30, 1))), "JPEG", exif=exif)  # 240 wide, 320 high
    seen = opened(data, 16)
    upright = (320, 240) if orientation > 4 else (240, 320)
    assert (seen.width, seen.height, seen.format) == (*upright, "JPEG")
    assert seen.image.size[0] < upright[0]  # decoded at a fraction
    assert (seen.square(16, 3) == decode(data, 16, 3)).all() and (seen.square(16, 1) == decode(data, 16, 1)).all()
