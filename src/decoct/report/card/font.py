"""How wide text is in the font that a card is drawn with, and text that fits a width."""

import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import as_file, files

from PIL import ImageFont

FAMILY = "DejaVu Sans, Verdana, sans-serif"  # Verdana is as wide, and on most machines that lack the first
FILES = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}  # by whether it is bold
UNIT = 1000  # pixels per em that widths are measured at
ELLIPSIS = "…"
MISSING = "\uffff"  # is no character, so that the font draws what it draws for all that it lacks


@lru_cache(4096)
def width(text: str, size: float, bold: bool = False) -> float:
    """Pixels that a line of text takes; a character that the font lacks counts as wide as it is high."""
    seen = [c for c in text if unicodedata.category(c) != "Cf"]  # such as marks of direction, which take no room
    known = "".join(c for c in seen if has(c))
    return (_face(UNIT, bold).getlength(known) / UNIT + len(seen) - len(known)) * size


@lru_cache(4096)
def has(character: str) -> bool:
    """Whether the font can draw a character; both of its files have the same."""
    face = _face(24)
    return bytes(face.getmask(character)) != bytes(face.getmask(MISSING))


def fitted(text: str, size: float, room: float, bold: bool = False, tail: int = 0) -> str:
    """The text, or its beginning, an ellipsis and its last ``tail`` letters where it is wider than the room."""
    if width(text, size, bold) <= room:
        return text
    end = ELLIPSIS + (text[-tail:] if tail and width(text[-tail:], size, bold) < room / 2 else "")
    low, high = 0, len(text) - len(end) + 1  # of characters that fit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle] + end, size, bold) <= room else (low, middle - 1)
    return text[:low].rstrip() + end


def wrapped(text: str, size: float, room: float, bold: bool = False, most: int = 99) -> list[str]:
    """Lines no wider than the room; what is beyond the last of ``most`` lines is cut off with an ellipsis."""
    lines: list[str] = []
    for word in _words(text, size, room, bold):
        if lines and width(f"{lines[-1]} {word}", size, bold) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > most:
        return [*lines[: most - 1], fitted(" ".join(lines[most - 1 :]), size, room, bold)]
    return lines


def _words(text: str, size: float, room: float, bold: bool) -> Iterator[str]:
    """The words of a text; one that is wider than the room comes in pieces."""
    for word in text.split():
        while width(word, size, bold) > room and len(word) > 1:
            fits = next(n for n in range(len(word), 0, -1) if n == 1 or width(word[:n], size, bold) <= room)
            yield word[:fits]
            word = word[fits:]
        yield word


@cache
def _face(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    with as_file(files("decoct.report.card").joinpath("font", FILES[bold])) as path:
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
