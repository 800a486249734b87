"""The cache on disk: whole or not at all, equal content under equal names, clear about damage."""

import errno
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.data import cache
from decoct.data.dataset import load_data, open_dataset, prepare
from decoct.data.source import Part
from decoct.data.sources.digits import Digits
from decoct.data.sources.folder import Folder


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_the_second_call_reads_the_cache(tmp_path, monkeypatch):
    first = prepare(Digits(), tmp_path)
    monkeypatch.setattr(Digits, "read", lambda *_: pytest.fail("decoded twice"))
    second = prepare(Digits(), tmp_path)
    assert first.digest == second.digest
    assert (first.train.images == second.train.images).all()
    assert folders(tmp_path) == sorted([first.digest, "links"])
    assert first.folder == tmp_path / first.digest


def test_a_removed_data_set_is_made_again(tmp_path):
    first = prepare(Digits(), tmp_path)
    shutil.rmtree(first.folder)
    assert prepare(Digits(), tmp_path).digest == first.digest


def test_every_byte_of_the_cache_is_the_same_when_made_again(tmp_path, grow):
    source = Folder(path=grow({"a": 6, "b": 7}), size=8)
    one, two = prepare(source, tmp_path / "one"), prepare(source, tmp_path / "two")
    for file in one.folder.iterdir():
        assert file.read_bytes() == (two.folder / file.name).read_bytes()


def test_a_half_written_folder_is_never_read(tmp_path):
    (tmp_path / ".tmp-killed").mkdir(parents=True)
    (tmp_path / ".tmp-killed" / cache.FACTS).write_text("{")
    data = prepare(Digits(), tmp_path)
    assert len(data.train) + len(data.val) + len(data.test) == 1797


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "write_split", full)
    with pytest.raises(DecoctError, match=r"No space left on device\n.*DECOCT_STORE"):
        prepare(Digits(), tmp_path)
    assert folders(tmp_path) == []


def test_two_writers_at_once_end_with_one_data_set(tmp_path):
    gate, found = threading.Barrier(2), []

    class Slow(Digits):
        def read(self, manifest, scratch, progress):
            raw = super().read(manifest, scratch, progress)
            gate.wait(timeout=60)  # both are past the look into the cache
            return raw

    threads = [threading.Thread(target=lambda: found.append(prepare(Slow(), tmp_path).digest)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1]
    assert folders(tmp_path) == sorted([found[0], "links"])


def test_a_data_set_is_on_disk_before_it_takes_its_place_and_its_place_after_that(tmp_path, disk):
    folder = prepare(Digits(), tmp_path).folder
    move = disk.moved(folder)
    for path in (folder, *folder.iterdir()):
        assert disk.synced(path, last=move), path.name
    assert disk.synced(folder.parent, first=move)
    (link,) = (tmp_path / "links").iterdir()
    assert disk.synced(link, last=disk.moved(link))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "train.images.npy").unlink(),
        lambda folder: cut(folder / "test.images.npy"),
        lambda folder: cut(folder / "val.labels.npy"),
        lambda folder: (folder / "train.images.npy").write_bytes(b""),
        lambda folder: (folder / cache.FACTS).write_text("{"),
        lambda folder: (folder / cache.FACTS).write_text("{}"),
        lambda folder: shutil.copy(folder / "val.labels.npy", folder / "test.labels.npy"),
        shutil.rmtree,
    ],
)
def test_damage_is_told(tmp_path, damage):
    folder = prepare(Digits(), tmp_path).folder
    damage(folder)
    with pytest.raises(DecoctError, match="delete that folder and load the data again"):
        open_dataset(folder)


def test_another_format_is_told(tmp_path):
    folder = prepare(Digits(), tmp_path).folder
    facts = json.loads((folder / cache.FACTS).read_text())
    (folder / cache.FACTS).write_text(json.dumps({**facts, "format": 0}))
    with pytest.raises(DecoctError, match="format 0, not 1"):
        open_dataset(folder)


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DecoctError, match="cannot write the data cache"):
        load_data("digits", tmp_path / "file")


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_moments_are_those_of_the_pixels(seed, channels):
    pixels = np.random.default_rng(seed).integers(0, 256, (channels, 500))
    mean, std = cache.moments(np.stack([np.bincount(row, minlength=256) for row in pixels]))
    np.testing.assert_allclose(mean, (pixels / 255).mean(1))
    np.testing.assert_allclose(std, (pixels / 255).std(1))


def test_a_constant_channel_has_std_one():
    mean, std = cache.moments(np.eye(256, dtype=np.int64)[[51]] * 7)
    assert mean == [pytest.approx(0.2)]
    assert std == [1.0]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 2, 8, 8), np.uint8), [0, 1, 0, 1], "must be square"),
        (np.zeros((4, 1, 8, 9), np.uint8), [0, 1, 0, 1], "must be square"),
        (np.zeros((4, 1, 8, 8), np.float32), [0, 1, 0, 1], "uint8, not"),
        (np.zeros((4, 1, 8, 8), np.uint8), [0, 1, 0, 2], "labels must be 0 to 1"),
        (np.zeros((4, 1, 8, 8), np.uint8), [0, 0, 0, 0], "class 'b' has no training images"),
        (np.zeros((0, 1, 8, 8), np.uint8), [], "labels must be"),
    ],
)
def test_what_is_no_data_set_is_refused(images, labels, message):
    part = Part(images, np.array(labels, dtype=np.int64), np.arange(len(images)))
    with pytest.raises(DecoctError, match=message):
        cache.check("train", part, ["a", "b"])


def test_the_store_follows_the_environment(monkeypatch):
    monkeypatch.setenv("DECOCT_STORE", "/somewhere")
    assert cache.default_store() == Path("/somewhere")
    monkeypatch.delenv("DECOCT_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache.default_store() == Path("/cache/decoct")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache.default_store() == Path("/home/me/.cache/decoct")
