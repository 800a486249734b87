"""Probes: the job's own work on stand-ins for its inputs, ended where enough was seen, and carried on in proportion."""

import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decoct.core import once
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine, silent
from decoct.needs._plane import Plane
from decoct.needs.dynamics import Traces
from decoct.needs.features import splits_of
from decoct.needs.statistics import Statistics
from decoct.study.estimate import probe as module
from decoct.study.estimate.probe import FEW, Mark, carried_on, few, probe, stand_in
from decoct.study.expand import expand
from decoct.study.store.store import Store
from decoct.study.study import Study
from decoct.study.work.measuring import load_backbone
from decoct.training import loop as loop

SLOW = '''
    """A method of so many steps, in two phases if asked, that catches what it can."""

    import time
    from typing import ClassVar

    import numpy as np

    from decoct.core.interfaces import Condenser, Draft


    class Slow(Condenser):
        """Sleeps."""

        name: ClassVar = "slow"
        family: ClassVar = "coreset"
        stochastic: ClassVar = False
        steps: int = 1000
        phases: int = 1
        said: bool = True

        def __call__(self, inputs):
            for phase in range(self.phases):
                for step in range(self.steps):
                    time.sleep(0.002)
                    try:
                        if self.said:
                            inputs.progress(step + 1, self.steps)
                    except Exception:
                        raise AssertionError("a method can catch what ends a probe") from None
            return Draft.selected(np.concatenate([rows[:1] for rows in inputs.members()]))
'''


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    path = tmp_path_factory.mktemp("slow") / "slow.py"
    path.write_text(textwrap.dedent(SLOW).lstrip(), "utf-8")
    return str(path)


@pytest.fixture
def asked(digits, slow, tmp_path):
    """``asked(KIND, **fields)``: a probe of a study's first job of a kind, and its arguments."""

    def make(kind, limit, condenser, **table):
        study = Study.from_dict(
            {
                "name": "probed",
                "students": ["convnet1_w8"],
                "budgets": [{"ipc": 1}],
                "condensers": [condenser],
                "protocols": [{"name": "erm", "steps": 200}],
                "plugins": [slow],
                **table,
            }
        )
        jobs = {job.key: job for job in expand(study, digits)}
        job = next(job for job in jobs.values() if job.kind == kind)
        return probe(str(tmp_path / "scratch"), None, job, jobs, "cpu", limit), job, Store(tmp_path / "scratch")

    return make


def test_a_job_that_ends_in_time_is_finished(asked):
    took, job, store = asked("condense", 60.0, {"name": "slow", "steps": 5})
    assert took.source == "probe" and took.seconds >= 5 * 0.002 and took.overhead > 0
    assert store.has("condense", job.key)


def test_a_long_job_is_cut_short_and_leaves_no_cell(asked):
    start = time.perf_counter()
    took, job, store = asked("condense", 0.1, {"name": "slow", "steps": 10**6})
    spent = time.perf_counter() - start
    assert took.seconds > 1_000_000 * 0.002 and took.seconds > 100 * spent
    assert not store.has("condense", job.key) and not list(store.root.glob(".tmp-*"))


def test_a_second_phase_is_carried_on_from_its_own_start(asked):
    took, _, _ = asked("condense", 0.5, {"name": "slow", "steps": 100, "phases": 2})
    assert took.seconds >= 200 * 0.002


def test_a_student_that_is_cut_short_is_evaluated_by_a_brief_one(asked, monkeypatch):
    calls = []
    real = module._run
    monkeypatch.setattr(module, "_run", lambda *a: calls.append(a[1].config) or real(*a))
    took = asked("train", 0.0, "random")[0]
    assert [config["steps"] for config in calls] == [200, 2] and took.seconds > 0 and took.overhead > 0


def test_what_a_process_works_out_once_is_told_apart(asked, monkeypatch):
    monkeypatch.setattr(once, "_known", once._Known())
    first, again = asked("measure", 60.0, "random")[0], asked("measure", 60.0, "herding")[0]
    assert again.once >= first.once > 0 and first.cpu_once > 0  # up to now
    assert again.once - first.once < first.once / 10
    assert first.seconds < 10 * again.seconds


@given(st.integers(2, 30), st.floats(0.001, 10.0), st.floats(0.0, 50.0), st.integers(0, 100), st.floats(0.1, 1.0))
def test_an_even_work_is_carried_on_exactly_whatever_its_start_took(seen, each, warm, more, cores):
    """After a slow first step all others take the same: t_1 + (total − 1) · each."""
    times = [0.0, *(warm + each * (i + 1) for i in range(seen))]
    end = carried_on([Mark(t, cores * t, i, seen + more if i else 0) for i, t in enumerate(times)])
    assert end.wall == pytest.approx(warm + each * (seen + more))
    assert end.cpu == pytest.approx(cores * end.wall)


