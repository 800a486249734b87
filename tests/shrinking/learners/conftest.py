"""A pool of digits, with their pixels as features."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decoct.data.dataset import load_data
from decoct.shrinking.pool import Pool, keep_pool, open_pool


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """300 digits of all ten classes."""
    digits, folder = load_data("digits"), tmp_path_factory.mktemp("pool")
    images, labels = np.array(digits.train.images[:300]), np.array(digits.train.labels[:300])
    np.save(folder / "images.npy", images)
    np.save(folder / "features.npy", images.reshape(300, -1).astype(np.float16))
    size = np.full(300, 8, np.int32)
    table: dict[str, Any] = {"labels": labels, "split": np.zeros(300, np.int8), "groups": np.arange(300)}
    table |= {"width": size, "height": size, "bytes": np.full(300, 64), "content": np.arange(300, dtype=np.uint64)}
    table |= {"paths": [f"{i}.png" for i in range(300)], "class_names": digits.class_names, "unreadable": []}
    keep_pool(folder, "digits", table, {"digest": "digits", "flip": False})
    return open_pool(folder)


@pytest.fixture
def coloured(pool: Pool, tmp_path: Path) -> Pool:
    """The same images in three channels."""
    return replace(pool, images=np.repeat(pool.images, 3, 1))
