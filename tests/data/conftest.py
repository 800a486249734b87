"""Small trees of random pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Grow = Callable[..., Path]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """Make a class-folder tree: grow({"cat": 5, "dog": 4}) gives its root; each picture is different."""

    def make(counts: Mapping[str, int], name: str = "pets", side: int = 12, mode: str = "RGB", seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for folder, count in counts.items():
            (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                shape = (side, side, 3) if mode == "RGB" else (side, side)
                pixels = rng.integers(0, 256, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / folder / f"{i:03d}.png")
        return tmp_path / name

    return make
