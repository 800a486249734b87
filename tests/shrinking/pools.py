"""Small pools for tests, of files that are written or of none."""

from pathlib import Path

import numpy as np

from decoct.shrinking.pool import TRAIN, Pool, keep_pool, open_pool


def make_pool(folder, paths, labels, class_names, split=None, source="photos", features=None, **more):
    """A pool with random pixels; the files need not be there, and have 0 bytes where they are not."""
    rng, n = np.random.default_rng(0), len(paths)
    folder.mkdir(parents=True, exist_ok=True)
    images = more.pop("images", rng.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8))
    np.save(folder / "images.npy", images)
    if features is not None:
        np.save(folder / "features.npy", features)
    files = [Path(source, path) for path in paths]
    table = {
        "labels": np.asarray(labels, np.int64),
        "split": np.full(n, TRAIN, np.int8) if split is None else np.asarray(split, np.int8),
        "groups": np.arange(n),
        "width": np.full(n, 300, np.int32),
        "height": np.full(n, 200, np.int32),
        "bytes": np.array([_bytes(file) for file in files], np.int64),
        "content": np.arange(n, dtype=np.uint64),
        "paths": paths,
        "class_names": class_names,
        "unreadable": more.pop("unreadable", ()),
    }
    keep_pool(folder, str(source), table, {"digest": "0"} | more)
    return open_pool(folder)


def tree(root, files):
    """Write files with some bytes each; their paths."""
    for k, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(bytes([k % 256]) * (10 + k))
    return list(files)


def path_of(pool: Pool, row: int) -> Path:
    """An image's file below the source."""
    return Path(pool.source, pool.paths[row])


def _bytes(file):
    try:
        return file.stat().st_size
    except (OSError, ValueError):  # names that no file has
        return 0
