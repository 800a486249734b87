"""Two runs side by side: planted changes are found, what is the same is said to be, and what differs is refused."""

import io
import json
import math
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats as reference

from decoct.core.errors import UsageError
from decoct.core.record import read_cost, write_cost
from decoct.report.read import frame
from decoct.report.read.manifest import Manifest
from decoct.report.several import terminal
from decoct.report.several.compare import Change, apart, change, compare, differences, flat, worded
from decoct.report.stats import comparisons
from decoct.report.stats.answers import tally
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import Interval

HOSTILE = "[bold red]x[/] <script>alert(1)</script> \x1b[31m"


def printed(found, width=200):
    console = Console(width=width, file=io.StringIO())
    console.print(terminal.comparison(found))
    return console.file.getvalue()


@pytest.fixture
def two(builder, tmp_path, rekeyed):
    """``two(changes of the second builder)``: tables of two runs whose cells are their own."""

    def make(**changes):
        own = {"protocols": ("erm",), "budgets": ("ipc=1",), "class_names": ("0", "1")}
        for side in "ab":
            shutil.rmtree(tmp_path / side, ignore_errors=True)
        first = type(builder)(tmp_path / "a", **own).build()
        second = rekeyed(type(builder)(tmp_path / "b", **{**own, **changes}).build(), "b")
        return frame.read(first), frame.read(second)

    return make


def words(found):
    return {t.facts["method"]: t.change.word for t in found.trained if t.change}


def test_a_planted_change_is_found_and_nothing_else(two):
    found = compare(*two(truth={"random": 0.5, "herding": 0.52, "k_center": 0.45, "rded": 0.7, "sre2l": 0.2}))
    assert found.paired
    told = words(found)
    assert (told["rded"], told["sre2l"]) == ("better", "worse")
    assert all(told[m] in ("same", "open") for m in ("random", "herding", "k_center", "full"))
    rded = next(t for t in found.trained if t.facts["method"] == "rded")
    assert rded.change.interval.mean == pytest.approx(0.1, abs=0.02)
    assert "rded under erm with convnet3_w32 at IPC 1: B is better than A" in rded.facts["text"]
    assert "n = 5 pairs" in rded.facts["text"]
    assert {t.facts["method"] for t in found.trained if t.facts["conditional_on_set"]} == {"herding", "k_center"}
    assert "herding†" in printed(found) and "rded†" not in printed(found)


def test_other_seeds_do_not_pair(two, edited, tmp_path):
    two()
    edited(tmp_path / "b", lambda run: run["study"].update(seed=1))
    found = compare(frame.read(tmp_path / "a"), frame.read(tmp_path / "b"))
    assert not found.paired and "Welch" in found.how() and "seed: 0 → 1" in found.settings
    assert all(not t.change.paired and t.change.n in ((5, 5), (1, 1)) for t in found.trained)


