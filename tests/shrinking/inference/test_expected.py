"""Against the analysis of variance by hand, the report's ``crossed``, and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.stats import power
from decoct.report.stats.answers import tally
from decoct.report.stats.crossed import crossed
from decoct.shrinking.inference.expected import common, expected


def difference(rng, students, images, noise=0.3):
    """Differences of answers in which images, students and both matter."""
    hard = rng.normal(size=images)
    a, b = (hard + rng.normal(0, noise, (students, images)) < bar for bar in (1.3, 1.0))
    return a.astype(np.float32) - b


@given(seed=st.integers(0, 500), students=st.integers(3, 6), images=st.integers(20, 60))
def test_one_stratum_is_what_the_report_has_for_sets_and_images(seed, students, images):
    d = difference(np.random.default_rng(seed), students, images)
    found = expected([d], True, [False])
    assume(found.by_image < found.students)  # else students agree by chance, and the variance is not lowered for it
    theirs = crossed(
        {(r, 0): float(x.mean(dtype=np.float64)) for r, x in enumerate(d)},
        tally(enumerate(d), signed=True),
        math.sqrt(1 / 6) / images,
    ).estimate()
    ours = found.estimate
    assert ours.mean == pytest.approx(theirs.mean, abs=1e-6)
    for mine, other in zip(ours.parts, theirs.parts, strict=True):
        assert mine == pytest.approx(other, rel=1e-4, abs=1e-9)


def test_folds_add_up_by_their_share_of_the_images():
    rng = np.random.default_rng(3)
    strata = [difference(rng, r, n) for r, n in ((3, 400), (2, 300), (4, 500))]
    n = np.array([x.shape[1] for x in strata])
    means = [x.mean(1) for x in strata]
    students = sum((k / n.sum()) ** 2 * m.var(ddof=1) / len(m) for k, m in zip(n, means, strict=True))
    noise = 0.0
    for x, k in zip(strata, n, strict=True):
        rest = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
        mean_square = float((rest**2).sum()) / ((len(x) - 1) * (k - 1))
        noise += (k / n.sum()) ** 2 * mean_square / (len(x) * k)
    noise = min(noise, students)  # the variance is never lowered below that of the images alone
    by_image = np.concatenate([x.mean(0) for x in strata])
    found = expected(strata, True, [False] * 3)
    assert found.mean == pytest.approx(by_image.mean(), abs=1e-7)
    assert (found.students, found.df) == (pytest.approx(students, rel=1e-5), 2 + 1 + 3)
    most = float((by_image**2).sum() / np.abs(by_image).sum())
    padded = np.append(by_image, [most, -most])  # the two images that ``Tally.added`` says
    assert found.images == pytest.approx(padded.var() / len(padded) - noise, rel=1e-4)
    assert (found.n, found.tested) == (2, 1200)


def test_a_deterministic_learner_has_the_images_part_alone():
    d = difference(np.random.default_rng(4), 1, 500)
    found = expected([np.repeat(d, 3, 0)], True, [True])
    won, lost = int((d > 0).sum()), int((d < 0).sum())
    n, p = 502, (won - lost) / 502  # Bonett and Price (2012): one pair more on each side
    variance = ((won + lost + 2) / n - p**2) / n
    assert found.students is None and found.n == 1
    assert found.half() == pytest.approx(reference.t.ppf(0.95, 499) * math.sqrt(variance), rel=1e-5)


def test_a_fold_whose_set_varies_counts_beside_one_whose_does_not():
    rng = np.random.default_rng(5)
    still, moving = difference(rng, 1, 200), difference(rng, 3, 200)
    found = expected([still, moving], True, [True, False])
    assert found.df == 2 and found.students == pytest.approx(moving.mean(1).var(ddof=1) / 3 / 4, rel=1e-5)


@pytest.mark.parametrize(
    ("strata", "fixed"),
    [([np.ones((1, 9))], [False]), ([np.ones((3, 0))], [False]), ([], []), ([np.ones((0, 9))], [True])],
)
def test_no_image_or_too_few_students_is_an_error(strata, fixed):
    with pytest.raises(ValueError, match="takes two"):
        expected(strata, False, fixed)


def test_students_who_agree_by_chance_are_not_certain():
    d = np.zeros((3, 50), np.float32)
    assert expected([d], True, [False]).students == pytest.approx(1 / 6 / 50**2 / 3)


def test_images_needed_is_the_closed_form_where_only_images_count():
    d = difference(np.random.default_rng(6), 1, 2000)
    found = expected([d], True, [True])
    z = reference.norm.ppf(0.95) + reference.norm.ppf(0.8)
    assert found.images_needed(0.01) == pytest.approx(z**2 * found.images * 2000 / 0.01**2, rel=0.01)


def test_images_do_not_help_where_students_differ_too_much():
    found = expected([np.stack([np.zeros(400), np.ones(400), np.zeros(400)])], True, [False])
    assert found.images_needed(0.1) is None and found.images_needed(0.0) is None


@given(margin=st.floats(0.005, 0.06))
def test_with_the_images_needed_four_studies_in_five_show_it(margin):
    found = expected([difference(np.random.default_rng(7), 4, 300)], True, [False])
    needed = found.images_needed(margin)
    if needed is None:
        return
    ratio = 300 / needed
    students = found.students - found.by_image * (1 - ratio)
    rng = np.random.default_rng(0)
    mean = rng.normal(0, math.sqrt(students + found.images * ratio), 40_000)
    seen = students * rng.chisquare(found.df, 40_000) / found.df
    t, z = reference.t.ppf(0.95, found.df), reference.t.ppf(0.95, max(needed - 1, 1))
    assert (mean + np.sqrt(t**2 * seen + z**2 * found.images * ratio) < margin).mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("margin", [0.2, 0.3, 0.5, 0.9, 5.0])
def test_a_wide_margin_takes_a_handful_of_images(margin):
    found = expected([difference(np.random.default_rng(6), 1, 300)], True, [True])
    needed = found.images_needed(margin)
    shows = [power.found(margin, found._with(n), 0.05) >= 0.8 for n in range(2, needed + 1)]
    assert 2 <= needed < 40 and shows[-1] and not any(shows[:-1])


def test_more_images_leave_what_students_add_by_themselves():
    rng = np.random.default_rng(8)
    found = expected([difference(rng, 5, 400, noise=1.0)], True, [False])
    assert 0 < found.by_image <= found.students
    assert found._with(400).parts == found.estimate.parts
    assert found._with(10**9).se ** 2 == pytest.approx(found.students - found.by_image, rel=1e-3, abs=1e-9)


def test_accuracies_of_one_kind_lend_degrees_of_freedom():
    rng = np.random.default_rng(9)
    errors = [expected([rng.random((3, 500)) < 0.8], False, [False]) for _ in range(8)]
    shared = common(errors)
    ((variance, df),) = errors[0].lent(shared)
    assert df == 2 + shared.df > 2
    assert variance == pytest.approx(
        max(errors[0].students, (shared.df * shared.variance + 2 * errors[0].students) / df)
    )
    still = expected([rng.random((1, 500)) < 0.8], False, [True])
    assert still.lent(shared) == () and common([still, *errors]) == shared


def test_the_interval_of_an_accuracy_stays_between_0_and_1():
    found = expected([np.ones((3, 20), np.bool_)], False, [False]).measured()
    assert found.mean == found.hi == 1 and 0.7 < found.lo < 1


def test_images_of_one_group_count_as_one():
    rng = np.random.default_rng(10)
    d = difference(rng, 1, 300)
    order = rng.permutation(1200)
    copies, groups = np.repeat(d, 4, 1)[:, order], np.repeat(np.arange(300) * 7, 4)[order]
    alone = expected([d], True, [True])
    together, naive = (expected([copies], True, [True], g) for g in ([groups], [None]))
    assert together.half() == pytest.approx(alone.half(), rel=1e-4)
    assert naive.half() == pytest.approx(alone.half() / 2, rel=0.06)
    assert (together.units, together.tested, naive.units) == (300, 1200, 1200)
    assert together.images_needed(0.02) == pytest.approx(4 * alone.images_needed(0.02), rel=0.05)


def test_groups_of_one_are_images_and_folds_share_no_group():
    rng = np.random.default_rng(11)
    strata = [difference(rng, 3, 200), difference(rng, 3, 150)]
    plain = expected(strata, True, [False] * 2)
    ones = expected(strata, True, [False] * 2, [np.arange(200)[::-1], None])
    assert ones.units == 350 and ones.images == pytest.approx(plain.images, rel=1e-5)
    halves = [np.arange(n) // 2 for n in (200, 150)]  # 0 of one fold is not 0 of the other
    assert expected(strata, True, [False] * 2, halves).units == 175


def test_one_group_says_nothing():
    d = difference(np.random.default_rng(12), 1, 300)
    assert expected([d], True, [True], [np.zeros(300, np.int64)]).half() > 1
