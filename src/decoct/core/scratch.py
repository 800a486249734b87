"""Names of what is being written: they say which process of which machine writes, so that others leave it alone."""

import hashlib
import os
import platform
import time
import uuid
from pathlib import Path

import psutil

LONG = 24 * 3600.0  # seconds after which nobody still writes


def scratch(name: str) -> str:
    """``.tmp-PID-NAME-RANDOM@MACHINE``, a name that nobody else takes."""
    return f".tmp-{os.getpid()}-{name}-{uuid.uuid4().hex[:8]}@{machine()}"


def machine() -> str:
    """This machine's name, digested: it may hold any character."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def elsewhere(name: str) -> bool:
    """Whether another machine writes it; names of before there were machines in them are taken for this one's."""
    _, at, host = name.rpartition("@")
    return bool(at) and host != machine()


def abandoned(path: Path) -> bool:
    """Whether nobody writes it any more: its process has ended, or, on another machine, it was long not touched."""
    word, pid, *_ = f"{path.name}--".split("-")
    if word != ".tmp" or not pid.isdecimal():
        return False
    if elsewhere(path.name):
        try:
            return time.time() - path.stat().st_mtime > LONG
        except OSError:
            return False  # it became what it was to be
    return not alive(int(pid))


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and that nobody has waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
