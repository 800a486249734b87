"""A card as a file: SVG as it is drawn, or PNG in twice its size."""

import struct
import zlib
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from decoct.core.errors import UsageError
from decoct.core.scratch import replace
from decoct.report.card import font
from decoct.report.card.content import card
from decoct.report.card.svg import MADE, draw
from decoct.report.summary import Summary

ENDINGS = (".png", ".svg")
ZOOM = 2
HEADER = 33  # bytes at the start of a PNG: its signature and its first chunk


def check_place(path: Path) -> None:
    """Raise a UsageError if the name of a card does not end in .png or .svg, or if it would overwrite another file."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"a card is a .png or an .svg file, and {path.name} is neither: name it card.png or card.svg")
    if path.exists() and not (path.is_file() and MADE.encode() in path.read_bytes()):
        raise UsageError(f"{path} is not a card that decoct wrote: choose another name, or move it away")


def write_card(summary: Summary, path: Path) -> None:
    """Write a run's card in one step, as its ending says; its folder is made where it is not there.

    Raises:
        UsageError: see ``check_place``.
    """
    check_place(path)
    drawn = draw(card(summary))
    data = drawn.encode() if path.suffix.lower() == ".svg" else png(drawn)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, partial(Path.write_bytes, data=data))


def png(drawn: str) -> bytes:
    """A drawn card as PNG, in decoct's own font; the machine's fonts are asked for letters that this one lacks."""
    from resvg_py import svg_to_bytes  # imported late: nothing else needs it

    with as_file(files("decoct.report.card").joinpath("font")) as folder:
        own = [str(folder / name) for name in font.FILES.values()]
        whole = all(map(font.has, set(drawn) - {"\n"}))
        data = bytes(svg_to_bytes(svg_string=drawn, font_files=own, skip_system_fonts=whole, zoom=ZOOM))
    return data[:HEADER] + _chunk(b"tEXt", b"Comment\0" + MADE.encode()) + data[HEADER:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
