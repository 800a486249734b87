"""Where stores lie: a folder or a URL, the user's cache, and the mirror of a store that is elsewhere."""

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

STORE = "store"  # of a run's folder, unless it has its cells elsewhere


def is_url(where: str) -> bool:
    """Whether a store lies behind a file system of fsspec; ``file://`` is a folder."""
    return "://" in where and not where.startswith("file://")


def folder_of(where: str | Path) -> Path:
    """The folder that a path or a ``file://`` URL means."""
    word = str(where)
    return Path(unquote(urlsplit(word).path) if word.startswith("file://") else word).expanduser()


def recorded(store: str | Path | None) -> str:
    """How a run says where its cells lie: a URL, a folder's whole path, or "store", which moves with the run's own."""
    if store is None:
        return STORE
    return str(store) if is_url(str(store)) else str(folder_of(store).absolute())


def store_of(run: Path, said: str) -> str:
    """Where the cells of a run lie, by what it says."""
    return said if is_url(said) else str(run / said)  # a whole path stays as it is


def default_where() -> str:
    """``$DECOCT_STORE``, a folder or a URL, else ``decoct`` in the user's cache folder."""
    store = os.environ.get("DECOCT_STORE", "")
    return store if is_url(store) else str(default_store())


def default_store() -> Path:
    """``$DECOCT_STORE`` if that is a folder, else ``decoct`` in the user's cache folder."""
    store = os.environ.get("DECOCT_STORE", "")
    if store and not is_url(store):
        return folder_of(store)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "decoct"


def mirror_of(url: str) -> Path:
    """The folder in which this machine keeps what it has of a store at a URL."""
    return default_store() / "mirrors" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:32]
