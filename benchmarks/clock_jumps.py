"""A wall clock that jumps by seconds to years, forwards and backwards, while programs run.

A library before the C library (clock_jumps.c, made by ``cc``) moves what `time`, `gettimeofday` and `clock_gettime` say
of it, for all programs that start in the block and see the same file. The monotonic clocks stay, and so do the times
of files: clock and files disagree, as they do where a file server has a clock of its own.
"""

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preload import made

HOUR, YEAR = 3600, 365 * 24 * 3600
FAR = (1, 60, HOUR, 30 * HOUR, YEAR, 10 * YEAR)  # seconds that it jumps, at most, either way
PAUSE = 2.0  # seconds between two jumps, at most
FILE = "DECOCT_CLOCK_JUMPS"


class Clock:
    """How far the clock is from the machine's, and how often it jumped."""

    def __init__(self, folder: Path) -> None:
        self.file, self.jumps, self.away = folder / "clock", 0, 0
        self.file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(made("clock_jumps", folder)), FILE: str(self.file)}

    def jump(self, away: int) -> None:
        """From now on it is so many seconds away."""
        with self.file.open("r+b") as file:  # programs hold a map of it
            file.write(away.to_bytes(8, "little", signed=True))
        self.jumps, self.away = self.jumps + 1, away


@contextmanager
def jumping(folder: Path, seed: int) -> Iterator[Clock]:
    """The clock of all programs that start in the block, which jumps to and fro until its end."""
    clock, draw, end = Clock(folder), random.Random(seed), threading.Event()

    def go_on() -> None:
        while not end.wait(PAUSE * draw.random()):
            far = draw.choice(FAR)
            clock.jump(draw.randint(-far, far))

    before = {name: os.environ.get(name) for name in clock.environment}
    os.environ.update(clock.environment)
    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield clock
    finally:
        end.set()
        thread.join()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
