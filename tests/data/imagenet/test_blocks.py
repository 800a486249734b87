"""Decoding in blocks: a killed run goes on and ends as one that was not, half-written blocks are never trusted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.data import cache
from decoct.data.dataset import load_data
from decoct.data.imagenet import blocks, index
from decoct.data.imagenet.index import Index
from decoct.data.sources.imagenette import WNIDS, Imagenette

SLOW = """
    import sys, time
    from decoct.data.imagenet import blocks
    from decoct.data.dataset import load_data
    from decoct.data.sources.imagenette import Imagenette

    blocks.PICTURES = 3
    write = blocks.write_block

    def slowly(*arguments):  # one worker: the blocks are written in this process
        bad = write(*arguments)
        print("block", flush=True)
        time.sleep(0.05)
        return bad

    if int(sys.argv[3]) == 1:
        blocks.write_block = slowly
    load_data(Imagenette(path=sys.argv[1], size=16), sys.argv[2], workers=int(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def raw(hang, tmp_path_factory):
    return hang(WNIDS, train=12).folders(tmp_path_factory.mktemp("museum") / "raw")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(blocks, "PICTURES", 3)


def start(raw, cache_root, workers, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(textwrap.dedent(SLOW))
    words = [sys.executable, script, raw, cache_root, str(workers)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def records(root: Path) -> list[Path]:
    return list(root.glob(f"unfinished/*/{blocks.RECORD}"))


def same(one: Path, two: Path) -> None:
    assert sorted(f.name for f in one.iterdir()) == sorted(f.name for f in two.iterdir())
    for file in one.iterdir():
        assert file.read_bytes() == (two / file.name).read_bytes()


def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(raw, small, tmp_path, monkeypatch):
    with start(raw, tmp_path / "killed", 1, tmp_path) as process:
        for _ in range(12):
            assert process.stdout.readline() == "block\n"
        process.send_signal(signal.SIGKILL)
    (record,) = records(tmp_path / "killed")
    done = len(record.read_text().splitlines()) - 1
    assert 11 <= done < 50
    written, write = [], blocks.write_block
    monkeypatch.setattr(blocks, "write_block", lambda *a: written.append(a) or write(*a))
    data = load_data(Imagenette(path=str(raw), size=16), tmp_path / "killed", workers=1)
    assert len(written) == 50 - done  # 10 classes of 12 and 2 pictures, 3 a block
    whole = load_data(Imagenette(path=str(raw), size=16), tmp_path / "whole", workers=1)
    same(data.folder, whole.folder)
    assert list((tmp_path / "killed" / "unfinished").iterdir()) == []


def test_workers_leave_with_the_process_that_started_them(raw, tmp_path):
    with start(raw, tmp_path / "killed", 2, tmp_path) as process:
        import psutil

        children, until = [], time.monotonic() + 60
        while len(children) < 2 and process.poll() is None and time.monotonic() < until:
            children = [c for c in psutil.Process(process.pid).children() if "spawn_main" in " ".join(c.cmdline())]
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=30)[1] == []
    data = load_data(Imagenette(path=str(raw), size=16), tmp_path / "killed", workers=1)
    same(data.folder, load_data(Imagenette(path=str(raw), size=16), tmp_path / "whole", workers=1).folder)


def stopped(raw, root, monkeypatch, after):
    """A try that ends after some blocks."""
    left, write = iter(range(after)), blocks.write_block

    def one(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return write(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(blocks, "write_block", one)
        load_data(Imagenette(path=str(raw), size=16), root, workers=1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.write_text(record.read_text()[:-3]),  # the last line was being written
        lambda record: record.write_text(record.read_text() + '[30, ["half'),
        lambda record: record.write_text("{}\n" + record.read_text()),
        lambda record: record.write_bytes(b"\xff" * 40),
        lambda record: record.unlink(),
        lambda record: (record.parent / "val.images.npy").unlink(),
        lambda record: (record.parent / "train.images.npy").write_bytes(b"short"),
        lambda record: (record.parent / "index.parquet").write_bytes(b"PAR1"),
    ],
)
def test_what_is_not_certain_is_decoded_again(raw, small, tmp_path, monkeypatch, damage):
    stopped(raw, tmp_path / "cache", monkeypatch, after=20)
    (record,) = records(tmp_path / "cache")
    damage(record)
    data = load_data(Imagenette(path=str(raw), size=16), tmp_path / "cache", workers=1)
    same(data.folder, load_data(Imagenette(path=str(raw), size=16), tmp_path / "whole", workers=1).folder)


def test_rows_of_a_block_without_a_line_are_written_over(raw, small, tmp_path, monkeypatch):
    stopped(raw, tmp_path / "cache", monkeypatch, after=20)
    (record,) = records(tmp_path / "cache")
    first, *lines = record.read_text().splitlines()
    record.write_text("\n".join([first, *lines[:4]]) + "\n")
    file = record.parent / "train.images.npy"
    images = np.lib.format.open_memmap(file, mode="r+")
    blank = (images == 0).all((1, 2, 3))
    kept = {json.loads(line)[0] for line in lines[:4]}
    images[~blank] = 1  # also those that are done, which stay as they are
    images.flush()
    data = load_data(Imagenette(path=str(raw), size=16), tmp_path / "cache", workers=1)
    ones = [file for file, image in zip(data.train.files, data.train.images, strict=True) if (image == 1).all()]
    assert kept == {0, 1, 2, 3}
    assert ones and {file.split("/")[1] for file in ones} == {WNIDS[0]}


def test_a_full_disk_is_told_before_anything_is_written(raw, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000))
    message = r"140 images at 16 px take 0\.0 GB in \S+, where 0\.0 GB are free\n.*smaller size.*DECOCT_STORE"
    with pytest.raises(DecoctError, match=message):
        load_data(Imagenette(path=str(raw), size=16), tmp_path / "cache", workers=1)
    assert list((tmp_path / "cache").glob("unfinished/*/*.npy")) == []


def test_a_picture_that_changes_between_the_passes_is_told(raw, tmp_path, monkeypatch):
    copy = shutil.copytree(raw, tmp_path / "raw")
    make = index.make

    def then_change(*arguments):
        made = make(*arguments)
        first, second = sorted((copy / "train" / WNIDS[2]).iterdir())[:2]
        shutil.copy(first, second)
        return made

    monkeypatch.setattr(index, "make", then_change)
    with pytest.raises(DecoctError, match=rf"train/{WNIDS[2]}/\S+ in .* changed while it was read"):
        load_data(Imagenette(path=str(copy), size=16), tmp_path / "cache", workers=1)


def test_a_script_without_a_guard_may_use_workers(raw, tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        f"from decoct.data.dataset import load_data\nwhat = {{'name': 'imagenette', 'path': {str(raw)!r}, 'size': 8}}\n"
        f"print(len(load_data(what, {str(tmp_path / 'cache')!r}, workers=2).train))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "110\n"  # once: no worker ran the script


@given(st.lists(st.booleans(), min_size=1, max_size=600).filter(any))
def test_closing_up_drops_rows_and_nothing_else(tmp_path_factory, keep):
    file = tmp_path_factory.mktemp("rows") / "x.npy"
    images = np.random.default_rng(len(keep)).integers(0, 256, (len(keep), 3, 4, 4), dtype=np.uint8)
    file.write_bytes(cache.header(images.shape) + images.tobytes())
    blocks.close_up(file, np.array(keep))
    assert (np.load(file, allow_pickle=False) == images[np.array(keep)]).all()


@given(st.lists(st.booleans(), min_size=1, max_size=600).filter(any))
def test_closing_up_features_and_channels(tmp_path_factory, keep):
    folder, rng, kept = tmp_path_factory.mktemp("rows"), np.random.default_rng(len(keep)), np.array(keep)
    features, images = rng.normal(size=(len(keep), 5)).astype(np.float32), rng.integers(0, 256, (len(keep), 3, 2, 2))
    np.save(folder / "features.npy", features)
    np.save(folder / "images.npy", images.astype(np.uint8))
    blocks.close_up(folder / "features.npy", kept)
    blocks.close_up(folder / "images.npy", kept, 1)
    assert (np.load(folder / "features.npy") == features[kept]).all()
    assert (np.load(folder / "images.npy") == images[kept, :1]).all()


@pytest.mark.parametrize("moved", [0, 1])
def test_a_kill_while_rows_are_closed_up_leaves_files_that_are_decoded_into_anew(tmp_path, monkeypatch, moved):
    file, record = tmp_path / "x.npy", tmp_path / blocks.RECORD
    file.write_bytes(cache.header((6, 3, 4, 4)) + bytes(6 * 48))
    record.write_text("done")
    left, contiguous = iter(range(moved)), np.ascontiguousarray

    def killed(array):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return contiguous(array)

    monkeypatch.setattr(blocks, "ROWS", 2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "ascontiguousarray", killed)
        blocks.close_up(file, np.arange(6) != 1)
    assert not record.exists()
    assert np.lib.format.open_memmap(file, mode="r").shape == (6, 3, 4, 4)


@given(st.integers(1, 10**12), st.integers(1, 4096))
def test_a_header_is_as_long_for_any_number_of_images(count, size):
    assert len(cache.header((count, 3, size, size))) == len(cache.header((1, 3, size, size)))


def test_val_is_a_stratified_share_of_train_and_test_is_val():
    rng, n = np.random.default_rng(0), 500
    split, label = np.sort(rng.integers(0, 2, n)), rng.integers(0, 5, n)
    sums = rng.integers(0, 256, (n, index.SUM), dtype=np.uint8)
    names = np.array([str(i) for i in range(n)])
    part = blocks.planned(Index(split, np.arange(n), split, label, names, sums), 0.2, 3, tuple("abcde"))
    assert (part == 2).tolist() == (split == 1).tolist()
    for c in range(5):
        mine = (label == c) & (split == 0)
        assert (part[mine] == 1).sum() == round(0.2 * mine.sum())


def test_memory_holds_a_few_pictures_and_never_the_data_set(hang, tmp_path, monkeypatch):
    root = hang(WNIDS, train=40, val=10).webdataset(tmp_path / "raw")
    source = Imagenette(path=str(root), size=128)
    load_data(Imagenette(path=str(root), size=8), tmp_path / "first", workers=1)  # what is imported and cached
    monkeypatch.setattr("decoct.data.source.BLOCK_BYTES", 2**20)
    tracemalloc.start()
    try:
        data = load_data(source, tmp_path / "cache", workers=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    pixels = sum(split.images.nbytes for split in (data.train, data.val, data.test))
    assert pixels == 500 * 3 * 128 * 128
    assert peak < pixels / 4
