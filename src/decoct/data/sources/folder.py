"""A folder of class folders with images of any format and size."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress
from decoct.core.seeds import seed
from decoct.data.reading.tree import scan
from decoct.data.reading.twins import tell_two_labels
from decoct.data.small.pictures import Picture, decode_pictures, shapes, usual_size
from decoct.data.source import Part, Raw, Source, hash_file

Manifest = dict[str, dict[str, dict[str, str]]]  # split, class, file -> SHA-256


class Folder(Source):
    """``PATH/CLASS/…`` or ``PATH/{train,val,test}/CLASS/…``; what has no test folder is split, seeded and stratified.

    Images are oriented by EXIF, laid over white, their shorter side resized to ``size``, the centre cropped. Without a
    ``size`` they keep their own where all have one of up to 64 px; else it is the larger of 32 and 64 that half reach.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})
    path: Path
    size: int | None = Field(default=None, ge=4, le=1024)  # None: see ``decoct.data.small.pictures.usual_size``
    channels: Literal["auto", 1, 3] = "auto"  # auto: one if red, green and blue are equal in every image
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    skip_corrupt: bool = False

    @property
    def title(self) -> str:
        """The folder's own name."""
        return self.path.expanduser().resolve().name or self.name

    def manifest(self) -> Manifest:
        """Digest of every picture file; warns of links between classes, and of equal files in two classes."""
        root = self.path.expanduser()
        found = {
            split: {name: {file: hash_file(root / file) for file in files} for name, files in classes.items()}
            for split, classes in scan(root).items()
        }
        tell_two_labels(root, found.values())
        return found

    def read(self, manifest: Manifest, scratch: Path, progress: Progress) -> Raw:
        """Decode every file once, into one file on disk, then say which rows belong to which split.

        Raises:
            DecoctError: files do not decode (unless ``skip_corrupt``), or a class has none that does.
        """
        class_names = tuple(next(iter(manifest.values())))
        found = [
            Picture(split, label, file, partial(self.load, file, sha)) for split, label, file, sha in listed(manifest)
        ]
        size, said = (self.size, "") if self.size else usual_size(shapes(found))
        how = size, self.channels, self.skip_corrupt, progress
        parts, skipped = decode_pictures(found, len(found), str(self.path), scratch, *how)
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
            raise DecoctError(f"cannot read {self.path / file}: {error.strerror or error}") from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise DecoctError(f"{self.path / file} changed while it was read: run again")
        return data

    def with_test(self, parts: dict[str, Part], class_names: tuple[str, ...]) -> dict[str, Part]:
        """The parts with a test split, cut from train where the tree brings none."""
        if "test" in parts:
            return parts
        train = parts["train"] if "train" in parts else parts["all"]
        train, test = train.hold_out(self.test_fraction, seed(self.split_seed, "test"), class_names)
        return {**{name: part for name, part in parts.items() if name != "all"}, "train": train, "test": test}


def listed(manifest: Manifest) -> Iterator[tuple[str, int, str, str]]:
    """Split, label, file and digest of every entry, in order."""
    for split, classes in manifest.items():
        for label, files in enumerate(classes.values()):
            for file, sha in files.items():
                yield split, label, file, sha
