"""Parts of a source, and what enters a source's key."""

import os
from pathlib import Path

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data import source as module
from decoct.data.source import Part, hash_file
from decoct.data.sources.folder import Folder


def part(n: int = 10) -> Part:
    images = np.random.default_rng(0).integers(0, 256, (2 * n, 1, 4, 4), dtype=np.uint8)
    return Part(images, np.arange(n) % 2, 2 * np.arange(n), tuple(f"{i}.png" for i in range(n)))


def test_blocks_are_the_images_in_order(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 50)  # three images of 16 bytes
    blocks = list(part().blocks())
    assert [len(block) for block in blocks] == [3, 3, 3, 1]
    assert (np.concatenate(blocks) == part().images[::2]).all()


def test_a_mask_keeps_images_labels_and_files_together():
    kept = part().where(np.arange(10) >= 7)
    assert kept.files == ("7.png", "8.png", "9.png")
    assert kept.labels.tolist() == [1, 0, 1]
    assert (next(kept.blocks()) == part().images[[14, 16, 18]]).all()


def test_holding_out_loses_nothing():
    rest, held = part().hold_out(0.2, 0, ("a", "b"))
    assert sorted(rest.rows.tolist() + held.rows.tolist()) == part().rows.tolist()
    assert np.bincount(held.labels).tolist() == [1, 1]


def test_where_the_files_are_is_not_keyed():
    assert Folder(path=Path("a")).keyed() == Folder(path=Path("b")).keyed()
    assert Folder(path=Path("a")).keyed() != Folder(path=Path("a"), size=32).keyed()


def test_only_regular_files_are_hashed(tmp_path):
    with pytest.raises(DecoctError, match="no such file"):
        hash_file(tmp_path / "nothing.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DecoctError, match="not a regular file"):
        hash_file(tmp_path / "pipe.png")
