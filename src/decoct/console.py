"""Output and exit of the command line: progress, JSON, errors of one to three lines, exit codes."""

import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from threading import Event, Thread, current_thread, main_thread
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.text import Text

from decoct.core import signs
from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import FULL, STRAINED, trouble
from decoct.core.names import printable

LINES, WIDTH = 3, 400  # of an error
TOLD = {  # of paths, by Python's own words
    "embedded null": "a path holds a NUL character, which none can",
    "determine home directory": "a path begins with ~ and a name that no user has: write the whole path",
}


class Plain(Console):
    """A console that says text as it is: nothing in it is markup, and nothing in it steers the terminal.

    Names of files and classes, messages of errors, and whatever else comes from outside need no care before this place.
    Where the terminal has no Unicode, signs become ASCII, as of ``core.signs``.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    @property
    def encoding(self) -> str:
        """That of the stream; "ascii" where the locale says C, though Python then writes UTF-8."""
        return "ascii" if in_c_locale() else super().encoding

    def shown(self, text: str) -> str:
        """Text that steers no terminal, in the signs that this one has."""
        return printable(text) if self.encoding.startswith("utf") else signs.spelt(printable(text))

    def render_str(self, text: str, **how: Any) -> Text:
        """As ``Console.render_str``, so that what is shown in place of a character has its width in tables."""
        return super().render_str(self.shown(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As ``Console.render``; what Rich itself sends to steer the terminal is no text and stays."""
        if isinstance(renderable, Text) and self.shown(renderable.plain) != renderable.plain:
            renderable = renderable.copy()
            renderable.plain = self.shown(renderable.plain)  # before its lines are broken
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self.shown(segment.text))

    def tell(self, text: str, style: str | None = None) -> None:
        """Say one line that is not broken, so that what is copied from it, such as a path, is whole."""
        self.print(text, style=style, soft_wrap=True)


out = Plain()
err = Plain(stderr=True)


def in_c_locale() -> bool:
    """Whether the environment asks for the locale C, in so many words, and says nothing else of the encoding."""
    said = os.environ.get("LC_ALL") or os.environ.get("LANG")
    return said in ("C", "POSIX") and "PYTHONIOENCODING" not in os.environ


def say(value: Any) -> None:
    """One JSON value on stdout; escaped where the stream has no Unicode."""
    unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    sys.stdout.write(printable(json.dumps(value, indent=1, ensure_ascii=not unicode, allow_nan=False)) + "\n")


class Left(TimeRemainingColumn):
    """The time that is left: as the task was told, else as if all steps were alike."""

    def render(self, task: Task) -> Text:
        """The time as hours, minutes and seconds."""
        left = task.fields["left"]
        return super().render(task) if left is None else Text(f"{timedelta(seconds=round(left))}", "progress.remaining")


def answer(as_json: bool, value: Any, *shown: RenderableType) -> None:
    """What a command found: one JSON value, or what is shown to people, lines of text unbroken."""
    if as_json:
        say(value)
    for part in () if as_json else shown:
        out.tell(part) if isinstance(part, str) else out.print(part)


@contextmanager
def bars(every: float = 30.0) -> Iterator[Callable[[str], Callable[..., None]]]:
    """Progress on stderr: bars with remaining time where that is a terminal, else a line every so many seconds.

    Yields:
        ``bar(title)``, which gives a callback of (done, total) and, where steps are not alike, the seconds left.
    """
    name = TextColumn("{task.description}", markup=False)
    columns = name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), Left()
    latest, begun = ["begun"], time.monotonic()

    def tell() -> None:
        err.tell(f"{clock(begun)} {latest[0]}")

    with (
        Progress(*columns, console=err, transient=True, disable=not live()) as progress,
        nullcontext() if live() else ticking(tell, every),
    ):

        def bar(title: str) -> Callable[[int, int], None]:
            task = progress.add_task(printable(title), total=None, left=None)
            latest[0] = f"{title}: begun"

            def step(done: int, total: int, left: float | None = None) -> None:
                progress.update(task, completed=done, total=total, left=left)
                rest = "" if left is None else f", about {timedelta(seconds=round(left))} left"
                latest[0] = f"{title}: {done:,} of {total:,}{rest}"

            return step

        yield bar


