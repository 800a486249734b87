"""Plain values and arrays of bytes from a pickle, without unpickling it."""

import math
import pickletools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError

# The only names that such a file may ask for. None of them is ever imported or called: each has a meaning below.
ARRAY = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
CLASS, DTYPE, ENCODE = "numpy ndarray", "numpy dtype", "_codecs encode"
BYTES = {"u1", "|u1"}

LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE"}
LITERALS |= {"BINBYTES", "SHORT_BINBYTES"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Name:
    """A name that the file would have imported."""

    text: str


@dataclass(eq=False)
class Array:
    """What will be an array of bytes once its state has come."""

    values: NDArray[np.uint8] | None = None


class NotPlainError(ValueError):
    """The file wants more than plain values and arrays of bytes; the message says what."""


def read_plain(data: bytes, where: str) -> dict[str, Any]:
    """The dictionary that a pickle of protocol 2 or 3 holds: strings, whole numbers, lists, tuples, arrays of uint8.

    An unpickler calls whatever a file names. This calls nothing: ``pickletools.genops`` only takes the file apart into
    opcodes, and the few that such a dictionary needs are given their meaning here. Any other opcode, and any name
    besides numpy's own four for an array of bytes, is refused before it has any effect. Nothing is sized by what the
    file says, only by what it holds.

    Args:
        data: the whole file; strings of Python 2 are read as Latin-1.
        where: what the file is called, for the message.

    Raises:
        DecoctError: it holds anything else, or is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of escapes in strings that nobody wrote
            values = _run(data)
        if not isinstance(values, dict):
            raise NotPlainError("it holds no dictionary")
    except NotPlainError as error:
        raise DecoctError(f"{where} is refused: {error}\ndecoct does not unpickle: take the official files") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise DecoctError(f"{where} is damaged, or no pickle: {type(error).__name__}") from error
    return {key: value.values if isinstance(value, Array) else value for key, value in values.items()}


def _run(data: bytes) -> Any:
    """Give each opcode its meaning on a stack of values."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def above() -> list[Any]:
        """Pop and return everything above the last mark."""
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    argument: Any
    for opcode, argument, _ in pickletools.genops(data):
        match opcode.name:
            case "PROTO":
                if argument not in (2, 3):
                    raise NotPlainError(f"protocol {argument}, not 2 or 3")
            case name if name in LITERALS:
                stack.append(argument)
            case name if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case name if name in TUPLES:
                start = len(stack) - TUPLES[name]
                stack[start:] = [tuple(stack[start:])]
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_LIST" | "EMPTY_DICT":
                stack.append([] if opcode.name == "EMPTY_LIST" else {})
            case "TUPLE":
                stack.append(tuple(above()))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "APPEND" | "APPENDS":
                items = above() if opcode.name == "APPENDS" else [stack.pop()]
                stack[-1].extend(items)
            case "SETITEM" | "SETITEMS":
                items = above() if opcode.name == "SETITEMS" else [stack.pop(-2), stack.pop()]
                _fill(stack[-1], items)
            case "GLOBAL":
                if argument not in ARRAY | {CLASS, DTYPE, ENCODE}:
                    raise NotPlainError(f"it asks for {argument.replace(' ', '.')}")
                stack.append(Name(argument))
            case "REDUCE":
                arguments, called = stack.pop(), stack.pop()
                stack.append(_call(called, arguments))
            case "BUILD":
                state = stack.pop()
                _build(stack[-1], state)
            case "STOP":
                return stack.pop()
            case name:
                raise NotPlainError(f"opcode {name}")
    raise NotPlainError("it has no end")


def _fill(target: dict[str, Any], items: list[Any]) -> None:
    """Put keys and values in turn into a dictionary; a key is a string, since hashing a deep tuple can crash Python."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str):
            raise NotPlainError("a key that is no string")
        target[key] = value


def _call(called: Any, arguments: Any) -> Any:
    """What a call in the file stands for: an array to come, the name of a type, or bytes that were written as text."""
    name = called.text if isinstance(called, Name) else ""
    if name in ARRAY:
        return Array()
    if name == DTYPE and isinstance(arguments[0], str):
        return Name(arguments[0])
    if name == ENCODE and arguments[1] == "latin1":
        return arguments[0].encode("latin-1")
    raise NotPlainError("a call of something else than an array of bytes")


def _build(target: Any, state: Any) -> None:
    """Fill an array from its state (version, shape, type, column by column?, bytes), as numpy writes it."""
    if isinstance(target, Name):  # byte order and alignment of a type: one byte has none
        return
    if not isinstance(target, Array):
        raise NotPlainError("an object that is no array")
    _, shape, kind, columns, content = state
    if not isinstance(kind, Name) or kind.text not in BYTES:
        raise NotPlainError("an array of something else than bytes")
    raw = content.encode("latin-1") if isinstance(content, str) else content
    if math.prod(shape) != len(raw):
        raise NotPlainError(f"an array of {len(raw)} bytes that says it has another shape")
    target.values = np.frombuffer(raw, dtype=np.uint8).reshape(shape, order="F" if columns else "C")