def test_a_mark_stands_still_while_something_is_kept_for_later(monkeypatch):
    monkeypatch.setattr(once, "_known", once._Known())
    time = [10.0]
    monkeypatch.setattr(once, "real", lambda: (time[0], 2 * time[0]))

    def long(array):
        time[0] += 5.0
        return array.sum()

    before = Mark.now()
    once.once(long, np.arange(3.0))
    time[0] += 1.0
    assert before == Mark(10.0, 20.0, 0, 0) and Mark.now(3, 7) == Mark(11.0, 22.0, 3, 7)


class Idle:
    """A net's forward, its loss and its optimiser: whatever is called does nothing, in a fraction of a mock's time."""

    param_groups = ()

    def __call__(self, *_, **__):
        return self

    zero_grad = backward = step = detach = __call__


class Chunks:
    """Batches that are made so many at a time, by a clock that it moves: the first of each takes long."""

    def __init__(self, batches, at_once, making):
        self.left, self.at_once, self.making, self.ready, self.now = batches, at_once, making, 0, 0.0

    def __iter__(self):
        while self.left:
            if not self.ready:
                self.ready = min(self.at_once, self.left)
                self.now += self.making * self.ready
            self.ready, self.left = self.ready - 1, self.left - 1
            yield SimpleNamespace(labels=[0], weights=None, teacher=None, mixed=None)

    @property
    def at_seam(self):
        return not self.ready

    def check(self):
        """No teacher labels it."""

    def clock(self):
        return self.now, 2 * self.now


@given(
    at_once=st.integers(1, 60),
    chunks=st.integers(3, 400),
    making=st.floats(0.0, 5.0),
    step=st.floats(0.001, 2.0),
    start=st.floats(0.0, 30.0),
    limit=st.floats(0.0, 20.0),
)
def test_a_training_that_makes_several_batches_at_once_is_carried_on_by_whole_chunks(
    at_once, chunks, making, step, start, limit
):
    """The mean over all steps: one that makes batches for others is dear, and those others are cheap."""
    stream = Chunks(at_once * chunks, at_once, making)
    still = {"drop_single": False, "restart": False, "ema": None, "freeze": 0}
    recipe = SimpleNamespace(steps=at_once * chunks, loss="ce", batch=1, **still)

    def took(*_):
        stream.now += step + start * (state.done == 0)
        state.done += 1

    state = SimpleNamespace(
        done=0, seen=0, losses=torch.zeros(1), count=took, check=lambda *_: None, settle=lambda: None
    )

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_logits", "objective", "schedule", "_optimiser"):
            patch.setattr(loop, name, Idle())
        patch.setattr(loop, "State", lambda *_: state)
        patch.setattr(loop, "Batches", lambda *_, **__: stream)
        patch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: stream.now))
        patch.setattr(once, "real", stream.clock)
        patch.setattr(once, "_known", once._Known())
        cell = module.Probed(None, None, None, None, "none", silent, limit=limit)
        cell.marks.append(Mark.now())
        try:
            loop.train(
                torch.nn.Flatten(), SimpleNamespace(labels=[0]), recipe, seed=0, machine=Machine(progress=cell.watch)
            )
            wall, cpu = stream.clock()
        except module.Enough:
            wall, cpu, *_ = carried_on(cell.marks)
    assert wall == pytest.approx(start + at_once * chunks * (making + step))
    assert cpu == pytest.approx(2 * wall)


@pytest.mark.parametrize(("method", "said"), [("raises", "no luck"), ("leaves", "3"), ("own", "rain")])
def test_a_job_that_fails_says_why(digits, tmp_path, study_of, method, said):
    jobs = {job.key: job for job in expand(study_of(method), digits)}
    job = next(job for job in jobs.values() if job.kind == "condense")
    with pytest.raises(DecoctError, match=said):
        probe(str(tmp_path / "scratch"), None, job, jobs, "cpu", 5.0)


def test_real_cells_are_read_where_they_are(digits, tiny, finished, tmp_path):
    """The teacher's real cell, not a stand-in, and nothing is written to the study's store."""
    before = {file: file.stat().st_mtime_ns for file in (finished / "store").rglob("*")}
    jobs = {job.key: job for job in expand(tiny, digits)}
    job = next(job for job in jobs.values() if job.kind == "features")
    probe(str(tmp_path / "scratch"), str(finished / "store"), job, jobs, "cpu", 60.0)
    made, real = (Store(root).path("features", job.key) for root in (tmp_path / "scratch", finished / "store"))
    assert np.array_equal(np.load(made / "train.npy"), np.load(real / "train.npy"))
    assert {file: file.stat().st_mtime_ns for file in (finished / "store").rglob("*")} == before


