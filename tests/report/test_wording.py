"""Numbers as people read them."""

import pytest

from decoct.report import wording
from decoct.report.stats.comparisons import compare
from decoct.report.stats.intervals import Interval


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.points(0.0312), "+3.1"),
        (wording.points(-0.0312), "−3.1"),
        (wording.points(-0.0001), "0.0"),
        (wording.bounds(-0.0001, 0.05), "[0.0, 5.0]"),
        (wording.seconds(0.0853), "85 ms"),
        (wording.seconds(190), "3 min 10 s"),
        (wording.seconds(7500), "2 h 5 min"),
        (wording.size(999), "999 B"),
        (wording.size(5.67e9), "5.67 GB"),
        (wording.budget("ipc=10"), "IPC 10"),
        (wording.budget("fraction=0.07"), "7 % of each class"),
        (wording.budget("fraction=0.125 balanced"), "12.5 %, balanced"),
        (wording.budget("images=1"), "1 image"),
        (wording.budget("images=12811"), "12,811 images"),
        (wording.budget("images=25 unbalanced"), "25 images, unbalanced"),
        (wording.budget("all"), "all"),
    ],
)
def test_numbers_for_people(said, expected):
    assert said == expected


def test_a_difference_that_other_images_could_undo_says_so():
    from dataclasses import replace

    found = compare([0.02, 0.021, 0.019])
    plain = wording.comparison("a", "b", found)
    sure = replace(found, over_images=Interval(0.02, 0.004, 0.036, 360, "images"))
    flagged = replace(found, over_images=Interval(0.02, -0.004, 0.044, 360, "images"))
    assert wording.comparison("a", "b", sure) == plain
    end = "on these test images, since it is [−0.4, 4.4] over 360 test images"
    assert wording.comparison("a", "b", flagged) == f"{plain}; {end}"
