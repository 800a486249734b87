"""Scores against their formulas, written out anew, and intervals against scipy's."""

import math
from dataclasses import replace

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.accuracy import Setting
from decoct.report.read import frame
from decoct.report.sections.evidence import robust
from decoct.report.sections.evidence.robust import Scorer, augmentation_pairs, normalised
from decoct.report.stats import intervals
from decoct.report.stats.answers import Answers
from decoct.report.write import write_report

fractions = st.floats(0, 1)
E = math.e


def reps(*accuracies):
    return {(c, 0): a for c, a in enumerate(accuracies)}


def scorer(runs, ceilings, hard=("erm",), soft=("kd",), pairs=(), test_images=10**9):
    placed = {(method, Setting(protocol, "net", "ipc=1")): own for (method, protocol), own in runs.items()}
    full = {(protocol, "net"): a for protocol, a in ceilings.items()}
    return Scorer(hard, soft, pairs, placed, full, intervals.grid_floor(test_images))


def found(scores, name, **rest):
    (score,) = [s for s in scores if s.name == name and all(getattr(s, k) == v for k, v in rest.items())]
    return score.interval


def lrs(hlr, ior):
    return (E ** (0.5 * ior - 0.5 * hlr) - 1 / E) / (E - 1 / E)


@given(full=fractions, hard=fractions, soft=fractions, random=fractions)
def test_scores_lie_between_0_and_1_and_are_the_formula(full, hard, soft, random):
    runs = {("m", "erm"): reps(hard), ("m", "kd"): reps(soft), ("random", "kd"): reps(random)}
    score = found(scorer(runs, {"erm": full}).scores("m", "net", "ipc=1"), "LRS").mean
    assert score == pytest.approx(lrs(full - hard, soft - random), abs=1e-12)
    assert -1e-12 <= score <= 1 + 1e-12


def test_the_ends_of_the_scale():
    assert normalised(1) == pytest.approx(1)  # better than the full data by all there is, and than random
    assert normalised(-1) == pytest.approx(0)
    assert normalised(0) == pytest.approx(1 / (E + 1))  # (1 − 1/e) / (e − 1/e)


@given(
    st.lists(st.tuples(fractions, fractions, fractions), min_size=2, max_size=8).filter(
        lambda rows: np.std([b - r + a for a, b, r in rows]) > 1e-3
    ),
    fractions,
)
def test_intervals_are_t_on_the_exponent_then_mapped(rows, full):
    hard, soft, random = np.array(rows).T
    runs = {("m", "erm"): reps(*hard), ("m", "kd"): reps(*soft), ("random", "kd"): reps(*random)}
    scores = list(scorer(runs, {"erm": full}).scores("m", "net", "ipc=1"))
    exponent = 0.5 * (soft - random) - 0.5 * (full - hard)
    lo, hi = reference.t.interval(0.95, len(rows) - 1, exponent.mean(), reference.sem(exponent))
    i = found(scores, "LRS", hard="erm", protocol="kd")
    assert i.n == len(rows)
    assert i.mean == pytest.approx(normalised(exponent.mean()))
    assert i.lo == pytest.approx(normalised(max(lo, -1))) and i.hi == pytest.approx(normalised(min(hi, 1)))
    assert 0 <= i.lo <= i.mean <= i.hi <= 1
    assert found(scores, "HLR").mean == pytest.approx(full - hard.mean())
    assert found(scores, "IOR").mean == pytest.approx((soft - random).mean())


def test_replicates_are_paired_by_number_and_students_of_a_set_averaged_first():
    runs = {
        ("m", "erm"): {(0, 0): 0.4, (0, 1): 0.6, (1, 0): 0.7, (3, 0): 0.1},
        ("m", "kd"): {(0, 0): 0.8, (0, 1): 0.8, (1, 0): 0.9, (2, 0): 0.0},
        ("random", "kd"): {(1, 0): 0.5, (0, 1): 0.3, (0, 0): 0.3},
    }
    scores = list(scorer(runs, {"erm": 1.0}).scores("m", "net", "ipc=1"))
    exponents = [0.5 * 0.5 - 0.5 * 0.5, 0.5 * 0.4 - 0.5 * 0.3]
    i = found(scores, "LRS")
    assert (i.n, i.mean) == (2, pytest.approx(normalised(np.mean(exponents))))
    assert found(scores, "HLR").n == 3