def test_the_global_draws_are_as_before(asked):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), Path.cwd(), sys.path.copy()
    asked("condense", 0.1, "sre2l")
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


TABLE = {
    "name": "standing in",
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 2}],
    "replicates": {"condense": 1},
    "protocols": ["erm"],
    "metrics": {"names": []},
    "ceiling": False,
}


@pytest.fixture
def made(digits, tmp_path):
    """``made(KIND, METHOD)``: the folder of a stand-in for a study's first job of a kind."""

    def make(kind, method):
        jobs = {job.key: job for job in expand(Study.from_dict(TABLE | {"condensers": [method]}), digits)}
        job = next(job for job in jobs.values() if job.kind == kind)
        store = Store(tmp_path / "scratch")
        stand_in(store, None, job.key, jobs, "cpu")
        assert store.has(kind, job.key)
        return store.path(kind, job.key)

    return make


def test_few_images_of_every_class(digits):
    small = few(digits)
    for split in ("train", "val", "test"):
        assert all(n >= min(FEW, count) for n, count in zip(small.counts(split), digits.counts(split), strict=True))
        part = getattr(small, split)
        assert len(part) < len(getattr(digits, split)) / 2
        assert part.images.shape[1:] == digits.shape and part.images.dtype == np.uint8


def test_features_are_rows_of_every_image_and_have_their_plane(made, digits):
    folder = made("features", "herding")
    for split in ("train", "val"):
        found = splits_of(folder)[split]
        assert len(found) == len(getattr(digits, split)) and np.isfinite(found).all()
        assert len(np.unique(found, axis=0)) == len(found)  # no two images are one
    assert Plane.load(folder).axes.shape == (2, found.shape[1])


def test_features_that_somebody_brings_are_those(made, rows):
    folder = made("features", {"name": "herding", "extractor": str(rows)})
    assert np.array_equal(splits_of(folder)["train"], np.load(rows).astype(np.float32))


def test_a_frozen_net_is_there_to_look_at_sets_with(made, weighed, digits):
    folder = made("features", {"name": "herding", "extractor": f"timm:test_resnet@{weighed}"})
    assert len(splits_of(folder)["train"]) == len(digits.train)
    assert load_backbone(folder, "cpu") is not None


def test_statistics_load(made):
    assert Statistics.load(made("statistics", "g_vbsm"), "cpu") is not None


def test_traces_are_of_every_image_over_all_epochs(made, digits):
    folder = made("dynamics", {"name": "el2n", "net": "convnet1_w8", "epochs": 3, "runs": 1})
    (trace,) = Traces.load([folder]).runs
    assert trace.margin.shape == (3, len(digits.train)) and trace.shift.shape == (2, len(digits.train))
    assert set(np.unique(trace.correct)) <= {0, 1}


def test_what_a_net_says_is_of_every_image_of_its_fold(made, digits):
    folder = made("out_of_sample", {"name": "confident", "net": "convnet1_w8", "folds": 3})
    rows, said = np.load(folder / "rows.npy"), np.load(folder / "probabilities.npy")
    assert abs(len(rows) - len(digits.train) / 3) < 1 and said.shape == (len(rows), 10)
    assert np.unique(rows).tolist() == rows.tolist() and said.sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", ["herding", "sre2l", {"name": "rded", "shards": 2}])
def test_a_set_has_the_budgets_images_of_each_class(made, method):
    found = Condensed.load(made("condense", method))
    assert np.bincount(found.labels).tolist() == [2] * 10


@pytest.mark.parametrize("method", ["craig", {"name": "confident", "folds": 2}, {"name": "rded", "shards": 2}])
def test_methods_run_on_stand_ins_and_their_shards_are_put_together(asked, method):
    """Gradients in closed form: features are such as their teacher gives. A shard that was probed meets stand-ins."""
    if "shards" in method:
        asked("shard", 60.0, method)
    _, job, store = asked("condense", 60.0, method)
    assert store.has("condense", job.key)


def test_nothing_stands_in_for_experts(asked):
    with pytest.raises(DecoctError, match="nothing stands in for experts: known once they are in the store"):
        asked("condense", 1.0, {"name": "mtt", "net": "convnet1_w8", "experts": 1, "epochs": 5})
