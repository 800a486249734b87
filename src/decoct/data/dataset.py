"""A data set as decoct uses it: memory-mapped uint8 splits, class names, and a digest of the content."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core import arrayfile
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Progress, silent
from decoct.core.machine import STRAINED, blame
from decoct.core.record import read_json
from decoct.core.scratch import settle, working
from decoct.core.seeds import seed
from decoct.core.spec import digest, names, parse
from decoct.data import cache
from decoct.data.cache import default_store
from decoct.data.reading.parallel import cores
from decoct.data.source import LargeSource, Raw, Source, Watch
from decoct.data.whitening import Whitening

__all__ = ["Dataset", "Source", "Split", "default_store", "load_data", "open_dataset", "parse_source", "prepare"]


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split.

    Attributes:
        images: [N, C, H, W] uint8, a read-only memory map; or, of a data set that has no cache, ``Uncached``.
        labels: [N] int64.
        files: the source file of each image, relative to the source; None where there are no files.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def originals(self) -> Callable[[NDArray[np.int64]], Iterator[tuple[int, NDArray[np.uint8]]]] | None:
        """``Uncached.originals``, which reads pictures as they are on disk; None where only a cache is left."""
        return getattr(self.images, "originals", None)

    @property
    def order(self) -> NDArray[np.int64]:
        """[N] rows in the order in which the images are stored."""
        return np.asarray(getattr(self.images, "order", np.arange(len(self))))

    def batches(self, size: int, alone: bool = True) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """All images once, in the order in which they are stored: rows [B] and images [B, C, H, W].

        Args:
            size: images at a time; the last batch has what is left.
            alone: if there is no cache, decode in this process; if false, in one process per core.
        """
        if hasattr(self.images, "in_order"):
            yield from self.images.in_order(size, 1 if alone else cores())
            return
        for start in range(0, len(self), size):
            images = self.images[start : start + size]
            yield np.arange(start, start + len(images)), images


@dataclass(frozen=True, eq=False)
class Dataset:
    """Train, val and test of one data set.

    Attributes:
        name: what it is called.
        class_names: in label order.
        digest: of the content: pixels, labels, files, class names, name, ``flip`` and whether there is a ``whitening``.
        train: the split that students and methods see.
        val: held out of train.
        test: on which a student is evaluated once.
        mean: per channel, of the train split, on the scale 0 to 1.
        std: likewise; never 0.
        flip: whether training may mirror the images.
        folder: where it is cached; ``open_dataset(folder)`` gives it again.
        skipped: files that were left out because they do not decode.
        details: what else is recorded of it, such as its release and which classes are incomplete.
        said: what its source decided where nobody asked, such as the size of pictures; empty for nothing.
        whitening: of a source with ``zca``, what students and experts see instead of normalised images; None without.
    """

    name: str
    class_names: tuple[str, ...]
    digest: str
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    folder: Path
    skipped: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""
    whitening: Whitening | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def size(self) -> int:
        """Side of the images, which are square."""
        return self.shape[1]

    def counts(self, split: str = "train") -> list[int]:
        """Images of each class, in class order."""
        labels: NDArray[np.int64] = getattr(self, split).labels
        return [int(count) for count in np.bincount(labels, minlength=len(self.class_names))]


def load_data(
    name: str | Mapping[str, Any] | Source,
    root: Path | str | None = None,
    plugins: Sequence[str] = (),
    progress: Progress = silent,
    workers: int | None = None,
    **fields: Any,
) -> Dataset:
    """A data set by name, decoded once and cached.

    Args:
        name: such as "digits" or "folder:PATH"; or ``{"name": …, field: value}``; or a source.
        root: folder of the cache; by default ``data`` in ``$DECOCT_STORE``, or in the user's cache.
        plugins: files that may define further sources.
        progress: called with (images read, images in all).
        workers: processes that decode, for sources that can use them; None for one per core.
        fields: of the source, such as ``size=128``, the side in pixels of a folder's pictures. Without it, pictures
            that all have one size of up to 64 px keep it, and others are made 32 or 64 px square; ``said`` of the data
            set tells which.

    Raises:
        UsageError: unknown source or field, or a value that the field does not take.
        DecoctError: the data cannot be read.

    Example:
        >>> data = decoct.load_data("digits")
        >>> data.shape, len(data.train)
        ((1, 8, 8), 1295)
    """
    if isinstance(name, Source) and fields:
        raise UsageError(f"a source has its fields already: give {', '.join(fields)} to {type(name).__name__}(…)")
    source = name if isinstance(name, Source) else parse_source(name, plugins, **fields)
    return prepare(source, default_store() / "data" if root is None else Path(root), progress, workers)


def parse_source(name: str | Mapping[str, Any], plugins: Sequence[str] = (), **fields: Any) -> Source:
    """The source that "NAME", "NAME:PATH" or ``{"name": …, field: value}`` means, with further fields.

    Raises:
        UsageError: unknown source or field.
    """
    config: dict[str, Any] = {"name": name} if isinstance(name, str) else dict(name)
    if isinstance(config.get("name"), str):
        word, colon, path = config["name"].partition(":")
        if word not in names("source", plugins) and Path(word).is_dir():
            raise UsageError(f"unknown source '{word}'. Did you mean 'folder:{word}'?")
        config |= {"name": word, "path": path} if colon else {}
    if twice := sorted(fields.keys() & config.keys()):
        raise UsageError(f"{twice[0]} of the data is given twice: give it once")
    config |= fields
    source: Source = parse("source", config, plugins)
    return source


def prepare(
    source: Source, root: Path, progress: Progress = silent, workers: int | None = None, watch: Watch | None = None
) -> Dataset:
    """Read a source into the cache unless the same raw content is there already.

    Args:
        watch: for a large source, gives each of its stages a progress of its own; the others are of ``load_data``.

    Raises:
        DecoctError: the raw content cannot be read, or the cache cannot be written.
    """
    root = root.expanduser().absolute()
    if not isinstance(source, LargeSource):
        return _small(source, root, progress)
    data = open_dataset(_large(source, root, workers or cores(), watch or (lambda title: progress)))
    if data.skipped and not source.skip_corrupt:
        raise DecoctError(
            f"{len(data.skipped)} images do not decode and were left out before, such as {data.skipped[0]}\n"
            "repair or remove them, or set skip_corrupt = true (--skip-corrupt) to leave them out again"
        )
    return data


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(
            f"cannot write the data cache {root}: {error.strerror or error}\n"
            "free some space, or set DECOCT_STORE to a folder that can be written"
        ) from error


def _small(source: Source, root: Path, progress: Progress) -> Dataset:
    """The data set of a source that is read in one go."""
    manifest = source.manifest()
    link = cache.link_file(root, source, manifest)
    if known := cache.read_link(link, root):
        return replace(open_dataset(known[0]), said=known[1])
    with _writing(root):
        with working(root, "reading") as scratch:
            raw = source.read(manifest, scratch, progress)
            with working(root, "data") as made:
                key = _publish(source, raw, made, root, silent)
        cache.write_link(link, key, raw.said)
    return replace(open_dataset(root / key), said=raw.said)


def _large(source: LargeSource, root: Path, workers: int, watch: Watch) -> Path:
    """The folder of a source that is read in stages.

    Links lead there from two places: from a glance at the files, so that nothing is read again while they stay as they
    are, and from their content, so that copies of them, and other layouts, are not decoded again.
    """
    seen = cache.link_file(root, source, {"glance": source.glance()})
    if known := cache.read_link(seen, root):
        return known[0]
    with _writing(root), cache.unfinished(root, seen.stem) as scratch:
        if known := cache.read_link(seen, root):  # somebody else was at it meanwhile
            return known[0]
        manifest = source.index(scratch, workers, watch)
        link = cache.link_file(root, source, manifest)
        if known := cache.read_link(link, root):
            folder = known[0]
        else:
            raw = source.decode(manifest, scratch, workers, watch)
            made = scratch / "made"
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            folder = root / _publish(source, raw, made, root, watch("checking"))
            cache.write_link(link, folder.name)
        cache.write_link(seen, folder.name)
    return folder


def _publish(source: Source, raw: Raw, made: Path, root: Path, progress: Progress) -> str:
    """Write what was read into an empty folder and move it to its place; returns the name that it has there."""
    parts = dict(raw.parts)
    if "val" not in parts:
        held = parts["train"].hold_out(source.val_fraction, seed(source.split_seed, "val"), raw.class_names)
        parts["train"], parts["val"] = held
    flip = source.flip if source.flip is not None else parts["train"].images.shape[1] == 3
    named = {"name": raw.title or source.title, "class_names": list(raw.class_names), "source": source.identity()}
    more: dict[str, Any] = {"details": dict(raw.details)} if raw.details else {}
    more |= {"zca": True} if source.zca else {}
    facts = {**named, "flip": flip, "skipped": list(raw.skipped), **more}
    key = cache.write(made, parts, facts, progress, raw.survey)
    final = f"{key}-{digest(raw.survey.source)[:8]}" if raw.survey else key  # the same pictures, in another place
    settle(made, root / final, cache.FACTS)
    return final


def open_dataset(folder: Path) -> Dataset:
    """A data set that ``prepare`` cached; the images stay on disk.

    Raises:
        DecoctError: there is none, or it is damaged.
    """
    try:
        facts, files = read_json(folder / cache.FACTS), read_json(folder / cache.FILES)
        if facts["format"] != cache.FORMAT:
            raise ValueError(f"format {facts['format']}, not {cache.FORMAT}")
        splits = {name: _open_split(folder, name, facts, files[name]) for name in cache.SPLITS}
        return Dataset(
            name=facts["name"],
            class_names=tuple(facts["class_names"]),
            digest=facts["digest"],
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
            flip=facts["flip"],
            folder=folder,
            skipped=tuple(facts["skipped"]),
            details=facts.get("details", {}),
            said="",
            whitening=Whitening.load(folder, facts["digest"], facts["shape"]) if facts.get("zca") else None,
            **splits,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        blame(error)
        said = f"no readable data set in {folder}: {error}\ndelete that folder and load the data again"
        raise DecoctError(said) from error


def _open_split(folder: Path, name: str, facts: dict[str, Any], files: list[str] | None) -> Split:
    images: Any
    if "uncached" in facts:
        source: LargeSource = parse("source", facts["uncached"])
        images = source.uncached(folder / cache.LISTED.format(name), sum(facts["counts"][name]))
    else:
        images = arrayfile.read(folder / f"{name}.images.npy")
    labels = np.array(arrayfile.read(folder / f"{name}.labels.npy"), dtype=np.int64)
    total = sum(facts["counts"][name])
    if images.dtype != np.uint8 or images.shape != (total, *facts["shape"]) or labels.shape != (total,):
        raise ValueError(f"{name} holds {images.shape} images and {labels.shape} labels, not {total}")
    if files is not None and len(files) != total:
        raise ValueError(f"{name} names {len(files)} files for {total} images")
    return Split(images, labels, None if files is None else tuple(files))
