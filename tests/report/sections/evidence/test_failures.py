"""Failed students: found where planted, hardly ever where none failed; with and without them; holes at chance."""

import json
import math
import random
from statistics import median
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report.accuracy import Setting
from decoct.report.judged import judge
from decoct.report.page.view import View
from decoct.report.read import frame
from decoct.report.read.manifest import Job
from decoct.report.sections.evidence.failures import (
    Bent,
    Filled,
    Stuck,
    bent,
    failed_holes,
    filled,
    found,
    holes_sentence,
    sentence,
    show,
    stuck,
    without,
    worst,
)

ERM, KD = Setting("erm", "net", "ipc=10"), Setting("kd", "net", "ipc=10")
CHANCE = 0.1
HEALTHY = (0.60, 0.61, 0.62, 0.605, 0.615)


def students(*accuracies):
    return {(c, 0): a for c, a in enumerate(accuracies)}


def study(**methods):
    return {(method, ERM): students(*accuracies) for method, accuracies in methods.items()}


def test_a_student_that_failed_is_named_with_its_siblings():
    (one,) = stuck(study(random=HEALTHY, sre2l=(0.61, 0.6, 0.121, 0.62, 0.6)), CHANCE)
    assert one == Stuck("sre2l", ERM, (2, 0), 0.121, pytest.approx(0.605))
    assert str(one) == "sre2l under erm with net at IPC 10, replicate 2: 12.1 % beside 60.5 %"


def test_two_that_failed_do_not_hide_each_other():
    found = stuck(study(random=HEALTHY, sre2l=(0.61, 0.1, 0.6, 0.3, 0.62)), CHANCE)
    assert [s.replicate for s in found] == [(1, 0), (3, 0)]


def test_students_of_one_set_are_siblings_too():
    own = {(c, t): 0.6 + 0.01 * c + 0.002 * t for c in range(2) for t in range(3)} | {(1, 1): 0.2}
    (one,) = stuck({("sre2l", ERM): own}, CHANCE)
    assert one.replicate == (1, 1) and "replicate 1, student 1:" in str(one)


@pytest.mark.parametrize(
    "accuracies",
    [
        (0.1, 0.1, 0.1, 0.1, 0.1),  # all collapsed: worse, and no accident
        (0.6, 0.1, 0.1, 0.6, 0.1),  # as many as learnt
        (0.6, 0.61, 0.62, 0.6, 0.551),  # 5 points and less
        (0.3, 0.45, 0.6, 0.7, 0.2),  # a wide spread of its own
        (0.61, 0.1),  # which of two is the failure?
        (0.1,),
        (0.6, 0.61, 0.62, 0.6, 0.95),  # above its siblings
        (0.1, 0.1, 0.1, 0.1, 0.02),  # siblings that did not learn
    ],
)
def test_these_are_not_stuck(accuracies):
    assert stuck(study(random=HEALTHY, herding=HEALTHY, sre2l=accuracies), CHANCE) == ()


def test_where_all_methods_spread_wide_a_low_student_is_no_failure():
    own = (0.6, 0.61, 0.6, 0.62, 0.4)
    assert len(stuck(study(random=HEALTHY, herding=HEALTHY, sre2l=own), CHANCE)) == 1
    wide = (0.4, 0.5, 0.6, 0.7, 0.8)
    assert stuck(study(random=wide, herding=wide, sre2l=own), CHANCE) == ()


def test_settings_are_judged_apart():
    runs = study(random=HEALTHY) | {("random", KD): students(0.2, 0.21, 0.2, 0.22, 0.21)}
    assert stuck(runs, CHANCE) == ()


def test_of_little_that_was_learnt_half_is_enough():
    """A thousand classes: 4 % learnt, .1 % is chance, and 5 points can never be lost."""
    runs = study(random=(0.04, 0.041, 0.042, 0.04, 0.041), sre2l=(0.041, 0.04, 0.001, 0.042, 0.04))
    assert [s.replicate for s in stuck(runs, 0.001)] == [(2, 0)]


