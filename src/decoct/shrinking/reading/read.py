"""Anything labelled becomes a ``Pool``: every picture is opened and decoded once, in worker processes."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Progress, silent
from decoct.core.machine import STRAINED, blame
from decoct.core.scratch import abandoned, settle, sync, working
from decoct.core.spec import digest
from decoct.data import cache
from decoct.data.imagenet.blocks import RECORD, close_up
from decoct.data.reading.decode import DecodeError, shape
from decoct.data.reading.parallel import cores, recorded
from decoct.data.source import hash_file
from decoct.data.sources._shared.pictures import LARGE, SMALL, usual_size
from decoct.shrinking.pool import FACTS, FEATURES, IMAGES, Pool, keep_pool, open_pool
from decoct.shrinking.reading import groups as grouping
from decoct.shrinking.reading.blocks import HELD, OWN, Making, allocate, bytes_of, images, joined, write_block
from decoct.shrinking.reading.embed import Embed, net_of, rows_of
from decoct.shrinking.reading.regroup import digest_of, regroup
from decoct.shrinking.reading.remarks import misnamed, small_classes
from decoct.shrinking.reading.sources import mapped, which
from decoct.shrinking.reading.sources.listing import Listing, check_classes

FORMAT = 1  # raised when the same source and options give another pool
SIDES = 4, 1024  # of images
NAMED = 3  # files in a message


def read_pool(
    source: Any,
    out: Path,
    *,
    size: int | None = None,
    most: int = LARGE,
    groups: str | None = None,
    embed: Embed | None = None,
    workers: int | None = None,
    plugins: Sequence[str] = (),
    progress: Progress = silent,
) -> Pool:
    """The labelled images of a source, decoded once; a second call for what has not changed gives them at once.

    Pictures are oriented by EXIF, laid over white, and their centre is resized to squares: what students see, and what
    a frozen net sees at its own input size. A large JPEG is decoded at the fraction of its size that the larger of both
    needs. Images have three channels unless all are grey.

    Args:
        source: a folder ``CLASS/…`` or ``{train,val,test}/CLASS/…``; a .csv of path, label and, where there are, split
            and group; "hub:OWNER/NAME[@REVISION]", a folder of ``save_to_disk`` or of Parquet; .tar shards, by a
            folder or a pattern such as "shards/{000..012}.tar"; a data set of decoct's by name; or a map-style data set
            in Python, or several by split.
        out: folder in which pools lie, each in one of its own.
        size: side of the images; None for their own where all have one of up to 64 px, else 32 or 64 (``usual_size``).
        most: side where none is said, 32 or 64.
        groups: a column of the source, or a regular expression on the path whose first group, else the whole match,
            names the group; None for the column "group", where there is one. Files that are equal byte for byte are in
            one group in any case.
        embed: the frozen net whose features are wanted.
        workers: processes; None for one per core. What is read does not depend on it.
        plugins: files that may define further data sets.
        progress: called with (pictures read, pictures in all).

    Returns:
        the pool; its ``facts`` hold ``said``, lines for people, and ``extensions``, rows whose extension says another
        format than their content, with that.

    Raises:
        UsageError: unknown source, column or extractor, a wrong regular expression, or ``out`` in the source.
        DecoctError: the source cannot be read, its classes do not match between splits, a class has no picture that
            decodes, or ``out`` cannot be written.
    """
    if size is not None and not SIDES[0] <= size <= SIDES[1]:
        raise UsageError(f"a size of {size} px: take {SIDES[0]} to {SIDES[1]}")
    out = Path(out).expanduser().absolute()
    place = Path(source).expanduser() if isinstance(source, str | Path) else None
    if place and place.is_dir() and out.resolve().is_relative_to(place.resolve()):
        raise UsageError(f"{out} is in {source}, where only the images belong: choose another folder")
    extract = embed.extract() if embed else None
    listing = which.listing(source, plugins, size, workers, progress)
    given = grouping.named(groups, listing.paths, listing.columns)  # what is wrong with them is said before any work
    asked = {"format": FORMAT, "size": size, "most": most, "embed": extract.identity() if extract else None}
    make = partial(_make, listing, asked, extract, workers, progress)
    with _writing(out):
        if listing.state is None:
            folder = mapped.held(_key(asked, out), source)
            if folder is None or not (folder / FACTS).is_file():
                with _passing(out) as scratch:
                    folder = out / make(scratch)
                    settle(scratch / "pool", folder, FACTS)
            mapped.hold(folder, _key(asked, out), source)
        else:
            folder = out / _key(asked | {"state": listing.state, "kind": listing.facts["kind"]})
            if not (folder / FACTS).is_file():
                with cache.unfinished(out, folder.name) as scratch:
                    if not (folder / FACTS).is_file():  # somebody else was at it meanwhile
                        make(scratch)
                        settle(scratch / "pool", folder, FACTS)
    pool = replace(open_pool(folder), source=listing.source)
    if given is None:
        return pool
    bad = {path for path, _, _ in pool.unreadable}
    names = [name for path, name in zip(listing.paths, given, strict=True) if path not in bad]
    return regroup(pool, grouping.together(pool.content, names))


def _make(
    listing: Listing,
    asked: dict[str, Any],
    extract: Any,
    workers: int | None,
    progress: Progress,
    scratch: Path,
) -> str:
    """Make the pool in ``scratch/pool``; returns a name after its content."""
    folder = scratch / "pool"
    folder.mkdir(exist_ok=True)
    net = net_of(extract) if extract and extract.origin == "timm" else None
    brought = rows_of(extract, len(listing)) if extract and extract.origin == "rows" else None
    sizes, told = _candidates(listing, asked["size"], asked["most"])
    made = Making(folder, len(listing), sizes, net)
    seen, bad = _decoded(listing, made, workers, progress)
    good = np.ones(len(listing), dtype=bool)
    good[list(bad)] = False
    _check_some(listing, bad, good)
    side = sizes[0]
    if len(sizes) > 1:
        shapes = zip(seen["width"][good].tolist(), seen["height"][good].tolist(), strict=True)
        side, told = _usual(shapes, asked["most"])
        if side not in sizes:  # the header of the first picture did not say what the others are
            made = replace(made, sizes=(side,))
            seen, bad = _decoded(listing, made, workers, progress)
    seen = {name: column[good] for name, column in seen.items()}
    rows = np.flatnonzero(good).tolist()
    class_names, labels = listing.later(good) if listing.later else (listing.class_names, listing.labels[good])
    check_classes(
        class_names, labels, listing.split[good], listing.source, "no image that decodes" if bad else "no images"
    )
    _close_files(folder, side, good, bool(seen["grey"].all()))
    if brought is not None:
        _keep_features(folder / FEATURES, brought, good, extract.name)
    for name, values in listing.arrays.items():
        np.save(folder / f"{name}.npy", values[good], allow_pickle=False)
    paths = [listing.paths[row] for row in rows]
    table: dict[str, Any] = {
        "labels": labels,
        "split": listing.split[good],
        "groups": grouping.together(seen["content"], None),
        **{name: seen[name] for name in ("width", "height", "bytes", "content")},
        "paths": paths,
        "class_names": class_names,
        "unreadable": [(listing.paths[row], _class_of(listing, row), why) for row, why in sorted(bad.items())],
    }
    content = _digest(folder, table)
    facts = listing.facts | {
        "digest": digest_of(content, table["groups"]),
        "content": content,
        "asked": asked,
        "extractor": extract.title if extract else None,
        "extensions": misnamed(paths, seen["format"]),
        "said": [told] * bool(told) + small_classes(class_names, labels),
    }
    keep_pool(folder, listing.source, table, facts)
    for path in (*folder.iterdir(), folder):
        sync(path)
    return _key({"content": content, "paths": paths, "asked": asked})


def _usual(shapes: Iterable[tuple[int, int]], most: int) -> tuple[int, str]:
    """As ``usual_size``, but no more than ``most``."""
    side, told = usual_size(shapes)
    return (side, told) if side <= most else (most, f"pictures are made {most} × {most} px; --size changes that")


def _candidates(listing: Listing, size: int | None, most: int) -> tuple[tuple[int, ...], str]:
    """Sides that images may get, and a line about it where it is decided.

    The usual side is known when all pictures have been seen, and none is to be opened twice: so the images are made at
    each side that it may be, and one of them is kept.
    """
    if size:
        return (size,), ""
    if listing.shape:
        side, told = _usual([listing.shape] * len(listing), most)
        return (side,), told
    for row in range(len(listing)):
        try:
            data = bytes_of(listing.place(row))
        except DecodeError:
            continue
        if seen := (data.shape[1], data.shape[0]) if isinstance(data, np.ndarray) else shape(data):
            own = min(seen)
            return tuple(sorted({SMALL, most} | ({own} if SIDES[0] <= own <= most else set()))), ""
    return tuple(sorted({SMALL, most})), ""


def _decoded(
    listing: Listing, made: Making, workers: int | None, progress: Progress
) -> tuple[dict[str, NDArray[Any]], dict[int, str]]:
    """Decode all that is not decoded yet; what was seen, by column, and why some do not decode, by row."""
    step = HELD if listing.held else OWN
    blocks = -(-len(listing) // step)

    def block(number: int) -> tuple[int, list[Any]]:
        first = number * step
        return first, [listing.place(row) for row in range(first, min(len(listing), first + step))]

    def counted(results: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        done = 0
        for number, seen in results:
            progress(done := done + len(seen), len(listing))
            yield number, seen

    if not allocate(made):
        (made.folder / RECORD).unlink(missing_ok=True)
    about = digest({"sizes": made.sizes, "count": made.count, "net": str(made.net), "step": step})
    many = min(workers or cores(), blocks)
    results = recorded(partial(write_block, made), blocks, block, many, made.folder / RECORD, about)
    return joined(counted(results), step, len(listing))


def _close_files(folder: Path, side: int, good: NDArray[np.bool_], grey: bool) -> None:
    """Leave the images of one side, and rows of pictures that decode; if this is interrupted, all is decoded again."""
    (folder / RECORD).unlink(missing_ok=True)
    for other in set(folder.glob("images*.npy")) - {folder / images(side)}:
        other.unlink()
    if grey or not good.all():
        close_up(folder / images(side), good, 1 if grey else None)
    if (folder / FEATURES).is_file() and not good.all():
        close_up(folder / FEATURES, good)
    (folder / images(side)).rename(folder / IMAGES)


def _check_some(listing: Listing, bad: dict[int, str], good: NDArray[np.bool_]) -> None:
    if not good.any():
        few = "; ".join(f"{listing.paths[row]} ({why})" for row, why in sorted(bad.items())[:NAMED])
        raise DecoctError(f"none of the {len(bad):,} pictures in {listing.source} can be read: {few}")


def _class_of(listing: Listing, row: int) -> str:
    return "" if listing.later else listing.class_names[int(listing.labels[row])]


def _keep_features(file: Path, rows: NDArray[Any], good: NDArray[np.bool_], who: str) -> None:
    from decoct.needs.features import in_blocks, store

    def kept() -> Iterator[NDArray[Any]]:
        start = 0
        for block in in_blocks(rows):
            yield block[good[start : start + len(block)]]
            start += len(block)

    store(file, (block for block in kept() if len(block)), int(good.sum()), "float32", who)


def _digest(folder: Path, table: dict[str, Any]) -> str:
    columns = {name: digest(table[name].tolist()) for name in ("labels", "split")}
    files = {name: hash_file(folder / name) for name in (IMAGES, FEATURES) if (folder / name).is_file()}
    return digest({"class_names": list(table["class_names"]), **columns, **files})


def _key(said: dict[str, Any], *more: Path) -> str:
    return digest([said, *map(str, more)])


@contextmanager
def _passing(out: Path) -> Iterator[Path]:
    """A folder to work in; those that killed processes left go."""
    for path in out.glob(".tmp-*"):
        if abandoned(path):
            shutil.rmtree(path, ignore_errors=True)
    with working(out, "reading") as scratch:
        yield scratch


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(
            f"cannot write to {out}: {error.strerror or error}\n"
            "free some space, or set DECOCT_STORE to a folder that can be written"
        ) from error
