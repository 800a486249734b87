"""How types, defaults, values and signatures are shown."""

import inspect
import json
import types
import typing
from collections.abc import Iterable
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo

WIDTH = 66  # characters of code that a page has room for
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def type_of(info: FieldInfo) -> str:
    """The type of a field and its limits, as Markdown."""
    limits = [f"{SIGNS[key]} {value:g}" for each in info.metadata for key, value in _limits(each) if key in SIGNS]
    kind, optional, _ = _annotation(info.annotation).partition(" or None")
    return " ".join([kind, *limits]) + optional


def default(info: FieldInfo) -> str:
    """What a field is unless it is set."""
    return "required" if info.is_required() else shown(info.get_default(call_default_factory=True))


def shown(value: Any) -> str:
    """A value as Markdown."""
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, (tuple, list)):
        return ", ".join(v.replace("_", "\\_") if isinstance(v, str) else shown(v) for v in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting(value: Any) -> str:
    """A value as ``--set`` takes it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def signature(name: str, function: Any) -> str:
    """``name(a, b, *, c=1)`` without annotations, broken where it is long."""
    words: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        default = parameter.default if parameter.default is parameter.empty else _Shown(parameter.default)
        words.append(str(parameter.replace(annotation=parameter.empty, default=default)))
    line = ", ".join(words)
    if len(name) + len(line) <= WIDTH:
        return f"{name}({line})"
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + ")"


class _Shown:
    """A default as it is shown."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        if inspect.isfunction(self.value):
            return self.value.__name__
        simple = isinstance(self.value, (str, int, float, bool, tuple, type(None)))
        return repr(self.value) if simple else f"{type(self.value).__name__}()"


def _annotation(kind: Any) -> str:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " or ".join(map(_annotation, typing.get_args(kind)))
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(f"`{json.dumps(word)}`" for word in typing.get_args(kind))
    if typing.get_origin(kind) is typing.Annotated:
        return _annotation(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (tuple, dict, list):
        inside = [_annotation(each) for each in typing.get_args(kind) if each is not Ellipsis]
        return f"{typing.get_origin(kind).__name__} of {', '.join(dict.fromkeys(inside))}"
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))


def _limits(limit: Any) -> Iterable[tuple[str, Any]]:
    """Names and values of a constraint of annotated-types'."""
    if isinstance(limit, annotated_types.BaseMetadata):
        yield from ((name, getattr(limit, name)) for name in getattr(limit, "__slots__", ()))
