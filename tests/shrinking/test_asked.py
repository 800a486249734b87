import pytest

from decoct.core.errors import UsageError
from decoct.shrinking.asked import Asked


def test_points_and_shares():
    assert Asked.of(within="1").within.points(0.9) == 0.01
    assert Asked.of(within=2.5).within.points(0.9) == 0.025
    assert Asked.of(within="2%").within.points(0.9) == pytest.approx(0.018)
    assert Asked.of(within="2 %").within.relative
    assert Asked.of().within is None
    assert Asked.of(worst=5).worst == 0.05


@pytest.mark.parametrize(
    "asked",
    [
        {"within": "1", "images": 5},
        {"images": 5, "fraction": 0.5},
        {"within": "one"},
        {"within": "0"},
        {"within": "-1"},
        {"within": "nan"},
        {"within": "100"},
        {"fraction": 1.0},
        {"fraction": 0.0},
        {"images": 0},
        {"worst": 0},
        {"minutes": 0},
        {"minutes": float("inf")},
    ],
)
def test_what_cannot_be_meant_is_refused(asked):
    with pytest.raises(UsageError, match=r"--|margin"):
        Asked.of(**asked)


def test_margins_are_spelt():
    assert Asked.of(within="1").spelt() == "1.0 point"
    assert Asked.of(within="2%").spelt() == "2 % of the accuracy"
    assert Asked.of(worst=5).spelt() == "5.0 points in every class"
    assert Asked.of(images=5).spelt() == ""


def test_only_what_was_said_is_printed():
    assert Asked.of(within="2%", worst=5).to_json() == {"within": 0.02, "relative": True, "worst": 0.05}
