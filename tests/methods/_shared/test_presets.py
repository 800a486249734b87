"""Presets on a method of two fields."""

from typing import ClassVar

import pytest

from decoct.core.errors import UsageError
from decoct.methods._shared.presets import Preset, WithPresets


class Two(WithPresets):
    """Two fields that presets know."""

    presets: ClassVar[dict[str, Preset]] = {"imagenet1k": {"a": 1, "b": 2}, "small": {"a": 3}, "other": {"a": 0}}
    a: int | None = None
    b: int | None = None


@pytest.mark.parametrize(("size", "expected"), [(224, (1, 2)), (65, (1, 2)), (64, (3, None)), (8, (3, None))])
def test_the_preset_of_the_resolution_fills_in_what_is_none(size, expected):
    spec = Two().at(size)
    assert (spec.a, spec.b) == expected and spec.at(8) == spec  # what is filled in stays


def test_a_field_wins_over_the_preset_and_a_name_over_the_resolution():
    assert Two(a=0, preset="imagenet1k").at(8) == Two(a=0, b=2, preset="imagenet1k")
    assert Two(preset="other").at(224).a == 0


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(UsageError, match=r"test_presets has no preset 'othr'\. Did you mean 'other'"):
        Two(preset="othr").at(8)
