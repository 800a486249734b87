"""Files below a folder, or below a URL through fsspec; what goes wrong there is said in one line."""

import errno
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import FULL
from decoct.core.scratch import clock, replace, scratch

# This machine's own trouble, whatever it did with the URL; not EIO, as which clients tell what a service answers.
LOCAL = (*FULL, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
CLOCK = ".clock"  # folder of what is written to ask for the time
OBJECTS = ("s3", "s3a", "gs", "gcs", "abfs", "az")
KEYS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
}
NO_BUCKET = "nosuchbucket|bucket does not exist"
NO_KEYS = "(no|partial|default)credentials|unable to locate credentials|refresherror"
REFUSED = "permissionerror|access ?denied|forbidden|invalidaccesskeyid|signaturedoesnotmatch|unauthorized"
AWAY = "connect(ion|or|timeout)|readtimeout|timeouterror|could not connect|name resolution|disconnected|dnserror"


class Entry(NamedTuple):
    """A file in a listing: its size in bytes, and when it was written, or now if the listing does not say."""

    size: int
    modified: float


class Folder:
    """Files below a folder of this machine; names are relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def list(self, prefix: str = "") -> dict[str, Entry]:
        """Every file below a prefix, by name."""
        listed: dict[str, Entry] = {}
        for at, _, names in os.walk(self.root / prefix):
            for path in (Path(at, name) for name in names):
                with suppress(FileNotFoundError):  # somebody removes it meanwhile
                    status = path.stat()
                    listed[path.relative_to(self.root).as_posix()] = Entry(status.st_size, status.st_mtime)
        return listed

    def now(self) -> float:
        """The time by the clock that dates files here; by this machine's if none can be written."""
        return clock(self.root)

    def read(self, name: str) -> bytes | None:
        """Content of a small file; None if there is none."""
        with suppress(FileNotFoundError):
            return (self.root / name).read_bytes()
        return None

    def write(self, name: str, content: bytes) -> bool:
        """Put a small file there, whole or not at all."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        replace(self.root / name, lambda aside: aside.write_bytes(content))
        return True

    def remove(self, names: Sequence[str]) -> None:
        """Remove files, those that are there."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)


class Remote(Folder):
    """Files below a URL of any file system that fsspec knows, such as ``s3://bucket/store``.

    Raises:
        UsageError: no such file system, or what drives it is not installed.
        DecoctError: of every method: no credentials, permission denied, no bucket, or nobody answers.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        with self._reaching():
            from fsspec.core import url_to_fs
            from fsspec.implementations.dirfs import DirFileSystem

            # Listings are not cached: others write there as well.
            fs, root = url_to_fs(self.url, use_listings_cache=False)
            self.fs = DirFileSystem(root.rstrip("/"), fs)

    def list(self, prefix: str = "") -> dict[str, Entry]:
        """Every file below a prefix, by name, in one listing."""
        with self._reaching(), suppress(FileNotFoundError):
            listed = self.fs.find(prefix, detail=True).items()
            return {name: _entry(about) for name, about in listed if name and about.get("type", "file") == "file"}
        return {}

    def now(self) -> float:
        """As of a folder, by the clock of the service."""
        name = f"{CLOCK}/{scratch('clock')}"
        with suppress(DecoctError, KeyError):
            self.write(name, b"")
            try:
                return self.list(CLOCK)[name].modified
            finally:
                self.remove([name])
        return time.time()

    def read(self, name: str) -> bytes | None:
        """Content of a small file; None if there is none."""
        with self._reaching(), suppress(FileNotFoundError):
            return bytes(self.fs.cat_file(name))
        return None

    def write(self, name: str, content: bytes, new: bool = False) -> bool:
        """Put a small file there, whole or not at all; if it is to be new, only where there is none.

        Returns:
            Whether it was put: of two that create a file at once, one does.
        """
        with self._reaching():
            if _protocol(self.url) not in OBJECTS:  # these have no folders: to make one may make a bucket
                self.fs.makedirs(name.rpartition("/")[0], exist_ok=True)
            try:
                self.fs.pipe_file(name, content, **({"mode": "create"} if new else {}))
            except Exception:
                if not new:
                    raise
                if self.read(name) is not None:
                    return False
                self.fs.pipe_file(name, content)  # to a service that cannot ask and put in one step
        return True

    def get(self, files: Mapping[str, Path]) -> None:
        """Fetch files, several at once; each is here whole or not at all."""
        asides = {name: path.with_name(scratch(path.name)) for name, path in files.items()}
        for aside in asides.values():
            aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._reaching():
                self.fs.get(list(asides), [str(aside) for aside in asides.values()]) if asides else None
            for name, aside in asides.items():
                aside.replace(files[name])
        finally:
            for aside in asides.values():
                aside.unlink(missing_ok=True)

    def put(self, files: Mapping[str, Path]) -> None:
        """Send files, several at once; each is there whole or not at all."""
        with self._reaching():
            self.fs.put([str(path) for path in files.values()], list(files)) if files else None

    def remove(self, names: Sequence[str]) -> None:
        """Remove files, those that are there."""
        with self._reaching():
            try:
                self.fs.rm(list(names)) if names else None
            except FileNotFoundError:
                for name in names:
                    with suppress(FileNotFoundError):
                        self.fs.rm_file(name)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say what is wrong with the other side; what is wrong with this one goes through."""
        try:
            yield
        except Exception as error:
            if said := _said(self.url, error):
                raise said from error
            raise


def _said(url: str, error: Exception) -> DecoctError | None:
    """One line that says what to do about an error of another machine; None for any other error."""
    protocol, words, first = _protocol(url), _words(error), " ".join(str(error).split())[:200]
    if isinstance(error, ImportError) or (isinstance(error, ValueError) and "protocol" in words):
        return UsageError(f"{url}: {first}; s3:// needs pip install 'decoct[remote]', gs:// pip install gcsfs")
    if isinstance(error, DecoctError | ValueError) or getattr(error, "errno", None) in LOCAL:
        return None
    if re.search(NO_BUCKET, words):
        return DecoctError(f"{url}: there is no such bucket; create it, or name another --store")
    if isinstance(error, FileNotFoundError | FileExistsError):
        return None
    said = f"{type(error).__name__}: {first}"
    if re.search(NO_KEYS, words):
        said = f"no credentials; {KEYS.get(protocol[:2], 'set those of the service')}"
    elif re.search(REFUSED, words):
        said = f"permission denied ({first}); the credentials need to list, read, write and delete there"
    elif re.search(AWAY, words):
        said = f"no answer ({first}); check the network, and AWS_ENDPOINT_URL where that is set"
    return DecoctError(f"{url}: {said}")


def _protocol(url: str) -> str:
    return url.partition("://")[0].rpartition("::")[2]


def _words(error: BaseException | None) -> str:
    """Class and text of an error and of what caused it, in lower case."""
    if error is None:
        return ""
    return f"{type(error).__name__} {error} ".lower() + _words(error.__cause__ or error.__context__)


def _entry(about: Mapping[str, Any]) -> Entry:
    """File systems name the same things in their own ways."""
    at = next((about[name] for name in ("LastModified", "updated", "mtime", "created") if about.get(name)), time.time())
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return Entry(int(about["size"] or 0), at.timestamp() if isinstance(at, datetime) else float(at))
