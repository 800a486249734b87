"""Sets that a study brings along: cells by content, in one table with the others, and never in a measured cost."""

import json
from dataclasses import replace

import numpy as np
import pytest

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import CELL, MEASURED, Provenance, read_json
from decoct.data.external.read import load_set
from decoct.data.external.stored import SetFormat
from decoct.needs.teacher import training_set
from decoct.report.advice.recommend import Adviser
from decoct.report.judged import judge
from decoct.report.read import frame
from decoct.report.read.pool import pool
from decoct.report.write import write_report
from decoct.study.estimate.plan import make_plan
from decoct.study.estimate.probe import stand_in
from decoct.study.expand import expand
from decoct.study.external_sets import check_own, put_external, read_external
from decoct.study.jobs import ExternalJob
from decoct.study.run import run
from decoct.study.store.store import Store
from decoct.study.study import Study
from decoct.training.softlabels import StoredLabels, fingerprint

TABLE = {
    "name": "brought",
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 1}],
    "replicates": {"condense": 2, "train": 2},
    "condensers": ["random"],
    "protocols": [{"name": "erm", "steps": 2}],
    "metrics": {"names": ["vendi", "cost"], "extractors": ["pixels.npy"], "draws": 0, "resamples": 0},
    "ceiling": False,
}
THEIRS = {"label": "theirs <b>", "path": "set.npz", "cost": {"seconds": 7200, "source": "Table 5"}}


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    """One image per class, inverted, in a file of floats that ImageNet's numbers normalised; and features of all."""
    root = tmp_path_factory.mktemp("brought")
    rows = np.array([np.flatnonzero(digits.train.labels == c)[0] for c in range(10)])
    values = 1 - digits.train.images[rows] / 255
    stored = (values - digits.mean[0]) / digits.std[0]
    np.savez(root / "set.npz", images=stored.astype(np.float32), labels=digits.train.labels[rows])
    np.savez(root / "more.npz", images=digits.train.images[:37], labels=digits.train.labels[:37])
    return root


def study(folder, *external, **changes):
    return Study.from_dict(TABLE | {"metrics": {"names": ["cost"]}} | changes | {"external": list(external)}, folder)


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    theirs = study(folder, THEIRS | {"format": {"normalised": "data"}})
    assert run(theirs, out) == {}
    return theirs, out


