"""Pictures: real images beside the sets, and large grids at the page's width."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from tests.report.conftest import view

from decoct.report.read import frame
from decoct.report.sections.pictures import sets as section
from decoct.report.summary import summarise


def pictures(builder):
    tables = frame.read(builder.folder)
    summary = summarise(tables)
    page = section.show(view(summary), tables.manifest)
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)" width="(\d+)" height="(\d+)" alt="([^"]+)"', page)
    return page, [
        (kind, Image.open(io.BytesIO(base64.b64decode(raw))), int(w), int(h), alt) for kind, raw, w, h, alt in found
    ]


def save(path, width, height):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)).save(path)


def test_real_images_come_first_where_the_run_left_some(builder):
    builder.build()
    page, before = pictures(builder)
    assert "real training images" not in page
    save(builder.folder / "real.png", 91, 91)
    page, found = pictures(builder)
    assert len(found) == len(before) + 1 and "real training images" in page
    kind, picture, width, _, alt = found[0]
    assert (kind, picture.size, width, alt) == ("png", (91, 91), 91 * 4, "real")  # digits are eight pixels wide


@pytest.mark.parametrize(("width", "kept"), [(1200, "png"), (2251, "jpeg")])
def test_a_grid_of_large_images_is_made_as_wide_as_the_page(builder, width, kept):
    builder.build()
    save(builder.folder / "real.png", width, width)
    kind, picture, shown, height, _ = pictures(builder)[1][0]
    assert kind == kept
    if kept == "jpeg":
        assert picture.size == (shown, height) == (1200, 1200)


def test_images_that_are_large_themselves_are_reduced(builder):
    builder.build()
    save(builder.folder / "real.png", 226, 2251)  # one image of 224 px in each of ten rows
    data = (builder.folder / "real.png").read_bytes()
    assert "data:image/jpeg" in section._picture(data, 224, "real")
    assert 'width="113" height="1126"' in section._picture(data, 224, "real")
    assert "data:image/png" in section._picture(data, 112, "real")


def test_a_picture_that_is_none_is_left_out(builder):
    builder.build()
    (builder.folder / "real.png").write_bytes(b"<svg onload=alert(1)>")
    page, _ = pictures(builder)
    assert "real training images" not in page and "svg+xml" not in page
