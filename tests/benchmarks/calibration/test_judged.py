"""A simulated study is judged as it is: by its own accuracies and answers, every pair once."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.generators import Design, Spread, flat, generator, study
from calibration.judged import judged, pairs, share, true_difference

DESIGN = Design(distilled=("d0", "d1"), settings=("hard 1", "soft 1"), sets=4, students=2, images=60)


def test_comparisons_are_of_the_studys_own_numbers() -> None:
    one = study(generator(0, 0), DESIGN, Spread(), flat(DESIGN, add={("d1", "soft 1"): 0.2}))
    once = pairs(judged(one))
    names = list(DESIGN.methods)
    assert one.correct is not None and len(once) == 2 * (2 * 3 + 3)
    for pair, c in once.items():
        setting, a, b = DESIGN.settings.index(pair[0]), names.index(pair[1]), names.index(pair[2])
        means = (one.accuracy[a, setting] - one.accuracy[b, setting]).mean(1)
        by_image = one.correct[a, setting].mean((0, 1)) - one.correct[b, setting].mean((0, 1))
        assert c.mean == pytest.approx(means.mean())
        assert c.sd == pytest.approx(max(means.std(ddof=1), 1 / np.sqrt(6) / 60))
        assert c.over_images is not None and c.over_images.mean == pytest.approx(by_image.mean(), abs=1e-6)
        assert true_difference(one, pair) == pytest.approx(one.truth[a, setting] - one.truth[b, setting])
    assert true_difference(one, ("soft 1", "d1", "random")) == pytest.approx(0.2)
    assert once["soft 1", "d1", "random"].family == 18


def test_without_images_sets_alone_are_judged() -> None:
    design = replace(DESIGN, images=0)
    one = study(generator(0, 0), design, Spread(), flat(design), fast=True)
    assert {c.over_images for c in pairs(judged(one)).values()} == {None}


def test_share_is_a_mean_with_its_error_over_studies() -> None:
    mean, error = share([True] * 30 + [False] * 70)
    assert mean == pytest.approx(30) and error == pytest.approx(196 * np.sqrt(0.3 * 0.7 / 99))
    assert share([0.0] * 100) == (0, pytest.approx(3)) and share([1.0] * 50) == (100, pytest.approx(6))
