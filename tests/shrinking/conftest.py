"""What tests of shrinking share: small trees of pictures, and a pool without files."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Grow = Callable[..., Path]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """Make folders of different pictures: grow({"cat": 5, "train/dog": 4}) gives their root."""

    def make(
        counts: Mapping[str, int],
        name: str = "pets",
        side: int = 12,
        mode: str = "RGB",
        ending: str = "png",
        seed: int = 0,
    ) -> Path:
        rng = np.random.default_rng(seed)
        for folder, count in counts.items():
            (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                shape = (side, side, 3) if mode == "RGB" else (side, side)
                image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
                image.save(tmp_path / name / folder / f"{i:03d}.{ending}")
        return tmp_path / name

    return make


@pytest.fixture
def pack() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """``pack(PATH, {NAME: BYTES})`` writes a tar."""

    def write(path: Path, files: Mapping[str, bytes]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return write


def png(pixels: np.ndarray) -> bytes:
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """``picture(SEED)``: a PNG of random colours."""
    return lambda seed, side=12: png(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))
