"""Where the points come from: parts that add up, against a naive rewrite, and what cannot be broken down."""

import json
import math
import re
from statistics import fmean

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.special import stdtrit
from tests.report.conftest import view

from decoct.report.accuracy import Setting
from decoct.report.judged import judge
from decoct.report.read import frame
from decoct.report.sections.evidence import breakdown
from decoct.report.stats import answers, intervals
from decoct.report.stats.crossed import crossed
from decoct.report.summary import summarise


def labelled(method, protocol, student):
    """single_teacher's labels add 12 points to any set, and 5 more to rded's."""
    return (0.12 + 0.05 * (method == "rded")) * (protocol == "single_teacher")


def broken(builder, **changes):
    for key, value in changes.items():
        setattr(builder, key, value)
    folder = builder.build()
    tables = frame.read(folder)
    return tables, summarise(tables)


def one(summary, method="rded", protocol="single_teacher", budget="ipc=1"):
    (b,) = [
        b
        for b in summary.found(breakdown.find)
        if (b.method, b.setting.protocol, b.setting.budget) == (method, protocol, budget)
    ]
    return b


def test_parts_add_up_and_are_the_planted_ones(builder):
    _, summary = broken(builder, twist=labelled)
    for b in summary.found(breakdown.find):
        labels = b.labels.mean if b.labels else 0
        assert b.base.mean + labels + b.images.mean == pytest.approx(b.total.mean)
    b = one(summary)
    assert b.hard == "erm" and b.base.n == b.labels.n == b.images.n == 5
    assert b.base.lo < 0.50 < b.base.hi  # a random set under erm
    assert b.images.mean == pytest.approx(0.15, abs=0.015)  # 10 of the images, and what labels give to these alone
    assert b.labels.mean == pytest.approx(0.12 + _drift("single_teacher") - _drift("erm"), abs=0.02)


def _drift(protocol):
    """What the builder adds to all methods of a protocol alike: the students' seeds."""
    return fmean(0.03 * math.sin(7 * c + len(protocol)) for c in range(5))


def test_every_part_is_the_paired_t_of_its_difference(builder):
    tables, summary = broken(builder, twist=labelled)
    rows = tables.results.to_pylist()

    def runs(method, protocol):
        where = {"method": method, "protocol": protocol, "budget": "ipc=1"}
        own = [row for row in rows if all(row[key] == value for key, value in where.items())]
        return {(row["condense_replicate"], row["train_replicate"]): row["accuracy"] for row in own}

    b, start, beside = one(summary), runs("random", "erm"), runs("random", "single_teacher")
    labels = intervals.t_interval([beside[k] - start[k] for k in sorted(start)])
    images = intervals.t_interval([runs("rded", "single_teacher")[k] - beside[k] for k in sorted(start)])
    assert (b.labels.lo, b.labels.hi) == pytest.approx((labels.lo, labels.hi))
    assert (b.images.lo, b.images.hi) == pytest.approx((images.lo, images.hi))
    assert b.beyond.mean == pytest.approx(labels.mean - images.mean)


def test_parts_without_a_spread_have_that_of_whole_test_images(builder):
    """Each accuracy is rounded by itself: a part of weights w has the variance Σ w² / 12 n²."""
    builder.truth |= {"rded": 33 / 60, "random": 30 / 60}
    _, summary = broken(builder, noise=0.0, test_images=60, replicates=2, protocols=("erm", "single_teacher"))
    b = one(summary)
    for part, squares in ((b.images, 2), (one(summary, protocol="erm").images, 2)):
        half = stdtrit(1, 0.975) * math.sqrt(squares / 12 / 2) / 60
        assert (part.lo, part.hi) == pytest.approx((part.mean - half, part.mean + half))
    at, where = [(0, 0), (1, 0)], ("random", Setting("erm", "net", "ipc=1"))
    alike = {where: dict.fromkeys(at, 0.5)}
    for weights in ((1,), (1, -1), (2, -1, -1)):
        part = breakdown._interval(alike, [(w, where) for w in weights], at, intervals.grid_floor(60), None)
        half = stdtrit(1, 0.975) * math.sqrt(sum(w**2 for w in weights) / 12 / 2) / 60
        assert part.hi == pytest.approx(part.mean + half)


