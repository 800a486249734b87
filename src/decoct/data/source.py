"""A source of data: its fields, a manifest of its raw content, and a way to read it."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.bounds import SEED
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress, silent
from decoct.core.machine import STRAINED, blame
from decoct.core.spec import Spec
from decoct.data.reading.parallel import cores
from decoct.data.split import pixel_groups, stratified

BLOCK_BYTES = 2**25  # what is held in memory at once
Watch = Callable[[str], Progress]  # a stage's title to what it calls with (done, total)


@dataclass(frozen=True, eq=False)
class Part:
    """One split as its source reads it: rows of an array that may lie on disk.

    Attributes:
        images: [M, C, H, W] uint8, an array or a memory map.
        labels: [N] int64.
        rows: [N] int64, the row of ``images`` that each label belongs to.
        files: the file that each image came from, or None.
        npy: a file that holds just these images in this order, to be moved into the cache instead of copied; or None.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    files: tuple[str, ...] | None = None
    npy: Path | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """The images in order, [n, C, H, W] at a time, in bounded memory."""
        step = max(1, BLOCK_BYTES // int(np.prod(self.images.shape[1:])))
        for start in range(0, len(self), step):
            yield np.ascontiguousarray(self.images[self.rows[start : start + step]])

    def where(self, mask: NDArray[np.bool_]) -> "Part":
        """The images that a [N] mask keeps."""
        files = None if self.files is None else tuple(self.files[i] for i in np.flatnonzero(mask))
        return replace(self, labels=self.labels[mask], rows=self.rows[mask], files=files, npy=None)

    def hold_out(self, fraction: float, seed: int, class_names: tuple[str, ...]) -> tuple["Part", "Part"]:
        """The rest and a stratified fraction; images with equal pixels stay on one side (see ``stratified``)."""
        groups = pixel_groups(image for block in self.blocks() for image in block)
        held = stratified(self.labels, groups, fraction, seed, class_names)
        return self.where(~held), self.where(held)


@dataclass(frozen=True, eq=False)
class Survey:
    """Facts about images that stay where they are, besides their identity.

    Attributes:
        content: digest of what they are decoded from and of the order in which it is stored.
        histogram: [C, 256] how often train has each value.
        source: the source as plain JSON; it gives the images again.
    """

    content: str
    histogram: NDArray[np.int64]
    source: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Raw:
    """All that a source reads.

    Attributes:
        class_names: in label order.
        parts: "train", "test" and, if the source brings one, "val".
        skipped: files that were left out because they do not decode.
        title: what the data set is called, where that depends on what was read; None for the source's own title.
        details: what else is worth knowing, as plain JSON; no part of the digest.
        survey: where the cache is not to hold the images; each part's are then
            ``decoct.data.imagenet.uncached.Uncached``.
        said: what the source decided where nobody asked, in a line for people; no part of the content.
    """

    class_names: tuple[str, ...]
    parts: Mapping[str, Part]
    skipped: tuple[str, ...] = ()
    title: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    survey: Survey | None = None
    said: str = ""


class Source(Spec):
    """A source of labelled images; ``val`` is a seeded stratified split of train unless the source brings its own.

    ``unkeyed`` names the fields that say where the raw content is, not what it is.
    """

    kind: ClassVar[str] = "source"
    unkeyed: ClassVar[frozenset[str]] = frozenset()
    val_fraction: float = Field(default=0.1, gt=0, lt=1)  # of train, held out as val, unless the source brings one
    split_seed: int = Field(0, ge=-SEED, le=SEED)  # of the draws of val and of a missing test split
    flip: bool | None = None  # may training mirror the images? None: in colour yes, in grey (digits, letters) no
    zca: bool = False  # students, experts and matching methods see whitened images; up to 64 px

    @property
    def title(self) -> str:
        """What the data set is called."""
        return self.name

    @abstractmethod
    def manifest(self) -> Any:
        """The raw content as plain JSON: names and hashes. Equal manifests and fields mean equal data."""

    @abstractmethod
    def read(self, manifest: Any, scratch: Path, progress: Progress) -> Raw:
        """Read what the manifest lists.

        Args:
            manifest: what ``manifest()`` said.
            scratch: an empty folder for large intermediate files; removed afterwards.
            progress: called with (images read, images in all).
        """

    def keyed(self) -> dict[str, Any]:
        """The identity without the fields that only say where; ``zca``, which came later, is left out if it is off."""
        who, out = self.identity(), self.unkeyed | (frozenset() if self.zca else {"zca"})
        return who | {"fields": {name: value for name, value in who["fields"].items() if name not in out}}


class LargeSource(Source):
    """A source too large to read twice: recognised at a glance, read in parallel, resumable.

    What its stages leave in their folder is kept when they are killed, and the next try continues there.
    """

    skip_corrupt: bool = False  # leave out pictures that do not decode, and list them

    @abstractmethod
    def glance(self) -> Any:
        """An identity of the raw content without reading it, as plain JSON: names, sizes and times of its files."""

    @abstractmethod
    def index(self, folder: Path, workers: int, watch: Watch) -> Any:
        """The manifest, from one pass over the raw content.

        Args:
            folder: for what shall be there when it is called again, and for ``decode``.
            workers: processes.
            watch: gives each stage its progress.
        """

    @abstractmethod
    def decode(self, manifest: Any, folder: Path, workers: int, watch: Watch) -> Raw:
        """What the manifest lists, decoded into files in ``folder``; the same for any number of workers."""

    def uncached(self, listed: Path, count: int) -> Any:
        """The images of one part that are in no cache, from the list that was saved of them."""
        raise DecoctError(f"{self.name} has no images without a cache: delete {listed.parent} and prepare it again")

    def manifest(self) -> Any:
        """The manifest by itself."""
        with TemporaryDirectory() as folder:
            return self.index(Path(folder), cores(), lambda title: silent)

    def read(self, manifest: Any, scratch: Path, progress: Progress) -> Raw:
        """Both stages at once."""
        return self.decode(self.index(scratch, cores(), lambda title: silent), scratch, cores(), lambda title: progress)


def hash_once(path: Path) -> str:
    """As ``hash_file``, but a file is read again only when it changes: weights and features are gigabytes.

    Raises:
        DecoctError: it cannot be read, or is not a regular file.
    """
    facts = path.stat() if path.is_file() else None
    return _hashed(path.resolve(), facts and (facts.st_size, facts.st_mtime_ns))


@lru_cache(maxsize=256)
def _hashed(path: Path, state: tuple[int, int] | None) -> str:
    return hash_file(path)


def hash_file(path: Path) -> str:
    """SHA-256 of a regular file."""
    try:
        if not path.is_file():  # reading a pipe would hang
            raise DecoctError(f"cannot read {path}: {'not a regular file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(f"cannot read {path}: {error.strerror or error}") from error
