"""Draws of decoct as the numbers that the authors' augmentation would have drawn: possible ones, and the same."""

import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decoct.data.augment import dsa

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from originals.siamese import STRATEGY, uniform

RANGES = {"crop": (-4, 5), "cutout": (0, 29)}  # of whole numbers at 28 px, the last left out; 0 to 1 for others
BACK = {  # what the authors make of the numbers, as their paper's ranges say
    "colour": lambda u: [u[0] - 0.5, 2 * u[1], u[2] + 0.5],
    "crop": lambda u: u,
    "cutout": lambda u: [u[0] - 7, u[1] - 7, u[0] + 7, u[1] + 7],
    "scale": lambda u: [1 / 1.2 + u[1] * (1.2 - 1 / 1.2), 1 / 1.2 + u[0] * (1.2 - 1 / 1.2)],  # width first
    "rotate": lambda u: [(2 * u[0] - 1) * math.radians(15)],
    "flip": lambda u: [u[0] < 0.5],
}


@given(op=st.sampled_from(dsa.OPS), count=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_a_draw_is_one_that_the_authors_could_have_made(op, count, seed):
    drawn = dsa.draw(count, 28, True, torch.Generator().manual_seed(seed), ops=(op,))
    which, *numbers = uniform(drawn)
    assert STRATEGY.split("_")[int(which)] == {"colour": "color"}.get(op, op)
    low, high = RANGES.get(op, (0, 1))
    if op != "flip":  # only the side of one half is known of it
        assert all(low - 1e-6 <= float(x) < high + 1e-6 for number in numbers for x in number)
    for i in range(count):
        found = BACK[op]([float(number[i]) for number in numbers])
        assert found == pytest.approx(drawn.values.reshape(count, -1)[i].tolist(), abs=1e-5)
