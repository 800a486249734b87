"""The shared reduction of a run: its settings, margins, what is outside and why, and the verdicts that follow."""

import json

import numpy as np
import pytest

from decoct.report.accuracy import Setting
from decoct.report.judged import NATIVE, judge
from decoct.report.read import frame
from decoct.report.summary import summarise
from decoct.report.verdict import verdicts


def judged(builder, **study):
    """The reduction of a run whose study says more; a margin of None is one that it does not state."""
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    run["study"] |= study
    (folder / "run.json").write_text(json.dumps(run))
    return judge(frame.read(folder))


def with_answers(folder):
    """Every student's answers by test image, stored as a run stores them."""
    run, rng = frame.read(folder).manifest, np.random.default_rng(0)
    for job in run.finished("train"):
        result = run.load(job, "result.json")
        order = rng.permutation(result["test_images"])
        right = order < round(result["accuracy"] * result["test_images"])
        np.save(run.cell(job) / "correct.npy", np.packbits(right))


@pytest.fixture
def uneven(builder):
    """Under kd random sets are at chance at IPC 1, and far below those of erm at IPC 10; the rest can be read."""
    builder.protocols, builder.full = ("erm", "kd", "kd_native"), False
    builder.teachers = dict.fromkeys(("kd", "kd_native"), ("convnet3_bn",))
    builder.twist = lambda method, protocol, _: -0.45 * (protocol == "kd" and method == "random")
    return builder


def test_settings_are_the_planned_ones_with_or_without_results(builder):
    builder.budgets, builder.students, builder.same_steps = ("ipc=10", "ipc=1", "fraction=0.02"), ("a", "b"), 0.9
    builder.holes = lambda job: job["kind"] == "train" and job["protocol"] != "erm"
    own = judged(builder)
    sizes = ("ipc=1", "fraction=0.02", "ipc=10")  # 10, 25 and 100 images
    expected = {Setting(p, s, b) for p in builder.protocols for s in ("a", "b") for b in sizes}
    assert set(own.settings) == expected and len(own.settings) == len(expected)  # the full data's are not among them
    for panel in {s.panel for s in own.settings}:
        assert [s.budget for s in own.settings if s.panel == panel] == list(sizes)
    assert {s for _, s in own.runs} == {s for s in own.settings if s.protocol == "erm"}
    assert set(own.margins) == expected
    assert len(own.verdicts) == len(expected) * len(builder.methods)


def test_runs_are_accuracies_by_replicate_without_the_full_data(builder):
    builder.train_replicates = 2
    own = judged(builder)
    assert {m for m, _ in own.runs} == set(builder.methods) and {a.method for a in own.accuracies} >= {"full"}
    rows = own.frame.results.to_pylist()
    for row in (row for row in rows if row["method"] != "full"):
        at = (row["condense_replicate"], row["train_replicate"])
        assert own.runs[row["method"], Setting.of(row)][at] == row["accuracy"]
    assert sum(map(len, own.runs.values())) == sum(row["method"] != "full" for row in rows)


@pytest.mark.parametrize("stated", [0.01, 0.025])
def test_a_stated_margin_is_that_of_every_setting(builder, stated):
    assert set(judged(builder, margin=stated).margins.values()) == {stated}


def test_an_unstated_margin_is_a_point_or_a_twentieth_of_random(builder):
    builder.truth = dict.fromkeys(builder.truth, 0.12)
    own = judged(builder, margin=None)
    random = {a.setting: a.interval.mean for a in own.accuracies if a.method == "random"}
    assert own.margins == pytest.approx({s: min(0.01, 0.05 * random[s]) for s in own.settings})
    small, large = ({m for s, m in own.margins.items() if s.budget == b} for b in ("ipc=1", "ipc=10"))
    assert max(small) < 0.01 and large == {0.01}
    assert {(v.setting, c.margin) for v in own.verdicts for c in v.coresets.values()} == set(own.margins.items())
    said = summarise(own.frame).to_json()["margins"]
    assert [row["margin"] for row in said] == [own.margins[s] for s in own.settings]


