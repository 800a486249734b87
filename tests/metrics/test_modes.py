"""Modes: planted ones, against the expectation of random images, and the set that coverage alone would have won."""

import math

import numpy as np
import pytest

from decoct.metrics import modes as module
from decoct.metrics.mmd import mmd
from decoct.metrics.modes import mode_centres, modes
from decoct.metrics.prdc import prdc


def planted(rng, n, kinds, d=8):
    return rng.normal(size=(n, d)) + 50 * np.eye(kinds, d)[np.arange(n) % kinds]


@pytest.mark.parametrize("reached", [1, 2, 5, 6])
def test_it_is_the_share_of_planted_modes_that_are_reached(reached):
    rng = np.random.default_rng(reached)
    real, condensed = planted(rng, 300, 6), planted(rng, 6, reached)
    assert modes(real, condensed)["modes"] == pytest.approx(reached / 6)
    centres = mode_centres(real, count=6)  # k-means finds what was planted
    assert sorted(np.argmax(centres.numpy(), axis=1)) == list(range(6))
    assert modes(real, condensed, centres=centres) == modes(real, condensed)


def test_random_images_of_equal_modes_reach_what_chance_says():
    rng = np.random.default_rng(0)
    real = planted(rng, 400, 8)
    centres = mode_centres(real, count=8)
    draws = rng.integers(8, size=(400, 8))
    found = [modes(real, 50 * np.eye(8)[own], centres=centres)["modes"] for own in draws]
    expected = 1 - (1 - 1 / 8) ** 8
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / math.sqrt(len(found)) < 0.04


def test_ten_images_about_one_of_ten_overlapping_modes_are_told_from_ten_random_ones():
    """Coverage alone takes them for the better set: they lie in the balls of images of every mode."""

    def read(seed):
        rng = np.random.default_rng(seed)
        centres = rng.normal(size=(10, 36))
        centres *= 3 / np.linalg.norm(centres, axis=1, keepdims=True)
        real = centres[np.arange(600) % 10] + rng.normal(size=(600, 36))
        random = centres[rng.integers(10, size=10)] + rng.normal(size=(10, 36))
        one = centres[0] + 0.3 * rng.normal(size=(10, 36))
        sets = [{**prdc(real, y), **mmd(real, y), **modes(real, y)} for y in (random, one)]
        return [(y["coverage_ratio"], y["mmd"], y["modes"]) for y in sets]

    random, one = np.array([read(seed) for seed in range(20)]).transpose(1, 0, 2)
    coverage, distance, count = (one.mean(0) - random.mean(0)) / random.std(0, ddof=1)
    assert random.mean(0) == pytest.approx([1, 0, 0.65], abs=0.15)
    assert one.mean(0)[0] > 5 and coverage > 8
    assert distance > 8 and count < -4 and one.mean(0)[2] < 0.2


def test_one_image_or_few_real_ones_have_no_modes_and_no_more_than_can_be_are_counted(monkeypatch):
    rng = np.random.default_rng(0)
    real = rng.normal(size=(30, 3))
    assert math.isnan(modes(real, real[:1])["modes"]) and math.isnan(modes(real[:9], real)["modes"])
    assert len(mode_centres(real, count=10)) == 6  # five images to each
    monkeypatch.setattr(module, "MOST", 4)
    assert len(mode_centres(real, count=10)) == 4
    monkeypatch.setattr(module, "OVER", 15)
    assert len(mode_centres(real, count=10)) == 3  # of every second image


def test_duplicates_make_no_mode_that_cannot_be_reached():
    real = np.repeat([[0.0], [1.0]], 20, axis=0)
    assert modes(real, np.array([[0.0], [1.0], [1.0]]))["modes"] == 1


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        modes(np.ones((9, 1)), np.array([[np.nan]]))
