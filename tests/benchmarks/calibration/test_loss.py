"""What the rules of a recommendation give away, where it is known."""

import numpy as np
import pytest

from calibration.latent import variances
from calibration.loss import LAYOUTS, MARGIN, SPREAD, losses, paired_sd


def test_the_unit_is_the_sd_of_a_difference_of_two_sets():
    """Of sets, of students, and of what 2,000 images make of either, on both sides."""
    _, _, of_set, of_student = variances(SPREAD.latent, 0.6)
    own = (SPREAD.sets**2 + SPREAD.students**2) / 1e4 + (of_set + of_student) / 2000
    assert paired_sd(26) == pytest.approx(np.sqrt(2 * own), rel=0.05)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_with_many_sets_the_highest_mean_is_best_and_the_cheapest_near_it_within_the_margin(layout):
    found = np.array(list(losses(layout, 5, 200, 10, 26, sd := 0.014)))
    assert found[:, 0].mean() < 0.1 and (found[:, 1] < MARGIN / sd + 0.4).all()
    assert (found >= 0).all()


def test_a_seed_gives_the_same_studies():
    first, again, other = (list(losses("normal, sd 1", 5, 3, 5, seed, 0.014)) for seed in (1, 1, 2))
    assert first == again != other
