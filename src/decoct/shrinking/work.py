"""What every call in a worker process shares: a pool that is opened once, and a failure that is told in a line."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from decoct.core.errors import DecoctError, UsageError
from decoct.shrinking.pool import Pool, open_pool
from decoct.study.execute import describe, threads


@lru_cache(maxsize=1)
def opened(folder: str) -> Pool:
    """The pool that lies in a folder."""
    return open_pool(Path(folder))


def guarded(work: Callable[[], Any]) -> Any:
    """A call with one thread; its failure in one line, as a class of its own might not survive the way back."""
    try:
        with threads(1):
            return work()
    except UsageError:
        raise
    except Exception as error:
        raise DecoctError(describe(error)) from error
