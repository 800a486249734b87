"""A folder of class folders with images of any format and size."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.core.machine import STRAINED, blame
from decoct.data.reading.tree import scan
from decoct.data.source import Raw, hash_file
from decoct.data.sources._shared.pictures import Picture, PictureSource

Manifest = dict[str, dict[str, dict[str, str]]]  # split, class, file -> SHA-256


class TwoLabels(UserWarning):
    """The same file lies under two classes."""


class Folder(PictureSource):
    """``PATH/CLASS/…`` or ``PATH/{train,val,test}/CLASS/…``; what has no test folder is split, stratified."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})
    path: Path  # of the class folders, or of train, val and test

    @property
    def title(self) -> str:
        """The folder's own name."""
        return self.path.expanduser().resolve().name or self.name

    def manifest(self) -> Manifest:
        """Digest of every picture file; warns of links between classes, and of equal files in two classes."""
        root = self.path.expanduser()
        sums = {
            split: {name: {file: hash_file(root / file) for file in files} for name, files in classes.items()}
            for split, classes in scan(root).items()
        }
        tell_two_labels(root, sums.values())
        return sums

    def read(self, manifest: Manifest, scratch: Path, progress: Progress) -> Raw:
        """Decode every file once, into one file on disk, then say which rows belong to which split.

        Raises:
            DecoctError: files do not decode (unless ``skip_corrupt``), or a class has none that does.
        """
        class_names = tuple(next(iter(manifest.values())))
        pictures = list(self.pictures(manifest))
        parts, skipped, said = self.decoded(lambda: pictures, len(pictures), str(self.path), scratch, progress)
        for split, classes in manifest.items():
            if empty := sorted(set(range(len(classes))) - set(parts[split].labels.tolist())):
                name = list(classes)[empty[0]]
                raise DecoctError(f"class '{name}' in {self.path} has no image that decodes: remove the class")
        return Raw(class_names, self.with_test(parts, class_names), skipped, said=said)

    def load(self, file: str, sha: str) -> bytes:
        """The bytes that the manifest lists."""
        try:
            data = (self.path.expanduser() / file).read_bytes()
        except OSError as error:
            blame(error, STRAINED)
            raise DecoctError(f"cannot read {self.path / file}: {error.strerror or error}") from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise DecoctError(f"{self.path / file} changed while it was read: run again")
        return data

    def pictures(self, manifest: Manifest) -> Iterator[Picture]:
        """Every picture that the manifest lists, in order."""
        for split, classes in manifest.items():
            for label, files in enumerate(classes.values()):
                for file, sha in files.items():
                    yield Picture(split, label, file, partial(self.load, file, sha))


def tell_two_labels(root: Path, splits: Iterable[Mapping[str, Mapping[str, str]]]) -> None:
    """Warn of identical pictures under more than one class; a split is class -> file -> sum."""
    first: dict[str, tuple[str, str]] = {}
    twins: dict[str, str] = {}
    for classes in splits:
        for name, files in classes.items():
            for file, digest in files.items():
                kind, other = first.setdefault(digest, (name, file))
                if kind != name:
                    twins.setdefault(digest, f"{other} and {file}")
    if twins:
        stand = "1 picture stands" if len(twins) == 1 else f"{len(twins)} pictures stand"
        such = f"such as {next(iter(twins.values()))}: remove those whose label is wrong"
        warnings.warn(f"in {root}, {stand} under two classes, byte for byte, {such}", TwoLabels, stacklevel=3)
