"""JSON and TOML that others wrote, as values: whatever is wrong with the text is a ValueError in a few words."""

import json
import re
import tomllib
from typing import Any

DEEP = 64  # tables and lists within each other, in TOML
DOTTED = re.compile(rf"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')){{{DEEP},}}""")


def from_json(text: str | bytes) -> Any:
    """The value of a JSON text; a ValueError if it is none, or is nested beyond what Python follows."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def from_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text; a ValueError also of one nested more than ``DEEP`` times, or with a NUL in a word.

    No path holds a NUL, and what opens one would say so in words of its own.
    """
    if DOTTED.search(text):  # the parser takes the square of a key's parts
        raise ValueError("it is nested too deeply")
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    left: list[tuple[Any, int]] = [(table, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEEP:
            raise ValueError("it is nested too deeply")
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"{value[:40]!r} holds a NUL character")
        if isinstance(value, dict | list):
            inner = [*value, *value.values()] if isinstance(value, dict) else value
            left += [(each, depth + 1) for each in inner]
    return table