def test_the_augmentation_robust_score_pairs_four_students():
    runs = {
        ("m", "kd"): reps(0.7, 0.8, 0.75),
        ("m", "plain"): reps(0.5, 0.7, 0.6),
        ("random", "kd"): reps(0.5, 0.6, 0.5),
        ("random", "plain"): reps(0.4, 0.4, 0.45),
    }
    scores = list(scorer(runs, {}, pairs=[("kd", "plain")]).scores("m", "net", "ipc=1"))
    exponent = [0.5 * 0.2 + 0.5 * 0.1, 0.5 * 0.2 + 0.5 * 0.3, 0.5 * 0.25 + 0.5 * 0.15]
    lo, hi = reference.t.interval(0.95, 2, np.mean(exponent), reference.sem(exponent))
    i = found(scores, "ARS", protocol="kd", plain="plain")
    assert (i.mean, i.lo, i.hi) == tuple(pytest.approx(normalised(x)) for x in (np.mean(exponent), lo, hi))
    assert not [s for s in scores if s.name in ("HLR", "LRS")]  # no full data, nothing to recover


def test_random_has_no_gain_over_itself():
    runs = {("random", "erm"): reps(0.3, 0.35, 0.4), ("random", "kd"): reps(0.5, 0.6, 0.5)}
    scores = list(scorer(runs, {"erm": 0.95}, pairs=[("erm", "kd")]).scores("random", "net", "ipc=1"))
    assert [s.name for s in scores] == ["HLR", "LRS"]
    assert found(scores, "LRS").mean == pytest.approx(lrs(0.95 - 0.35, 0))


def test_no_spread_on_few_test_images_is_not_a_sure_score():
    runs = {("m", "erm"): reps(0.5, 0.5, 0.5), ("m", "kd"): reps(0.5, 0.5, 0.5), ("random", "kd"): reps(0.4, 0.4, 0.4)}
    i = found(scorer(runs, {"erm": 0.9}, test_images=100).scores("m", "net", "ipc=1"), "LRS")
    assert i.lo < i.mean < i.hi


@pytest.mark.parametrize("name", ["HLR", "IOR", "LRS", "ARS"])
def test_the_smallest_spread_is_that_of_whole_test_images_in_every_term(name):
    """Σ wᵢ accuracyᵢ, each rounded to whole images by itself: variance Σ wᵢ² / 12 n²."""
    same = {(m, p): reps(0.5, 0.5, 0.5) for m in ("m", "random") for p in ("erm", "kd", "plain")}
    own = scorer(same, {"erm": 0.6}, soft=("kd",), pairs=[("kd", "plain")], test_images=100)
    i = found(own.scores("m", "net", "ipc=1"), name)
    weights = {"HLR": [1], "IOR": [1, 1], "LRS": [0.5] * 3, "ARS": [0.5] * 4}[name]
    half = reference.t.ppf(0.975, 2) * math.sqrt(sum(w**2 for w in weights) / 12 / 3) / 100
    exponent = {"HLR": 0.1, "LRS": -0.05}.get(name, 0.0)
    ends = [exponent - half, exponent + half]
    assert [i.lo, i.hi] == pytest.approx(ends if name in ("HLR", "IOR") else [normalised(x) for x in ends])


def test_scores_spread_with_the_test_images_of_all_their_terms_too():
    """By hand: by image the terms of each score, the variance of their mean with two images added, and that of sets."""
    rng = np.random.default_rng(0)
    images, n = 400, 4
    rates = {("m", "erm"): 0.5, ("m", "kd"): 0.6, ("random", "kd"): 0.45}
    hard = {who: rng.random(images) for who in rates}  # images are as hard to one set as to another, nearly
    right = {(*who, c): 0.9 * hard[who] + 0.1 * rng.random(images) < p for who, p in rates.items() for c in range(n)}
    runs = {who: reps(*(right[*who, c].mean() for c in range(n))) for who in rates}
    place = {who: (who[0], Setting(who[1], "net", "ipc=1")) for who in rates}
    answers = Answers({place[who]: {(c, 0): (*who, c) for c in range(n)} for who in rates}, right.get)
    plain = scorer(runs, {"erm": 0.9}, test_images=images)
    known = replace(plain, answers=answers)
    for name, weights, score in (("IOR", (0, 1, -1), float), ("LRS", (0.5, 0.5, -0.5), normalised)):
        e = np.array([sum(w * right[*who, c] for w, who in zip(weights, rates, strict=True)) for c in range(n)])
        by_image, sets, ideal = e.mean(0), e.mean(1), images / (images - 1)
        between = e.var(0, ddof=1).mean() - sets.var(ddof=1)  # of sets on one image, without what moves all
        most = np.square(by_image).sum() / np.abs(by_image).sum()
        padded = np.append(by_image, [most, -most])
        over_images = padded.var() / (images + 2) - ideal * between / (n * images)
        over_sets = sets.var(ddof=1) / n
        t = [reference.t.ppf(0.975, df) for df in (n - 1, images - 1)]
        half = math.hypot(t[0] * over_sets**0.5, t[1] * over_images**0.5)
        constant = -0.45 if name == "LRS" else 0
        got = found(known.scores("m", "net", "ipc=1"), name)
        ends = score(constant + sets.mean() - half), score(constant + sets.mean() + half)
        assert (got.lo, got.hi) == pytest.approx(ends, rel=1e-5)
        alone = found(plain.scores("m", "net", "ipc=1"), name)
        assert got.mean == pytest.approx(alone.mean) and got.lo < alone.lo and got.hi > alone.hi


