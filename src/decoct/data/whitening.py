"""ZCA whitening of a data set: an affine map of whole images that takes their correlations away."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from decoct.core import tensorfile
from decoct.core.errors import DecoctError

WHITENING = "whitening.safetensors"  # in the folder of a data set
EPSILON = 0.1  # beside the variances, as MTT's and DATM's code has it
MOST = 64  # pixels a side: from there on the matrices take gigabytes
BLOCK = 4096  # images at a time


@dataclass(frozen=True, eq=False)
class Whitening:
    """z = (x − m) W  with  W = V (Λ + ε)^−½ Vᵀ,  V Λ Vᵀ the covariance of train images as vectors, divided by N − 1.

    As kornia's, with the ε = .1 of MTT (Cazenavette et al., 2022, arXiv:2203.11932) and DATM (Guo et al., 2024,
    arXiv:2310.05773): of images in [0, 1] that nothing has normalised. One map for train, val and test.

    Attributes:
        mean: m, [D] float32, D = C·S·S.
        matrix: W, [D, D] float32.
        inverse: V (Λ + ε)^½ Vᵀ, likewise.
    """

    mean: Tensor
    matrix: Tensor
    inverse: Tensor

    @classmethod
    def fit(cls, blocks: Iterable[NDArray[np.uint8]], shape: tuple[int, int, int]) -> Self:
        """The whitening of images [n, C, S, S] that come in blocks; sums and eigenvectors in float64.

        Raises:
            DecoctError: images that are too large, or fewer than two.
        """
        check(shape)
        features, count = int(np.prod(shape)), 0
        total, squares = torch.zeros(features, dtype=torch.float64), torch.zeros(features, features, dtype=torch.float64)
        for block in blocks:
            for start in range(0, len(block), BLOCK):
                x = torch.from_numpy(block[start : start + BLOCK]).flatten(1).double() / 255
                total += x.sum(0)
                squares.addmm_(x.T, x)
                count += len(x)
        if count < 2:
            raise DecoctError("zca needs at least two train images: leave it out, or add images")
        mean = total / count
        covariance = squares.sub_(count * torch.outer(mean, mean)).div_(count - 1)
        variances, vectors = torch.linalg.eigh(covariance)
        root = (variances.clamp(min=0) + EPSILON).sqrt()
        return cls(mean.float(), (vectors / root @ vectors.T).float(), (vectors * root @ vectors.T).float())

    def __call__(self, images: Tensor) -> Tensor:
        """[..., C, S, S] in [0, 1] -> whitened."""
        return ((images.flatten(-3) - self.mean) @ self.matrix).view(images.shape)

    def undo(self, whitened: Tensor) -> Tensor:
        """What was whitened, [..., C, S, S] -> in the data's scale, where it may leave [0, 1]."""
        return (whitened.flatten(-3) @ self.inverse + self.mean).view(whitened.shape)

    def to(self, device: Any) -> Self:
        """The same on a device."""
        return type(self)(self.mean.to(device), self.matrix.to(device), self.inverse.to(device))

    def save(self, folder: Path, digest: str) -> None:
        """Write it into the folder of the data set with this digest."""
        arrays = {name: getattr(self, name).numpy() for name in ("mean", "matrix", "inverse")}
        tensorfile.write(folder / WHITENING, arrays | {"of": np.frombuffer(digest.encode(), np.uint8)})

    @classmethod
    def load(cls, folder: Path, digest: str, shape: tuple[int, int, int]) -> Self:
        """What ``save`` wrote.

        Raises:
            DecoctError: missing, damaged, or of other data.
        """
        file, features = folder / WHITENING, int(np.prod(shape))
        try:
            arrays = tensorfile.read(file)
            if arrays.pop("of").tobytes().decode() != digest:
                raise ValueError("it is the ZCA of other data")
            mean, matrix, inverse = (torch.from_numpy(np.array(arrays[name])) for name in ("mean", "matrix", "inverse"))
            if not mean.shape[0] == features == len(matrix) == len(inverse) or not matrix.isfinite().all():
                raise ValueError(f"{list(matrix.shape)} for images of {features} values")
            return cls(mean, matrix, inverse)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise DecoctError(f"cannot use {file}: {error}\ndelete that folder and load the data again") from error


def check(shape: tuple[int, int, int]) -> None:
    """Raise a DecoctError for images whose matrix would be too large."""
    if shape[1] > MOST:
        size = 4 * int(np.prod(shape)) ** 2 / 2**30
        raise DecoctError(
            f"zca at {shape[1]} px takes matrices of {size:,.0f} GiB: it is for images of at most {MOST} px; "
            "leave zca out, or take a smaller size"
        )