def live() -> bool:
    """Whether stderr is a terminal on which a picture can be drawn again; a dumb one only takes lines."""
    return err.is_terminal and not err.is_dumb_terminal


def clock(begun: float) -> str:
    """Hours, minutes and seconds since a moment of ``time.monotonic``."""
    return str(timedelta(seconds=round(time.monotonic() - begun)))


@contextmanager
def ticking(call: Callable[[], None], every: float) -> Iterator[None]:
    """Call a function every so many seconds, from a thread of its own."""
    left = Event()

    def tick() -> None:
        if hasattr(signal, "pthread_sigmask"):  # Ctrl-C is for the main thread, which blocks it where it must not come
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while not left.wait(every):
            call()

    ticker = Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        left.set()
        ticker.join()


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system or a container sends it: work is put down as after Ctrl-C."""


@contextmanager
def terminable() -> Iterator[Event]:
    """In the block SIGTERM raises ``Terminated``, and the event says so; a second one ends the process at once."""
    came = Event()

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        came.set()
        raise Terminated

    if current_thread() is not main_thread():
        yield came
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def guarded(debug: bool) -> Iterator[None]:
    """Turn what is raised into lines on stderr and an exit code: 2 for usage, 130 for Ctrl-C, 143 for SIGTERM, or 1."""
    signs.tolerate(sys.stdout, sys.stderr)
    try:
        with terminable() as came, warnings.catch_warnings():
            warnings.showwarning = lambda message, *where, **more: err.tell(f"warning: {message}")  # but for the place
            try:
                yield
            except SystemExit as leave:  # of a command that put its work down by itself
                if leave.code != 130 or not came.is_set():
                    raise
            if came.is_set():
                raise Terminated
        sys.stdout.flush()
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except Terminated:
        fail("stopped by SIGTERM; finished work is kept, and the same command continues", 143)
    except KeyboardInterrupt:
        fail("stopped; finished work is kept, and the same command continues", 130)
    except BrokenPipeError:  # who read stdout has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            err.tell(traceback.format_exc().rstrip())
        fail(explain(error), 2 if isinstance(error, UsageError) else int(getattr(error, "exit_code", 1)))


def explain(error: Exception) -> str:
    """One to three lines that say what to do."""
    if isinstance(error, DecoctError):
        said = str(error)
    elif getattr(error, "format_message", None):  # the parser's: its classes moved between Typer's versions
        context = getattr(error, "ctx", None)
        said = error.format_message() + (f"\n{context.command_path} --help shows how" if context else "")  # type: ignore[attr-defined]
    elif getattr(error, "errno", None) in FULL or "No space left on device" in str(error):
        where = getattr(error, "filename", None)
        said = f"the disk is full{f': {where}' if where else ''}\nfree some space; the same command continues"
    elif strained := trouble(error, STRAINED):
        said = strained
    elif isinstance(error, RecursionError):
        said = "something that was read is nested too deeply"
    elif said_of := next((why for words, why in TOLD.items() if words in str(error)), ""):
        said = said_of
    elif isinstance(error, MemoryError):
        said = f"there is not as much memory as this takes{f' ({error})' if str(error) else ''}\ntake less at once"
    elif isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    else:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        said += "\nthis may be a defect of decoct; --debug shows where"
    lines = [line for line in said.splitlines() if line.strip()][:LINES]
    return "\n".join(line if len(line) <= WIDTH else f"{line[:WIDTH]} …" for line in lines)


def fail(message: str, code: int) -> None:
    """Print and leave."""
    err.tell(f"decoct: {message}", "red" if code not in (130, 143) else None)
    sys.exit(code)
