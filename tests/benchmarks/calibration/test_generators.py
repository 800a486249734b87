"""Simulated studies have the truth, the spreads and the shapes that they name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import skew

from calibration import generators
from calibration.generators import Design, Spread, Study, flat, generator, study, sweep
from calibration.latent import Latent

DESIGN = Design(distilled=("d0", "d1"), settings=("hard 1", "soft 1"), sets=4, images=0)
OWN = replace(DESIGN, fixed=())
D0, D1, RANDOM, HERDING = 0, 1, 2, 3


def expected(spread: Spread, design: Design = DESIGN, studies: int = 1, seed: int = 0) -> NDArray[np.float64]:
    """Points from the truth, [studies, methods, settings, sets, students]."""
    drawn = sweep(studies, seed, design, spread, flat(design), fast=True)
    return 100 * np.stack([one.expected - one.truth[..., None, None] for one in drawn])


def test_same_seed_same_study() -> None:
    design = replace(DESIGN, images=50)
    kept = list(sweep(4, 7, design, Spread(), flat(design)))
    child = np.random.SeedSequence(7).spawn(4)[3]
    again = study(np.random.default_rng(child), design, Spread(), flat(design))
    later = next(sweep(1, 7, design, Spread(), flat(design), start=3))
    for other in (again, later):
        assert kept[3].correct is not None and other.correct is not None
        np.testing.assert_array_equal(kept[3].correct, other.correct)
        np.testing.assert_array_equal(kept[3].expected, other.expected)
    assert (kept[2].expected != kept[3].expected).all(axis=(1, 2, 3)).any()
    np.testing.assert_array_equal(study(generator(7, 3), design, Spread(), flat(design)).accuracy, kept[3].accuracy)


def test_shapes_and_truth() -> None:
    design = replace(DESIGN, images=50, students=3)
    truth = flat(design, 0.5, {("d1", "soft 1"): 0.03})
    one = study(generator(0, 0), design, Spread(), truth)
    assert one.correct is not None
    assert one.correct.shape == (5, 2, 4, 3, 50)
    np.testing.assert_allclose(one.accuracy, one.correct.mean(-1))
    assert one.truth[D1, 1] == pytest.approx(0.53) and one.truth.sum() == pytest.approx(10 * 0.5 + 0.03)
    assert one.clipped == 0 and not one.failed.any() and (one.factor == 1).all()


def test_accuracy_is_the_students_own_where_images_are_many() -> None:
    design = replace(DESIGN, images=100_000, sets=2)
    one = study(generator(0, 1), design, Spread(sets=3, students=3), flat(design))
    z = (one.accuracy - one.expected) / np.sqrt(one.expected * (1 - one.expected) / design.images)
    assert np.abs(z).max() < 4
    none = study(generator(0, 1), DESIGN, Spread(), flat(DESIGN), fast=True)
    np.testing.assert_array_equal(none.accuracy, none.expected)


def mean_error(studies: list[Study]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean accuracy minus truth, and its standard error over studies; [methods, settings]."""
    errors = np.stack([each.accuracy.mean((2, 3)) - each.truth for each in studies])
    return errors.mean(0), errors.std(0, ddof=1) / len(studies) ** 0.5


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    "spread",
    [
        Spread(),
        Spread(sets=4, students=4, shape="exponential", one_sided=True),
        Spread(failing=0.1, drop=30),
        Spread(unequal=2, same_sets=True),
    ],
)
def test_the_mean_over_sets_students_and_images_is_the_truth(spread: Spread, fast: bool) -> None:
    design = replace(DESIGN, images=100)
    truth = flat(design, 0.6, {("d0", "hard 1"): 0.1})
    mean, error = mean_error(list(sweep(1500, 11, design, spread, truth, fast=fast)))
    assert np.abs(mean / error).max() < 3.7


def test_a_fixed_coreset_has_no_effect_of_sets() -> None:
    drawn = expected(Spread(students=0, shared=0), studies=3)
    np.testing.assert_allclose(drawn[:, HERDING:], 0, atol=1e-9)
    assert (drawn[:, :HERDING].std(axis=3) > 0).all()


def test_students_of_one_set_share_it_and_methods_share_the_replicate() -> None:
    by_set = expected(Spread(students=0, shared=0), replace(DESIGN, students=3))
    np.testing.assert_allclose(by_set[..., :1].repeat(3, -1), by_set)
    shared = expected(Spread(sets=0, students=0), replace(DESIGN, students=3, sets=2000))
    np.testing.assert_allclose(shared, shared[:, :1].repeat(5, 1), atol=1e-9)
    assert shared[0, 0].std() == pytest.approx(0.3, rel=0.05)
    assert np.abs(np.corrcoef(shared[0, 0].reshape(2, -1))[0, 1]) < 0.05  # settings have their own


