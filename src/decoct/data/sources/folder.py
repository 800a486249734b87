"""A folder of class folders with images of any format and size."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress
from decoct.core.seeds import seed
from decoct.data.decode import DecodeError, decode
from decoct.data.source import Part, Raw, Source, hash_file
from decoct.data.tree import scan

Manifest = dict[str, dict[str, dict[str, str]]]  # split, class, file -> SHA-256
NAMED = 3  # corrupt files that a message names


class Folder(Source):
    """``PATH/CLASS/…`` or ``PATH/{train,val,test}/CLASS/…``; what has no test folder is split, seeded and stratified.

    Images are oriented by EXIF, laid over white, their shorter side resized to ``size``, the centre cropped.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})
    path: Path
    size: int = Field(default=64, ge=4, le=1024)
    channels: Literal["auto", 1, 3] = "auto"  # auto: one if red, green and blue are equal in every image
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    skip_corrupt: bool = False

    @property
    def title(self) -> str:
        """The folder's own name."""
        return self.path.expanduser().resolve().name or self.name

    def manifest(self) -> Manifest:
        """Digest of every picture file."""
        root = self.path.expanduser()
        return {
            split: {name: {file: hash_file(root / file) for file in files} for name, files in classes.items()}
            for split, classes in scan(root).items()
        }

    def read(self, manifest: Manifest, scratch: Path, progress: Progress) -> Raw:
        """Decode every file once, into one file on disk, then say which rows belong to which split.

        Raises:
            DecoctError: files do not decode (unless ``skip_corrupt``), or a class has none that does.
        """
        class_names = tuple(next(iter(manifest.values())))
        total = sum(len(files) for classes in manifest.values() for files in classes.values())
        kept: dict[str, list[tuple[str, int]]] = {split: [] for split in manifest}
        bad: dict[str, str] = {}
        grey, stored = self.channels != 3, 1 if self.channels == 1 else 3
        with (scratch / "pixels").open("wb") as pixels:
            for done, (split, label, file, sha) in enumerate(listed(manifest)):
                data = self.load(file, sha)
                try:
                    image = decode(data, self.size, stored)
                except DecodeError as error:
                    bad[file] = str(error)
                else:
                    pixels.write(image.tobytes())
                    kept[split].append((file, label))
                    grey = grey and bool((image == image[:1]).all())
                progress(done + 1, total)
        if bad and not self.skip_corrupt:
            raise DecoctError(complaint(self.path, bad, total))
        for split, classes in manifest.items():
            filled = {label for _, label in kept[split]}
            if empty := [name for label, name in enumerate(classes) if label not in filled]:
                raise DecoctError(f"class '{empty[0]}' in {self.path} has no image that decodes: remove the class")
        shape = (sum(map(len, kept.values())), stored, self.size, self.size)
        images = np.memmap(scratch / "pixels", dtype=np.uint8, mode="r", shape=shape)[:, : 1 if grey else 3]
        parts, start = {}, 0
        for split, rows in kept.items():
            files, labels = zip(*rows, strict=True)
            where = np.arange(start, start := start + len(rows))
            parts[split] = Part(images, np.array(labels, dtype=np.int64), where, files)
        return Raw(class_names, self.with_test(parts, class_names), tuple(sorted(bad)))

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


def complaint(path: Path, bad: dict[str, str], total: int) -> str:
    """Which files do not decode, and what to do."""
    few = "; ".join(f"{file} ({why})" for file, why in sorted(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return (
        f"{len(bad)} of {total} images in {path} do not decode: {few}{more}\n"
        "repair or remove them, or set skip_corrupt = true (--skip-corrupt) to leave them out"
    )
