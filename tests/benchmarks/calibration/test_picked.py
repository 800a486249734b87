"""The simulation of what was picked: the plain interval is too narrow where sets dominate, the corrected one is not."""

from dataclasses import replace

import numpy as np

from calibration.generators import flat, sweep
from calibration.loss import design
from calibration.picked import IMAGES, SPREADS, covers


def test_picking_among_many_equal_ones_costs_coverage_that_the_correction_gives_back():
    own = replace(design(20, 10), images=IMAGES)
    drawn = sweep(60, 3, own, SPREADS["sets dominate"], flat(own))
    corrected, plain = np.mean([list(covers(one)) for one in drawn], 0)
    assert corrected >= 0.88 > 0.85 > plain