def test_same_sets_are_of_a_budget() -> None:
    design = Design(images=0)
    drawn = expected(Spread(students=0, shared=0, same_sets=True), design)[0]
    np.testing.assert_allclose(drawn[:, 0], drawn[:, 1])
    assert (drawn[: len(design.distilled), 1] != drawn[: len(design.distilled), 2]).all()


@pytest.mark.parametrize(("shape", "skewness"), [("normal", 0), ("gamma4", 1), ("exponential", 2)])
@pytest.mark.parametrize("tail", [1, -1])
def test_effects_are_centred_and_scaled_whatever_their_shape(shape: str, skewness: float, tail: int) -> None:
    many = replace(OWN, sets=60_000)
    for spread in (Spread(students=0, shared=0), Spread(sets=0, shared=0)):
        drawn = expected(replace(spread, shape=shape, tail=tail), many)[0, :, :, :, 0]
        assert drawn.mean() == pytest.approx(0, abs=4 * 0.7 / drawn.size**0.5)
        assert drawn.std() == pytest.approx(max(spread.sets * (spread.students == 0), spread.students), rel=0.01)
        assert skew(drawn, axis=None) == pytest.approx(tail * skewness, abs=0.06)


def test_skew_cancels_unless_it_is_one_sided() -> None:
    alike = expected(Spread(shape="gamma4"), replace(OWN, sets=100_000))[0, :, 0, :, 0]
    for method in (D1, RANDOM, HERDING):
        assert skew(alike[D0] - alike[method]) == pytest.approx(0, abs=0.05)
    one = expected(Spread(shape="gamma4", one_sided=True), replace(DESIGN, sets=100_000))[0, :, 0, :, 0]
    assert skew(one[HERDING]) == pytest.approx(0, abs=0.05)
    assert skew(one[D0] - one[RANDOM]) == pytest.approx(0, abs=0.05)
    # third central moments add up: those of 0.7 and 0.5 times a variable of skewness 1
    assert skew(one[D0] - one[HERDING]) == pytest.approx((0.7**3 + 0.5**3) / (0.49 + 2 * 0.25) ** 1.5, abs=0.05)


def test_failures_come_at_their_rate_and_cost_their_drop() -> None:
    design = replace(DESIGN, sets=20_000, students=2)
    spread = Spread(sets=0, students=0, shared=0, failing=0.1, drop=30)
    one = study(generator(5, 0), design, spread, flat(design), fast=True)
    assert one.failed.mean() == pytest.approx(0.1, abs=0.003)
    assert (one.failed.mean((1, 2, 3)) > 0.09).all()
    np.testing.assert_allclose(one.expected[one.failed], 0.6 - 0.27)
    np.testing.assert_allclose(one.expected[~one.failed], 0.6 + 0.03)


def test_unequal_spreads_are_log_uniform_of_each_method() -> None:
    drawn = list(sweep(2000, 3, DESIGN, Spread(unequal=2), flat(DESIGN), fast=True))
    factor = np.stack([one.factor for one in drawn])
    np.testing.assert_array_equal(factor[..., 0], factor[..., 1])
    logs = np.log2(factor[..., 0].ravel())
    assert logs.min() >= -1 and logs.max() <= 1
    np.testing.assert_allclose(np.quantile(logs, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.04)
    assert (factor**2).mean() == pytest.approx(Spread(unequal=2).mean_square_factor(), rel=0.03)


def test_what_leaves_the_scale_is_clipped_and_counted() -> None:
    one = study(generator(0, 0), DESIGN, Spread(sets=20), flat(DESIGN, 0.95), fast=True)
    assert one.expected.max() == 1 and one.clipped == (one.expected == 1).sum() > 0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="both sides"):
        study(generator(0, 0), DESIGN, Spread(shape="gamma4"), flat(DESIGN))
    with pytest.raises(ValueError, match="less than never"):
        study(generator(0, 0), DESIGN, Spread(failing=0.1, drop=30), flat(DESIGN, 0.2))
    with pytest.raises(ValueError, match="only coresets"):
        Design(fixed=("d0",))
    with pytest.raises(ValueError, match="all protocols"):
        Design(settings=("one",))


def test_images_reach_the_answers() -> None:
    """Where images decide alone, all methods are right on the same ones."""
    design = replace(DESIGN, images=400)
    same = Spread(sets=0, students=0, shared=0, latent=Latent(1, 0, 0, 1e-6))
    right = study(generator(0, 2), design, same, flat(design)).correct
    assert right is not None
    assert (right == right[:1, :1, :1, :1]).mean() > 0.999


def test_nothing_of_the_code_under_test_is_imported() -> None:
    for name in ("generators", "latent", "named"):
        assert "decoct" not in Path(generators.__file__).with_name(f"{name}.py").read_text()
