"""The closed forms of the named cases, against studies drawn from them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.generators import Spread, flat, sweep
from calibration.named import NAMED, wide

PAIRS = [("d0", "d1"), ("d2", "random"), ("d0", "herding")]


def differences(name: str, a: str, b: str, studies: int, fast: bool, **sizes: int) -> NDArray[np.float64]:
    """Points, [studies, settings, sets]: students averaged."""
    case = NAMED[name].at(**sizes)
    i, j = case.design.methods.index(a), case.design.methods.index(b)
    drawn = sweep(studies, 23, case.design, case.spread, flat(case.design), fast=fast)
    return np.stack([100 * (one.accuracy[i] - one.accuracy[j]).mean(-1) for one in drawn])


def test_ordinary_sd_in_words() -> None:
    """Two stochastic methods: √(2 (.7² + .5²)); one against a fixed set: √(.7² + 2 · .5²); five times on one side."""
    case = NAMED["normal"].at(images=0)
    assert case.sd_of_difference("d0", "d1", "hard 1") == pytest.approx(1.48**0.5)
    assert case.sd_of_difference("d0", "herding", "hard 1") == pytest.approx(0.99**0.5)
    assert case.at(students=5).sd_of_difference("d0", "d1", "hard 1") == pytest.approx((2 * (0.49 + 0.05)) ** 0.5)
    six = NAMED["six_wide"].at(images=0)
    assert six.sd_of_difference("d0", "d1", "hard 1") == pytest.approx((26 * 0.74) ** 0.5)
    assert six.sd_of_difference("d0", "d1", "hard 10") == pytest.approx(1.48**0.5)
    assert len(six.spread.wide) == 6


@pytest.mark.parametrize("sd", [0.9, 1.2, 2.0, 2.2, 4.0])
def test_wide_spreads_have_the_sd_they_name(sd: float) -> None:
    assert NAMED[f"sd_{sd:g}"].at(images=0).sd_of_difference("d0", "random", "hard 1") == pytest.approx(sd)
    assert wide(sd).sets / wide(sd).students == pytest.approx(Spread().sets / Spread().students)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_spread_without_images(name: str, a: str, b: str) -> None:
    case = NAMED[name].at(images=0, sets=50, students=2)
    seen = differences(name, a, b, 500, True, images=0, sets=50, students=2).var(axis=2, ddof=1).mean(0)
    wanted = [case.sd_of_difference(a, b, setting) ** 2 for setting in case.design.settings]
    np.testing.assert_allclose(seen, wanted, rtol=0.1 if name == "unequal" else 0.06)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_spread_with_images(a: str, b: str, fast: bool) -> None:
    """Over replicates on given images, and of the mean over new sets, students and images."""
    sizes = {"sets": 3, "students": 2, "images": 60}
    case = NAMED["normal"].at(**sizes)
    seen = differences("normal", a, b, 600, fast, **sizes)
    within, total = seen.var(axis=2, ddof=1).mean(), (seen.mean(2) ** 2).mean()
    assert within == pytest.approx(case.sd_of_difference(a, b, "hard 1") ** 2, rel=0.06)
    assert total == pytest.approx(case.sd_of_mean(a, b, "hard 1") ** 2, rel=0.09)


@pytest.mark.parametrize("name", NAMED)
def test_every_case_draws_answers(name: str) -> None:
    case = NAMED[name].at(sets=3, images=40)
    one = case.draw(np.random.default_rng(0), flat(case.design))
    assert one.correct is not None and one.correct.shape == (10, 6, 3, 1, 40)
    assert one.clipped == 0
