"""A data set of the Hugging Face hub as decoct reads it: its columns, splits, labels and errors."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.data.reading.decode import DecodeError

TRAIN, TEST = ("train", "training"), ("test", "testing")
VAL = ("validation", "valid", "val", "dev")
COMMIT = re.compile(r"[0-9a-f]{40}")
MOST_BYTES = 2**28  # of a picture's file
LOG_IN = "log in with 'hf auth login' or set HF_TOKEN"
OFFLINE = "where there is no network, give hub:FOLDER with a local copy, or set HF_HOME to a cache that has it"


def columns(features: Mapping[str, Any], image: str | None, label: str | None) -> tuple[str, str]:
    """Columns of pictures and of labels: those asked for, else the only ``Image`` and the only ``ClassLabel``.

    Raises:
        DecoctError: there is no such column, or not exactly one of that type.
    """
    import datasets

    names = []
    for what, asked, kind in (("image", image, datasets.Image), ("label", label, datasets.ClassLabel)):
        fitting = [name for name, feature in features.items() if isinstance(feature, kind)]
        if asked is None and len(fitting) != 1:
            some = (
                f"{len(fitting)} of type {kind.__name__}: {', '.join(fitting)}" if fitting else "none is marked as such"
            )
            raise DecoctError(f'which column is the {what}? {some}\nset {what} = "…" to one of {shown(features)}')
        if asked is not None and asked not in features:
            raise DecoctError(f"there is no column '{asked}': set {what} to one of {shown(features)}")
        names.append(asked or fitting[0])
    return names[0], names[1]


def shown(features: Mapping[str, Any]) -> str:
    """Columns with their types, in a few words."""
    return ", ".join(
        f"{name} ({getattr(feature, 'dtype', type(feature).__name__)})" for name, feature in features.items()
    )


def roles(splits: Sequence[str], train: str | None = None, test: str | None = None) -> dict[str, str]:
    """Which split of a data set is train, val and test.

    Without a test split, the validation split is the test split, as in papers on ImageNet, and val is cut from train;
    without both, there is none among the roles, and it is cut from train as well. Further splits are passed over.

    Args:
        splits: those that have labels.
        train: the one to take; None for the usual names, or the only one there is.
        test: likewise.

    Raises:
        DecoctError: there is no such split, or none to train on.
    """
    for asked in (train, test):
        if asked is not None and asked not in splits:
            raise DecoctError(f"there is no split '{asked}' with labels, only {', '.join(splits) or 'none'}")
    rest = [split for split in splits if split not in (train, test)]
    taken = {"train": train or _first(TRAIN, rest), "val": _first(VAL, rest), "test": test or _first(TEST, rest)}
    if not taken["train"] and len(splits) == 1:
        taken = {"train": splits[0]}
    if not taken["train"]:
        raise DecoctError(f'which split is to be trained on? set train = "…" to one of {", ".join(splits) or "none"}')
    if not taken.get("test") and taken.get("val"):
        taken["test"] = taken.pop("val")
    return {role: split for role, split in taken.items() if split}


def _first(known: Iterable[str], splits: Sequence[str]) -> str | None:
    return next((name for name in known if name in splits), None)


def classes(feature: Any, values: Mapping[str, Sequence[Any]]) -> tuple[str, ...]:
    """Class names of a label column: those of a ``ClassLabel``, strings in sorted order, or the numbers 0, 1, … .

    Raises:
        DecoctError: it is of another type.
    """
    import datasets

    if isinstance(feature, datasets.ClassLabel):
        return tuple(feature.names)
    seen = {value for split in values.values() for value in split if value is not None}
    kind = getattr(feature, "dtype", type(feature).__name__)
    if isinstance(feature, datasets.Value) and kind in ("string", "large_string"):
        return tuple(sorted(seen))
    if isinstance(feature, datasets.Value) and re.fullmatch(r"u?int\d+", kind):
        return tuple(map(str, range(max(seen, default=-1) + 1)))
    raise DecoctError(f"a label is a ClassLabel, a string or a whole number, not {kind}: name another column")


def numbers(values: Sequence[Any], names: tuple[str, ...], split: str) -> NDArray[np.int64]:
    """Labels of a split as the numbers of their classes.

    Returns:
        [N] int64.

    Raises:
        DecoctError: a row has no label, or one that is out of range.
    """
    place = {name: label for label, name in enumerate(names)}
    known = (place.get(value, -1) if isinstance(value, str) else -1 if value is None else value for value in values)
    labels = np.array(list(known), dtype=np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(wrong):
        few = f"row {wrong[0]} of split '{split}' has the label {values[int(wrong[0])]}"
        raise DecoctError(f"{few}, which is none of the {len(names)} classes; {len(wrong)} rows in all")
    return labels


def unlabelled(values: Sequence[Any]) -> bool:
    """Whether no row has a label, as in test splits of competitions, where all are −1."""
    return all(value is None or value == -1 for value in values)


def picture(cell: Mapping[str, Any] | None) -> bytes:
    """The bytes of an undecoded picture, which the data set holds or keeps in a file beside it.

    Raises:
        DecodeError: there is none, or its file cannot be read.
    """
    if cell is None or (cell.get("bytes") is None and not cell.get("path")):
        raise DecodeError("no picture")
    if cell.get("bytes") is not None:
        return bytes(cell["bytes"])
    path = Path(cell["path"])
    try:
        if not path.is_file():  # a pipe would hang
            raise DecodeError(f"no such file: {path.name}")
        if path.stat().st_size > MOST_BYTES:
            raise DecodeError(f"more than {MOST_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        blame(error, STRAINED)
        raise DecodeError(error.strerror or str(error)) from error


def trouble(error: Exception, name: str) -> DecoctError:
    """The error for what ``datasets`` raised, in two lines that say what to do."""
    import datasets.exceptions as kinds
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, OfflineModeIsEnabled

    said = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, GatedRepoError) or "gated dataset" in said:
        return DecoctError(
            f"{name} is gated: you must agree to its owner's terms\n"
            f"agree on https://huggingface.co/datasets/{name}, then {LOG_IN}; or give hub:FOLDER with a copy"
        )
    if isinstance(error, kinds.DatasetNotFoundError):
        if said.startswith("Revision"):
            return DecoctError(f"{said}\nleave out revision, or give a branch, tag or commit that there is")
        return DecoctError(f"the hub has no data set '{name}', or it is private\ncheck the name, or {LOG_IN}")
    offline = (ConnectionError, TimeoutError, OfflineModeIsEnabled, LocalEntryNotFoundError)
    below = {kind.__name__ for kind in type(error).__mro__}  # of the client's network library, which has changed before
    if isinstance(error, offline) or below & {"TransportError", "RequestException"}:
        return DecoctError(f"cannot reach the hub for '{name}', and its cache does not have it\n{OFFLINE}")
    if "disk space" in said:
        return DecoctError(f"{name}: {said}\nset HF_HOME to a folder on a larger disk")
    if "scripts are no longer supported" in said:
        return DecoctError(
            f"{name} is loaded by code of its own, which is never run\n"
            'set revision = "refs/convert/parquet", the hub\'s copy without code, if it has one'
        )
    if "onfig" in said and ("not found" in said or "missing" in said):
        more = " ".join(str(error).split())
        return DecoctError(f'{name} has several subsets: set subset = "…"\n{more[:300]}')
    return DecoctError(f"cannot load '{name}': {type(error).__name__}: {said}")
