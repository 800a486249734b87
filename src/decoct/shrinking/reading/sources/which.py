"""Which kind of source a user's word or object means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Progress, silent
from decoct.core.spec import names, suggest
from decoct.shrinking.reading.sources import folder, hub, mapped, named, table, webdataset
from decoct.shrinking.reading.sources.listing import Listing

TABLES, FOLDER = (".csv", ".tsv"), "folder:"


def listing(
    source: Any,
    plugins: Sequence[str] = (),
    size: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Listing:
    """The pictures of a source, whatever it is.

    Raises:
        UsageError: nothing that is known is called so.
        DecoctError: it cannot be read.
    """
    if not isinstance(source, str | Path):
        return mapped.listing(source)
    word = str(source)
    if word.startswith(hub.HUB):
        return hub.listing(word, word)
    known = names("source", plugins)
    if isinstance(source, str) and not word.startswith(FOLDER) and word.partition(":")[0] in known:
        return named.listing(word, plugins, size, workers, progress)
    place = Path(word.removeprefix(FOLDER)).expanduser()
    if place.is_dir():
        return _of_folder(word, place)
    ending = place.suffix.lower()
    if ending in TABLES:
        return table.listing(word, place)
    if ending == ".parquet" and place.is_file():
        return hub.listing(word, word)
    if ending == ".tar" or ".tar." in place.name or ending == ".tgz":
        return webdataset.listing(word, word)
    if place.exists():
        raise UsageError(f"{word} is a file of no known kind: give a folder, a .csv of paths and labels, or shards")
    if "/" in word or "." in word:
        raise DecoctError(f"no such file or folder: {word}")
    raise UsageError(f"there is no folder '{word}', nor a data set of that name.{suggest(word, known)}")


def _of_folder(word: str, place: Path) -> Listing:
    if any((place / mark).is_file() for mark in hub.SAVED):
        return hub.listing(word, str(place))
    if next(place.glob("*.tar"), None) or next(place.glob("*/*.tar"), None):
        return webdataset.listing(word, str(place))
    if next(place.glob("*.parquet"), None) or next(place.glob("data/*.parquet"), None):
        return hub.listing(word, str(place))
    return folder.listing(word, place)