def test_a_run_hands_on_how_many_test_images_it_has(builder):
    builder.noise, builder.test_images, builder.protocols, builder.replicates = 0.0, 60, ("erm",), 2
    builder.truth |= {"rded": 33 / 60, "random": 30 / 60}
    folder = builder.build()
    (score,) = [
        s for s in write_report(folder).found(robust.find) if (s.name, s.method, s.budget) == ("IOR", "rded", "ipc=1")
    ]
    half = reference.t.ppf(0.975, 1) * intervals.grid_floor(60) / math.sqrt(2)
    assert score.interval.hi - score.interval.mean == pytest.approx(half)


def test_one_replicate_has_a_score_and_no_interval():
    runs = {("m", "erm"): reps(0.5), ("m", "kd"): reps(0.6), ("random", "kd"): reps(0.4)}
    i = found(scorer(runs, {"erm": 0.9}).scores("m", "net", "ipc=1"), "LRS")
    assert (i.n, i.mean) == (1, pytest.approx(lrs(0.4, 0.2)))
    assert math.isnan(i.lo) and math.isnan(i.hi)


def test_pairs_differ_in_augmentation_and_in_nothing_else():
    tables = {
        "a": {"name": "erm", "augment": True, "steps": 5},
        "b": {"name": "erm", "augment": False, "steps": 5},
        "c": {"name": "erm", "augment": False, "steps": 9},
        "d": {"name": "kd", "augment": True, "steps": 5},
        "e": {"name": "dc", "steps": 5},
    }
    assert augmentation_pairs(tables) == [("a", "b")]


def test_a_runs_hard_protocols_are_known_by_what_their_students_need(builder):
    builder.protocols = ("erm", "erm_long", "single_teacher", "stored")
    builder.tables = {"stored": {"name": "single_teacher", "labels": {"bits": 16}}}
    summary = write_report(builder.build())
    assert {s.hard for s in summary.found(robust.find) if s.name == "HLR"} == {"erm", "erm_long"}
    assert {s.protocol for s in summary.found(robust.find) if s.name == "IOR"} == {"single_teacher", "stored"}
    pairs = {(s.hard, s.protocol) for s in summary.found(robust.find) if s.name == "LRS"}
    assert len(pairs) == 4


def test_without_soft_labels_the_hard_ones_are_any(builder):
    builder.protocols = ("erm",)
    summary = write_report(builder.build())
    assert {(s.hard, s.protocol) for s in summary.found(robust.find) if s.name == "LRS"} == {("erm", "erm")}


def test_scores_are_written_as_rows(builder):
    builder.protocols = ("erm", "kd", "kd_plain")
    builder.teachers = {"kd": ("convnet3_bn",), "kd_plain": ("convnet3_bn",)}
    builder.tables = {"kd": {"name": "kd", "augment": True}, "kd_plain": {"name": "kd", "augment": False}}
    summary = write_report(builder.build())
    table = pyarrow.parquet.read_table(builder.folder / "scores.parquet")
    assert table.schema.equals(robust.SCORES)
    rows = table.to_pylist()
    assert rows == summary.to_json()["scores"]
    assert (builder.folder / "scores.csv").read_text().count("\n") == len(rows) + 1
    # planted at IPC 1 under every protocol: rded .60, random .50, full .97
    (row,) = [
        r for r in rows if (r["method"], r["score"], r["budget"], r["protocol"]) == ("rded", "LRS", "ipc=1", "kd")
    ]
    assert row["value"] == pytest.approx(lrs(0.37, 0.10), abs=0.02)
    assert row["lo"] < row["value"] < row["hi"] and row["n"] == 5 and not row["conditional_on_set"]
    (row,) = [r for r in rows if (r["method"], r["score"], r["budget"]) == ("herding", "ARS", "ipc=10")]
    assert (row["protocol"], row["plain_protocol"], row["conditional_on_set"]) == ("kd", "kd_plain", True)
    assert row["value"] == pytest.approx(normalised(0.02), abs=0.01)


def test_a_run_without_random_or_results_has_an_empty_table(builder):
    builder.holes = lambda labels: labels["kind"] == "train"
    folder = builder.build()
    assert write_report(folder).found(robust.find) == ()
    assert pyarrow.parquet.read_table(folder / "scores.parquet").num_rows == 0
    assert frame.read(folder).results.num_rows == 0
