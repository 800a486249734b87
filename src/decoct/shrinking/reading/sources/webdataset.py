"""WebDataset shards: tars in which files of one stem are one sample, ``key.jpg`` and ``key.cls`` or ``key.json``.

Nothing is unpacked onto disk: each picture is read from its place in the tar.
"""

import os
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.core.notation import from_json
from decoct.data.imagenet.layout import MAX_BYTES
from decoct.data.imagenet.tarfiles import members
from decoct.data.reading.decode import extensions
from decoct.shrinking.reading.sources.listing import Listing, by_name, check_classes, said, split_named, state_of

SHARDS = 100_000  # of one data set
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
WORD = re.compile(r"(?<![a-z])(train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?)(?![a-z])", re.IGNORECASE)
LABELS = ("label", "cls", "class")  # keys of a .json that hold it


def listing(source: str, pattern: str) -> Listing:
    """The samples of a tar, a folder of tars, or a pattern with ``{000..012}`` or ``*``; a split is in a shard's name.

    Raises:
        DecoctError: a shard is missing, packed or damaged, or a sample has no picture or no label.
    """
    shards = found(pattern)
    root = _root(pattern)
    paths: list[str] = []
    names: list[str] = []
    splits: list[int] = []
    places: list[tuple[int, int, int]] = []
    for number, shard in enumerate(shards):
        inside = shard.relative_to(root).as_posix()
        word = WORD.search(inside)
        for name, label, start, length in _samples(shard):
            paths.append(f"{inside}/{name}")
            names.append(label)
            splits.append((split_named(word[1]) or 0) if word else 0)
            places.append((number, start, length))
    class_names, labels = by_name(names)
    split_of = np.array(splits, dtype=np.int8)
    files = [said(shard) for shard in shards]
    check_classes(class_names, labels, split_of, pattern)
    return Listing(
        source,
        class_names,
        labels,
        split_of,
        paths,
        lambda row: (files[places[row][0]], *places[row][1:]),
        state_of(files),
        {"kind": "webdataset", "shards": files},
        arrays={"places": np.array(places, dtype=np.int64).reshape(-1, 3)},
    )


def found(pattern: str) -> list[Path]:
    """The shards of a pattern, in order.

    Raises:
        DecoctError: there are none, one of a range is missing, or one is compressed.
    """
    place = Path(pattern).expanduser()
    if place.is_dir():
        shards = sorted([*place.glob("*.tar"), *place.glob("*/*.tar")])
    else:
        wanted = [Path(name).expanduser() for name in islice(spelt(pattern), SHARDS + 1)]
        if len(wanted) > SHARDS:
            raise DecoctError(f"{pattern} means more than {SHARDS:,} shards: give a folder, or a smaller range")
        shards = list(chain.from_iterable(_globbed(path) if "*" in path.name else [path] for path in wanted))
    if not shards:
        raise DecoctError(f"no shards: {pattern} leads to no .tar")
    if missing := [shard for shard in shards if not shard.is_file()]:
        raise DecoctError(f"{len(missing)} of {len(shards)} shards are missing, such as {missing[0]}")
    for shard in shards:
        with shard.open("rb") as file:
            start = file.read(6)
        if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
            raise DecoctError(f"{shard} is compressed: pictures are read from their place in a plain .tar; unpack it")
    return shards


def spelt(pattern: str) -> Iterator[str]:
    """Names that a pattern with ranges in braces means, ``{000..012}`` with as many digits as its first number."""
    if not (span := RANGE.search(pattern)):
        yield pattern
        return
    for number in range(int(span[1]), int(span[2]) + 1):
        yield from spelt(f"{pattern[: span.start()]}{number:0{len(span[1])}d}{pattern[span.end() :]}")


def original(facts: dict[str, Any], place: Any) -> bytes:
    """The bytes of a picture, by shard, start and length."""
    number, start, length = map(int, place)
    shard = Path(facts["shards"][number])
    try:
        with shard.open("rb") as file:
            if not 0 <= start <= start + length <= os.fstat(file.fileno()).st_size:
                raise DecoctError(f"{shard} is shorter than it was: run again")
            file.seek(start)
            return file.read(length)
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(f"cannot read {shard}: {error.strerror or error}") from error


def _samples(shard: Path) -> Iterator[tuple[str, str, int, int]]:
    """Of each sample of a shard: name of its picture, label, first byte and length."""
    key, parts, done = "", dict[str, Any](), set[str]()
    for info, load in members(shard):
        path = PurePosixPath(info.name)
        stem, _, ending = path.name.partition(".")
        ending = ending.lower()
        part = "label" if ending in ("cls", "json") else "picture" if f".{ending}" in extensions() else ""
        if not part:
            continue
        if (own := str(path.with_name(stem))) != key:
            yield from _whole(shard, key, parts)
            if own in done:
                raise DecoctError(
                    f"{shard}: the sample '{own}' is there twice: files of a sample are beside each other"
                )
            done.add(own)
            key, parts = own, {}
        if part == "picture":
            if part in parts:
                raise DecoctError(f"{shard}: the sample '{own}' has two pictures, or is there twice: mend the shard")
            if info.size > MAX_BYTES:
                raise DecoctError(f"{shard}: '{info.name}' has {info.size:,} bytes, more than any picture: remove it")
            parts[part] = (info.name, info.offset_data, info.size)
        elif (label := _label(load(), ending, f"'{info.name}' in {shard}")) is not None and (
            ending == "cls" or part not in parts
        ):
            parts[part] = label
    yield from _whole(shard, key, parts)


def _whole(shard: Path, key: str, parts: dict[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    if not parts:
        return
    for part, hint in (("picture", "picture, such as .jpg"), ("label", "label: .cls, or .json with a key label")):
        if part not in parts:
            raise DecoctError(f"{shard}: the sample '{key}' has no {hint}")
    name, start, length = parts["picture"]
    yield name, parts["label"], start, length


def _label(data: bytes, ending: str, where: str) -> str | None:
    """The text of a .cls; of a .json the value of ``LABELS``, None where it has none of these."""
    try:
        text = data.decode().strip()
        if ending == "json":
            said = from_json(text)
            said = said if isinstance(said, dict) else {"label": said}
            value = next((said[key] for key in LABELS if key in said), None)
            if value is None:
                return None
            text = str(value).strip() if isinstance(value, str | int) else ""
    except ValueError:
        text = ""
    if not text:
        raise DecoctError(f"{where} holds no label: it should be a number or a name")
    return text


def _globbed(path: Path) -> list[Path]:
    return sorted(path.parent.glob(path.name))


def _root(pattern: str) -> Path:
    place = Path(pattern).expanduser()
    if place.is_dir():
        return place
    parent = place.parent
    while RANGE.search(str(parent)) and parent != parent.parent:
        parent = parent.parent
    return parent
