"""A plane for features: the two leading principal components of real images, for the map on the page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from decoct.core import arrayfile
from decoct.core.record import read_json, write_json

MAP, CLASSES, PLANE, ABOUT = "map.npy", "map_classes.npy", "plane.npy", "map.json"
MOST = 2000  # real images that are drawn


@dataclass(frozen=True)
class Plane:
    """Where features are projected.

    Attributes:
        mean: [d] of the images that it was fitted to.
        axes: [2, d] orthonormal; the largest entry of each is positive. Zero where there is no such direction.
        explained: share of the variance along each.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    explained: tuple[float, float]

    @classmethod
    def fit(cls, features: NDArray[Any]) -> "Plane":
        """Principal components of features [n, d], in float64, by the smaller of the two Gram matrices.

        Source:
            Pearson, 1901; Hotelling, 1933.
        """
        x = features.astype(np.float64)
        mean = x.mean(0)
        x -= mean
        wide = x.shape[1] > x.shape[0]
        gram = x @ x.T if wide else x.T @ x
        size = len(gram)
        values, vectors = eigh(gram, subset_by_index=[max(size - 2, 0), size - 1])
        total = float(np.trace(gram))
        axes, explained = np.zeros((2, x.shape[1])), [0.0, 0.0]
        for place, (value, vector) in enumerate(zip(values[::-1], vectors.T[::-1], strict=True)):
            if value > 1e-12 * total:
                axis = (x.T @ vector) / np.sqrt(value) if wide else vector
                axes[place] = axis * np.sign(axis[np.abs(axis).argmax()])
                explained[place] = float(value) / total
        return cls(mean, axes, (explained[0], explained[1]))

    @classmethod
    def load(cls, folder: Path) -> "Plane":
        """Read the plane of a features cell."""
        stored = arrayfile.load(folder / PLANE)
        first, second = read_json(folder / ABOUT)["explained"]
        return cls(stored[0], stored[1:], (first, second))

    def project(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Places [n, 2] of features [n, d]."""
        return ((features.astype(np.float64) - self.mean) @ self.axes.T).astype(np.float32)


def keep_plane(folder: Path, features: NDArray[Any], labels: NDArray[np.int64]) -> None:
    """Fit a plane to some of the real features, and leave it with their places and classes in the features' cell.

    Args:
        folder: of the cell.
        features: [N, d] of the train images.
        labels: [N].
    """
    picks = drawn(labels)
    some = np.asarray(features[picks])
    plane = Plane.fit(some)
    np.save(folder / PLANE, np.vstack([plane.mean, plane.axes]))
    np.save(folder / MAP, plane.project(some))
    np.save(folder / CLASSES, labels[picks])
    write_json(folder / ABOUT, {"explained": list(plane.explained), "images": len(picks)})


def drawn(labels: NDArray[np.int64], most: int = MOST) -> NDArray[np.int64]:
    """Up to ``most`` images, as many of each class as there are or an equal share, in rising order."""
    draw = np.random.default_rng(0).permutation(len(labels))
    by_class = draw[np.argsort(labels[draw], kind="stable")]
    counts = np.bincount(labels)
    place = np.concatenate([np.arange(count) for count in counts])  # of each image within its class
    return np.sort(by_class[np.argsort(place, kind="stable")[:most]])
