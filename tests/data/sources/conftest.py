"""CIFAR in small: both sets, both versions, as folders and tars."""

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decoct.data.sources._shared.cifar import Cifar, Release
from decoct.data.sources.cifar10 import CIFAR10
from decoct.data.sources.cifar100 import CIFAR100

SIZES = {CIFAR10: {"train": 60, "test": 20}, CIFAR100: {"train": 300, "test": 100}}
Files = dict[str, bytes]


class Small:
    """A set of random pictures, and its files as a release has them."""

    def __init__(self, source: type[Cifar]) -> None:
        rng = np.random.default_rng(0)
        self.source, self.sizes = source, SIZES[source]
        self.images = {s: rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8) for s, n in self.sizes.items()}
        classes = len(source.names_of[next(reversed(source.names_of))])
        self.labels = {s: rng.permutation(np.arange(n) % classes) for s, n in self.sizes.items()}
        self.coarse = {s: labels * 7 % 20 for s, labels in self.labels.items()}

    def release(self, form: str) -> Release:
        return next(release for release in self.source.releases if release.form == form)

    def files(self, form: str) -> Files:
        release, made = self.release(form), {}
        for split, names in (("train", release.train), ("test", (release.test,))):
            rows = np.array_split(np.arange(self.sizes[split]), len(names))
            made |= {name: self.batch(form, split, part) for name, part in zip(names, rows, strict=True)}
        return made

    def batch(self, form: str, split: str, rows: np.ndarray) -> bytes:
        pixels, labels = self.images[split][rows].reshape(len(rows), -1), self.labels[split][rows]
        kinds = [labels] if self.source is CIFAR10 else [self.coarse[split][rows], labels]
        if form == "binary":
            return np.concatenate([np.stack(kinds, 1).astype(np.uint8), pixels], 1).tobytes()
        keys = ["labels"] if self.source is CIFAR10 else ["coarse_labels", "fine_labels"]
        said: dict[str, Any] = {"batch_label": f"a batch of {split}", "data": pixels}
        said |= {key: kind.tolist() for key, kind in zip(keys, kinds, strict=True)}
        return pickle.dumps(said | {"filenames": [f"s_{row:06d}.png" for row in rows]}, 2)

    def lay(self, root: Path, form: str = "binary", shape: str = "folder", **changed: bytes | None) -> Path:
        """Write a release into ``root``; ``changed`` files have other content, or none. Gives what ``path`` takes."""
        release = self.release(form)
        files = {name: data for name, data in (self.files(form) | changed).items() if data is not None}
        root.mkdir(parents=True, exist_ok=True)
        if shape in ("tar", "folder with the tar"):
            pack(root / release.archive, {f"{release.folder}/{name}": data for name, data in files.items()})
            return root / release.archive if shape == "tar" else root
        (root / release.folder).mkdir()
        for name, data in files.items():
            (root / release.folder / name).write_bytes(data)
        return root if shape == "folder around it" else root / release.folder


def pack(path: Path, files: Files, more: tuple[tarfile.TarInfo, ...] = ()) -> None:
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for info in more:
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Cifar]], Small]:
    """``small(CIFAR10)``: from here on the set is that small."""

    def make(source: type[Cifar]) -> Small:
        monkeypatch.setattr(source, "sizes", SIZES[source])
        return Small(source)

    return make
