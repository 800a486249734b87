"""Hugging Face data sets: on the hub or in its cache, as Parquet, in a folder of ``save_to_disk``, or in Python."""

import atexit
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import digest
from decoct.data.reading.decode import DecodeError
from decoct.data.sources._shared.hub_columns import (
    COMMIT,
    classes,
    columns,
    numbers,
    picture,
    roles,
    trouble,
    unlabelled,
)
from decoct.data.sources.hub import Hub, library, local_files
from decoct.shrinking.reading.sources.listing import SPLITS, Listing, Place, check_classes, said, state_of

SAVED = ("dataset_dict.json", "state.json")  # marks of ``save_to_disk``
HUB = "hub:"


def listing(source: str, word: str) -> Listing:
    """The rows of a data set by "hub:OWNER/NAME[@REVISION]", "hub:FOLDER" or a folder; nothing of it is run.

    Raises:
        DecoctError: it cannot be loaded, its columns or splits are not clear, or labels are wrong.
    """
    place = Path(word.removeprefix(HUB)).expanduser()
    if place.exists():
        files = local_files(place.resolve()).values()
        state, facts = state_of(map(str, files)), {"kind": "hub", "word": said(place)}
    else:
        hub = _named(word)
        manifest = hub.manifest()
        revision = manifest["commit"] if COMMIT.fullmatch(manifest["commit"]) else hub.revision
        again = f"{HUB}{hub.path}@{revision}" if revision else f"{HUB}{hub.path}"
        state, facts = digest(manifest), {"kind": "hub", "word": again}
    return of_tables(source, tables(facts["word"], state), state, facts | {"state": state})


def of_tables(source: str, every: Mapping[str, Any], state: str | None, facts: dict[str, Any]) -> Listing:
    """The same of tables that are loaded, by split."""
    features = next(iter(every.values())).features
    with _in_python():
        image, label = columns(features, None, _label(features))
    values = {name: list(table[label]) for name, table in every.items()}
    labelled = [name for name in every if not unlabelled(values[name])]
    if not labelled:
        raise DecoctError(f"{source} has no labels: all of its column '{label}' are empty or -1")
    with _in_python():
        chosen = roles(labelled)
    names = classes(features[label], {split: values[split] for split in chosen.values()})
    labels = {role: numbers(values[split], names, split) for role, split in chosen.items()}
    undecoded = {split: undecoded_of(every[split], image) for split in chosen.values()}
    places = [(split, row) for role, split in chosen.items() for row in range(len(labels[role]))]
    joined = np.concatenate(list(labels.values()))
    split_of = np.concatenate([np.full(len(each), SPLITS[role], dtype=np.int8) for role, each in labels.items()])
    check_classes(names, joined, split_of, source)

    def place(row: int) -> Place:
        split, number = places[row]
        return _bytes(undecoded[split], number)

    further = [name for name in features if name not in (image, label)]
    return Listing(
        source,
        names,
        joined,
        split_of,
        [f"{split}/{row}" for split, row in places],
        place,
        state,
        facts,
        {name: _Column(every, list(chosen.values()), name) for name in further},
        held=True,
    )


def original(facts: Mapping[str, Any], path: str) -> bytes:
    """The bytes of a row's picture, by "SPLIT/ROW"."""
    split, _, row = path.rpartition("/")
    return bytes_of(_opened(facts["word"], facts["state"], split), path, int(row))


def bytes_of(undecoded: Any, path: str, row: int) -> bytes:
    """The bytes of a row's picture in a table.

    Raises:
        DecoctError: it is not there any more.
    """
    data = _bytes(undecoded, row)
    if isinstance(data, DecodeError):
        raise DecoctError(f"{path} cannot be read any more: {data}")
    return data


@lru_cache(maxsize=2)
def tables(word: str, state: str) -> Mapping[str, Any]:
    """The splits of a data set by name, once for each state of its files.

    What the library unpacks of local files goes with this process.
    """
    place = Path(word).expanduser()
    if place.is_dir() and any((place / mark).is_file() for mark in SAVED):
        try:
            loaded = library().load_from_disk(str(place))
        except Exception as error:
            raise trouble(error, word) from error
        return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    source = Hub(path=word) if place.exists() else _named(word)
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return source.load({} if place.exists() else source.manifest(), Path(folder.name))


class _Column(Sequence[Any]):
    """A column of all splits as one sequence, read when it is asked for."""

    def __init__(self, every: Mapping[str, Any], splits: list[str], name: str) -> None:
        self._of, self._splits, self._name = every, splits, name

    def __len__(self) -> int:
        return sum(len(self._of[split]) for split in self._splits)

    def __getitem__(self, row: Any) -> Any:
        return [value for split in self._splits for value in self._of[split][self._name]][row]


@contextmanager
def _in_python() -> Iterator[None]:
    """Where a table's columns or splits have no usual names, Python can give them such."""
    try:
        yield
    except DecoctError as error:
        question = str(error).partition("\n")[0].partition(" set ")[0]
        raise DecoctError(
            f"{question}\nload it in Python, rename columns to one image and one label, name the splits "
            "train and test, and give that to decoct.shrink"
        ) from error


def _named(word: str) -> Hub:
    name, _, revision = word.removeprefix(HUB).partition("@")
    if name.count("/") != 1:
        raise UsageError(f"'{word}' is no data set of the hub: write hub:OWNER/NAME, or hub:OWNER/NAME@REVISION")
    return Hub(path=name, revision=revision or None)


def _label(features: Mapping[str, Any]) -> str | None:
    """The column "label" where no column, or more than one, is marked as one."""
    import datasets

    marked = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    return "label" if len(marked) != 1 and "label" in features else None


def undecoded_of(table: Any, image: str | None = None) -> Any:
    """The table with its pictures as bytes alone."""
    from datasets import Image

    image = image or columns(table.features, None, _label(table.features))[0]
    return table.select_columns([image]).cast_column(image, Image(decode=False))


@lru_cache(maxsize=4)
def _opened(word: str, state: str, split: str) -> Any:
    return undecoded_of(tables(word, state)[split])


def _bytes(table: Any, row: int) -> bytes | DecodeError:
    (cell,) = table[row].values()
    try:
        return picture(cell)
    except DecodeError as error:
        return error
