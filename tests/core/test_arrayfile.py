"""An .npy file is mapped, or refused by errors that are foreseen."""

import numpy as np
import pytest

from decoct.core import arrayfile


def test_what_numpy_saved_is_mapped(tmp_path):
    rows = np.random.default_rng(0).random((3, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", rows)
    found = arrayfile.read(tmp_path / "a.npy")
    assert isinstance(found, np.memmap) and not found.flags.writeable and np.array_equal(found, rows)


@pytest.mark.parametrize("rows", [np.float64(2.5), np.zeros((0, 3)), np.asfortranarray(np.ones((3, 2)))])
def test_what_is_loaded_is_in_memory_and_holds_no_file(tmp_path, rows):
    np.save(tmp_path / "a.npy", rows)
    found = arrayfile.load(tmp_path / "a.npy")
    assert type(found) is np.ndarray and found.flags.owndata and np.array_equal(found, rows)


@pytest.mark.parametrize("how", [arrayfile.read, arrayfile.load])
def test_a_header_that_states_more_than_the_file_has_takes_no_memory(tmp_path, how):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (2**50, 2)})
        file.write(bytes(8))
    with pytest.raises(ValueError, match=r".+"):
        how(tmp_path / "a.npy")


@pytest.mark.parametrize("change", [(b"}", b" "), (b"(3, 2)", b"(3, (2"), (b"NUMPY", b"NUMPI"), (b"<f4", b"|O8")])
def test_a_damaged_header_is_a_value_error(tmp_path, change):
    np.save(tmp_path / "a.npy", np.zeros((3, 2), np.float32))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes().replace(*change))
    with pytest.raises(ValueError, match=r".+"):
        arrayfile.read(tmp_path / "a.npy")