def naive(runs, chance):
    found = set()
    for (method, setting), own in runs.items():
        off = []
        for (_, where), others in runs.items():
            values = sorted(others.values())
            if where == setting and len(values) > 1:
                off += [abs(v - median(values)) * len(values) / (len(values) - 1) for v in values]
        for key, value in own.items():
            rest = [v for k, v in own.items() if k != key]
            if len(rest) < 2:
                continue
            spread, gap = 1.4826 * median(abs(v - median(rest)) for v in rest), median(rest) - value
            bounds = [0.05 if median(rest) - chance > 0.1 else (median(rest) - chance) / 2, 8 * 1.4826 * median(off)]
            bounds.append((20 if len(rest) < 4 else 10) * spread)
            if median(rest) > chance and all(gap > b for b in bounds):
                found.add((method, setting, key))
    return found


accuracies = st.one_of(st.floats(0.58, 0.6), st.floats(0, 1))
keys = st.tuples(st.integers(0, 4), st.integers(0, 1))
many = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from((ERM, KD))), st.dictionaries(keys, accuracies, min_size=1)
)


@given(many)
def test_it_agrees_with_a_naive_rewrite(runs):
    found = stuck(runs, CHANCE)
    assert {(s.method, s.setting, s.replicate) for s in found} == naive(runs, CHANCE)
    assert all(runs[s.method, s.setting][s.replicate] == s.accuracy < s.siblings for s in found)


@given(many)
def test_without_takes_the_stuck_and_nothing_else(runs):
    found = stuck(runs, CHANCE)
    left = without(runs, found)
    gone = {(m, s, r) for (m, s), own in runs.items() for r in own if r not in left[m, s]}
    assert left.keys() == runs.keys() and gone == {(s.method, s.setting, s.replicate) for s in found}


def drawn(rng, n, sd, shape="normal", wide=False, planted=False):
    """Ten methods on 1,000 test images; the first five times wider, or its first student 30 points lower."""
    shared, runs = [rng.gauss(0, sd / 3) for _ in range(n)], {}
    for m in range(10):
        mean, scale = rng.uniform(0.5, 0.7), sd * (5 if wide and m == 0 else 1)
        luck = [rng.gauss(0, 1) if shape == "normal" else 2 - rng.gammavariate(4, 1) / 2 for _ in range(n)]
        lost = [0.3 * (planted and m == 0 and c == 0) for c in range(n)]
        runs[f"m{m}", ERM] = students(
            *(round(1000 * (mean + s + scale * x - z)) / 1000 for s, x, z in zip(shared, luck, lost, strict=True))
        )
    return runs


def named(n, studies, sd=0.009, **kind):
    """Share of students that are named: of all, and of the first method; and of studies that name its first one."""
    rng, every, first, planted = random.Random(26), 0, 0, 0
    for _ in range(studies):
        found = stuck(drawn(rng, n, sd, **kind), CHANCE)
        every, first = every + len(found), first + sum(s.method == "m0" for s in found)
        planted += any((s.method, s.replicate) == ("m0", (0, 0)) for s in found)
    return every / (10 * n * studies), first / (n * studies), planted / studies


@pytest.mark.parametrize("studies", [100, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "sd", "least"), [(3, 0.009, 0.8), (5, 0.009, 0.98), (5, 0.02, 0.85), (10, 0.02, 0.85)])
def test_a_failure_of_30_points_is_found(studies, n, sd, least):
    assert named(n, studies, sd, planted=True)[2] >= least - (0.08 if studies < 1000 else 0)