def test_without_random_an_unstated_margin_is_a_point(builder):
    builder.methods = {m: builder.methods[m] for m in ("herding", "rded")}
    assert set(judged(builder, margin=None).margins.values()) == {0.01}


def test_what_is_outside_is_unreadable_or_native_and_says_which(uneven):
    own = judged(uneven, native=["kd_native"])
    assert [(u.setting.protocol, u.setting.budget, u.rule) for u in own.unreadable] == [
        ("kd", "ipc=1", "chance"),
        ("kd", "ipc=10", "random"),
    ]
    assert dict(own.outside) == {u.setting: u.why for u in own.unreadable} | {
        s: NATIVE for s in own.settings if s.protocol == "kd_native"
    }
    assert all(v.outside == own.outside.get(v.setting, "") for v in own.verdicts)
    inside = [c for v in own.verdicts if not v.outside for c in v.coresets.values()]
    assert {c.family for c in inside} == {2 * (2 * 3 + 3)}  # erm at two budgets
    assert {c.family for v in own.verdicts if v.outside for c in v.coresets.values()} == {0}


def test_a_native_protocol_that_cannot_be_read_says_that(uneven):
    own = judged(uneven, native=["kd", "kd_native"])
    assert {s: why for s, why in own.outside.items() if why != NATIVE} == {u.setting: u.why for u in own.unreadable}
    assert len(own.unreadable) == 2 and len(own.outside) == 4


@pytest.mark.parametrize("stored", [False, True])
def test_verdicts_are_those_of_the_accuracies_by_hand(uneven, stored):
    own = judged(uneven, native=["kd_native"])
    if stored:
        with_answers(own.frame.manifest.folder)
        own = judge(frame.read(own.frame.manifest.folder))
    accuracies = {s: {} for s in own.settings}
    for row in own.frame.results.to_pylist():
        at = (row["condense_replicate"], row["train_replicate"])
        accuracies[Setting.of(row)].setdefault(row["method"], {})[at] = row["accuracy"]
    families = {method: family for method, (family, _) in uneven.methods.items()}
    fixed = {method for method, (_, stochastic) in uneven.methods.items() if not stochastic}
    floor = (1 / 6) ** 0.5 / 360
    args = accuracies, families, dict.fromkeys(own.settings, 0.01), floor, own.answers, fixed, own.outside
    assert [told(v) for v in own.verdicts] == [told(v) for v in verdicts(*args)]
    images = {c.over_images is not None for v in own.verdicts for c in v.coresets.values()}
    assert images == {stored}


def told(v):
    against = {
        other: (c.verdict, c.family, c.n, c.mean, c.lo, c.hi, c.p_better, c.p_same) for other, c in v.coresets.items()
    }
    return v.method, v.family, v.setting, v.against_coresets, v.needed, v.outside, against


def test_other_accuracies_give_other_verdicts_and_leave_what_is_outside(uneven):
    own = judged(uneven, native=["kd_native"])
    worse = {(m, s): {r: a - 0.3 * (m == "rded") for r, a in run.items()} for (m, s), run in own.runs.items()}
    found = own.judge(worse)
    assert {v.against_coresets for v in found if v.method == "rded" and not v.outside} == {"worse"}
    assert {v.against_coresets for v in own.verdicts if v.method == "rded" and not v.outside} == {"better"}
    assert [v.outside for v in found] == [v.outside for v in own.verdicts]
    assert own.judge(own.runs) == own.verdicts


def test_chance_is_the_share_of_the_most_frequent_class(builder):
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    run["data"]["test_per_class"] = [90, 30] + [30] * 8
    (folder / "run.json").write_text(json.dumps(run))
    assert judge(frame.read(folder)).chance == 0.25


def test_nothing_trained_yet(builder):
    builder.holes = lambda job: job["kind"] == "train"
    own = judged(builder, margin=None)
    assert len(own.settings) == 6 and own.runs == {} and own.accuracies == () and own.unreadable == ()
    assert {v.against_coresets for v in own.verdicts} == {"open"} and set(own.margins.values()) == {0.01}
