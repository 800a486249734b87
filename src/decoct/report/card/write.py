"""A card as a file: SVG as it is drawn, or PNG in twice its size."""

from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from decoct.core.errors import UsageError
from decoct.core.scratch import replace
from decoct.report.card import font
from decoct.report.card.content import card
from decoct.report.card.svg import draw
from decoct.report.summary import Summary

ENDINGS = (".png", ".svg")
ZOOM = 2


def check_ending(path: Path) -> None:
    """Raise a UsageError where a file's ending is not that of a card."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"a card is a .png or an .svg file, and {path.name} is neither: name it card.png or card.svg")


def write_card(summary: Summary, path: Path) -> None:
    """Write a run's card in one step, as its ending says; its folder is made where it is not there.

    Raises:
        UsageError: the ending is neither .png nor .svg.
    """
    check_ending(path)
    drawn = draw(card(summary))
    path.parent.mkdir(parents=True, exist_ok=True)
    data = drawn.encode() if path.suffix.lower() == ".svg" else png(drawn)
    replace(path, partial(Path.write_bytes, data=data))


def png(drawn: str) -> bytes:
    """A drawn card as PNG, with decoct's own font; the machine's fonts give only characters that this one lacks."""
    from resvg_py import svg_to_bytes  # late: nothing else needs it

    folder = files("decoct.report.card").joinpath("font")
    with as_file(folder) as fonts:
        own = [str(fonts / name) for name in font.FILES.values()]
        whole = all(map(font.has, set(drawn)))
        return bytes(svg_to_bytes(svg_string=drawn, font_files=own, skip_system_fonts=whole, zoom=ZOOM))
