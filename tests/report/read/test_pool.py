"""Runs that differ in their seed alone, as one: every number against a recount of the runs one by one."""

import json
import math
from collections import defaultdict
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import cell_dir
from decoct.report import standing
from decoct.report.accuracy import accuracies, by_setting, replicates
from decoct.report.read import frame
from decoct.report.read.pool import alike, groups, pool
from decoct.report.stats import intervals
from decoct.report.stats.crossed import crossed
from decoct.report.summary import summarise

SMALL = {"protocols": ("erm", "single_teacher"), "class_names": ("0", "1"), "replicates": 3, "train_replicates": 2}
NO_TEACHER = {"methods": {"random": ("coreset", True), "moderate": ("coreset", False)}, "protocols": ("erm",)}
OWN = {"random": ("coreset", True), "herding": ("coreset", True), "rded": ("distillation", True)}


@pytest.fixture
def seeded(builder, tmp_path):
    """``seeded(SEED, …, fields)``: the frame of a run with each seed."""

    def make(*seeds, **changes):
        own = SMALL | changes
        own = own if "truth" in own else own | {"truth": {"moderate": 0.5, **builder.truth}}
        return [frame.read(type(builder)(tmp_path / f"seed{s}", seed=s, **own).build()) for s in seeds]

    return make


def by_run(frames, method, value="accuracy", table="results"):
    """Of each run, the mean of a method by setting or reading, counted row by row."""
    means = []
    for each in frames:
        sums = defaultdict(list)
        for row in getattr(each, table).to_pylist():
            if row["method"] == method and row[value] is not None:
                place = ("protocol", "student", "budget") if table == "results" else ("budget", "metric", "reference")
                sums[tuple(row[name] for name in place)].append(row[value])
        means.append({place: fmean(own) for place, own in sums.items()})
    return means


def test_replicates_count_by_run_where_sets_share_teachers(seeded):
    frames = seeded(0, 1, 2)
    pooled = pool(frames)
    assert frames[0].manifest.given_teachers and not pooled.manifest.given_teachers
    assert pooled.manifest.pooled.sentence() == (
        "3 runs that differ only in their seed are pooled; each run counts as one replicate, because its sets share "
        "the same teachers: n = 3"
    )
    assert pooled.results.num_rows == sum(each.results.num_rows for each in frames)
    assert len({job.key for job in pooled.manifest.jobs}) == len(pooled.manifest.jobs)
    for method in ("random", "herding", "rded"):
        own = {tuple(a.setting): a for a in accuracies(by_setting(pooled.results.to_pylist())) if a.method == method}
        for setting, values in zip(own, zip(*(m.values() for m in by_run(frames, method)), strict=True), strict=True):
            lo, hi = stats.t.interval(0.95, 2, fmean(values), stats.sem(values))
            assert (own[setting].interval.n, own[setting].students) == (3, 18)
            assert own[setting].interval.mean == pytest.approx(fmean(values))
            assert (own[setting].interval.lo, own[setting].interval.hi) == pytest.approx((max(0, lo), min(1, hi)))


def test_students_keep_their_pairs(seeded):
    frames = seeded(0, 1)
    places = ("protocol", "budget", "condense_replicate", "train_replicate")
    rows = {each["key"]: each for each in pool(frames).results.to_pylist() if each["method"] != "full"}
    together = defaultdict(set)
    for r, each in enumerate(frames):
        for row in each.results.to_pylist():
            if row["method"] != "full":
                new = rows[row["key"]]
                assert new["condense_replicate"] == r and new["accuracy"] == row["accuracy"]
                together[tuple(new[name] for name in places)].add((r, *(row[name] for name in places)))
    assert {len(own) for own in together.values()} == {1}  # whatever the method: what was one number still is
    assert len(together) == 2 * 2 * 2 * 6


def test_every_set_counts_where_each_has_its_own_teacher(seeded):
    pooled = pool(seeded(0, 1, methods=OWN, own_teachers=True, replicates=5))
    assert pooled.manifest.pooled.sentence().endswith("are pooled; every set has its own teacher: n = 10")
    assert pooled.manifest.deterministic == frozenset()
    for a in accuracies(by_setting(pooled.results.to_pylist())):
        assert a.method == "full" or (a.interval.n, a.students) == (10, 20)
    assert pooled.manifest.pooled.to_json()["count_by"] == "set" and not pooled.manifest.given_teachers


def test_the_word_of_the_study_is_not_enough_where_sets_share_a_teacher(seeded, tmp_path):
    frames = seeded(0, 1)
    said = [replace(f, manifest=replace(f.manifest, study=f.manifest.study | _teachers(f))) for f in frames]
    assert pool(said).manifest.pooled.shared == ("teacher",)


def _teachers(f):
    return {"replicates": f.manifest.study["replicates"] | {"teacher": 3}}


