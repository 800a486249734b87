"""A set whose images are made, not chosen: pixels as students see them, with the class of each."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decoct.data.external.arrays import in_npz
from decoct.data.external.stored import readable

Rows = NDArray[np.int64]
MAKERS = ("dm", "dc", "dsa")  # the methods of decoct that need nothing but images: no teacher, no generator


@dataclass(frozen=True, eq=False)
class Made:
    """Images that a method made, class after class.

    Attributes:
        images: [n, C, S, S] uint8, at the size at which students see a pool's images.
        labels: [n] int64.
        seconds: of one core, or of one device, that they took.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    seconds: float

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """Of pixels and labels: what a training on them depends on."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()[:32]

    def save(self, path: Path) -> None:
        """Write a file that ``load`` reads."""
        with path.open("wb") as file:  # numpy would add an ending to a name
            np.savez(file, images=self.images, labels=self.labels, seconds=np.array(self.seconds))


Set = Rows | Made  # rows of a pool, or images of their own


def load(path: Path) -> Made:
    """What ``Made.save`` wrote.

    Raises:
        DecoctError: the file is damaged.
    """
    with readable(path, "no set that was kept", "remove that file"):
        arrays = in_npz(path)
        return Made(arrays["images"], arrays["labels"], float(arrays["seconds"]))


def ordered(some: Set) -> Set:
    """What a student is trained on: rows ascending, so that the order of picking decides nothing."""
    return some if isinstance(some, Made) else np.sort(some)
