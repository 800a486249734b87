"""CIFAR-10 and CIFAR-100 as their authors release them: binary or Python batches, in a folder or a tar."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress
from decoct.data.cache import default_store
from decoct.data.reading.pickled import read_plain
from decoct.data.small.release import Found, Release, contents, lacking, look
from decoct.data.source import Part, Raw, Source, hash_file

SIDE, PIXELS = 32, 3 * 32 * 32


@dataclass(frozen=True)
class Batch:
    """One file: images [n, 3, 32, 32] uint8, and for each kind of label [n] int64."""

    images: NDArray[np.uint8]
    labels: Mapping[str, NDArray[np.int64]]


class Cifar(Source):
    """Either version of a release, as a folder or a tar. Nothing of it is unpickled, nothing unpacked onto disk.

    A subclass says its releases, its kinds of labels, and which of them are the classes.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path", "download"})
    title_of_set: ClassVar[str]
    releases: ClassVar[tuple[Release, ...]]
    names_of: ClassVar[Mapping[str, tuple[str, ...]]]  # class names by kind of label, in the order of a binary record
    sizes: ClassVar[Mapping[str, int]] = {"train": 50_000, "test": 10_000}
    path: Path | None = None  # the batches' folder, the folder around it, or a tar; by default, what was downloaded
    download: bool = False  # through torchvision

    @property
    @abstractmethod
    def labels(self) -> str:
        """Which kind of label is the class."""

    def manifest(self) -> dict[str, str]:
        """Digest of each file that is read: the batches, or the tar."""
        found = self.find()
        if found.path.is_file():
            return {found.release.archive: hash_file(found.path)}
        return {name: hash_file(found.path / name) for name in found.release.files}

    def read(self, manifest: dict[str, str], scratch: Path, progress: Progress) -> Raw:
        """Read all batches.

        Raises:
            DecoctError: a batch is damaged or cut short, a label is out of range, or the two kinds of labels disagree.
        """
        found = self.find()
        release, batches = found.release, {}
        for name, data in contents(found):
            batches[name] = parse(release.form, data, str(found.path / name), tuple(self.names_of))
            progress(len(batches), len(release.files))
        parts = {}
        for split, files in (("train", release.train), ("test", (release.test,))):
            for file in files:
                self.check(batches[file], self.sizes[split] // len(files), str(found.path / file))
            images = np.concatenate([batches[file].images for file in files])
            labels = np.concatenate([batches[file].labels[self.labels] for file in files])
            parts[split] = Part(images, labels, np.arange(len(images)))
        return Raw(self.names_of[self.labels], parts)

    def check(self, batch: Batch, size: int, where: str) -> None:
        """Refuse a batch that is not as long as the release's, or has labels that it cannot have."""
        if len(batch.images) != size:
            raise DecoctError(
                f"{where} holds {len(batch.images):,} images, not {size:,}\n"
                f"that is not {self.title_of_set} as released: download it again, or use folder:PATH for your own set"
            )
        for kind, names in self.names_of.items():
            labels = batch.labels[kind]
            if labels.min() < 0 or labels.max() >= len(names):
                wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
                raise DecoctError(
                    f"{where} has the {kind} label {wrong}; {self.title_of_set}'s are 0 to {len(names) - 1}"
                )
        if len(self.names_of) == 2:
            coarse, fine = self.names_of
            pairs = np.unique(np.stack([batch.labels[fine], batch.labels[coarse]], 1), axis=0)
            twice = np.flatnonzero(np.diff(pairs[:, 0]) == 0)
            if len(twice):
                name = self.names_of[fine][int(pairs[twice[0], 0])]
                raise DecoctError(f"{where} puts class '{name}' into two {coarse} classes: its labels are damaged")

    def find(self) -> Found:
        """The first place that holds a whole release.

        Raises:
            DecoctError: there is none.
        """
        place = self.path.expanduser() if self.path else default_store() / "downloads"
        if found := look(place, self.releases):
            return found
        if self.download:
            self.fetch(place)
            if found := look(place, self.releases):
                return found
        raise DecoctError(
            f"no {self.title_of_set} in {place}{lacking(place, self.releases)}\n"
            f"give path = a folder with {self.releases[0].archive}, {self.releases[1].archive} or what is in it,\n"
            "or set download = true"
        )

    def fetch(self, folder: Path) -> None:
        """Download the tar, whose MD5 torchvision knows, into a folder. It is not unpacked.

        Raises:
            DecoctError: it did not work.
        """
        from torchvision import datasets
        from torchvision.datasets.utils import download_url

        made = getattr(datasets, self.title_of_set.replace("-", ""))
        try:
            download_url(made.url, str(folder), made.filename, made.tgz_md5)
        except (OSError, RuntimeError) as error:
            raise DecoctError(f"cannot download {self.title_of_set}: {error}\ngive path = a copy of it") from error


def parse(form: Literal["binary", "python"], data: bytes, where: str, kinds: tuple[str, ...]) -> Batch:
    """One batch.

    Source:
        www.cs.toronto.edu/~kriz/cifar.html. Binary: records of one byte for each kind of label and 3,072 for the
        pixels, red, green, blue, row by row. Python: a pickled dictionary with "data", [n, 3072] bytes in the same
        order, and a list for each kind of label.

    Args:
        form: which of the two.
        data: the whole file.
        where: what it is called, for messages.
        kinds: of labels, in the order of a binary record.

    Raises:
        DecoctError: it is damaged.
    """
    pixels: Any
    if form == "binary":
        record = len(kinds) + PIXELS
        if not data or len(data) % record:
            raise DecoctError(
                f"{where} is damaged: {len(data):,} bytes are no whole number of images of {record:,} bytes"
            )
        table = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
        pixels = table[:, len(kinds) :]
        labels = {kind: table[:, i].astype(np.int64) for i, kind in enumerate(kinds)}
    else:
        found = read_plain(data, where)
        pixels = found.get("data")
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS or not len(pixels):
            raise DecoctError(f"{where} is damaged: its 'data' is no array of images of {PIXELS:,} bytes")
        labels = {kind: _listed(found.get(key(kind, kinds)), len(pixels), where) for kind in kinds}
    return Batch(pixels.reshape(-1, 3, SIDE, SIDE), labels)


def key(kind: str, kinds: tuple[str, ...]) -> str:
    """What a Python batch calls a kind of label."""
    return "labels" if len(kinds) == 1 else f"{kind}_labels"


def _listed(values: Any, size: int, where: str) -> NDArray[np.int64]:
    if not isinstance(values, list) or not all(type(value) is int and abs(value) < 2**31 for value in values):
        raise DecoctError(f"{where} is damaged: its labels are no list of whole numbers")
    if len(values) != size:
        raise DecoctError(f"{where} is damaged: {len(values):,} labels for {size:,} images")
    return np.array(values, dtype=np.int64)
