"""Average ranks against Demšar's published example, scipy, and a naive rewrite of every order of ranks."""

import math
from itertools import permutations, product

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from tests.report.conftest import view

from decoct.report.page.plot import marks
from decoct.report.read import frame
from decoct.report.sections.evidence.ranks import diagram, exactly, friedman, joined, nemenyi, over_data, ranked, show
from decoct.report.summary import summarise

# Demšar (2006), table 6: ranks of four classifiers on 14 data sets.
DEMSAR = [
    *([4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5], [3, 2, 4, 1]),
    *([2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5], [3, 2, 4, 1], [4, 1, 2, 3], [3, 1, 4, 2]),
]
NAMES = ("c45", "m", "cf", "both")


def as_blocks(rows, names):
    """Accuracies whose ranks are the rows, each of a data set of its own."""
    return {
        (str(i), "ipc=1"): {n: -float(rank) for n, rank in zip(names, row, strict=True)} for i, row in enumerate(rows)
    }


def test_demsars_example():
    found = over_data(as_blocks(DEMSAR, NAMES), NAMES)
    assert found.mean == pytest.approx({"both": 1.964, "m": 2.0, "cf": 2.893, "c45": 3.143}, abs=5e-4)
    assert list(found.mean) == ["both", "m", "cf", "c45"]
    assert found.critical == pytest.approx(1.25, abs=0.005)  # q of 2.569
    assert found.p < 0.05
    # He finds that the post-hoc test is not powerful enough to tell any two but the best and the worst by a hair.
    assert found.groups == (("both", "m", "cf", "c45"),)


@pytest.mark.parametrize(
    ("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (10, 3.164)]
)
def test_critical_differences_are_those_of_demsars_table(methods, q):
    assert nemenyi(methods, 14) == pytest.approx(q * math.sqrt(methods * (methods + 1) / (6 * 14)), rel=1e-3)


blocks_of = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 3), min_size=k, max_size=k), min_size=1, max_size=4 if k < 4 else 3)
)


@given(blocks_of)
@settings(deadline=None)
def test_the_exact_test_deals_out_every_order(values):
    rows = [reference.rankdata(row).tolist() for row in values]
    k, n = len(rows[0]), len(rows)
    centre = n * (k + 1) / 2

    def spread(dealt):
        return sum((sum(column) - centre) ** 2 for column in zip(*dealt, strict=True))

    if all(len(set(row)) == 1 for row in rows):
        assert math.isnan(friedman(rows))
        return
    dealt = list(product(*(list(permutations(row)) for row in rows)))
    naive = sum(spread(each) >= spread(rows) - 1e-9 for each in dealt) / len(dealt)
    assert friedman(rows) == pytest.approx(naive)


@given(st.lists(st.booleans(), min_size=3, max_size=12))
def test_of_two_methods_it_is_the_sign_test(first):
    rows = [[1.0, 2.0] if wins else [2.0, 1.0] for wins in first]
    assert friedman(rows) == pytest.approx(reference.binomtest(sum(first), len(first)).pvalue)


@given(st.integers(6, 9), st.integers(3, 12), st.integers(0, 99))
@settings(deadline=None)
def test_beyond_few_methods_it_is_iman_and_davenport_from_scipys_statistic(k, n, seed):
    scores = np.random.default_rng(seed).integers(0, 6, (n, k)).astype(float)
    rows = reference.rankdata(scores, axis=1).tolist()
    chi = reference.friedmanchisquare(*scores.T).statistic
    f = (n - 1) * chi / (n * (k - 1) - chi)
    assert not exactly(k, n)
    assert friedman(rows) == pytest.approx(reference.f.sf(f, k - 1, (k - 1) * (n - 1)))


def test_no_p_is_below_the_chance_that_all_blocks_agree():
    rows = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]] * 3
    assert friedman(rows) == pytest.approx(1 / math.factorial(6) ** 2)
    assert friedman([[1.0, 2.0, 3.0]] * 3) == pytest.approx(1 / 36)


def test_studies_that_hold_nothing_seldom_find_something():
    """2,000 studies of three methods on three blocks: F alone would find something in 19 of 100."""
    rng = np.random.default_rng(0)
    found = [friedman(rng.permuted([[1.0, 2.0, 3.0]] * 3, axis=1).tolist()) < 0.05 for _ in range(2000)]
    assert np.mean(found) < 0.05


@given(st.lists(st.floats(1, 8), min_size=2, max_size=8), st.floats(0.1, 4))
def test_bars_join_exactly_what_is_closer_than_the_critical_difference(means, critical):
    names = [str(i) for i in range(len(means))]
    place = dict(zip(names, sorted(means), strict=True))

    def alike(a, b):
        return abs(place[a] - place[b]) < critical

    groups = joined(names, alike)
    pairs = {(a, b) for i, a in enumerate(names) for b in names[i + 1 :]}
    under = {(a, b) for group in groups for i, a in enumerate(group) for b in group[i + 1 :]}
    assert under == {pair for pair in pairs if alike(*pair)}
    assert not any(set(a) < set(b) for a in groups for b in groups)


