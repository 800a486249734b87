"""Probes: they run the job's own work, end it where enough was seen, and carry it on in proportion."""

import os
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
from decoct.core.kinds import Machine, silent
from decoct.engine import train as loop
from decoct.run.expand import expand
from decoct.run.planning import probe as module
from decoct.run.planning.marks import carried_on
from decoct.run.planning.probe import brief, probe
from decoct.run.storage.store import Store
from decoct.run.study import Study

SLOW = '''
    """A method of so many steps, in two phases if asked, that catches what it can."""

    import time
    from typing import ClassVar

    import numpy as np

    from decoct.core.kinds import Condenser, Draft


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
    found, job, store = asked("condense", 60.0, {"name": "slow", "steps": 5})
    assert found.finished and not found.trouble
    assert found.seconds >= 5 * 0.002 and found.overhead > 0 and found.peak > 0
    cell = store.path("condense", job.key)
    assert store.has("condense", job.key)
    assert found.bytes == sum(file.stat().st_size for file in cell.rglob("*") if file.is_file())


def test_a_long_job_is_cut_short_and_leaves_no_cell_of_its_own(asked):
    start = time.perf_counter()
    found, job, store = asked("condense", 0.1, {"name": "slow", "steps": 10**6})
    spent = time.perf_counter() - start
    assert not found.finished and not found.trouble
    assert found.seconds > 1_000_000 * 0.002 and found.seconds > 100 * spent
    assert found.bytes == module.size_of(store.path("condense", job.key))  # of a stand-in of the same form
    assert not list(store.root.glob(".tmp-*"))


def test_a_second_phase_is_carried_on_from_its_own_start(asked):
    found, _, _ = asked("condense", 0.5, {"name": "slow", "steps": 100, "phases": 2})
    assert not found.trouble and found.seconds >= 200 * 0.002


def test_a_student_that_is_cut_short_is_evaluated_by_a_brief_one(asked, monkeypatch):
    calls = []
    real = module._measured
    monkeypatch.setattr(module, "_measured", lambda *a: calls.append(a[1].config) or real(*a))
    found, _, _ = asked("train", 0.0, "random")
    assert not found.finished and not found.trouble
    assert [config["steps"] for config in calls] == [200, 2]
    assert found.seconds > 0 and found.overhead > 0 and found.bytes > 0 and found.peak > 0


def test_what_a_process_works_out_once_is_told_apart(asked, monkeypatch):
    monkeypatch.setattr(once, "_known", once._Known())
    first, _, _ = asked("measure", 60.0, "random")
    again, _, _ = asked("measure", 60.0, "herding")
    assert not first.trouble and not again.trouble and first.process == again.process == os.getpid()
    assert first.finished and first.once > 10 * again.once and first.cpu_once > 0
    assert first.seconds + first.overhead < 10 * (again.seconds + again.overhead)


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
            yield None

    @property
    def at_seam(self):
        return not self.ready

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
    recipe = SimpleNamespace(steps=at_once * chunks, loss="ce")
    state = SimpleNamespace(done=0, seen=0, losses=torch.zeros(1), check=lambda recipe: None, settle=lambda: None)

    def took(state, *_):
        stream.now += step + start * (state.done == 0)
        state.done += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_step", took)
        patch.setattr(loop, "_optimiser", lambda *_: None)
        patch.setattr(loop, "State", SimpleNamespace(of=lambda *_: state))
        patch.setattr(loop, "Batches", lambda *_, **__: stream)
        patch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: stream.now))
        patch.setattr(module, "real", stream.clock)
        cell = module.Probed(None, None, None, None, "none", silent, limit=limit, clock=stream.clock)
        cell.marks.append(module.now(stream.clock))
        try:
            loop.train(torch.nn.Flatten(), None, recipe, seed=0, machine=Machine(progress=cell.watch))
            wall, cpu = stream.clock()
        except module.Enough:
            wall, cpu = carried_on(cell.marks)
    assert wall == pytest.approx(start + at_once * chunks * (making + step))
    assert cpu == pytest.approx(2 * wall)


def test_what_stands_around_a_student_alone(digits, tmp_path, study_of):
    jobs = {job.key: job for job in expand(study_of("random"), digits)}
    job = next(job for job in jobs.values() if job.kind == "train")
    found = brief(str(tmp_path / "scratch"), None, job, jobs, "cpu")
    assert found.seconds is None and found.overhead > 0 and found.bytes > 0 and not found.trouble


@pytest.mark.parametrize(("method", "said"), [("raises", "no luck"), ("leaves", "3"), ("own", "rain")])
def test_a_job_that_fails_says_why(digits, tmp_path, study_of, method, said):
    jobs = {job.key: job for job in expand(study_of(method), digits)}
    job = next(job for job in jobs.values() if job.kind == "condense")
    found = probe(str(tmp_path / "scratch"), None, job, jobs, "cpu", 5.0)
    assert said in found.trouble and found.seconds is None


def test_real_cells_are_read_where_they_are(digits, tiny, finished, tmp_path):
    """The teacher's real cell, not a stand-in, and nothing is written to the study's store."""
    before = {file: file.stat().st_mtime_ns for file in (finished / "store").rglob("*")}
    jobs = {job.key: job for job in expand(tiny, digits)}
    job = next(job for job in jobs.values() if job.kind == "features")
    found = probe(str(tmp_path / "scratch"), str(finished / "store"), job, jobs, "cpu", 60.0)
    assert found.finished and not found.trouble
    made, real = (Store(root).path("features", job.key) for root in (tmp_path / "scratch", finished / "store"))
    assert np.array_equal(np.load(made / "train.npy"), np.load(real / "train.npy"))
    assert {file: file.stat().st_mtime_ns for file in (finished / "store").rglob("*")} == before


def test_the_global_draws_are_as_before(asked):
    import torch

    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), Path.cwd(), sys.path.copy()
    asked("condense", 0.1, "sre2l")
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
