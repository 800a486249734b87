"""A CSV of paths and labels: ``path,label[,split][,group]``, in any order, with any further columns."""

import csv
import io
from pathlib import Path

import numpy as np

from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.core.names import printable
from decoct.shrinking.reading.sources.listing import (
    SPLITS,
    Listing,
    by_name,
    check_classes,
    said,
    split_named,
    state_of,
)

NEEDED, SPLIT = ("path", "label"), "split"
MARKS = ",;\t"  # between columns


def listing(source: str, file: Path) -> Listing:
    """The pictures that a table names; paths are relative to it.

    Raises:
        DecoctError: it cannot be read, lacks a column or a value, or names an unknown split or a path again.
    """
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise DecoctError(f"{file} is not UTF-8: save it as such") from None
    columns = _columns(file, text)
    paths, names = columns["path"], columns["label"]
    splits = np.zeros(len(paths), dtype=np.int8)
    if SPLIT in columns:
        known = {word: split_named(word) for word in set(columns[SPLIT])}
        if wrong := sorted(word for word, split in known.items() if split is None):
            line = columns[SPLIT].index(wrong[0]) + 2
            raise DecoctError(f"{file}: row {line} has the split '{wrong[0]}': write {', '.join(SPLITS)}")
        splits = np.array([known[word] for word in columns[SPLIT]], dtype=np.int8)
    class_names, labels = by_name(names)
    check_classes(class_names, labels, splits, str(file))
    root = Path(said(file)).parent
    return Listing(
        source,
        class_names,
        labels,
        splits,
        paths,
        lambda row: str(root / paths[row]),
        state_of((str(root / path) for path in paths), text),
        {"kind": "table", "root": str(root)},
        {name: values for name, values in columns.items() if name not in NEEDED},
    )


def _columns(file: Path, text: str) -> dict[str, list[str]]:
    """Values of each column, by its name in small letters."""
    first = text.partition("\n")[0]
    mark = max(MARKS, key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=mark, strict=True) if any(row)]
    except csv.Error as error:
        raise DecoctError(f"{file} is no CSV: {error}") from error
    head = [name.strip().lower() for name in rows[0]] if rows else []
    if lacking := [name for name in NEEDED if name not in head]:
        raise DecoctError(
            f"{file} has no column '{lacking[0]}' in its first line ({printable(', '.join(head))})\n"
            "the first line names the columns: path,label and, where there are, split and group"
        )
    if len(rows) == 1:
        raise DecoctError(f"{file} lists no images: below path,label each needs a line")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise DecoctError(f"{file}: row {number} has {len(row)} values for {len(head)} columns; quote commas")
    values = zip(*rows[1:], strict=True)
    columns = {name: [value.strip() for value in column] for name, column in zip(head, values, strict=True)}
    for name in NEEDED:
        if "" in columns[name]:
            raise DecoctError(f"{file}: row {columns[name].index('') + 2} has no {name}: give one, or remove the row")
    seen: dict[str, int] = {}
    for number, path in enumerate(columns["path"], 2):
        if (before := seen.setdefault(path, number)) != number:
            raise DecoctError(f"{file}: rows {before} and {number} both name {path}: remove one")
    return columns