def test_sets_that_share_nothing_with_a_seed_all_count(seeded):
    pooled = pool(seeded(0, 1, **NO_TEACHER, pixels=("moderate",)))
    told = pooled.manifest.pooled
    assert (told.shared, told.n) == ((), 6) and "share nothing that was drawn for that run: n = 6" in told.sentence()


def test_a_teacher_that_was_loaded_is_the_same_whatever_its_key(seeded):
    pooled = pool(seeded(0, 1, checkpoint="net.pt", replicates=5))
    assert (pooled.manifest.pooled.shared, pooled.manifest.pooled.n) == ((), 10)
    assert pooled.manifest.deterministic == {"herding", "k_center"}
    costs = [row["method"] for row in pooled.costs.to_pylist() if row["budget"] == "ipc=1"]
    assert (costs.count("herding"), costs.count("rded")) == (1, 10)
    read = [row for row in pooled.metrics.to_pylist() if (row["method"], row["metric"]) == ("herding", "mmd")]
    assert [row["condense_replicate"] for row in read] == [0, 0]  # two budgets


def test_a_deterministic_set_is_one_where_all_runs_have_it_and_one_a_run_where_not(seeded):
    frames = seeded(0, 1, pixels=("k_center",))
    pooled = pool(frames)
    assert pooled.manifest.deterministic == {"k_center"}
    sets = {m: {j.key for j in pooled.manifest.of_kind("condense") if j.labels["method"] == m} for m in OWN}
    assert {m: len(own) for m, own in sets.items()} == {"random": 12, "herding": 4, "rded": 12}
    costs = [(row["method"], row["budget"]) for row in pooled.costs.to_pylist()]
    assert {m: costs.count((m, "ipc=1")) for m in ("k_center", "herding", "rded")} == {
        "k_center": 1,
        "herding": 2,
        "rded": 6,
    }
    summary = summarise(pooled)
    assert summary.deterministic == {"k_center"}
    (k_center, *_) = [v for v in summary.verdicts if v.method == "k_center"]
    assert k_center.random.n == 2


def test_readings_are_means_of_a_runs_sets_beside_the_random_sets_of_all_runs(seeded):
    frames = seeded(0, 1, 2)
    pooled = pool(frames)
    for method in ("random", "rded", "herding"):
        means = by_run(frames, method, "value", "metrics")
        rows = [row for row in pooled.metrics.to_pylist() if row["method"] == method and row["value"] is not None]
        assert len(rows) == sum(map(len, means))
        for row in rows:
            place = row["budget"], row["metric"], row["reference"]
            assert row["value"] == pytest.approx(means[row["condense_replicate"]][place])
            assert row["random_n"] == 60 and row["random_sd"] == pytest.approx(0.02)
            assert row["z"] == pytest.approx((row["value"] - row["random"]) / 0.02)
    assert {s.interval.n for s in summarise(pooled).found(standing.find) if s.method == "rded" and s.interval.n} == {3}


def test_the_variance_of_random_sets_is_that_within_runs(seeded):
    frames = seeded(0, 1)
    moved = frames[1].metrics.to_pylist()
    for row in moved:
        row["random"] += 1.0
        row["random_sd"] = 0.04
    frames[1] = replace(frames[1], metrics=type(frames[1].metrics).from_pylist(moved, schema=frames[1].metrics.schema))
    for row in pool(frames).metrics.to_pylist():
        (first, *_) = [
            own
            for own in frames[0].metrics.to_pylist()
            if all(own[n] == row[n] for n in ("budget", "metric", "method"))
        ]
        assert row["random"] == pytest.approx(first["random"] + 0.5)
        assert row["random_sd"] == pytest.approx(math.sqrt((0.02**2 + 0.04**2) / 2))


def test_answers_are_those_of_each_students_own_run(seeded):
    frames, rng = seeded(0, 1), np.random.default_rng(0)
    stored = {}
    for each in frames:
        for row in each.results.to_pylist():
            stored[row["key"]] = rng.random(row["test_images"]) < row["accuracy"]
            cell = each.manifest.cell(each.manifest.by_key[row["key"]])
            np.save(cell / "correct.npy", np.packbits(stored[row["key"]]))
    pooled = pool(frames)
    assert len(stored) == pooled.results.num_rows
    for key, right in stored.items():
        assert np.array_equal(pooled.correct(key), right)
    assert pooled.manifest.cells.has("train", next(iter(stored))) and not pooled.manifest.cells.has("train", "0" * 32)
    assert pooled.manifest.cells.present("train") == set(stored)


def test_the_full_data_have_the_test_images_of_one_test_set(seeded):
    frames = seeded(0, 1)
    (full, *_) = [a for a in accuracies(by_setting(pool(frames).results.to_pylist())) if a.ceiling]
    (alone, *_) = [a for a in accuracies(by_setting(frames[0].results.to_pylist())) if a.ceiling]
    assert (full.interval.n, full.students) == (360, 2) and full.interval == alone.interval