def test_only_complete_blocks_count_and_methods_without_results_are_named():
    blocks = as_blocks([[1, 2, 3]] * 4, ("a", "b", "c"))
    blocks = {("data", budget): own for (budget, _), own in blocks.items()}
    del blocks["data", "1"]["b"]
    found = ranked(blocks, ("a", "b", "c", "never"))
    assert (len(found.blocks), found.incomplete, found.absent) == (3, 1, ("never",))
    said = " ".join(found.sentences())
    assert "Not counted: 1 budget" in said and "Not ranked, because results are missing: never" in said


def test_what_cannot_be_ranked_or_tested_is_said():
    one = ranked(as_blocks([[1]], ("a",)), ("a",))
    assert not one.mean and "nothing can be ranked" in one.sentences()[0]
    assert ranked({}, ("a", "b")).mean == {}
    two = over_data(as_blocks([[1, 2]] * 2, ("a", "b")), ("a", "b"))
    assert two.mean == {"a": 1.0, "b": 2.0} and not two.tested and two.groups == ()
    assert "Too few for a test" in two.sentences()[1]
    tied = over_data(as_blocks([[1, 1, 1]] * 5, ("a", "b", "c")), ("a", "b", "c"))
    assert set(tied.mean.values()) == {2.0} and not tied.tested
    assert "tied everywhere" in tied.sentences()[1]


def test_what_is_not_told_apart_is_never_called_equal():
    open_ = over_data(as_blocks([[1, 2, 3], [3, 2, 1], [2, 1, 3]], ("a", "b", "c")), ("a", "b", "c"))
    assert open_.groups == (tuple(open_.mean),)
    assert "do not distinguish the methods" in open_.sentences()[1]
    sure = over_data(as_blocks([[1, 2, 3]] * 8, ("a", "b", "c")), ("a", "b", "c"))
    assert sure.groups == (("a", "b"), ("b", "c"))
    assert "not distinguished: a and b; b and c" in sure.sentences()[1]
    assert not any("equal" in line for each in (open_, sure) for line in each.sentences())


def test_data_sets_alone_are_fewer_blocks():
    """x wins both budgets of one data set; y wins the two others, one budget each by one rank."""
    blocks = {("one", "1"): {"x": 3.0, "y": 1.0, "z": 2.0}, ("one", "2"): {"x": 3.0, "y": 2.0, "z": 1.0}}
    blocks |= {("two", "1"): {"x": 1.0, "y": 3.0, "z": 2.0}, ("three", "1"): {"x": 2.0, "y": 3.0, "z": 1.0}}
    blocks |= {("four", "1"): {"x": 2.0}}
    methods = ("x", "y", "z")
    assert over_data({k: v for k, v in blocks.items() if k[0] != "four"}, methods).mean == pytest.approx(
        {"y": (2.5 + 1 + 1) / 3, "x": (1 + 3 + 2) / 3, "z": (2.5 + 2 + 3) / 3}
    )
    assert over_data(blocks, methods).absent == ("y", "z")  # the fourth data set has no result of them


def test_budgets_of_one_data_set_are_described_and_not_tested():
    found = ranked(as_blocks([[1, 2, 3]] * 8, ("a", "b", "c")), ("a", "b", "c"))
    assert found.mean == {"a": 1.0, "b": 2.0, "c": 3.0} and not found.tested
    assert math.isnan(found.critical) and found.groups == ()
    assert found.sentences() == ["Average ranks over 8 budgets, 1 is best: a 1.00, b 2.00, c 3.00"]


DRAWN = ("a", "<b>", "c")
MARKS = marks(dict.fromkeys(DRAWN, "coreset"))


def of(blocks):
    return over_data({(str(i), "ipc=1"): dict(zip(DRAWN, (3.0, 2.0, 1.0), strict=True)) for i in range(blocks)}, DRAWN)


def test_dots_stand_at_ranks_and_bars_over_groups():
    own = of(8)
    figure = diagram(own, MARKS)
    go.Figure(data=figure["data"], layout={k: v for k, v in figure["layout"].items() if k != "meta"})
    dots = {t["meta"]["method"]: t["x"][0] for t in figure["data"] if t["mode"] == "markers"}
    assert dots == own.mean == {"a": 1.0, "<b>": 2.0, "c": 3.0}
    bars = [t for t in figure["data"] if t.get("customdata", [""])[0].startswith("not distinguished")]
    assert len(bars) == len(own.groups) == 2
    for bar, group in zip(bars, own.groups, strict=True):
        assert bar["x"][0] < own.mean[group[0]] and bar["x"][1] > own.mean[group[-1]]
    dotted = [t["x"][1] for t in figure["data"] if t.get("line", {}).get("dash") == "dot"]
    assert dotted == pytest.approx([1 + own.critical])
    assert "<b>" not in "".join(figure["layout"]["yaxis"]["ticktext"])


def test_without_a_test_there_are_dots_alone():
    figure = diagram(of(2), MARKS)
    assert {t["mode"] for t in figure["data"]} == {"markers"}
    assert diagram(over_data({}, DRAWN), MARKS) is None


def test_a_run_of_one_budget_has_no_section(builder):
    tables = frame.read(builder.build())
    summary = summarise(tables)
    section = show(view(summary), summary.run.data["name"])
    assert (
        "Average ranks over 2 budgets" in section and "no test is made on them" in section and "Friedman" not in section
    )
    other = type(builder)(builder.folder.parent / "one", budgets=("ipc=1",))
    tables = frame.read(other.build())
    summary = summarise(tables)
    assert show(view(summary), summary.run.data["name"]) == ""
