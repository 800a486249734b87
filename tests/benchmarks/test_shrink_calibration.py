"""The tables are put in their place on the page, and leave the rest of it alone."""

import math

import pytest

from calibration import shrinking
from shrink_calibration import placed, power_law, still

PAGE = "# Title\n\nText.\n\n## Calibration\n\nWhat it says.\n\n### race\n\nold\n\n## Files\n\nMore.\n"


def test_a_table_replaces_its_own_and_the_rest_stays() -> None:
    once = placed(PAGE, "race", "### race\n\nnew\n")
    assert once == PAGE.replace("old", "new")
    both = placed(once, "test", "### test\n\nfirst\n")
    assert both.index("### test") < both.index("### race") < both.index("## Files") and "What it says." in both
    assert placed(both, "test", "### test\n\nfirst\n") == both
    assert placed("", "needed", "### needed\n\nx\n").startswith("## Calibration\n")


def test_the_truth_of_random_images_needed_is_on_the_power_law() -> None:
    truth, fall, at = power_law(0.3)
    lost = shrinking.CURVES["facility_location"][shrinking.SHARES.index(0.3)]
    assert fall < 0 and math.exp(at) * (truth / shrinking.CANDIDATES) ** fall == pytest.approx(lost)


def test_only_a_deterministic_learner_with_one_set_stands_still() -> None:
    world = shrinking.worlds()["all at the margin" + shrinking.DETERMINISTIC]
    assert still(world, "herding") and not still(world, "random")
    assert not still(shrinking.worlds()["all at the margin"], "herding")
