"""A set in Parquet: picture bytes, or Hugging Face's struct of them, and a label a row; a file, or a folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.notation import from_json
from decoct.data.external.arrays import hard_and_soft
from decoct.data.external.stored import IMAGES, LABELS, SOFT, WEIGHTS, SetFormat, Stored, readable

OURS = b"decoct"  # of the schema's metadata: what decoct knows of a set that it exported
THEIRS = b"huggingface"
SPLIT = re.compile(r"(train|validation|valid|val|test)\b|(train|validation|valid|val|test)-\d")


def files_in(folder: Path) -> list[Path]:
    """Parquet files in a folder and below, hidden ones aside, sorted."""
    files = sorted(folder.rglob("*.parquet"))
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def read(path: Path, how: SetFormat) -> Stored:
    """Read one split of a file or folder.

    Raises:
        DecoctError: damaged, or without a column of images or of labels, or without the split.
    """
    with readable(path, "no Parquet file", "get it again"):
        return _read(path, how)


def _read(path: Path, how: SetFormat) -> Stored:
    files = _of_split(path, how.split) if path.is_dir() else [path]
    tables = [_table(file) for file in files]
    if any(table.schema.names != tables[0].schema.names for table in tables):
        raise DecoctError(f"the Parquet files in {path} have different columns: they are not shards of one set")
    columns = tables[0].schema.names
    image, label = _column(columns, IMAGES, path), _column(columns, LABELS, path)
    pictures = [content for table in tables for content in _pictures(table, image, path)]
    labels = [value for table in tables for value in table[label].to_pylist()]
    if None in labels:
        raise DecoctError(f"{path}: row {labels.index(None)} has no label")
    metadata = tables[0].schema.metadata or {}
    soft = _numbers(tables, SOFT, path)
    if labels and isinstance(labels[0], (list, tuple)):
        hard, soft = hard_and_soft(_matrix(labels, f"{path}: '{label}'"), soft)
        labels = hard.tolist()
    return Stored(
        images=pictures,
        labels=[str(one) for one in labels] if labels and isinstance(labels[0], str) else np.array(labels),
        format="parquet",
        class_names=_names(metadata, label),
        soft_labels=soft,
        weights=_numbers(tables, WEIGHTS, path),
        said=_json(metadata.get(OURS)),
    )


def _of_split(folder: Path, split: str) -> list[Path]:
    """The shards of a split, as Hugging Face names them; all files where no name says one."""
    files = files_in(folder)
    if not files:
        raise DecoctError(f"{folder} holds no Parquet file")
    named: dict[str, list[Path]] = {}
    for path in files:
        words = [part for part in path.relative_to(folder).parts if SPLIT.match(part)]
        named.setdefault(re.split(r"[-_.]", words[-1])[0] if words else "", []).append(path)
    if split in named:
        return named[split]
    if set(named) == {""}:
        return files
    raise DecoctError(f"{folder} has no split '{split}': say one of {', '.join(filter(None, named))} with --split")


def _table(path: Path) -> Any:
    from pyarrow import parquet

    with readable(path, "no Parquet file", "get it again"):
        return parquet.read_table(path, partitioning=None)


def _column(columns: list[str], words: tuple[str, ...], path: Path) -> str:
    for word in words:
        if word in columns:
            return word
    raise DecoctError(f"{path} has the columns {', '.join(columns[:8])}: it needs one called '{words[0]}'")


def _pictures(table: Any, column: str, path: Path) -> list[bytes]:
    """The files of the pictures; a path without bytes is not followed, since it may lead anywhere."""
    pictures = []
    for row, value in enumerate(table[column].to_pylist()):
        content = value.get("bytes") if isinstance(value, Mapping) else value
        if not isinstance(content, bytes):
            raise DecoctError(f"{path}: row {row} of '{column}' holds no picture's bytes: embed the pictures in it")
        pictures.append(content)
    return pictures


def _numbers(tables: list[Any], words: tuple[str, ...], path: Path) -> NDArray[Any] | None:
    names = [word for word in words if word in tables[0].schema.names]
    if not names:
        return None
    return _matrix([value for table in tables for value in table[names[0]].to_pylist()], f"{path}: '{names[0]}'")


def _matrix(rows: list[Any], what: str) -> NDArray[np.float32]:
    try:
        return np.array(rows, np.float32)
    except (ValueError, TypeError) as error:
        raise DecoctError(f"{what} does not hold as many numbers in each row") from error


def _names(metadata: Mapping[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """Names of a ClassLabel, from what Hugging Face writes into the schema."""
    features = _json(metadata.get(THEIRS)).get("info", {})
    about = features.get("features", {}).get(label, {}) if isinstance(features, dict) else {}
    names = about.get("names") if isinstance(about, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else None


def _json(raw: bytes | None) -> dict[str, Any]:
    try:
        facts = from_json(raw or b"{}")
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
