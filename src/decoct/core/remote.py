"""Files below a URL, through fsspec; what goes wrong there is said in one line."""

import errno
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from decoct.core.errors import DecoctError, UsageError

LOCAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # this machine's own trouble, whatever it did with the URL
WITH = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
KEYS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
}
NO_KEYS = ("nocredentials", "partialcredentials", "defaultcredentials", "unable to locate credentials", "refresherror")
REFUSED = ("accessdenied", "access denied", "forbidden", "invalidaccesskeyid", "signaturedoesnotmatch", "unauthorized")
NO_BUCKET = ("nosuchbucket", "bucket does not exist")
AWAY = (
    *("endpointconnection", "connecttimeout", "connectionerror", "connectorerror", "readtimeout", "could not connect"),
    *("connectionclosed", "name resolution", "serverdisconnected", "timeouterror", "dnserror"),
)


class Entry(NamedTuple):
    """A file as a listing shows it.

    Attributes:
        size: bytes.
        modified: seconds since 1970; now where the listing does not say, so that it is never taken for old.
        version: changes when the content does.
    """

    size: int
    modified: float
    version: str


class Remote:
    """A folder at a URL, such as ``s3://bucket/store``; names are relative to it.

    Args:
        url: of any file system that fsspec knows.

    Raises:
        UsageError: no such file system, or what drives it is not installed.
        DecoctError: of every method: no credentials, permission denied, no bucket, or nobody answers.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.url = url.rstrip("/")
        with self._reaching():
            # Listings are not cached: others write there as well.
            self.fs, root = url_to_fs(self.url, use_listings_cache=False)
        self.root = root.rstrip("/")

    def list(self, prefix: str = "") -> dict[str, Entry]:
        """Every file below a prefix, by name, in one listing."""
        with self._reaching(), suppress(FileNotFoundError):
            found = self.fs.find(self._at(prefix), detail=True)
            start = len(self.root) + 1
            return {
                path[start:]: _entry(about)
                for path, about in found.items()
                if about.get("type", "file") == "file" and path.startswith(f"{self.root}/")
            }
        return {}

    def exists(self, name: str) -> bool:
        """Whether there is such a file, now."""
        with self._reaching(), suppress(FileNotFoundError):
            return bool(self.fs.info(self._at(name))["type"] == "file")  # isfile takes any error for a no
        return False

    def read(self, name: str) -> bytes | None:
        """Content of a small file; None if there is none."""
        with self._reaching(), suppress(FileNotFoundError):
            return bytes(self.fs.cat_file(self._at(name)))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Put a small file there, whole or not at all."""
        with self._reaching():
            self.fs.makedirs(self._parent(name), exist_ok=True) if self._has_folders else None
            self.fs.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """As ``write``, but False if the file is there already: of two that create it at once, one does."""
        with self._reaching():
            try:
                self.fs.makedirs(self._parent(name), exist_ok=True) if self._has_folders else None
                self.fs.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                if "precondition" in _words(error) or "conditionalrequestconflict" in _words(error):
                    return False
                if isinstance(error, TypeError | NotImplementedError) or "notimplemented" in _words(error):
                    if self.exists(name):  # a service that cannot ask and put in one step
                        return False
                    self.fs.pipe_file(self._at(name), content)
                    return True
                raise
        return True

    def get(self, files: Mapping[str, Path]) -> None:
        """Fetch files, several at once, to paths whose folders are there."""
        if files:
            with self._reaching():
                self.fs.get([self._at(name) for name in files], [str(path) for path in files.values()])

    def put(self, files: Mapping[str, Path]) -> None:
        """Send files, several at once; each is there whole or not at all."""
        if files:
            with self._reaching():
                for folder in {self._parent(name) for name in files} if self._has_folders else ():
                    self.fs.makedirs(folder, exist_ok=True)
                self.fs.put([str(path) for path in files.values()], [self._at(name) for name in files])

    def remove(self, names: Sequence[str]) -> None:
        """Remove files, those that are there."""
        if names:
            with self._reaching():
                try:
                    self.fs.rm([self._at(name) for name in names])
                except FileNotFoundError:
                    for name in names:
                        with suppress(FileNotFoundError):
                            self.fs.rm_file(self._at(name))

    def sha256(self, name: str, block: int = 1 << 23) -> str:
        """SHA-256 of a file's content, read block by block and kept nowhere."""
        import hashlib

        sha = hashlib.sha256()
        with self._reaching(), self.fs.open(self._at(name), "rb") as file:
            while content := file.read(block):
                sha.update(content)
        return sha.hexdigest()

    @property
    def _has_folders(self) -> bool:
        """Object stores have none: to make one there is a request, and may make a bucket."""
        return self._protocol not in WITH

    @property
    def _protocol(self) -> str:
        return self.url.partition("://")[0].rpartition("::")[2]

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _parent(self, name: str) -> str:
        return self._at(name).rpartition("/")[0]

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say in one line what is wrong with the other side; what is wrong with this one goes through."""
        try:
            yield
        except (DecoctError, FileNotFoundError, FileExistsError) as error:
            if isinstance(error, FileNotFoundError) and any(word in _words(error) for word in NO_BUCKET):
                raise DecoctError(f"{self.url}: there is no such bucket; create it, or name another --store") from error
            raise
        except (ImportError, ValueError) as error:
            package = WITH.get(self._protocol)
            if isinstance(error, ImportError):
                what = f"pip install {package}" if package == "gcsfs" else "pip install 'decoct[remote]'"
                raise UsageError(f"{self.url} needs {package or error.name or 'fsspec'}: {what}") from error
            if "protocol" in str(error).lower():
                raise UsageError(f"{self.url}: fsspec knows no {self._protocol}://; try s3:// or gs://") from error
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in LOCAL:
                raise
            raise DecoctError(_said(self.url, self._protocol, error)) from error


def _said(url: str, protocol: str, error: Exception) -> str:
    """One line that says what to do about an error of another machine."""
    words, first = _words(error), " ".join(str(error).split())[:200]
    if any(word in words for word in NO_KEYS):
        return f"{url}: no credentials; {KEYS.get(protocol[:2], 'set those of the service')}"
    if isinstance(error, PermissionError) or any(word in words for word in REFUSED):
        return f"{url}: permission denied ({first}); the credentials need to list, read, write and delete there"
    if any(word in words for word in NO_BUCKET):
        return f"{url}: there is no such bucket; create it, or name another --store"
    if isinstance(error, ConnectionError | TimeoutError) or any(word in words for word in AWAY):
        return f"{url}: nobody answers ({first}); check the network, and AWS_ENDPOINT_URL where that is set"
    return f"{url}: {type(error).__name__}: {first}"


def _words(error: BaseException) -> str:
    """Class and text of an error and of what caused it, in lower case."""
    found, seen = "", 0
    each: BaseException | None = error
    while each is not None and seen < 5:
        found += f" {type(each).__name__} {each}".lower()
        each, seen = each.__cause__ or each.__context__, seen + 1
    return found


def _entry(about: Mapping[str, Any]) -> Entry:
    """File systems name the same things in their own ways."""
    at = next((about[name] for name in ("LastModified", "updated", "mtime", "created") if about.get(name)), None)
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    modified = at.timestamp() if isinstance(at, datetime) else float(at) if at is not None else time.time()
    mark = next((about[name] for name in ("ETag", "etag", "md5Hash", "mtime", "created") if about.get(name)), "")
    return Entry(int(about["size"] or 0), modified, f"{mark}-{about['size']}")
