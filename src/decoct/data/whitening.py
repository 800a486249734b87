"""ZCA whitening of a data set: an affine map of whole images that takes their correlations away."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from decoct.core import tensorfile
from decoct.core.errors import DecoctError
from decoct.core.machine import blame

if TYPE_CHECKING:  # data load without torch
    from torch import Tensor

WHITENING = "whitening.safetensors"  # in the folder of a data set
EPSILON = 0.1  # beside the variances, as MTT's and DATM's code has it
MOST = 64  # pixels a side: from there on the matrices take gigabytes
BLOCK = 4096  # images at a time
NAMES = ("mean", "matrix", "inverse")


@dataclass(frozen=True, eq=False)
class Whitening:
    """z = (x − m) W  with  W = V (Λ + ε)^−½ Vᵀ,  V Λ Vᵀ the covariance of train images as vectors, divided by N − 1.

    As kornia's, with the ε = .1 of MTT (Cazenavette et al., 2022, arXiv:2203.11932) and DATM (Guo et al., 2024,
    arXiv:2310.05773): of images in [0, 1] that nothing has normalised. One map for train, val and test.

    Attributes:
        mean: m, [D] float32, D = C·S·S: an array, or a tensor of what ``to`` gives.
        matrix: W, [D, D] float32.
        inverse: V (Λ + ε)^½ Vᵀ, likewise.
    """

    mean: Any
    matrix: Any
    inverse: Any

    @classmethod
    def fit(cls, blocks: Iterable[NDArray[np.uint8]], shape: tuple[int, int, int]) -> Self:
        """The whitening of images [n, C, S, S] that come in blocks; sums and eigenvectors in float64.

        Raises:
            DecoctError: images that are too large, or fewer than two.
        """
        check(shape)
        features, count = int(np.prod(shape)), 0
        total, squares = np.zeros(features), np.zeros((features, features))
        for block in blocks:
            for start in range(0, len(block), BLOCK):
                x = block[start : start + BLOCK].reshape(-1, features) / 255
                total += x.sum(0)
                squares += x.T @ x
                count += len(x)
        if count < 2:
            raise DecoctError("zca needs at least two train images: leave it out, or add images")
        mean = total / count
        variances, vectors = np.linalg.eigh((squares - count * np.outer(mean, mean)) / (count - 1))
        root = np.sqrt(np.maximum(variances, 0) + EPSILON)
        return cls(*(np.float32(part) for part in (mean, vectors / root @ vectors.T, vectors * root @ vectors.T)))

    def __call__(self, images: "Tensor") -> "Tensor":
        """[..., C, S, S] in [0, 1] -> whitened."""
        whitened: Tensor = ((images.flatten(-3) - self.mean) @ self.matrix).view(images.shape)
        return whitened

    def undo(self, whitened: "Tensor") -> "Tensor":
        """What was whitened, [..., C, S, S] -> in the data's scale, where it may leave [0, 1]."""
        images: Tensor = (whitened.flatten(-3) @ self.inverse + self.mean).view(whitened.shape)
        return images

    def to(self, device: Any) -> Self:
        """The same as tensors on a device."""
        import torch

        return type(self)(*(torch.as_tensor(np.array(getattr(self, name)), device=device) for name in NAMES))

    def save(self, folder: Path, digest: str) -> None:
        """Write it into the folder of the data set with this digest."""
        arrays = {name: getattr(self, name) for name in NAMES}
        tensorfile.write(folder / WHITENING, arrays | {"of": np.frombuffer(digest.encode(), np.uint8)})

    @classmethod
    def load(cls, folder: Path, digest: str, shape: tuple[int, int, int]) -> Self:
        """What ``save`` wrote, as maps of the file.

        Raises:
            DecoctError: missing, damaged, or of other data.
        """
        file, features = folder / WHITENING, int(np.prod(shape))
        try:
            arrays = tensorfile.read(file)
            if arrays.pop("of").tobytes().decode() != digest:
                raise ValueError("it is the ZCA of other data")
            shapes = [arrays[name].shape for name in NAMES]
            if shapes != [(features,), (features, features), (features, features)]:
                raise ValueError(f"{shapes} for images of {features} values")
            return cls(*(arrays[name] for name in NAMES))
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            blame(error)
            raise DecoctError(f"cannot use {file}: {error}\ndelete that folder and load the data again") from error


def check(shape: tuple[int, int, int]) -> None:
    """Raise a DecoctError for images whose matrix would be too large."""
    if shape[1] > MOST:
        size = 4 * int(np.prod(shape)) ** 2 / 2**30
        raise DecoctError(
            f"zca at {shape[1]} px takes matrices of {size:,.0f} GiB: it is for images of at most {MOST} px; "
            "leave zca out, or take a smaller size"
        )