def test_the_same_cells_are_no_comparison(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    found = compare(frame.read(run), frame.read(tmp_path / "copy"))
    assert (
        found.settings == ()
        and all(t.change is None for t in found.trained)
        and all(r.change is None for r in found.read)
    )
    assert found.overall() == "33 results from the same students in both runs"
    assert "same students" in printed(found)


def test_settings_in_words(two, edited, tmp_path):
    two(replicates=3)

    def change(run):
        run["methods"]["rded"]["config"]["factor"] = 2
        run["methods"]["new"] = run["methods"].pop("sre2l")
        run["study"]["protocols"]["erm"]["steps"] = 900

    edited(tmp_path / "b", change)
    said = differences(Manifest.read(tmp_path / "a"), Manifest.read(tmp_path / "b"))
    assert "replicates.condense: 5 → 3" in said
    assert "method rded factor: 1 → 2" in said
    assert "protocol erm steps: 500 → 900" in said
    assert "only A has the method sre2l" in said and "only B has the method new" in said


def test_tables_by_path():
    a, b = {"x": {"y": 1, "z": [1]}, "w": {}}, {"x": {"y": 2, "z": [1]}, "v": None}
    assert flat(a) == {"x.y": 1, "x.z": [1], "w": {}}
    assert apart(a, b) == ["x.y", "w", "v"]


def test_readings_change_and_other_nets_are_not_compared(two, edited, tmp_path):
    found = compare(*two(shift=lambda method, metric, _: 0.3 * (method == "rded" and metric == "coverage")))
    told = {(r.facts["method"], r.facts["metric"]): r.change.word for r in found.read if r.change}
    assert told["rded", "coverage"] == "better"
    assert "coverage" in printed(found)

    def another(run):
        for job in run["jobs"]:
            if job["kind"] == "features":
                job["key"] = "f" * 32

    edited(tmp_path / "b", another)
    found = compare(frame.read(tmp_path / "a"), frame.read(tmp_path / "b"))
    assert found.read == () and any("a different net" in line for line in found.unlike)


def test_costs_are_ratios_between_like_machines(two, tmp_path):
    found = compare(*two())
    ratio = {(p.facts["method"], p.facts["cost"]): p.facts for p in found.priced}
    assert ratio["rded", "seconds"]["ratio"] == pytest.approx(1) and ratio["rded", "seconds"]["n"] == 5
    assert ratio["herding", "seconds"]["ci95"] is None  # one set
    for file in (tmp_path / "b" / "store").rglob("measured.json"):
        write_cost(file.parent, read_cost(file).model_copy(update={"hardware": "Other CPU"}))
    found = compare(frame.read(tmp_path / "a"), frame.read(tmp_path / "b"))
    ratio = {(p.facts["method"], p.facts["cost"]): p.facts["ratio"] for p in found.priced}
    assert ratio["rded", "seconds"] is None and ratio["rded", "bytes"] == pytest.approx(1)
    assert any(line.startswith("hardware: Test CPU") for line in found.settings)
    assert "machines differ" in printed(found)


def test_half_a_run_and_no_method_in_common(two, edited, tmp_path):
    half = compare(*two(holes=lambda job: job["kind"] == "train" and job.get("method") != "random"))
    assert [t.facts["method"] for t in half.trained] == ["random"] and half.alone == {"A": 5, "B": 0}
    assert "5 results only in A" in printed(half)
    none = compare(*two(methods={"new": ("coreset", True)}, truth={"new": 0.5}, full=False))
    assert none.trained == () and "No method has a result in both runs" in printed(none)
    json.dumps(none.to_json(), allow_nan=False)


def test_what_cannot_be_compared_is_refused(run, builder, tmp_path, on_other_data):
    with pytest.raises(UsageError, match="same run twice"):
        compare(frame.read(run), frame.read(run / ".." / "run"))
    other = on_other_data(type(builder)(tmp_path / "other").build(), "faces")
    with pytest.raises(UsageError, match=r"different data(.|\n)*decoct report"):
        compare(frame.read(run), frame.read(other))


def test_json_has_no_nan_and_names_stay_text(two, edited, tmp_path):
    two()
    for side in "ab":
        edited(tmp_path / side, lambda run: run.update(name=HOSTILE))
    found = compare(frame.read(tmp_path / "a"), frame.read(tmp_path / "b"))
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    full = next(row for row in told["accuracy"] if row["method"] == "full")
    assert (full["same"], full["ci95"], full["p"], full["verdict"]) == (False, None, None, "open")
    text = printed(found)
    assert "[bold red]x[/] <script>" in text and "\x1b" not in text and " nan" not in text


values = st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True)


def replicates(x):
    return {(i, 0): v / 100 for i, v in enumerate(x)}


