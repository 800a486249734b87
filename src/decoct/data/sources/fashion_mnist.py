"""Fashion-MNIST, 28 × 28 grey, 60,000 + 10,000 images of clothes in 10 classes."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.core.machine import blame
from decoct.data.cache import default_store
from decoct.data.source import Part, Raw, Source, hash_file

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
TORCHVISION = Path("FashionMNIST") / "raw"
PREFIX = {"train": "train", "test": "t10k"}
CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


class FashionMNIST(Source):
    """Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747): Debian's files, ``path``, or a download."""

    name: ClassVar[str] = "fashion_mnist"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"path", "download"})
    path: Path | None = None  # folder of the idx files, gzipped or not, or torchvision's root
    download: bool = False  # through torchvision
    flip: bool | None = True  # clothes may be mirrored, as in DSA's strategy (Zhao and Bilen, 2021, arXiv:2102.08259)

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
        """The four files, from the first folder that holds them all."""
        downloads = default_store() / "downloads"
        places = [self.path.expanduser()] if self.path else [DEBIAN, downloads]
        if files := find_files(places):
            return files
        if self.download:
            fetch(places[-1])
            if files := find_files(places[-1:]):
                return files
        where = self.path or DEBIAN
        raise DecoctError(
            f"no Fashion-MNIST in {where}: install Debian's package dataset-fashion-mnist,\n"
            "or give path = a folder with its four idx files, or set download = true"
        )


def find_files(places: list[Path]) -> dict[str, Path] | None:
    """The images and labels of both splits, plain or gzipped, if one folder holds all four."""
    for folder in (nested for place in places for nested in (place, place / TORCHVISION)):
        files = {
            f"{split} {what}": path
            for split, prefix in PREFIX.items()
            for what, dimensions in (("images", 3), ("labels", 1))
            for ending in ("", ".gz")
            if (path := folder / f"{prefix}-{what}-idx{dimensions}-ubyte{ending}").is_file()
        }
        if len(files) == 4:
            return files
    return None


def fetch(root: Path) -> None:
    """Download through torchvision into ``root``."""
    from torchvision.datasets import FashionMNIST as Download

    try:
        Download(str(root), download=True)
    except (OSError, RuntimeError) as error:
        blame(error)
        raise DecoctError(
            f"cannot download Fashion-MNIST: {error}\ninstall Debian's package dataset-fashion-mnist, or give path"
        ) from error


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes.

    Returns:
        uint8 array of the shape that the header states.

    Raises:
        DecoctError: not an idx file of bytes with these dimensions, or not of the length that its header states.

    Source:
        LeCun, Cortes and Burges, "The MNIST database": magic 0, 0, type (8 is unsigned byte), number of dimensions;
        then each size as a big-endian 32-bit integer; then the values, last dimension fastest.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, 8, dimensions)) or len(header) != 4 + 4 * dimensions:
                raise DecoctError(f"{path} is not an idx file of bytes in {dimensions} dimensions")
            shape = struct.unpack(f">{dimensions}I", header[4:])
            length = math.prod(shape)
            data = bytearray()
            while chunk := file.read(min(2**24, length + 1 - len(data))):  # a false length asks for no memory
                data += chunk
    except (OSError, EOFError, zlib.error) as error:
        blame(error)
        raise DecoctError(f"cannot read {path}: {error}") from error
    if len(data) != length:
        held = "more" if len(data) > length else len(data)
        raise DecoctError(f"{path} is damaged: its header states {length} bytes, it holds {held}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
