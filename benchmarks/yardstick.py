"""Two loops timed in turns, so that whatever else the machine does slows both, and tables of what came out."""

import time
from collections.abc import Callable, Sequence
from statistics import median

Loop = Callable[[int], None]  # runs so many steps


def ratio(ours: Loop, bare: Loop, *, seconds: float, repeats: int) -> tuple[float, float, float]:
    """Steps a second of both loops, and the median over the repeats of ours / bare.

    Args:
        ours: the loop that is judged.
        bare: the yardstick.
        seconds: how long one turn of the bare loop takes, about.
        repeats: turns of each.
    """
    ours(5), bare(5)  # the first calls choose kernels and fill caches
    steps = max(10, round(seconds / (clock(bare, 10) / 10)))
    turns = [(clock(ours, steps), clock(bare, steps)) for _ in range(repeats)]
    mine, theirs = (steps / median(column) for column in zip(*turns, strict=True))
    return mine, theirs, median(b / a for a, b in turns)


def clock(loop: Loop, steps: int) -> float:
    """Seconds of so many steps."""
    start = time.perf_counter()
    loop(steps)
    return time.perf_counter() - start


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
