"""What coresets share."""

import numpy as np
import pytest

from decoct.methods.coresets._shared.coreset import unit


def test_rows_of_unit_length_are_and_a_row_of_zeros_stays():
    rows = np.array([[3, 4], [0, 0], [1, 0]], dtype=np.float16)
    assert unit(rows).dtype == np.float32
    assert unit(rows) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [1, 0]]))
    assert rows[0].tolist() == [3, 4]
