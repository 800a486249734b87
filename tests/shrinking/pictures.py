"""Small pools of given pictures."""

import numpy as np

from decoct.shrinking.pool import TRAIN, keep_pool, open_pool


def pool_of(folder, images, labels=None, split=None, **more):
    """A pool of images [N, C, S, S]; files are as different as pixels are, unless ``content`` says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    images = np.asarray(images, np.uint8)
    n, side = len(images), images.shape[-1]
    labels = np.zeros(n, np.int64) if labels is None else np.asarray(labels, np.int64)
    np.save(folder / "images.npy", images)
    if (features := more.pop("features", None)) is not None:
        np.save(folder / "features.npy", features)
    table = {
        "labels": labels,
        "split": np.full(n, TRAIN, np.int8) if split is None else np.asarray(split, np.int8),
        "groups": np.arange(n),
        "width": np.full(n, side, np.int32),
        "height": np.full(n, side, np.int32),
        "bytes": np.full(n, 100),
        "content": np.unique(images.reshape(n, -1), axis=0, return_inverse=True)[1].ravel().astype(np.uint64),
        "paths": [f"{i:04}.png" for i in range(n)],
        "class_names": [f"class {c}" for c in range(int(labels.max(initial=0)) + 1)],
        "unreadable": (),
    }
    facts = {"digest": "0"} | {key: more.pop(key) for key in set(more) - set(table)}
    keep_pool(folder, "photos", table | more, facts)
    return open_pool(folder)


def drawings(n, seed=0, channels=3, side=32):
    """[n, C, S, S] pictures of smooth random shapes, no two of which are alike."""
    rng = np.random.default_rng(seed)
    waves = np.cos(np.pi * np.outer(np.arange(6), np.arange(side) + 0.5) / side)
    weights = rng.normal(size=(n, channels, 6, 6)) / (1 + np.add.outer(np.arange(6), np.arange(6)))
    pictures = waves.T @ weights @ waves
    low, high = pictures.min((1, 2, 3), keepdims=True), pictures.max((1, 2, 3), keepdims=True)
    return np.round(20 + 215 * (pictures - low) / (high - low)).astype(np.uint8)


def noisy(image, seed=0, levels=3):
    """The picture with a few levels of noise, as re-encoding makes it."""
    noise = np.random.default_rng(seed).integers(-levels, levels + 1, image.shape)
    return np.clip(image.astype(np.int64) + noise, 0, 255).astype(np.uint8)
