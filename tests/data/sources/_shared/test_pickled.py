"""Plain pickles against Python's own unpickler; everything else is refused and nothing in it runs."""

import os
import pickle
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.data.sources._shared.pickled import read_plain

TEXT = st.text(st.characters(max_codepoint=0xFF), max_size=300)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.tuples(inner, inner) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=50)
@given(st.dictionaries(TEXT, PLAIN, max_size=5), st.sampled_from([2, 3]))
def test_plain_values_are_what_pythons_unpickler_says(value, protocol):
    assert read_plain(pickle.dumps(value, protocol), "a batch") == value


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_bytes(protocol, order):
    array = np.array(np.random.default_rng(0).integers(0, 256, (7, 300)), dtype=np.uint8, order=order)
    shared = [1, 2]
    found = read_plain(pickle.dumps({"data": array, "a": shared, "b": shared}, protocol), "a batch")
    assert (found["data"] == array).all() and found["data"].dtype == np.uint8
    assert found["a"] == found["b"] == shared


def python2(labels: list[int], array: np.ndarray) -> bytes:
    """What Python 2 with numpy of 2009 wrote: short strings as bytes, the array's content as one long string."""

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    shape = b"".join(b"M" + struct.pack("<H", side) for side in array.shape)
    start = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07" + short(b"b") + b"\x87Rq\x08"
    )
    kind = b"cnumpy\ndtype\nq\x09" + short(b"u1") + b"K\x00K\x01\x87Rq\x0a(K\x03" + short(b"|")
    kind += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    content = b"T" + struct.pack("<i", array.size) + array.tobytes()
    state = b"(K\x01" + shape + b"\x86" + kind + b"\x89" + content + b"tb"
    listed = b"]q\x03(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}q\x01(" + short(b"labels") + b"q\x02" + listed + short(b"data") + b"q\x04" + start + state + b"u."


def test_a_batch_of_python_2_is_what_pythons_unpickler_says():
    array = np.random.default_rng(1).integers(0, 256, (9, 3072), dtype=np.uint8)
    data = python2([3, 1, 4, 1, 5, 9, 2, 6, 5], array)
    theirs, ours = pickle.loads(data, encoding="latin1"), read_plain(data, "a batch")
    assert (theirs["data"] == array).all()  # the test's own bytes are such a batch
    assert (ours["data"] == array).all()
    assert ours["labels"] == theirs["labels"] == [3, 1, 4, 1, 5, 9, 2, 6, 5]


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, called, *arguments):
        self.called, self.arguments = called, arguments

    def __reduce__(self):
        return self.called, self.arguments


def test_a_later_protocol_is_refused_by_its_number():
    with pytest.raises(DecoctError, match="is refused: protocol 4, not 2 or 3"):
        read_plain(pickle.dumps({"labels": [1]}, 4), "a batch")


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("deep", [False, True])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path, protocol, deep):
    evil = Evil(os.mkdir, str(tmp_path / "made"))
    data = pickle.dumps({"labels": [1], "data": [[{"a": evil}]] if deep else evil}, protocol)
    with pytest.raises(DecoctError, match=r"asks for posix\.mkdir"):
        read_plain(data, "a batch")
    assert not (tmp_path / "made").exists()
    pickle.loads(data)
    assert (tmp_path / "made").exists()  # Python's own does


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Evil(eval, "1/0"), r"builtin\w*\.eval"),
        (Evil(getattr, Evil(__import__, "os"), "system"), r"builtin\w*\.getattr"),
        (np.arange(3), "something else than bytes"),
        (np.array([{}, []], dtype=object), "something else than bytes"),
        (time.struct_time(range(9)), r"asks for"),
        (1.5, "opcode BINFLOAT"),
        ({1, 2}, "asks for"),
        ({1: 2}, "no string"),
        ({((((),),),): 2}, "no string"),
        (DecoctError, r"decoct\.core\.errors\.DecoctError"),
    ],
)
def test_what_is_not_plain_is_refused(value, message):
    with pytest.raises(DecoctError, match=message):
        read_plain(pickle.dumps({"data": value}, 2), "a batch")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x80\x02.",  # an end without a value
        b"\x80\x02}q\x01(U\x01aK\x01u",  # no end
        b"\x80\x02K\x01.",  # no dictionary
        b"\x80\x02}(U\x01au.",  # a key without a value
        b"\x80\x02h\x07.",  # nothing was kept there
        b"\x80\x02}U\x01aT\xff\xff\xff\x7fabc",  # two gigabytes that are not there
        b"\x80\x02cnumpy\ndtype\n((((((ttttt\x85R.",
        b"\x80\x02cnumpy\nndarray\nK\x09\x85R.",  # numpy's own class is no maker of anything
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\xff\x85cnumpy\ndtype\nU\x02u1\x85R\x89U\x01atb.",
        b"\x80\x02]\x8c\x01a.",
        pickle.dumps({"a": 1}, 0),
        pickle.dumps({"a": 1}, 5),
        pickle.dumps({"a": bytearray(3)}, 2),
    ],
)
def test_damage_is_told(data):
    with pytest.raises(DecoctError, match=r"a batch is (refused|damaged)"):
        read_plain(data, "a batch")


@given(st.binary(max_size=200) | st.tuples(st.integers(0, 199), st.integers(0, 255)))
def test_any_bytes_at_all_are_read_or_refused(change):
    data = bytearray(python2([1, 2], np.zeros((2, 1000), dtype=np.uint8)))
    if isinstance(change, bytes):
        data = bytearray(b"\x80\x02") + change
    else:
        data[change[0]] = change[1]
    try:
        assert isinstance(read_plain(bytes(data), "a batch"), dict)
    except DecoctError as error:
        assert str(error).startswith("a batch is")