def test_every_part_spreads_with_the_test_images_too(builder):
    """Stored answers widen each part to what ``crossed`` gives of its own weights by replicate and by image."""
    builder.train_replicates, builder.budgets = 2, ("ipc=1",)
    builder.protocols = ("erm", "single_teacher")
    folder, rng, right = builder.build(), np.random.default_rng(0), {}
    run = frame.read(folder).manifest
    hard = {m: rng.random(builder.test_images) for m in (*builder.methods, "full")}
    for job in run.finished("train"):
        of = 0.8 * hard[job.labels["method"]] + 0.2 * rng.random(builder.test_images)
        own = of < np.quantile(of, run.load(job, "result.json")["accuracy"])
        np.save(run.cell(job) / "correct.npy", np.packbits(own))
        at = job.labels["condense_replicate"], job.labels["train_replicate"]
        right[job.labels["method"], job.labels["protocol"], at] = own.astype(float)
    summary = summarise(tables := frame.read(folder))
    runs = {(m, s.protocol): own for (m, s), own in judge(tables).runs.items()}
    b, start, beside, own = one(summary), ("random", "erm"), ("random", "single_teacher"), ("rded", "single_teacher")
    parts = {
        "base": [(1, start)],
        "labels": [(1, beside), (-1, start)],
        "images": [(1, own), (-1, beside)],
        "total": [(1, own)],
        "beyond": [(2, beside), (-1, start), (-1, own)],
    }
    for name, terms in parts.items():
        by_set = [
            np.mean([sum(w * right[*who, (c, t)] for w, who in terms) for t in range(2)], axis=0) for c in range(5)
        ]
        values = {(c, t): sum(w * runs[who][c, t] for w, who in terms) for c in range(5) for t in range(2)}
        tally = answers.tally(((c, x) for c, x in enumerate(by_set)), signed=len(terms) > 1)
        expected = crossed(values, tally, tables.floor * math.sqrt(sum(w * w for w, _ in terms) / 2)).interval
        got = getattr(b, name)
        assert (got.mean, got.lo, got.hi) == pytest.approx((expected.mean, expected.lo, expected.hi), abs=1e-6)
        assert got.by == "both" and got.n == 5


def test_of_hard_labels_only_images_add(builder):
    _, summary = broken(builder)
    b = one(summary, protocol="erm")
    assert b.labels is None and b.beyond is None and b.hard == "erm"
    assert b.total.mean == pytest.approx(b.base.mean + b.images.mean)
    assert len(breakdown.sentences(summary.found(breakdown.find))) == 2  # protocols of soft labels
    builder.folder, builder.jobs, builder.protocols = builder.folder.with_name("again"), [], ("erm", "erm_long")
    _, summary = broken(builder)
    assert {b.hard for b in summary.found(breakdown.find) if b.setting.protocol == "erm_long"} == {"erm_long"}
    assert "only images can add" in breakdown.overall(summary.found(breakdown.find))


def test_replicates_that_one_part_lacks_are_in_none(builder):
    def hole(labels):
        lost = {"kind": "train", "method": "random", "protocol": "single_teacher", "condense_replicate": 2}
        return all(labels.get(key) == value for key, value in lost.items())

    _, summary = broken(builder, holes=hole)
    b = one(summary)
    assert b.base.n == b.total.n == 4 and one(summary, protocol="multi_teacher").base.n == 5
    assert b.base.mean + b.labels.mean + b.images.mean == pytest.approx(b.total.mean)


def test_other_steps_are_said_with_their_numbers(builder):
    folder = builder.build()
    read = frame.read(folder).manifest
    for job in read.of_kind("train"):
        if job.labels["protocol"] == "multi_teacher":
            file = read.cell(job) / "result.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | {"steps": 4000, "images_seen": 256000}))
    summary = summarise(frame.read(folder))
    b = one(summary, protocol="multi_teacher")
    assert (b.before.steps, b.beside.steps, b.after.images_seen, b.same_work) == (500, 4000, 256000, False)
    single, multi = breakdown.sentences(summary.found(breakdown.find))
    assert "Part of what labels add is training: in 8 of 8 the work differs" in multi
    beside = "4,000 steps, 256,000 images seen under multi_teacher against 500 steps, 32,000 images seen under erm"
    assert beside in multi and "training" not in single
    assert multi in breakdown.SECTION.show(summary)


