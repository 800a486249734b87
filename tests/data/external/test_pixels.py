"""Pixels of foreign sets: layouts, ranges, normalisations; nothing is guessed."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from decoct.core.errors import DecoctError
from decoct.data.external.pixels import IMAGENET, channels_first, from_array, from_pictures
from decoct.data.external.stored import SetFormat
from decoct.data.reading.decode import decode


class Data:
    """As much of a data set as decides how pixels are read."""

    def __init__(self, channels=3, size=8):
        self.shape, self.size = (channels, size, size), size
        self.mean, self.std = (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.1)[:channels]


def pictures(channels=3, size=8, n=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), dtype=np.uint8)


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(buffer, "png")
    return buffer.getvalue()


@given(st.sampled_from([1, 3]), st.integers(4, 9), st.sampled_from([np.uint8, np.int64, np.uint16]))
def test_bytes_are_what_they_are_in_either_layout(channels, size, dtype):
    images, data = pictures(channels, size), Data(channels, size)
    for stored, layout in ((images, "NCHW"), (images.transpose(0, 2, 3, 1), "NHWC")):
        found, said = from_array(stored.astype(dtype), data, SetFormat())
        assert found.dtype == np.uint8 and (found == images).all()
        assert said == {"layout": layout, "range": "0 to 255"}


def test_grey_images_need_no_axis_of_channels():
    images = pictures(1)
    found, said = from_array(images[:, 0], Data(1), SetFormat())
    assert (found == images).all() and said["layout"] == "NHW"


@settings(max_examples=20)
@given(st.sampled_from([("data", 1), ("data", 3), ("imagenet", 3)]), st.sampled_from([np.float32, np.float64]))
def test_normalised_tensors_come_back_to_a_level_of_8_bits(how, dtype):
    kind, channels = how
    images, data = pictures(channels), Data(channels)
    mean, std = (data.mean, data.std) if kind == "data" else IMAGENET
    normal = [(images[:, c] / 255 - mean[c]) / std[c] for c in range(channels)]
    stored = np.stack(normal, 1).astype(dtype)
    found, said = from_array(stored, data, SetFormat(normalised=kind))
    np.testing.assert_allclose(found, images / 255, atol=1e-6)
    assert found.dtype == np.float32 and said["normalised"] == kind
    with pytest.raises(DecoctError, match=r"--normalised data .* --normalised imagenet .* --normalised none"):
        from_array(stored, data, SetFormat())


def test_floats_between_0_and_1_are_taken_as_they_are():
    images = pictures().astype(np.float32) / 255
    found, said = from_array(images, Data(), SetFormat())
    assert (found == images).all() and said["range"] == "0 to 1"


def test_unclipped_values_are_kept_if_they_are_said_to_be_meant():
    images = np.linspace(-0.5, 1.5, 4 * 3 * 64, dtype=np.float32).reshape(4, 3, 8, 8)
    found, said = from_array(images, Data(), SetFormat(normalised="none"))
    assert (found == images).all()
    assert said["outside_0_1"] == pytest.approx(((images < 0) | (images > 1)).mean(), abs=1e-6)


@pytest.mark.parametrize("how", ["none", "data", "imagenet"])
def test_values_outside_the_stated_range_are_refused(how):
    with pytest.raises(DecoctError, match=f"with --normalised {how} the values run from .* normalised otherwise"):
        from_array(pictures().astype(np.float32), Data(), SetFormat(normalised=how))


@pytest.mark.parametrize(
    ("images", "data", "how", "said"),
    [
        (pictures().astype(np.float32), Data(), {}, "0 to 255, not 0 to 1.*\n.*save them as uint8"),
        (pictures().astype(np.int64) - 1, Data(), {}, "whole numbers from -1 to"),
        (pictures().astype(np.int64) + 1, Data(), {}, "whole numbers from 1 to 256|whole numbers from . to 256"),
        (pictures(), Data(), {"normalised": "data"}, "not normalised: leave out --normalised data"),
        (pictures(1) / 255.0, Data(1), {"normalised": "imagenet"}, "for three channels"),
        (np.full((2, 3, 8, 8), np.nan), Data(), {}, "not finite"),
        (np.full((2, 3, 8, 8), np.inf, np.float32), Data(), {"normalised": "data"}, "not finite"),
        (pictures(), Data(1), {}, "3 channels, the data's 1"),
        (np.zeros((2, 3, 8, 3), np.uint8), Data(), {}, "NCHW or NHWC: say which with --layout"),
        (np.zeros((2, 8, 8, 8), np.uint8), Data(), {}, "no axis of 1 or 3 channels"),
        (np.zeros((2, 3, 8, 8), np.uint8), Data(), {"layout": "NHWC"}, "no 1 or 3 channels in the layout NHWC"),
        (np.zeros((2, 192), np.uint8), Data(), {}, r"not \[2, 192\]"),
        (np.zeros((0, 3, 8, 8), np.uint8), Data(), {}, "empty"),
        (np.zeros((2, 3, 8, 8), np.complex64), Data(), {}, "complex64"),
        (np.zeros((2, 3, 8, 8), np.bool_), Data(), {}, "type bool: save them as uint8"),
        (pictures(size=9), Data(), {}, "9 × 9 px, the data's are 8 × 8\n--resize"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(images, data, how, said):
    with pytest.raises(DecoctError, match=said) as error:
        from_array(images, data, SetFormat(**how))
    assert len(str(error.value).splitlines()) <= 3


def test_a_layout_that_is_said_decides():
    images = np.zeros((2, 3, 8, 3), np.uint8)
    assert channels_first(images, SetFormat(layout="NHWC"))[0].shape == (2, 3, 3, 8)
    assert channels_first(images, SetFormat(layout="NCHW"))[0].shape == (2, 3, 8, 3)


def test_arrays_are_resized_as_pictures_are_if_that_is_asked_for():
    images = pictures(size=20)
    found, said = from_array(images, Data(), SetFormat(resize=True))
    expected = np.stack([decode(png(image), 8, 3) for image in images])
    assert np.abs(found.astype(int) - expected).max() <= 1  # Pillow rounds layers and pixels alike, to a level
    floats, _ = from_array((images / 255).astype(np.float32), Data(), SetFormat(resize=True))
    assert np.abs(floats * 255 - expected).max() < 1.5
    assert said["resized"] == 4


def test_pictures_of_the_data_s_size_are_exact_and_others_wait_for_a_word():
    files = [png(image) for image in pictures()]
    found, said = from_pictures(files, Data(), SetFormat())
    assert (found == pictures()).all() and said == {"pixels": "pictures"}
    large = [*files, png(pictures(size=12)[0])]
    with pytest.raises(DecoctError, match="picture 4 is 12 × 12 px, the data's are 8 × 8\n--resize"):
        from_pictures(large, Data(), SetFormat())
    found, said = from_pictures(large, Data(), SetFormat(resize=True))
    assert (found[4] == decode(large[4], 8, 3)).all() and said["resized"] == 1


def bomb():
    """A PNG whose header says 30,000 × 30,000 pixels."""
    data = bytearray(png(pictures()[0]))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"no picture", "not an image"), (png(pictures()[0])[:60], "picture 0"), (bomb(), "pixels")],
)
@pytest.mark.parametrize("resize", [False, True])
def test_damaged_pictures_and_bombs_are_refused(content, said, resize):
    with pytest.raises(DecoctError, match=said):
        from_pictures([content], Data(), SetFormat(resize=resize))
