"""Numbers as people read them."""

import pytest

from decoct.report import wording


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
