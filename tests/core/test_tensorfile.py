"""Files of arrays: what the library writes is read as it reads it, nothing damaged is believed, nothing is copied."""

import json
import struct
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from decoct.core import tensorfile

DAMAGED = (OSError, SafetensorError, ValueError)


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert (ours[name].dtype, ours[name].shape) == (value.dtype, value.shape), name
        assert ours[name].tobytes() == value.tobytes(), name


def shapes():
    return arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def some():
    one = st.sampled_from(list(tensorfile.DTYPES.values())).flatmap(lambda kind: arrays.arrays(kind, shapes()))
    return st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), one, max_size=5)


@settings(deadline=None, max_examples=50)
@given(some(), st.booleans())
def test_what_is_written_is_what_the_library_reads_and_the_other_way_round(tensors, turned):
    tensors = {name: value.T if turned else value for name, value in tensors.items()}
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours", Path(folder) / "theirs"
        tensorfile.write(ours, tensors)
        assert [path.name for path in Path(folder).iterdir()] == ["ours"]
        same(load_file(ours), tensors)
        save_file({name: value.copy("C") for name, value in tensors.items()}, theirs)
        same(tensorfile.read(theirs), tensors)
        assert ours.read_bytes() == theirs.read_bytes()


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_a_file_with_wrong_bytes_is_refused_or_read_as_the_library_reads_it(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x"
        tensorfile.write(file, {"a": np.arange(12, dtype=np.uint8).reshape(3, 4), "b": np.ones(2, np.float32)})
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        cut = data.draw(st.just(len(content)) | st.integers(0, len(content)))
        content[at] = data.draw(st.integers(0, 255) | st.sampled_from(b'0123456789,[]"{}'))
        file.write_bytes(content[:cut])
        try:
            found = tensorfile.read(file)
        except DAMAGED:
            with pytest.raises((*DAMAGED, TypeError)):
                load_file(file)
        else:
            same(found, load_file(file))


def stored(folder, header, content):
    file, head = folder / "x", json.dumps({k: dict(zip(KEYS, v, strict=True)) for k, v in header.items()}).encode()
    head += b" " * (-len(head) % 8)
    file.write_bytes(struct.pack("<Q", len(head)) + head + content)
    return file


KEYS = ("dtype", "shape", "data_offsets")
FOUR = ("U8", [4], [0, 4])


def test_a_file_by_hand(tmp_path):
    header = {"z": ("I16", [1, 2], [0, 4]), "none": ("F32", [0, 3], [4, 4]), "a": ("U8", [3], [4, 7])}
    found = tensorfile.read(stored(tmp_path, header, b"\1\0\0\1abc"))
    assert {name: (value.tolist(), value.dtype) for name, value in found.items()} == {
        "z": ([[1, 256]], np.dtype("<i2")),
        "none": ([], np.dtype("<f4")),
        "a": ([97, 98, 99], np.dtype("u1")),
    }


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ({"a": FOUR}, b"abc"),
        ({"a": FOUR}, b"abcde"),
        ({"a": ("U8", [5], [0, 4])}, b"abcd"),
        ({"a": ("U8", [-4], [0, 4])}, b"abcd"),
        ({"a": ("U8", [2**33, 2**33], [0, 4])}, b"abcd"),
        ({"a": ("U8", [0, 2**62, 2**62], [0, 0])}, b""),
        ({"a": ("U8", [4], [2, 6])}, b"abcdef"),
        ({"a": ("U8", [4], [4, 0])}, b"abcd"),
        ({"a": FOUR, "b": FOUR}, b"abcd"),
        ({"a": FOUR, "b": ("U8", [4], [2, 6])}, b"abcdef"),
        ({"a": FOUR, "b": ("U8", [1], [5, 6])}, b"abcdef"),
        ({"a": ("BF16", [2], [0, 4])}, b"abcd"),
        ({"a": ("O8", [4], [0, 4])}, b"abcd"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header, content):
    with pytest.raises(DAMAGED):
        tensorfile.read(stored(tmp_path, header, content))


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"\xff" * 64, struct.pack("<Q", 2**40) + b"{}", b"\2" + b"\0" * 7 + b"[]"]
)
def test_what_has_no_header_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DAMAGED):
        tensorfile.read(tmp_path / "x")
    with pytest.raises(OSError, match="nowhere"):
        tensorfile.read(tmp_path / "nowhere")


def test_what_is_read_cannot_be_written_and_stays_when_its_file_is_replaced_or_removed(tmp_path):
    """A file of another length in its place, in a write of what is mapped from it: as saving a set again does."""
    file, before = tmp_path / "x", np.arange(2**20).reshape(4, -1)
    tensorfile.write(file, {"a": before})
    found = tensorfile.read(file)["a"]
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1
    tensorfile.write(file, {"a": found[:1]})
    assert np.array_equal(found, before)
    again = tensorfile.read(file)["a"]
    file.unlink()
    assert np.array_equal(again, before[:1])


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    tensorfile.write(tmp_path / "x", {"a": np.arange(3)})
    with pytest.raises(Exception, match=r"[Oo]bject|dtype"):
        tensorfile.write(tmp_path / "x", {"a": np.array([None])})
    same(tensorfile.read(tmp_path / "x"), {"a": np.arange(3)})
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        tensorfile.write(tmp_path / "folder", {"a": np.arange(3)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x"]


BOUNDED = """
    import resource
    import sys
    from pathlib import Path

    import numpy as np

    from decoct.core import tensorfile

    folder = Path(sys.argv[1])
    images = np.load(folder / "images.npy", mmap_mode="r")
    status = Path("/proc/self/status").read_text()
    used = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData")) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + images.nbytes // 4,) * 2)  # of memory that is no map of a file
    tensorfile.write(folder / "x", {"images": images, "labels": np.arange(4)})
    found = tensorfile.read(folder / "x")
    assert np.array_equal(found["images"][::100], images[::100])
    tensorfile.write(folder / "y", found)
    try:
        np.array(found["images"])
    except MemoryError:
        print("bounded")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the data of a process as Linux counts it")
def test_neither_writing_nor_reading_takes_memory_for_a_large_map(tmp_path):
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (500, 3, 160, 160))
    images[:] = np.arange(500, dtype=np.uint8)[:, None, None, None]
    command = [sys.executable, "-c", textwrap.dedent(BOUNDED), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("bounded\n", "")
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
