"""Fashion-MNIST, 28 × 28 grey, 60,000 + 10,000 images of clothes in 10 classes."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from decoct.core.errors import DecoctError
from decoct.core.kinds import Progress
from decoct.data.cache import default_store
from decoct.data.reading.idx import read_idx
from decoct.data.source import Part, Raw, Source, hash_file

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
TORCHVISION = Path("FashionMNIST") / "raw"
PREFIX = {"train": "train", "test": "t10k"}
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class FashionMNIST(Source):
    """Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747): Debian's files, ``path``, or a download."""

    name: ClassVar[str] = "fashion_mnist"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"path", "download"})
    path: Path | None = None  # folder of the idx files, gzipped or not, or torchvision's root
    download: bool = False  # through torchvision

    def manifest(self) -> dict[str, str]:
        """Digest of each of the four files."""
        return {name: hash_file(path) for name, path in self.files().items()}

    def read(self, manifest: dict[str, str], scratch: Path, progress: Progress) -> Raw:
        """Read both splits."""
        files, parts = self.files(), {}
        for split in PREFIX:
            images, labels = read_idx(files[f"{split} images"], 3), read_idx(files[f"{split} labels"], 1)
            if len(images) != len(labels):
                raise DecoctError(f"{files[f'{split} images']} holds {len(images)} images for {len(labels)} labels")
            parts[split] = Part(images[:, None], labels.astype(np.int64), np.arange(len(images)))
            progress(len(parts), len(PREFIX))
        return Raw(CLASS_NAMES, parts)

    def files(self) -> dict[str, Path]:
        """The four files, from the first folder that holds them all.

        Raises:
            DecoctError: there is none.
        """
        downloads = default_store() / "downloads"
        places = [self.path.expanduser()] if self.path else [DEBIAN, downloads]
        if found := find_files(places):
            return found
        if self.download:
            fetch(target := self.path.expanduser() if self.path else downloads)
            if found := find_files([target]):
                return found
        where = self.path or DEBIAN
        raise DecoctError(
            f"no Fashion-MNIST in {where}: install Debian's package dataset-fashion-mnist,\n"
            "or give path = a folder with its four idx files, or set download = true"
        )


def find_files(places: list[Path]) -> dict[str, Path] | None:
    """The images and labels of both splits, plain or gzipped, if one folder holds all four."""
    for folder in (nested for place in places for nested in (place, place / TORCHVISION)):
        found = {}
        for split, prefix in PREFIX.items():
            for what, dimensions in (("images", 3), ("labels", 1)):
                for ending in ("", ".gz"):
                    path = folder / f"{prefix}-{what}-idx{dimensions}-ubyte{ending}"
                    if path.is_file():
                        found[f"{split} {what}"] = path
        if len(found) == 4:
            return found
    return None


def fetch(root: Path) -> None:
    """Download through torchvision into ``root``.

    Raises:
        DecoctError: it did not work.
    """
    from torchvision.datasets import FashionMNIST as Download

    try:
        Download(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise DecoctError(
            f"cannot download Fashion-MNIST: {error}\ninstall Debian's package dataset-fashion-mnist, or give path"
        ) from error
