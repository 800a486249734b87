"""What the command line says and how it ends: progress, JSON, errors of one to three lines, exit codes."""

import errno
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from decoct.core.errors import DecoctError, UsageError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(value: Any) -> None:
    """One JSON value on stdout."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def bars() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Progress bars with remaining time on stderr; ``bar(title)`` gives a callback of (done, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:

        def bar(title: str) -> Callable[[int, int], None]:
            task = progress.add_task(title, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield bar


@contextmanager
def guarded(debug: bool) -> Iterator[None]:
    """Turn what is raised into lines on stderr and an exit code: 2 for usage, 130 for Ctrl-C, else 1."""
    try:
        yield
    except KeyboardInterrupt:
        fail("stopped; what was finished is kept, the same command goes on from there", 130)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        fail(explain(error), 2 if isinstance(error, UsageError) else 1)


def explain(error: Exception) -> str:
    """One to three lines that say what to do."""
    if isinstance(error, DecoctError):
        return "\n".join(str(error).splitlines()[:3])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {error.filename or 'writing failed'}\nfree some space; the same command goes on from there"
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
    return f"{type(error).__name__}: {error}\nthis may be a defect of decoct; --debug shows where"


def fail(message: str, code: int) -> None:
    """Print and leave."""
    err.print(f"decoct: {message}", style="red" if code != 130 else None, markup=False, soft_wrap=True)
    sys.exit(code)