@pytest.mark.parametrize("studies", [60, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize(("shape", "most"), [("normal", 0.0006), ("gamma", 0.002)])
def test_of_healthy_students_hardly_any_is_named(studies, n, shape, most):
    assert named(n, studies, 0.02, shape=shape)[0] <= most + (0.002 if studies < 1000 else 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "shape", "most"),
    [(3, "normal", 0.014), (5, "normal", 0.01), (10, "normal", 0.003), (3, "gamma", 0.022), (5, "gamma", 0.02)],
)
def test_where_one_method_spreads_five_times_wider_few_of_its_students_are_named(n, shape, most):
    assert named(n, 6000, shape=shape, wide=True)[1] <= most


def compared(mean, verdict="open", n=5):
    return SimpleNamespace(mean=mean, lo=mean - 0.02, hi=mean + 0.02, n=n, verdict=verdict)


def against(runs):
    """Means of paired differences of every two methods in each setting."""
    found = {}
    for (a, setting), own in runs.items():
        for b in [m for m, s in runs if s == setting and m != a]:
            pairs = [own[r] - runs[b, setting][r] for r in own if r in runs[b, setting]]
            mean = sum(pairs) / len(pairs) if pairs else math.nan
            found[a, setting, b] = compared(
                mean, "worse" if mean < -0.03 else "better" if mean > 0.03 else "open", len(pairs)
            )
    return found


RUNS = study(random=HEALTHY, herding=HEALTHY, sre2l=(0.61, 0.6, 0.1, 0.62, 0.6))


def test_comparisons_with_a_stuck_student_on_either_side_are_made_with_and_without():
    rows = bent(RUNS, stuck(RUNS, CHANCE), against)
    assert {(b.method, b.against) for b in rows} == {
        *(("sre2l", other) for other in ("random", "herding")),
        *((other, "sre2l") for other in ("random", "herding")),
    }
    row = next(b for b in rows if (b.method, b.against) == ("sre2l", "random"))
    assert (row.with_all.n, row.without.n) == (5, 4)
    assert row.with_all.mean == pytest.approx((0.01 - 0.01 - 0.52 + 0.015 - 0.015) / 5)
    assert row.without.mean == pytest.approx(0)
    assert [s.replicate for s in row.stuck] == [(2, 0)]


def test_where_nobody_is_stuck_nothing_is_compared():
    def never(_):
        raise AssertionError

    assert bent(RUNS, (), never) == () and worst(RUNS, (), CHANCE, never) == ()


def test_the_sentence_names_the_worst_failure_and_what_changes():
    found = stuck(RUNS, CHANCE)
    rows = [b for b in bent(RUNS, found, against) if b.method == "sre2l"]
    assert sentence(found, rows) == (
        "1 student failed (sre2l under erm at IPC 10: 10.0 %, siblings 60.5 %); "
        "without it, 2 verdicts change (sre2l against random: open)"
    )
    same = Bent("sre2l", ERM, "random", found, compared(-0.1), compared(0.0))
    two = [Stuck("rded", ERM, (0, 0), 0.4, 0.6), *found]
    assert sentence(two, [same]).endswith("siblings 60.5 %, and 1 more); without them, no verdict changes")
    assert sentence([], []) == ""


def hole(method, condense, setting=ERM, kind="train"):
    labels = {"method": method, **setting._asdict(), "condense_replicate": condense, "train_replicate": 0}
    return Job(f"{method}{condense}", kind, {}, labels)


def test_holes_are_filled_with_chance_and_nothing_else_moves():
    runs = study(random=HEALTHY, sre2l=(0.6, 0.61))
    assert filled(runs, [hole("sre2l", 3), hole("rded", 0, KD)], CHANCE) == {
        **runs,
        ("sre2l", ERM): {(0, 0): 0.6, (1, 0): 0.61, (3, 0): CHANCE},
        ("rded", KD): {(0, 0): CHANCE},
    }
    assert filled(runs, [], CHANCE) == runs


def test_holes_of_one_method_are_filled_at_a_time():
    runs = study(random=HEALTHY[:4], sre2l=(0.6, 0.6, 0.6, 0.6), herding=HEALTHY)
    rows = worst(runs, [hole("random", 4), hole("sre2l", 4)], CHANCE, against)
    told = {(f.method, f.against, f.holed): (f.holes, f.as_is.n, f.filled.n) for f in rows}
    assert told["sre2l", "herding", "sre2l"] == (1, 4, 5)
    assert told["sre2l", "random", "sre2l"] == (1, 4, 4)  # its partner is missing still
    assert ("herding", "random", "random") in told and ("herding", "random", "sre2l") not in told
    row = next(f for f in rows if (f.method, f.against) == ("sre2l", "herding"))
    assert row.filled.mean == pytest.approx((4 * row.as_is.mean + CHANCE - HEALTHY[4]) / 5)
    assert row.as_is.verdict == "open" and row.filled.verdict == "worse"
    said = (
        "1 student is missing because a job failed; at chance level, 1 verdict changes (sre2l against herding: worse)"
    )
    assert holes_sentence([row], [hole("sre2l", 4)]).startswith(said)
    assert holes_sentence([], []) == ""


def test_a_method_without_any_student_is_at_chance():
    rows = worst(
        study(random=HEALTHY),
        [hole("sre2l", c) for c in range(5)],
        CHANCE,
        lambda runs: {
            ("sre2l", ERM, "random"): compared(-0.5, "worse") if ("sre2l", ERM) in runs else compared(math.nan, n=0)
        },
    )
    assert [(f.holes, f.as_is.n, f.filled.verdict) for f in rows] == [(5, 0, "worse")]


def test_of_an_unfinished_study_nothing_has_failed(builder):
    builder.holes = lambda job: job["kind"] == "train" and job.get("condense_replicate") == 4
    tables = frame.read(builder.build())
    assert tables.holes and failed_holes(tables) == ()


def test_students_that_stand_on_a_failed_job_are_holes_and_those_not_trained_yet_are_none(builder):
    def lost(job):
        return job["kind"] in ("condense", "train") and job.get("condense_replicate") == 2 and job["budget"] == "ipc=1"

    builder.holes, builder.failures = lost, {"sre2l": "no memory left"}
    tables = frame.read(builder.build())
    assert {job.labels["method"] for job in tables.holes} >= {"random", "sre2l"}
    found = failed_holes(tables)
    assert {(job.labels["method"], job.labels["condense_replicate"], job.labels["budget"]) for job in found} == {
        ("sre2l", 2, "ipc=1")
    }
    assert len(found) == len(builder.protocols)


def test_a_failed_teacher_takes_all_that_stand_on_it_but_not_the_full_data(builder):
    builder.holes = lambda job: job["kind"] == "teacher" or (job["kind"] == "train" and job["protocol"] != "erm")
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    run["failures"] = {job["key"]: "lost" for job in run["jobs"] if job["labels"].get("net") == "resnet10t"}
    (folder / "run.json").write_text(json.dumps(run))
    found = failed_holes(frame.read(folder))
    assert {job.labels["protocol"] for job in found} == {"multi_teacher"}  # the only one that asks resnet10t
    assert {job.labels["method"] for job in found} == set(builder.methods)


def test_an_accuracy_that_is_no_number_is_a_failure(builder):
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    key = next(job["key"] for job in run["jobs"] if job["kind"] == "train" and job["labels"]["method"] == "rded")
    (path,) = folder.glob(f"store/train/**/{key}/result.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"accuracy": math.nan}))
    assert [job.key for job in failed_holes(frame.read(folder))] == [key]


def test_the_page_names_them_and_shows_both():
    view = View(dict.fromkeys(("random", "herding", "<sre2l>"), "coreset"), frozenset(), (ERM,), ())
    one = Stuck("<sre2l>", ERM, (2, 0), 0.1, 0.605)
    row = Bent("<sre2l>", ERM, "random", (one,), compared(-0.104, "worse"), compared(0.061, "better", 4))
    html = show(view, [row], [], [one])
    for text in ("10.0", "60.5", "−10.4", "+6.1", "worse", "better", "2, 0"):
        assert text in html
    assert "<sre2l>" not in html and "holes filled" not in html
    hole_ = Filled("<sre2l>", ERM, "random", "<sre2l>", 3, compared(0.1, "better", 2), compared(-0.2, "worse"))
    html = show(view, [], [hole_], [])
    assert "with the holes filled by chance" in html and ": 3" in html and "−20.0" in html
    assert show(view, [], [], []) == ""


def change(folder, method, replicate, accuracy, budget="ipc=1", protocol="erm"):
    """Give one student another accuracy."""
    run = frame.read(folder).manifest
    wanted = {"method": method, "condense_replicate": replicate, "budget": budget, "protocol": protocol}
    (job,) = [job for job in run.finished("train") if wanted.items() <= job.labels.items()]
    path = run.cell(job) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"accuracy": accuracy}))


