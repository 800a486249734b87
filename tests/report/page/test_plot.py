"""Marks: told apart without colour alone, for more methods than a study has."""

from itertools import pairwise

import numpy as np
import pytest

from decoct.report.page.plot import GREY, OKABE_ITO, marks


@pytest.mark.parametrize("family", ["coreset", "distillation"])
def test_no_two_of_25_methods_look_alike(family):
    found = marks({"random": "coreset"} | {f"m{i}": family for i in range(25)})
    looks = [(mark.color, mark.marker["symbol"]) for mark in found.values()]
    assert len(set(looks)) == len(found) == 26
    assert found["random"].color == GREY and not found["random"].filled
    assert all(mark.filled == (family == "distillation") for label, mark in found.items() if label != "random")


def test_neighbours_differ_in_shape_and_colour():
    found = list(marks({f"m{i}": "coreset" for i in range(25)}).values())[1:]
    for a, b in pairwise(found):
        assert a.color != b.color and a.shape != b.shape


def _seen(color, kind):
    """Linear RGB as a person without one kind of cone sees it (Viénot, Brettel and Mollon, 1999)."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    missing = {
        "protan": [[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]],
        "deutan": [[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]],
    }[kind]
    return np.linalg.inv(to_lms) @ np.array(missing) @ to_lms @ linear


@pytest.mark.parametrize("kind", ["protan", "deutan"])
def test_the_palette_stays_apart_without_red_or_green_cones(kind):
    seen = np.array([_seen(color, kind) for color in OKABE_ITO])
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(len(seen), 1)]
    red, green = (_seen(color, kind) for color in ("#D62728", "#2CA02C"))  # a pair that is known to be confused
    assert apart.min() > 0.05
    assert np.linalg.norm(red - green) < 0.35
