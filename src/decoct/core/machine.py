"""Trouble of this machine in reading a file: told as itself, since nobody shall throw away a file that is whole."""

import errno
import os
import re

from decoct.core.errors import DecoctError

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
AGAIN = "then run the same again"
# Whatever is read or written: it says nothing about the file.
STRAINED = {
    errno.EMFILE: f"too many open files: raise `ulimit -n`, {AGAIN}",
    errno.ENFILE: f"this machine has too many open files: end other programs, or raise fs.file-max, {AGAIN}",
    errno.ENOMEM: f"this machine has no memory left: end other programs, or take fewer --workers, {AGAIN}",
    errno.EIO: f"input/output error: the disk or the network drive fails; look after it, {AGAIN}",
    errno.ESTALE: f"stale file handle: mount the network drive again, {AGAIN}",
}
SAID = {
    **STRAINED,
    **dict.fromkeys(FULL, "the disk is full: free some space; the same command continues"),
    errno.EROFS: f"read-only file system: make it writable, {AGAIN}",
    **dict.fromkeys((errno.EACCES, errno.EPERM), f"permission denied: grant it, {AGAIN}"),
}
RUST = re.compile(r"\(os error (\d+)\)")  # libraries in Rust give the text alone


def trouble(error: BaseException, known: dict[int, str] = SAID) -> str | None:
    """What to do about an error, if it is one of the machine; None if the file may be at fault."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (told := RUST.search(str(error))):
        number = int(told[1])
    if number not in known:
        return None
    where = getattr(error, "filename", None)
    return f"{f'{os.fsdecode(where)}: ' if isinstance(where, str | bytes | os.PathLike) else ''}{known[number]}"


def blame(error: BaseException, known: dict[int, str] = SAID) -> None:
    """Raise a DecoctError if an error in reading is the machine's: called before a file is called damaged.

    Args:
        error: of a library that read a file.
        known: which troubles count; ``STRAINED`` where a full or closed disk has advice of its own.
    """
    if said := trouble(error, known):
        raise DecoctError(said) from error