def test_in_a_run_what_failed_is_found_with_the_verdicts_that_it_bends(builder):
    folder = builder.build()
    change(folder, "rded", 3, 0.2)
    own = judge(frame.read(folder))
    told = found(own)
    (one,) = told.stuck
    assert (one.method, one.setting, one.replicate, one.accuracy) == ("rded", own.settings[0], (3, 0), 0.2)
    assert {(b.method, b.against) for b in told.bent} == {("rded", m) for m in ("random", "herding", "k_center")}
    words = {(v.method, v.setting, o): c for v in own.verdicts for o, c in v.coresets.items()}
    for b in told.bent:
        assert b.setting == one.setting and b.with_all == words[b.method, b.setting, b.against]
        runs = {k: dict(run) for k, run in own.runs.items()}
        del runs["rded", one.setting][3, 0]
        again = next(v for v in own.judge(runs) if (v.method, v.setting) == ("rded", one.setting))
        assert b.without == again.coresets[b.against] and (b.with_all.n, b.without.n) == (5, 4)
    assert told.holes == () == told.filled
    (line,) = told.sentences()
    assert line.startswith("1 student failed (rded under erm at IPC 1")
    assert " (rded against random: better)" in line and len(line) <= 130


def test_in_a_run_holes_of_failures_are_filled_with_chance(builder):
    def lost(job):
        return job["kind"] in ("condense", "train") and job["method"] == "sre2l" and job.get("condense_replicate") == 2

    builder.holes, builder.failures = lost, {"sre2l": "no memory left"}
    builder.budgets = ("ipc=1",)
    own = judge(frame.read(builder.build()))
    told = found(own)
    assert told.stuck == () == told.bent and len(told.holes) == 3  # protocols
    assert {(f.method, f.holed, f.holes, f.as_is.n, f.filled.n) for f in told.filled} == {("sre2l", "sre2l", 1, 4, 5)}
    assert len(told.filled) == 3 * 3  # protocols × coresets
    for f in told.filled:
        rest = [own.runs[f.against, f.setting][c, 0] for c in range(5)]
        mine = [own.runs["sre2l", f.setting].get((c, 0), 0.1) for c in range(5)]
        assert f.filled.mean == pytest.approx(sum(mine) / 5 - sum(rest) / 5)
    assert told.sentences()[0].startswith("3 students are missing because a job failed; at chance level, ")


def test_where_nothing_failed_nothing_is_said(builder):
    told = found(judge(frame.read(builder.build())))
    assert (told.stuck, told.bent, told.holes, told.filled, told.sentences()) == ((), (), (), (), ())


def test_what_cannot_be_read_has_no_failures(builder):
    """Random at chance: beside it a student that fell is neither named nor counted."""
    builder.twist = lambda method, protocol, _: -0.45 if method == "random" else 0
    builder.protocols, builder.budgets, builder.full = ("erm",), ("ipc=1",), False
    folder = builder.build()
    change(folder, "rded", 3, 0.2)
    own = judge(frame.read(folder))
    assert [u.rule for u in own.unreadable] == ["chance"] and len(stuck(own.runs, own.chance)) == 1
    assert found(own).stuck == () == found(own).bent