def test_the_same_steps_are_not_called_training(builder):
    """They stand in the tables, see below."""
    _, summary = broken(builder, twist=labelled)
    assert all(b.same_work for b in summary.found(breakdown.find))
    assert not any("training" in line for line in breakdown.sentences(summary.found(breakdown.find)))
    assert "labels add more than images in" in breakdown.overall(summary.found(breakdown.find))
    assert breakdown.SECTION.say(summary) == breakdown.overall(summary.found(breakdown.find))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocols": ("single_teacher",)}, "no protocol with hard labels"),
        ({"methods": {"herding": ("coreset", False), "rded": ("distillation", True)}}, "no random selection"),
        ({"holes": lambda labels: labels["kind"] == "train" and labels.get("method") == "random"}, "24 of 24"),
    ],
)
def test_what_cannot_be_broken_down_is_said(builder, changes, said):
    _, summary = broken(builder, **changes)
    assert summary.found(breakdown.find) == () and said in " ".join(summary.found(breakdown.untold))
    assert "cannot be said" in breakdown.overall(summary.found(breakdown.find))
    plain = json.loads(json.dumps(summary.to_json(), allow_nan=False))["breakdown"]
    assert plain["parts"] == [] and plain["cannot_be_said"] == list(summary.found(breakdown.untold))


def test_one_replicate_has_means_and_no_intervals(builder):
    _, summary = broken(builder, replicates=1)
    assert one(summary).images.n == 1 and "nan" not in breakdown.overall(summary.found(breakdown.find)).lower()
    assert all("nan" not in line.lower() for line in breakdown.sentences(summary.found(breakdown.find)))
    plain = json.loads(json.dumps(summary.to_json(), allow_nan=False))["breakdown"]["parts"]
    assert plain[0]["images"]["ci95"] == [None, None] and plain[0]["work"]["after"]["steps"] == 500


def shown(builder):
    folder = builder.build()
    summary = summarise(frame.read(folder))
    return summary, breakdown.show(view(summary), summary.found(breakdown.find), summary.found(breakdown.untold))


def test_each_bar_begins_where_the_random_set_of_its_protocol_ends(builder):
    summary, _ = shown(builder)
    drawn = breakdown.figure(view(summary), summary.found(breakdown.find), ("single_teacher", "convnet3_w32"))
    go.Figure(drawn)
    assert len(drawn["data"]) == 2 * (2 + 4)  # budgets × (random, labels, other methods)
    for budget in summary.settings[0].budget, summary.settings[1].budget:
        base, labels, *methods = [t for t in drawn["data"] if t["meta"]["budget"] == budget]
        assert base["base"] == 0 and labels["base"] == pytest.approx(base["x"][0])
        for trace in methods:
            assert trace["base"] == pytest.approx(labels["base"] + labels["x"][0])
            (a,) = [
                a
                for a in summary.accuracies
                if (a.method, a.setting.protocol, a.setting.budget)
                == (trace["meta"]["method"], "single_teacher", budget)
            ]
            assert trace["base"] + trace["x"][0] == pytest.approx(100 * a.interval.mean)
    ends = {
        tuple(breakdown.figure(view(summary), summary.found(breakdown.find), p)["layout"]["xaxis"]["range"])
        for p in view(summary).panels
    }
    assert len(ends) == 1


def test_hard_labels_have_no_bar_of_labels(builder):
    summary, _ = shown(builder)
    assert len(breakdown.figure(view(summary), summary.found(breakdown.find), ("erm", "convnet3_w32"))["data"]) == 2 * (
        1 + 4
    )


def test_steps_and_images_stand_beside_every_accuracy(builder):
    _, section = shown(builder)
    tables = section.count("<table")
    assert tables == 3 and section.count("500 steps, 32,000 seen") == 8 * (2 + 3 + 3)  # rows × accuracies of a row
    assert section.count('open="open"') == 1
    assert "labels minus images" in section


def test_without_random_or_hard_labels_it_says_so(builder):
    builder.protocols = ("single_teacher",)
    _, section = shown(builder)
    assert "no protocol with hard labels" in section and "<figure" not in section and "<table" not in section
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    builder.methods = {m: builder.methods[m] for m in ("herding", "rded")}
    _, section = shown(builder)
    assert "no random selection" in section


def test_one_replicate_draws_bars_without_intervals(builder):
    builder.replicates = 1
    summary, section = shown(builder)
    assert not re.search(r"\bnan\b|\bNone\b|NaN", section)
    go.Figure(breakdown.figure(view(summary), summary.found(breakdown.find), ("erm", "convnet3_w32")))
