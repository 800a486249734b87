"""How often the report is wrong where the truth is known: null studies, planted differences, coverage.

The short forms run always; the long ones, with the bounds that are promised in ``docs/statistics.md``, are slow.
"""

import math

import numpy as np
import pytest
from scipy.special import expit

from decoct.report.accuracy import Setting
from decoct.report.sections.verdict import verdicts, worth
from decoct.report.stats import comparisons, intervals, nested
from decoct.report.stats.answers import over_images, tally

# The default design: src/decoct/study/digits.toml, and what its methods are.
FAMILIES = dict.fromkeys(("random", "herding", "k_center"), "coreset") | dict.fromkeys(
    ("rded", "sre2l"), "distillation"
)
SETTINGS = [
    Setting(protocol, "convnet3_w32", f"ipc={ipc}")
    for protocol in ("erm", "single_teacher", "multi_teacher")
    for ipc in (1, 10)
]
REPLICATES, IMAGES, MARGIN = 5, 360, 0.01
SET, STUDENT = 0.008, 0.006  # standard deviations: about one point for a student of a set
LONG = pytest.param(2000, marks=pytest.mark.slow)


def null_study(rng):
    """Equal methods: accuracies on the grid of the test images, replicates with luck that all methods share."""
    study = {}
    for setting in SETTINGS:
        shared = rng.normal(0, 0.02, REPLICATES)
        study[setting] = {}
        for method in FAMILIES:
            noise = rng.normal(0, SET, REPLICATES) + rng.normal(0, STUDENT, REPLICATES)
            values = np.round((0.6 + shared + noise) * IMAGES) / IMAGES
            study[setting][method] = {(c, 0): float(x) for c, x in enumerate(values)}
    return study


SIGNED = ("better", "worse")


@pytest.mark.parametrize(("studies", "most"), [(100, 0.08), pytest.param(2000, 0.06, marks=pytest.mark.slow)])
def test_few_null_studies_say_any_better_or_worse(studies, most):
    """Any such word at all, wherever it is counted or coloured; alone, each comparison errs in 5 %."""
    rng, floor = np.random.default_rng(0), intervals.grid_floor(IMAGES)
    alone, asked, study, best, worst, yes, at = 0, 0, 0, 0, 0, 0, 0
    for _ in range(studies):
        found = verdicts(null_study(rng), FAMILIES, MARGIN, floor)
        against = [c for v in found for c in v.coresets.values()]
        alone, asked = alone + sum(c.alone in SIGNED for c in against), asked + len(against)
        study += any(c.verdict in SIGNED for c in against) or any(v.against_coresets in SIGNED for v in found)
        best += sum(v.against_coresets == "better" for v in found)
        worst += sum(v.against_coresets == "worse" for v in found)
        at += len(found)
        said = worth(found)
        yes += said.answer.startswith("Yes") or said.answer == "In part"
        counted = any(f"{word}" in line for word in SIGNED for line in said.methods)
        assert not counted or any(c.verdict in SIGNED for c in against)
    rates = {"any word of a study": study / studies, "better than every coreset": best / at}
    rates |= {"worse than at least one": worst / at, "worth it": yes / studies, "alone": alone / asked}
    print({name: round(100 * rate, 2) for name, rate in rates.items()}, "%")
    assert max(rates.values()) <= most
    assert rates["alone"] > 0.03  # a test that never says anything is not calibrated either


@pytest.mark.parametrize("studies", [300, LONG])
@pytest.mark.parametrize(("sets", "power"), [(3, 0.8), (5, 0.8), (5, 0.5), (9, 0.9)])
def test_planted_differences_are_found_with_the_computed_power(studies, sets, power):
    rng, sd = np.random.default_rng(1), math.sqrt(2) * math.hypot(SET, STUDENT)
    planted = comparisons.detectable(sd, sets, power)
    assert planted > MARGIN  # else a difference that is found may be equivalent
    drawn = rng.normal(planted, sd, (studies, sets))
    none = {(c, 0): 0.0 for c in range(sets)}
    found = [nested.compare({(c, 0): float(x) for c, x in enumerate(row)}, none, MARGIN) for row in drawn]
    share = sum(c.verdict == "better" for c in found) / studies
    print("power", power, "found", share)
    assert share == pytest.approx(power, abs=3 * math.sqrt(power * (1 - power) / studies))


