"""Work that depends only on the real data, done once per process because it costs more than the rest of a metric.

Every set of a study, every random set and every resample is measured against the same real features.
"""

import hashlib
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
ROOM = 2**29  # bytes of results, and as many of parts of arrays


class Spent(NamedTuple):
    """Time that went into results of ``once``, in this process.

    Attributes:
        seconds: on the clock.
        cpu_seconds: of the processors.
    """

    seconds: float
    cpu_seconds: float

    @classmethod
    def now(cls) -> "Spent":
        """Up to now."""
        return cls(_known.seconds, _known.cpu_seconds)


def real() -> tuple[float, float]:
    """Wall time, and processor time of this process."""
    return time.perf_counter(), time.process_time()


@dataclass
class _Result:
    """A result, what it is worth (seconds a byte), and what it is due to stay: its worth since it was last used."""

    value: Any
    size: int
    worth: float
    due: float = 0.0


class _Known:
    """Results by function, content and options; of each array, while it lives, its parts."""

    def __init__(self) -> None:
        self.results: dict[Any, _Result] = {}
        self.size = 0  # of results
        self.gone = 0.0  # what was due to the last that went
        self.parts: dict[int, dict[Any, NDArray[Any]]] = {}  # those that there is room for, by array and name
        self.digests: dict[int, dict[Any, str]] = {}  # of all of them, likewise
        self.origins: dict[int, tuple[int, Any]] = {}  # array and name of a part, while the part lives
        self.held = 0  # bytes of parts
        self.seconds, self.cpu_seconds, self.depth = 0.0, 0.0, 0  # spent on results; of those that need others, once

    def timed(self, function: Callable[P, R], *args: P.args, **options: P.kwargs) -> tuple[R, float]:
        """What a function gives, and the seconds that it took."""
        wall, cpu = real()
        self.depth += 1
        try:
            value = function(*args, **options)
        finally:
            self.depth -= 1
            now, cpu_now = real()
            wall, cpu = now - wall, cpu_now - cpu
            if not self.depth:
                self.seconds, self.cpu_seconds = self.seconds + wall, self.cpu_seconds + cpu
        return value, wall

    def forget(self, array: int) -> None:
        """An array is gone, and its parts go with it."""
        parts = self.parts.pop(array)
        self.held -= sum(kept.nbytes for kept in parts.values())
        self.digests.pop(array)


_known = _Known()


def once(function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """``function(*arrays, **options)``, computed once for arrays of equal content.

    Only the result is kept, not the arrays. Where there is no room, results go that took the least time for their size
    and have not been used for long: of more than there is room for in one round, the expensive ones stay.

    Source:
        GreedyDual-Size: Cao and Irani, "Cost-aware WWW proxy caching algorithms", USITS 1997.
    """
    arrays, results = cast(tuple[NDArray[Any], ...], args), _known.results
    contents = tuple((array.shape, array.dtype.str, _digest(array)) for array in arrays)
    key = (function, contents, tuple(sorted(options.items())))
    if key not in results:
        value, seconds = _known.timed(function, *args, **options)
        size = max(1, _size(value))
        results[key] = _Result(value, size, seconds / size)
        _known.size += size
    found = results[key]
    found.due = _known.gone + found.worth
    while len(results) > 1 and _known.size > ROOM:
        least = min(results, key=lambda known: results[known].due)
        _known.gone = results[least].due
        _known.size -= results.pop(least).size
    return cast(R, found.value)


def part(array: NDArray[Any], name: Any, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """What ``make`` makes of an array, such as the rows of a class: kept while the array lives and there is room.

    A part cannot be written to, so that its content is digested only once, even if it has to be made again.

    Args:
        array: that it is made of; nobody writes to it.
        name: of the part.
        make: makes it, as an array of its own.
    """
    if id(array) not in _known.parts:
        _known.parts[id(array)], _known.digests[id(array)] = {}, {}
        weakref.finalize(array, _known.forget, id(array))
    own = _known.parts[id(array)]
    if name in own:
        return own[name]
    made = make()
    made.flags.writeable = False
    _known.origins[id(made)] = id(array), name
    weakref.finalize(made, _known.origins.pop, id(made), None)
    if _known.held + made.nbytes <= ROOM:
        own[name] = made
        _known.held += made.nbytes
    return made


def _digest(array: NDArray[Any]) -> str:
    of, name = _known.origins.get(id(array), (0, None))
    digests = _known.digests.get(of, {})
    if name not in digests:
        digests[name] = hashlib.blake2b(np.ascontiguousarray(array).data).hexdigest()
    return digests[name]


def _size(result: Any) -> int:
    """Bytes of a result: of the tensors and arrays in it."""
    if isinstance(result, tuple | list):
        return sum(map(_size, result))
    return int(getattr(result, "nbytes", 64))