@given(values, values)
@settings(deadline=None)
def test_unpaired_is_welch_and_its_two_one_sided_tests(x, y):
    found = change(replicates(x), replicates(y), paired=False, margin=0.05)
    a, b = np.array(x) / 100, np.array(y) / 100
    ours = reference.ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(ours.pvalue, abs=1e-9)
    ends = ours.confidence_interval(0.95)
    assert (found.interval.lo, found.interval.hi) == pytest.approx((ends.low, ends.high))
    above = reference.ttest_ind(b + 0.05, a, equal_var=False, alternative="greater").pvalue
    below = reference.ttest_ind(b - 0.05, a, equal_var=False, alternative="less").pvalue
    assert found.p_same == pytest.approx(max(above, below), abs=1e-9)
    assert found.n == (len(x), len(y)) and not found.paired


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=3, max_size=8))
@settings(deadline=None)
def test_paired_is_scipys_over_the_replicates_that_both_have(pairs):
    x, y = zip(*pairs, strict=True)
    a, b = replicates(x), replicates(y) | {(99, 0): 0.5}
    found, near = change(a, b, paired=True), change(a, b, paired=True, margin=0.05)
    differences = np.array([(v - u) / 100 for u, v in pairs])
    assert found.n == (len(pairs), len(pairs)) and math.isnan(found.p_same)
    if len(pairs) < 3:
        assert math.isnan(found.p) and math.isnan(near.p_same)
    elif np.ptp(differences) > 1e-12:
        assert found.p == pytest.approx(reference.ttest_1samp(differences, 0).pvalue, abs=1e-9)
        above = reference.ttest_1samp(differences + 0.05, 0, alternative="greater").pvalue
        below = reference.ttest_1samp(differences - 0.05, 0, alternative="less").pvalue
        assert near.p_same == pytest.approx(max(above, below), abs=1e-9) and near.p == found.p


def test_paired_runs_count_the_test_images_too(two):
    """The same interval as that of answers and accuracies by hand."""
    a, b = two(truth={"random": 0.5, "herding": 0.52, "k_center": 0.45, "rded": 0.63, "sre2l": 0.3})
    rng, stored = np.random.default_rng(0), {}
    for frame_ in (a, b):
        for r in frame_.results.to_pylist():
            right = np.zeros(r["test_images"], bool)
            right[rng.permutation(r["test_images"])[: round(r["accuracy"] * r["test_images"])]] = True
            stored[r["key"]] = right
            np.save(frame_.manifest.cell(frame_.manifest.by_key[r["key"]]) / "correct.npy", np.packbits(right))
    found = {t.facts["method"]: t.change for t in compare(a, b).trained}["rded"]
    own = [{r["condense_replicate"]: r for r in f.results.to_pylist() if r["method"] == "rded"} for f in (a, b)]
    by_image = [(c, stored[own[1][c]["key"]].astype(np.float32) - stored[own[0][c]["key"]]) for c in range(5)]
    values = {(c, 0): own[1][c]["accuracy"] - own[0][c]["accuracy"] for c in range(5)}
    expected = crossed(values, tally(by_image, signed=True), a.floor).interval
    assert found.interval.by == "both" and (found.interval.lo, found.interval.hi) == (expected.lo, expected.hi)


def test_two_pairs_give_an_interval_and_no_word():
    found = change({(0, 0): 0.5, (1, 0): 0.6}, {(0, 0): 0.7, (1, 0): 0.801}, paired=True, margin=0.01)
    ends = reference.ttest_1samp([0.2, 0.201], 0).confidence_interval(0.95)
    assert (found.interval.lo, found.interval.hi) == pytest.approx((ends.low, ends.high)) and ends.low > 0
    assert [c.word for c in worded([found], [True])] == ["open"]


@pytest.mark.parametrize("paired", [True, False])
def test_one_replicate_gives_a_difference_and_no_word(paired):
    found = change({(0, 0): 0.5}, {(0, 0): 0.7}, paired, margin=0.01)
    assert found.interval.mean == pytest.approx(0.2)
    assert math.isnan(found.interval.lo) and math.isnan(found.p)
    assert [c.word for c in worded([found], [True])] == ["open"]


def made(mean, p, q=math.nan):
    return Change(Interval(mean, mean - 1, mean + 1, 5), (5, 5), True, p, q)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_words_hold_over_the_family_and_what_has_no_test_makes_no_other_harder(ps):
    family = [made(0.1, p) for p in ps]
    words = [c.word for c in worded(family, [True] * len(ps))]
    assert words == ["better" if p < 0.05 else "open" for p in comparisons.holm(ps)]
    beside = worded([*family, made(0.1, math.nan)], [True] * (len(ps) + 1))
    assert [c.word for c in beside] == [*words, "open"]


def test_direction_and_sameness():
    family = [made(0.1, 1e-9), made(-0.1, 1e-9), made(0.1, 1e-9), made(0.001, 1e-9, 1e-9), made(0.1, 0.9, 0.9)]
    words = [c.word for c in worded(family, [True, True, False, True, True])]
    assert words == ["better", "worse", "worse", "same", "open"]
    assert worded([], []) == []