@pytest.mark.slow
def test_the_bootstrap_at_the_fewest_sets_has_nearly_the_computed_power(studies=2000, sets=nested.FEWEST):
    sd, none = 0.014, {(c, 0): 0.0 for c in range(sets)}
    drawn = np.random.default_rng(6).normal(comparisons.detectable(sd, sets), sd, (studies, sets))
    found = [nested.compare({(c, 0): float(x) for c, x in enumerate(row)}, none, 0.001) for row in drawn]
    assert {c.by for c in found} == {"bootstrap"}
    share = sum(c.verdict == "better" for c in found) / studies
    print("power 0.8, by the bootstrap found", share)
    assert 0.75 < share < 0.83


@pytest.mark.slow
@pytest.mark.parametrize("mean", [0.0, 0.004])
def test_planted_equivalence_is_found_with_the_computed_power(mean, studies=2000, sets=8, sd=0.007):
    drawn = np.random.default_rng(2).normal(mean, sd, (studies, sets))
    power = comparisons.equivalence_power(mean, sd, MARGIN, sets)
    share = sum(comparisons.compare(row, MARGIN).verdict == "equivalent" for row in drawn) / studies
    assert share == pytest.approx(power, abs=3 * math.sqrt(power * (1 - power) / studies))


def effects(rng, skewed, sd, shape):
    """Mean 0 and the given deviation; skewed: shifted log-normal of skewness 1.75."""
    if not skewed:
        return rng.normal(0, sd, shape)
    top = math.exp(0.25)
    return sd * (rng.lognormal(0, 0.5, shape) - math.sqrt(top)) / math.sqrt((top - 1) * top)


def nested_study(rng, skewed, sets, students, studies):
    """True value 0: [sets, students, studies]."""
    lucky = effects(rng, skewed, SET, (sets, 1, studies))
    return lucky + effects(rng, skewed, STUDENT, (sets, students, studies))


@pytest.mark.parametrize(("studies", "near"), [(500, 0.03), pytest.param(10_000, 0.015, marks=pytest.mark.slow)])
@pytest.mark.parametrize("students", [1, 3])
@pytest.mark.parametrize("sets", [2, 3, 5, nested.FEWEST - 1])
def test_the_t_below_the_fewest_sets_covers(studies, near, students, sets):
    means = nested_study(np.random.default_rng(3), False, sets, students, studies).mean(1).T
    found = [intervals.t_interval(row) for row in means]
    covered = np.mean([i.lo <= 0 <= i.hi for i in found])
    print("t,", sets, "sets,", students, "students covers", covered)
    assert covered == pytest.approx(0.95, abs=near)


@pytest.mark.parametrize(("studies", "near"), [(500, 0.03), pytest.param(10_000, 0.015, marks=pytest.mark.slow)])
@pytest.mark.parametrize("students", [1, 3])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_bootstrap_at_the_fewest_sets_covers(studies, near, students, skewed):
    sets, rng, covered = nested.FEWEST, np.random.default_rng(4), 0
    for _ in range(max(1, studies // 1000)):
        values = nested_study(rng, skewed, sets, students, min(studies, 1000))
        means = values.mean(1)
        mean, se = means.mean(0), means.std(0, ddof=1) / math.sqrt(sets)
        ratios = nested.pivots(values.reshape(sets * students, -1), (students,) * sets, draws=1999)
        lo, hi = (mean - nested.quantile(ratios, p) * se for p in (0.975, 0.025))
        covered += np.count_nonzero((lo <= 0) & (hi >= 0))
    print("bootstrap,", students, "students,", "skewed" if skewed else "normal", "covers", covered / studies)
    assert covered / studies == pytest.approx(0.95, abs=near)


@pytest.mark.parametrize("studies", [400, LONG])
@pytest.mark.parametrize("images", [30, 360, *(pytest.param(n, marks=pytest.mark.slow) for n in (100, 2000))])
@pytest.mark.parametrize("students", [1, 5])
def test_the_interval_over_images_covers(studies, images, students):
    """The students held, images of unlike difficulty drawn anew for each study."""
    rng, near = np.random.default_rng(5), 0.015 if studies >= 2000 else 0.035
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    covered = 0
    for _ in range(studies):
        ability = rng.normal(0.5, 0.3, (2, students, 1))
        truth = ((expit(2 * nodes + ability) * weights / weights.sum()).sum(-1)).mean(1)
        right = rng.random((2, students, images)) < expit(2 * rng.normal(size=images) + ability)
        found = over_images(tally((c, right[0, c].astype(np.int8) - right[1, c]) for c in range(students)))
        covered += found.lo <= truth[0] - truth[1] <= found.hi
    print("over", images, "images,", students, "students covers", covered / studies)
    assert covered / studies == pytest.approx(0.95, abs=near)
