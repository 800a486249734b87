"""Real images as latents, and the centres of their clusters."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sklearn.cluster
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.engine.diffusion.model import DiffusionModel


@torch.no_grad()
def encoded(
    model: DiffusionModel,
    images: NDArray[Any],
    rows: NDArray[np.int64],
    batch: int,
    mirrored: bool = False,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Latents of some images, ``batch`` at a time.

    Args:
        model: whose encoder is used.
        images: [N, C, S, S] uint8; may be a memory map.
        rows: [n] which.
        batch: images in one forward pass.
        mirrored: the images left to right.
        out: room for the latents; None to make it.

    Returns:
        [n, c, h, w] float32.
    """
    out = np.empty((len(rows), *model.latent), np.float32) if out is None else out
    for at in range(0, len(rows), batch):
        some = torch.from_numpy(np.array(images[rows[at : at + batch]]))
        out[at : at + batch] = model.encode(some.flip(-1) if mirrored else some).cpu().numpy()
    return out


def modes(latents: NDArray[np.float32], count: int, seed: int, class_name: str) -> Tensor:
    """Centres of k-means (Lloyd, 1982; one start by k-means++), [count, c, h, w]; it holds two copies of the latents.

    Args:
        latents: [n, c, h, w] of one class.
        count: k.
        seed: of k-means++.
        class_name: for the message.

    Raises:
        DecoctError: fewer images than centres.
    """
    means = sklearn.cluster.KMeans(count, n_init=1, random_state=seed % 2**32)
    with _enough(latents, count, class_name):
        return _centres(means.fit(latents.reshape(len(latents), -1)), latents)


def prototypes(latents: NDArray[np.float32], count: int, chunk: int, seed: int, class_name: str) -> Tensor:
    """Centres of online k-means (Sculley, 2010), [count, c, h, w]: one pass over the latents, ``chunk`` at a time.

    Args:
        latents: [n, c, h, w] of one class, in the order of the pass.
        count: k.
        chunk: latents of one update, at least ``count``; the last has what is left.
        seed: of k-means++ on the first chunk, and of the centres that are moved where nothing comes to them.
        class_name: for the message.

    Raises:
        DecoctError: fewer images than centres.
    """
    means = sklearn.cluster.MiniBatchKMeans(count, n_init=1, random_state=seed % 2**32)
    with _enough(latents, count, class_name):
        for at in range(0, len(latents), chunk):
            part = latents[at : at + chunk]
            means.partial_fit(part.reshape(len(part), -1))
        return _centres(means, latents)


@contextmanager
def _enough(latents: NDArray[np.float32], count: int, class_name: str) -> Iterator[None]:
    """That there are images for all centres; fewer distinct ones make some centres come twice, without a warning."""
    if len(latents) < count:
        raise DecoctError(
            f"class '{class_name}' has {len(latents)} images, fewer than the {count} modes that are looked for, one "
            "for each image to make: lower --ipc"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _centres(means: Any, latents: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(means.cluster_centers_.astype(np.float32).reshape(-1, *latents.shape[1:]))
