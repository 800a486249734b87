"""Members of a tar, read in order and never unpacked; members that point out of the archive are refused."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.data.imagenet.layout import MAX_BYTES
from decoct.data.reading.decode import extensions

BLOCK = tarfile.BLOCKSIZE
Load = Callable[[], bytes]


def members(path: Path, where: str = "", start: int = 0) -> Iterator[tuple[tarfile.TarInfo, Load]]:
    """Regular files of a tar, gzipped or not, each with a function that reads it while it is current.

    Args:
        where: what the tar is called, if not by its path.
        start: where in the file it begins.

    Raises:
        DecoctError: truncated or damaged; or a member is a link or a device, or its name leads out of the archive.
    """
    where = where or str(path)
    with ExitStack() as stack:
        stack.enter_context(_told(where))
        file = stack.enter_context(path.open("rb"))
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(start)
        plain: IO[bytes] = gzip.GzipFile(fileobj=file) if compressed else file  # type: ignore[assignment]
        tar = stack.enter_context(tarfile.open(fileobj=plain, mode="r|" if compressed else "r:"))
        while (info := tar.next()) is not None:
            refuse(info, where)
            if info.isreg() and not PurePosixPath(info.name).name.startswith("."):
                yield info, partial(_read, tar, info, where)
            tar.members = []  # type: ignore[attr-defined]  # tarfile would remember all of them
        if compressed:  # at the end of its bytes, gzip checks their sum
            while plain.read(2**20):
                pass
        else:  # tarfile takes a damaged or missing header for the end, which has two blocks of zeros
            file.seek(tar.offset)
            if file.read(BLOCK) != bytes(BLOCK):
                raise tarfile.ReadError("it does not end as an archive does")


def refuse(info: tarfile.TarInfo, where: str) -> None:
    """Refuse a member that is neither a file nor a folder inside of its archive."""
    path = PurePosixPath(info.name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise DecoctError(f"{where}: '{info.name}' leads out of the archive: get the archive from where it was made")
    if not (info.isreg() or info.isdir()):
        kind = "a link" if info.issym() or info.islnk() else "no file"
        raise DecoctError(f"{where}: '{info.name}' is {kind}: pack the archive again with files alone")


def is_picture(name: str) -> bool:
    """Whether a name has a picture's extension."""
    return PurePosixPath(name).suffix.lower() in extensions()


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo, where: str) -> bytes:
    if info.size > MAX_BYTES:
        raise DecoctError(f"{where}: '{info.name}' has {info.size:,} bytes, more than any picture: remove it")
    with _told(where):
        file = tar.extractfile(info)
        assert file is not None
        data = file.read()
        if len(data) != info.size:
            raise tarfile.ReadError(f"'{info.name}' ends early")
    return data


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What goes wrong with an archive, as an error that says what to do."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        blame(error)
        raise DecoctError(
            f"{where} cannot be read: {getattr(error, 'strerror', None) or error}\n"
            "it may be truncated: compare its size or MD5 sum with the original's, and copy or download it again"
        ) from error
