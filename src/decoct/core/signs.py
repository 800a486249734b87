"""Signs spelt in ASCII, for terminals and files that have no Unicode."""

import codecs
import unicodedata
from typing import Any

ERRORS = "decoct.signs"  # how a stream deals with what its encoding lacks
PLAIN = {  # what stands for which signs
    **{"-": "−–—‐‑·─━", "|": "│┃║", "=": "═", "'": "‘’", '"': "“”", "*": "•", "x": "×", "+-": "±", "~": "≈"},
    **{"<=": "≤", ">=": "≥", "!=": "≠", "->": "→", "<-": "←", "^": "↑", "v": "↓", "+": "†"},
    **{"1/2": "½", "sqrt": "√", "u": "µ", "ss": "ß"},
}
SPELT = {sign: plain for plain, signs in PLAIN.items() for sign in signs}


def spelt(text: str) -> str:
    """The text in ASCII: signs spelt out, letters without their accents, "?" for the rest."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", "".join(SPELT.get(c, c) for c in text))
    return "".join(c if c.isascii() else "?" for c in plain if not unicodedata.combining(c))


def tolerate(*streams: Any) -> None:
    """Let text streams spell what their encoding lacks, instead of raising a UnicodeEncodeError; others stay."""
    codecs.register_error(ERRORS, _spell)
    for stream in streams:
        if hasattr(stream, "reconfigure") and not str(stream.encoding).lower().startswith("utf"):
            stream.reconfigure(errors=ERRORS)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelt(error.object[error.start : error.end]), error.end