def test_it_trains_for_every_pair_of_replicates_as_one_set(done):
    _, out = done
    found = frame.read(out)
    rows = [row for row in found.results.to_pylist() if row["method"] == "theirs <b>"]
    assert [(r["condense_replicate"], r["train_replicate"]) for r in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {(r["images"], r["budget"], r["protocol"]) for r in rows} == {(10, "ipc=1", "erm")}
    assert found.holes == ()
    assert len(found.costs.to_pylist()) == 2 + 1


def test_its_cell_is_the_one_that_decoct_train_makes(done, folder, digits, tmp_path):
    theirs, out = done
    (job,) = [job for job in json.loads((out / "run.json").read_text())["jobs"] if job["labels"]["method"][0] == "t"
              and job["kind"] == "condense"]  # fmt: skip
    store = Store(tmp_path / "store")
    store.root.mkdir()
    made = put_external(load_set(folder / "set.npz", digits, theirs.external[0].format), digits, store)
    assert made.key == job["key"]
    cell = Store(out / "store").path("condense", made.key)
    assert not (cell / MEASURED).exists()
    for name in ("condensed.safetensors", "facts.json", "preview.png"):
        assert (cell / name).read_bytes() == (store.path("condense", made.key) / name).read_bytes()
    assert "external" in read_json(cell / CELL)["keyed"]
    said = read_json(cell / "condensed.json")["provenance"]["spec"]["fields"]
    assert said["normalised"] == "data" and said["classes"].startswith("by index")


def test_started_again_it_does_nothing_and_ends_with_the_same_bytes(done):
    theirs, out = done
    before = {p: p.stat().st_mtime_ns for p in (out / "store").rglob("*") if p.is_file()}
    goals = []
    assert run(theirs, out, on_plan=lambda todo, total: goals.append(todo)) == {}
    assert goals == [0]
    assert {p: p.stat().st_mtime_ns for p in (out / "store").rglob("*") if p.is_file()} == before


def test_its_cost_is_its_author_s_and_counts_in_no_verdict(done):
    _, out = done
    summary = write_report(out)
    (row,) = [row for row in frame.read(out).costs.to_pylist() if row["method"] == "theirs <b>"]
    assert row["stated"] == "2 h 0 min, as its author states (Table 5)" and row["stated_seconds"] == 7200
    assert all(row[name] is None for name in ("seconds", "total_seconds", "cpu_seconds", "peak_memory", "steps"))
    assert row["image_bytes"] == 10 * 64 * 4  # floats as stored
    assert summary.claims.multiples == ()
    answer = next(claim for claim in summary.claims.all if claim.key == "cost")
    assert "costs cannot be compared" in answer.answer and "as its author states (Table 5)" in answer.methods[0]
    page = (out / "report.html").read_text("utf-8")
    assert "as its author states (Table 5)" in page and "theirs &lt;b&gt;" in page and "theirs <b>" not in page
    assert "external, one set" in page
    readings = [r for r in frame.read(out).metrics.to_pylist() if r["method"] == "theirs <b>"]
    known = {r["metric"]: r["value"] for r in readings}
    assert known["total_seconds"] is None and known["image_bytes"] == 2560


def test_other_methods_are_still_advised_by_their_time(done):
    _, out = done
    learnt = replace(judge(frame.read(out)), outside={})  # after so few steps nothing can be read
    seconds = [r for r in Adviser.of(learnt).break_points() if r.limit.kind == "seconds"]
    assert seconds and all(r.measure == "processor time" for r in seconds)
    assert all("theirs" not in str(choice.pick) for r in seconds for choice in r.choices)


def test_a_cost_that_nobody_states_is_unknown(folder, digits, tmp_path):
    theirs = study(folder, {"label": "theirs", "path": "set.npz", "format": {"normalised": "data"}})
    jobs = expand(theirs, digits, [entry.planned for entry in read_external(theirs, digits)])
    assert {job.labels["method"] for job in jobs if job.kind == "train"} == {"random", "theirs"}
    run(theirs, tmp_path / "out")
    (row,) = [row for row in frame.read(tmp_path / "out").costs.to_pylist() if row["method"] == "theirs"]
    assert (row["stated"], row["stated_seconds"]) == ("unknown", None)


def test_a_plan_makes_nothing_of_it(done, folder, digits):
    theirs, out = done
    plan = make_plan(theirs, digits)
    assert {group.kind for group in plan.groups} == {"condense", "train"}
    assert not any("theirs" in group.example for group in plan.groups if group.kind == "condense")
    found = make_plan(theirs, digits, store=Store(out / "store"))
    assert (found.groups, found.troubles) == ([], [])


def test_probes_take_a_set_of_its_size_in_its_place(folder, digits, tmp_path):
    theirs = study(folder, {"label": "theirs", "path": "set.npz", "format": {"normalised": "data"}})
    jobs = {job.key: job for job in expand(theirs, digits, [entry.planned for entry in read_external(theirs, digits)])}
    (own,) = [job for job in jobs.values() if job.kind == "condense" and job.labels["method"] == "theirs"]
    store = Store(tmp_path / "store")
    store.root.mkdir()
    stand_in(store, None, own.key, jobs, "cpu")
    found = Condensed.load(store.cell("condense", own.key))
    assert np.bincount(found.labels).tolist() == [1] * 10 and found.provenance.method == "random"
    labels = ExternalJob(kind="labels", keyed={"content": "0"}, config={}, data="")
    with pytest.raises(DecoctError, match="nothing stands in for stored labels"):
        stand_in(store, None, labels.key, {labels.key: labels}, "cpu")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"path": "more.npz", "format": {}}, UsageError, "37 images, .* per class, and the study's budgets are ipc=1"),
        ({"format": {}}, DecoctError, "external 'theirs': the images' values run from"),
        ({"path": "none.npz"}, UsageError, "external 'theirs': no set at"),
        ({"budget": {"ipc": 2}}, DecoctError, "budget is given as ipc=2, and the set has 10 images, 1 per class"),
        ({"labels": "labels"}, DecoctError, "external 'theirs': the stored labels in .* are damaged"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(folder, tmp_path, change, error, said):
    entry = {"label": "theirs", "path": "set.npz", "format": {"normalised": "data"}} | change
    with pytest.raises(error, match=said):
        run(study(folder, entry), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "random"}, "the label 'random' is taken"),
        ({"label": "full"}, "the label 'full' is taken"),
        ({"label": " x"}, "printable"),
        ({"label": "../x"}, "without slashes"),
        ({"family": "coresets"}, "family"),
        ({"cost": {"seconds": 0, "source": "Table 5"}}, "seconds"),
        ({"cost": {"seconds": 3}}, "source"),
        ({"format": {"normalized": "data"}}, "normalised"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(folder, change, said):
    with pytest.raises(UsageError, match=said):
        study(folder, {"label": "theirs", "path": "set.npz"} | change)


def test_a_budget_by_another_word_is_the_study_s(folder, digits):
    entry = {"label": "theirs", "path": "set.npz", "format": {"normalised": "data"}, "budget": {"images": 10}}
    theirs = study(folder, entry, budgets=[{"images": 10}])
    assert read_external(theirs, digits)[0].planned.job.labels["budget"] == "images=10"


def test_paths_start_at_the_study_s_folder(folder, tmp_path):
    text = 'name = "t"\ncondensers = ["random"]\nprotocols = ["erm"]\n'
    text += '[[external]]\nlabel = "a"\npath = "sets/a.npz"\nlabels = "sets/a"\n'
    text += '[[external]]\nlabel = "b"\npath = "hub:somebody/b"\n'
    (tmp_path / "s.toml").write_text(text)
    a, b = Study.from_toml(tmp_path / "s.toml").external
    assert a.path == str((tmp_path / "sets/a.npz").resolve()) and a.labels == str((tmp_path / "sets/a").resolve())
    assert b.path == "hub:somebody/b"


def test_labels_that_came_along_are_what_its_students_learn_from(folder, digits, tmp_path):
    arrays = {"values": np.zeros((10, 10), np.float16)}
    storing = {"per": "image", "bits": 16, "top_k": None, "prune": 1.0, "by": "batch"}
    facts = {"format": 1, "storing": storing, "set": "0" * 32, "images": 10, "size": 8, "temperature": 4.0}
    facts |= {"class_names": list(digits.class_names), "views": {}, "seed": 0}
    (tmp_path / "labels").mkdir()
    StoredLabels(arrays, facts).save(tmp_path / "labels")
    entry = {"label": "theirs", "path": str(folder / "set.npz"), "format": {"normalised": "data"}}
    theirs = study(tmp_path, entry | {"labels": "labels"}, protocols=["erm", "single_teacher"])
    with pytest.raises(DecoctError, match="external 'theirs': the stored labels belong to another set"):
        read_external(theirs, digits)
    of_set = fingerprint(training_set(digits, load_set(folder / "set.npz", digits, SetFormat(normalised="data"))))
    StoredLabels(arrays, facts | {"set": of_set}).save(tmp_path / "labels")
    (found,) = read_external(theirs, digits)
    jobs = expand(theirs, digits, [found.planned])
    labels = found.planned.labels.key
    own = [job for job in jobs if job.kind == "train" and job.labels["method"] == "theirs"]
    assert {job.labels["protocol"]: job.inputs.get("labels") for job in own} == {"erm": None, "single_teacher": labels}
    assert all("labels" not in j.inputs for j in jobs if j.kind == "train" and j.labels["method"] == "random")
    store = Store(tmp_path / "store")
    store.root.mkdir()
    found.put(digits, store)
    assert StoredLabels.load(store.path("labels", labels)).facts["temperature"] == 4.0


def seeds(folder, digits, *numbers, images=10):
    """A set for each seed, by name of its file; what another has of a class, this has another image of."""
    names = []
    for number in numbers:
        rows = [np.flatnonzero(digits.train.labels == c)[number : number + images // 10] for c in range(10)]
        picked = np.concatenate(rows)
        names.append(f"seed{number}-{images}.npz")
        np.savez(folder / names[-1], images=digits.train.images[picked], labels=digits.train.labels[picked])
    return names


def test_sets_of_several_seeds_are_the_replicates_of_one_row(digits, tmp_path):
    theirs = study(tmp_path, {"label": "theirs", "paths": seeds(tmp_path, digits, 0, 1)})
    assert run(theirs, tmp_path / "out") == {}
    found = frame.read(tmp_path / "out")
    rows = [row for row in found.results.to_pylist() if row["method"] == "theirs"]
    assert [(r["condense_replicate"], r["train_replicate"]) for r in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    sets = {found.manifest.by_key[row["key"]].inputs["condensed"]: row["condense_replicate"] for row in rows}
    assert sorted(sets.values()) == [0, 1]
    assert found.manifest.deterministic == frozenset() and len(found.costs) == 2 + 2
    assert [row["condense_replicate"] for row in found.costs.to_pylist() if row["method"] == "theirs"] == [0, 1]
    summary = write_report(tmp_path / "out")
    (accuracy,) = [a for a in summary.accuracies if a.method == "theirs"]
    means = [np.mean([r["accuracy"] for r in rows if r["condense_replicate"] == i]) for i in (0, 1)]
    assert (accuracy.interval.n, accuracy.interval.mean) == (2, pytest.approx(np.mean(means)))
    verdict = summary.verdict("theirs", accuracy.setting)
    random = {
        (r["condense_replicate"], r["train_replicate"]): r["accuracy"]
        for r in found.results.to_pylist()
        if r["method"] == "random"
    }
    own = [r["accuracy"] - random[r["condense_replicate"], r["train_replicate"]] for r in rows]
    assert (verdict.random.n, verdict.random.mean) == (2, pytest.approx(np.mean(own)))
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "external, a set for each path" in page and "2 external sets, not made here." in page


@pytest.mark.parametrize(("given", "pairs"), [((0, 1), 2), ((0, 1, 2, 3), 3)])
def test_a_row_has_the_sets_that_are_named_and_pairs_by_their_numbers(digits, tmp_path, given, pairs):
    more = {"replicates": {"condense": 3, "train": 1}}
    theirs = study(tmp_path, {"label": "theirs", "paths": seeds(tmp_path, digits, *given)}, **more)
    assert run(theirs, tmp_path / "out") == {}
    summary = write_report(tmp_path / "out")
    (accuracy,) = [a for a in summary.accuracies if a.method == "theirs"]
    assert accuracy.interval.n == len(given)
    assert summary.verdict("theirs", accuracy.setting).random.n == pairs


def test_a_set_has_one_key_whichever_way_it_is_named(digits, tmp_path):
    paths = seeds(tmp_path, digits, 0, 1)
    (alone,) = read_external(study(tmp_path, {"label": "theirs", "path": paths[0]}), digits)
    several = read_external(study(tmp_path, {"label": "theirs", "paths": paths}), digits)
    assert [each.planned.replicate for each in (alone, *several)] == [None, 0, 1]
    assert alone.planned.job == several[0].planned.job
    one, two = (
        expand(study(tmp_path, {"label": "theirs", **where}), digits, [each.planned for each in entries])
        for where, entries in (({"path": paths[0]}, [alone]), ({"paths": paths}, several))
    )
    kept = {job.key for job in one} & {job.key for job in two}
    own = [job for job in two if job.labels["method"] == "theirs" and job.labels["condense_replicate"] == 0]
    assert {job.key for job in own} <= kept  # what its first set trained is not trained again


def test_a_plan_counts_the_students_of_every_set(digits, tmp_path):
    theirs = study(tmp_path, {"label": "theirs", "paths": seeds(tmp_path, digits, 0, 1, 2)})
    plan = make_plan(theirs, digits)
    assert sum(len(group.keys) for group in plan.groups if group.kind == "train") == 2 * 2 + 3 * 2


def test_each_of_several_sets_has_its_own_labels(digits, tmp_path):
    paths = seeds(tmp_path, digits, 0, 1)
    arrays = {"values": np.zeros((10, 10), np.float16)}
    storing = {"per": "image", "bits": 16, "top_k": None, "prune": 1.0, "by": "batch"}
    for path in paths:
        of_set = fingerprint(training_set(digits, load_set(tmp_path / path, digits)))
        facts = {"format": 1, "storing": storing, "set": of_set, "images": 10, "size": 8, "temperature": 4.0}
        facts |= {"class_names": list(digits.class_names), "views": {}, "seed": 0}
        (tmp_path / f"{path}-labels").mkdir()
        StoredLabels(arrays, facts).save(tmp_path / f"{path}-labels")
    labels = [f"{path}-labels" for path in paths]
    entry = {"label": "theirs", "paths": paths, "labels": labels}
    theirs = study(tmp_path, entry, protocols=["single_teacher"])
    found = read_external(theirs, digits)
    own = [entry.planned.labels.key for entry in found]
    assert len(set(own)) == 2
    jobs = expand(theirs, digits, [entry.planned for entry in found])
    used = {
        job.labels["condense_replicate"]: job.inputs["labels"]
        for job in jobs
        if job.kind == "train" and job.labels["method"] == "theirs"
    }
    assert used == dict(enumerate(own))
    with pytest.raises(DecoctError, match=r"external 'theirs', .*: the stored labels belong to another set"):
        read_external(study(tmp_path, entry | {"labels": labels[::-1]}, protocols=["single_teacher"]), digits)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "say path for one set, or paths"),
        ({"path": "a.npz", "paths": ["b.npz", "c.npz"]}, "say path for one set, or paths"),
        ({"paths": []}, "two or more seeds: for one set, say path"),
        ({"paths": ["a.npz"]}, "two or more seeds: for one set, say path"),
        ({"paths": ["a.npz", ""]}, r"paths\.1"),
        ({"paths": "a.npz"}, "paths"),
        ({"path": "a.npz", "labels": ["x"]}, "labels of one set are one folder"),
        ({"paths": ["a.npz", "b.npz"], "labels": "x"}, "labels go with paths as a list"),
        ({"paths": ["a.npz", "b.npz"], "labels": ["x"]}, "list as many labels as paths"),
        ({"path": "a.npz", "features": {"f.npy": ["x.npy"]}}, "features of one set are one file for each extractor"),
        ({"paths": ["a.npz", "b.npz"], "features": {"f.npy": "x.npy"}}, "with paths, a list of as many files"),
        ({"paths": ["a.npz", "b.npz"], "features": {"f.npy": ["x.npy"]}}, "with paths, a list of as many files"),
    ],
)
def test_an_entry_names_one_set_or_several(tmp_path, change, said):
    with pytest.raises(UsageError, match=said):
        study(tmp_path, {"label": "theirs"} | change)


def test_sets_that_are_no_replicates_of_one_another_are_refused(digits, tmp_path):
    a, b = seeds(tmp_path, digits, 0, 1)
    (large,) = seeds(tmp_path, digits, 2, images=20)
    (tmp_path / "copy.npz").write_bytes((tmp_path / a).read_bytes())
    small = np.load(tmp_path / b)
    np.savez(tmp_path / "cut.npz", images=small["images"][:, :, :7, :7], labels=small["labels"])
    names = np.array([f"class {c}" for c in range(10)])
    np.savez(tmp_path / "named.npz", images=small["images"], labels=small["labels"], class_names=names)
    for paths, said in (
        ([a, b, "copy.npz"], f"copy.npz holds the same set as .*{a}"),
        ([a, large], f"{large} has the budget ipc=2, and .*{a} has ipc=1"),
        ([a, "cut.npz"], "external 'theirs', .*cut.npz: "),
        ([a, "named.npz"], "external 'theirs', .*named.npz: "),
        ([a, "none.npz"], "external 'theirs', .*none.npz: no set at"),
    ):
        theirs = study(tmp_path, {"label": "theirs", "paths": paths}, budgets=[{"ipc": 1}, {"ipc": 2}])
        with pytest.raises(DecoctError, match=said):
            read_external(theirs, digits)


def test_every_one_of_several_paths_starts_at_the_study_s_folder(tmp_path):
    table = {"label": "a", "paths": ["sets/a.npz", "hub:somebody/a"], "labels": ["la", "lb"]}
    (a,) = study(tmp_path, table).external
    assert a.paths == (str((tmp_path / "sets/a.npz").resolve()), "hub:somebody/a")
    assert a.labels == tuple(str((tmp_path / name).resolve()) for name in ("la", "lb"))


def test_runs_that_are_pooled_add_students_to_such_sets_and_no_set(digits, tmp_path):
    entry, small = {"label": "theirs", "paths": seeds(tmp_path, digits, 0, 1)}, {"replicates": {"condense": 2}}
    for seed in (0, 1):
        theirs = study(tmp_path, entry, **small, seed=seed)
        assert run(theirs, tmp_path / f"run{seed}") == {}
    frames = [frame.read(tmp_path / f"run{seed}") for seed in (0, 1)]
    pooled = pool(frames)
    rows = [row for row in pooled.results.to_pylist() if row["method"] == "theirs"]
    assert sorted((r["condense_replicate"], r["train_replicate"]) for r in rows) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    sets = {(pooled.manifest.by_key[r["key"]].inputs["condensed"], r["condense_replicate"]) for r in rows}
    assert len(sets) == 2  # each has one number
    counts = {a.method: a.interval.n for a in judge(pooled).accuracies}
    assert counts == {"random": 4, "theirs": 2}
    for table in (pooled.costs, pooled.metrics):
        own = {row["condense_replicate"] for row in table.to_pylist() if row["method"] == "theirs"}
        assert own == {0, 1}


@pytest.fixture
def judged(digits, tmp_path):
    """A study of two sets with images of their own, and what its extractor, the pixels in a file, sees of them."""
    paths = seeds(tmp_path, digits, 0, 1)
    np.save(tmp_path / "f.npy", digits.train.images.reshape(len(digits.train), -1) / 255)
    np.save(tmp_path / "f.val.npy", digits.val.images.reshape(len(digits.val), -1) / 255)
    for number, path in enumerate(paths):
        images = load_set(tmp_path / path, digits).pixels()
        np.save(tmp_path / f"own{number}.npy", images.reshape(10, -1) / 255)
    entry = {"label": "theirs", "paths": paths, "features": {"f.npy": ["own0.npy", "own1.npy"]}}
    metrics = {"names": ["vendi", "covering_radius"], "extractors": ["f.npy", "pixels"], "draws": 0, "resamples": 0}
    return entry, lambda *entries, **changes: study(tmp_path, *entries, metrics=metrics | changes)


def test_a_model_outside_judges_sets_by_the_features_that_came_with_them(judged, tmp_path):
    entry, make = judged
    assert run(make(entry), tmp_path / "run") == {}
    values = {"npy": {}, "pixels": {}}
    for row in frame.read(tmp_path / "run").metrics.to_pylist():
        place = [row[part] for part in ("method", "condense_replicate", "metric", "scope", "reference")]
        values.get(row["extractor"].partition(":")[0], {})[tuple(place)] = row["value"]
    assert {place[:2] for place in values["npy"]} == {(who, r) for who in ("random", "theirs") for r in (0, 1)}
    assert values["npy"] == pytest.approx(values["pixels"], rel=1e-5)


def test_features_that_came_with_a_set_are_checked_when_it_is_read(judged, digits, tmp_path):
    entry, make = judged
    assert [e.planned.given for e in read_external(make(entry), digits)] == [
        {str(tmp_path / "f.npy"): str(tmp_path / f"own{number}.npy")} for number in (0, 1)
    ]
    np.save(tmp_path / "cut.npy", np.zeros((9, 64)))
    np.save(tmp_path / "whole.npy", np.zeros((10, 64), np.int64))
    for files, said in (
        (["own0.npy", "none.npy"], "features of the set: no file at .*none.npy"),
        (["own0.npy", "cut.npy"], r"cut.npy has the shape \[9, 64\]: features of the set by .* are \[10, 64\]"),
        (["whole.npy", "own1.npy"], "whole.npy holds int64"),
    ):
        with pytest.raises(DecoctError, match=f"external 'theirs', .*: .*{said}"):
            read_external(make(entry | {"features": {"f.npy": files}}), digits)
    with pytest.raises(UsageError, match=r"by '.*f.npy': no FILE.npy among the extractors \(there is none\)"):
        read_external(make(entry, extractors=["pixels"]), digits)
    picks = Condensed(digits.train.labels[:1], digits.class_names, Provenance(method="mine"), indices=np.array([0]))
    with pytest.raises(UsageError, match="consists of train images"):
        check_own({"f.npy": "own0.npy"}, picks, ["f.npy"])