def test_holes_and_failures_are_those_of_all_runs(builder, tmp_path):
    def lost(job):
        return (job["kind"], job.get("method"), job.get("condense_replicate")) == ("condense", "rded", 1) or (
            (job["kind"], job.get("method")) == ("train", "rded") and job["condense_replicate"] >= 1
        )

    make = type(builder)
    whole = frame.read(make(tmp_path / "a", **SMALL).build())
    broken = frame.read(make(tmp_path / "b", seed=1, holes=lost, failures={"rded": "out of memory"}, **SMALL).build())
    pooled = pool([whole, broken])
    assert len(pooled.holes) == len(broken.holes) == 2 * 2 * 2 * 2
    assert [message for _, message in pooled.failures] == ["out of memory"]
    assert {job.labels["condense_replicate"] for job in pooled.holes} == {1}
    (a, *_) = [a for a in accuracies(by_setting(pooled.results.to_pylist())) if a.method == "rded"]
    assert (a.interval.n, a.students) == (2, 8)
    summary = summarise(pooled)
    assert (summary.planned - summary.trained, len(summary.failures)) == (16, 1)


def test_what_one_run_lacks_of_an_equal_set_the_other_has(builder, tmp_path):
    def lost(job):
        return job["kind"] == "condense" and job["method"] == "k_center"

    make = type(builder)
    without = frame.read(make(tmp_path / "a", holes=lost, pixels=("k_center",), **SMALL).build())
    whole = frame.read(make(tmp_path / "b", seed=1, pixels=("k_center",), **SMALL).build())
    pooled = pool([without, whole])
    sets = [job for job in pooled.manifest.finished("condense") if job.labels["method"] == "k_center"]
    assert [job.labels["budget"] for job in sets] == ["ipc=1", "ipc=10"]
    assert {row["images"] for row in pooled.costs.to_pylist() if row["method"] == "k_center"} == {2, 20}


def test_which_runs_are_alike(seeded, builder, tmp_path):
    a, b, c = seeded(0, 1, 2)
    assert alike([a.manifest, b.manifest]) and groups([a, b, c]) == [[a, b, c]]
    named = replace(b, manifest=replace(b.manifest, study=b.manifest.study | {"name": "other"}))
    coarse = replace(b, manifest=replace(b.manifest, study=b.manifest.study | {"margin": 0.02}))
    faces = replace(b, manifest=replace(b.manifest, data=b.manifest.data | {"digest": "f" * 32}))
    about = b.manifest.methods | {"rded": b.manifest.methods["rded"] | {"config": {"factor": 2}}}
    other = replace(b, manifest=replace(b.manifest, methods=about))
    assert groups([a, named]) == [[a, named]]
    for unlike in (coarse, faces, other):
        assert groups([a, unlike]) == [[a], [unlike]] and groups([unlike, a, c]) == [[unlike], [a, c]]
    assert pool([a]) is a
    with pytest.raises(UsageError, match="same run twice"):
        groups([a, b, a])
    again = frame.read(type(builder)(tmp_path / "again", **SMALL).build())
    with pytest.raises(UsageError, match=r"one study with one seed, 0(.|\n)*decoct compare"):
        groups([a, again])


def test_a_run_of_another_format_is_named(seeded):
    (a,) = seeded(0)
    path = a.manifest.folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 0}))
    with pytest.raises(DecoctError, match="format 0"):
        frame.read(a.manifest.folder)


def test_damage_is_named_with_the_place_of_its_run(seeded):
    frames = seeded(0, 1)
    pooled = pool(frames)
    job = frames[1].manifest.of_kind("train")[0]
    (cell_dir(frames[1].manifest.folder / "store", "train", job.key) / "result.json").write_text("{")
    with pytest.raises(DecoctError, match=r"seed1.*damaged"):
        pooled.manifest.load(job, "result.json")


def test_coverage_by_run_is_kept_and_that_of_all_sets_is_not(seeded):
    """Five sets on one teacher a run, two runs: teachers and sets vary by one point each."""
    frames = seeded(0, 1, replicates=5, train_replicates=1, methods={"random": ("coreset", True)}, budgets=("ipc=1",))
    pooled = pool(frames)
    rows = [
        row for row in pooled.results.to_pylist() if (row["method"], row["protocol"]) == ("random", "single_teacher")
    ]
    ids = sorted(replicates(rows))  # (run, set) by the numbers of the pool
    rng, studies = np.random.default_rng(26), 4000
    values = rng.normal(size=(studies, 2, 1)) + rng.normal(size=(studies, 2, 5))
    hits = {"run": 0, "set": 0}
    for drawn in values.reshape(studies, 10):
        for how, own in (
            ("run", dict(zip(ids, drawn, strict=True))),
            ("set", {(i, 0): x for i, x in enumerate(drawn)}),
        ):
            i = crossed(own).over_sets
            hits[how] += i.lo <= 0 <= i.hi
    assert [len(intervals.condense_means(dict.fromkeys(ids, 0.0))), len(ids)] == [2, 10]
    assert hits["run"] / studies == pytest.approx(0.95, abs=0.012)
    assert 0.6 < hits["set"] / studies < 0.8
