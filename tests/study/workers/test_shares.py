"""Jobs on shares of GPUs: none is given more than there is, and what needs no GPU runs beside."""

import os
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.study import drive
from decoct.study import execute as module
from decoct.study.drive import Driver
from decoct.study.jobs import Job
from decoct.study.store.store import Store
from decoct.study.workers import shares
from decoct.study.workers.shares import Shares

SHARE = {"teacher": 1.0, "train": 0.25, "condense": 0.5, "labels": 0.1, "measure": 0.0, "reference": 0.0}


class Held(Executor):
    """Keeps calls until somebody does one; dies of the jobs that it is told, with all that it holds."""

    def __init__(self, workers, threads, gpus, deadly=()):
        (self.gpu,), self.workers, self.deadly, self.broken = set(gpus), workers, deadly, False
        self.calls = {}

    def submit(self, fn, /, *args):
        if self.broken:
            raise BrokenProcessPool("broken")
        self.calls[future := Future()] = fn, args
        return future

    def do(self, future):
        fn, args = self.calls.pop(future)
        if args[1].key in self.deadly:
            self.broken = True
            for each in (future, *self.calls):
                each.set_exception(BrokenProcessPool("a worker died"))
            self.calls.clear()
        else:
            future.set_result(fn(*args))


def job(kind, number, *inputs):
    needs = {str(at): each.key for at, each in enumerate(inputs)}
    return Job(kind=kind, keyed={"n": number}, inputs=needs, config={}, data="")


@st.composite
def graphs(draw):
    jobs = []
    for number in range(draw(st.integers(1, 14))):
        needs = draw(st.lists(st.sampled_from(jobs), unique_by=lambda one: one.key, max_size=2)) if jobs else []
        jobs.append(job(draw(st.sampled_from(list(SHARE))), number, *needs))
    return jobs, draw(st.sets(st.sampled_from([each.key for each in jobs]), max_size=2))


@given(graph=graphs(), gpus=st.integers(1, 3), most=st.integers(1, 8), beside=st.integers(1, 2), draws=st.randoms())
@settings(max_examples=150, deadline=None)
def test_all_is_done_on_no_more_than_there_is(graph, gpus, most, beside, draws, tmp_path_factory):
    jobs, deadly = graph
    store, pools, ran, at_work = Store(tmp_path_factory.mktemp("store")), [], [], set()

    def pool(workers, threads, names):
        pools.append(Held(workers, threads, names, deadly))
        return pools[-1]

    def wait(running, return_when):
        by_gpu = {each.gpu: [SHARE[args[1].kind] for _, args in each.calls.values()] for each in pools if each.calls}
        on_cpu = by_gpu.pop("", [])
        assert all(sum(own) <= 1 + 1e-9 and 0 not in own for own in by_gpu.values())
        assert sum(map(len, by_gpu.values())) <= most
        assert len(on_cpu) <= beside and not any(on_cpu)
        assert len(at_work) == sum(map(len, by_gpu.values())) + len(on_cpu)  # all that is told to be at work is
        if not any(future.done() for future in running):
            one = draws.choice([*running])
            next(each for each in pools if one in each.calls).do(one)
        return type("Waited", (), {"done": {future for future in running if future.done()}})

    def executor(workers):
        return Shares([str(n) for n in range(gpus)], SHARE.__getitem__, min(workers, most), beside)

    def execute(where, job, device):
        ran.append(job.key)
        assert device == ("cpu" if SHARE[job.kind] == 0 else "cuda")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shares, "process_pool", pool)
        patch.setattr(module, "execute", execute)
        patch.setattr(module, "resolve", str)
        patch.setattr(drive, "wait", wait)
        told = {"on_start": lambda job: at_work.add(job.key), "on_back": lambda job: at_work.discard(job.key)}
        told["on_done"] = lambda job, error: at_work.discard(job.key)
        cpu = frozenset(kind for kind, share in SHARE.items() if not share)
        failed = Driver(store, executor, most, "cuda", on_cpu=cpu, **told).run(jobs)
    blocked = set(deadly)
    for each in jobs:
        if blocked & set(each.inputs.values()):
            blocked.add(each.key)
    assert sorted(ran) == sorted(each.key for each in jobs if each.key not in blocked)
    assert set(failed) <= deadly and not at_work


def test_measures_do_not_wait_for_a_gpu_though_they_come_last(tmp_path, monkeypatch):
    pools, order = [], []

    def pool(workers, threads, names):
        pools.append(Held(workers, threads, names))
        return pools[-1]

    def wait(running, return_when):
        order.append(sorted(args[1].kind for each in pools for _, args in each.calls.values()))
        for each in pools:
            for future in list(each.calls)[:1]:
                each.do(future)
        return type("Waited", (), {"done": {future for future in running if future.done()}})

    monkeypatch.setattr(shares, "process_pool", pool)
    monkeypatch.setattr(module, "execute", lambda *args: None)
    monkeypatch.setattr(module, "resolve", str)
    monkeypatch.setattr(drive, "wait", wait)
    jobs = [*(job("teacher", n) for n in range(3)), *(job("measure", n) for n in range(2))]
    beside = {"on_cpu": frozenset({"measure"}), "device": "cuda"}
    assert Driver(Store(tmp_path), lambda most: Shares(["0"], SHARE.__getitem__, most), 1, **beside).run(jobs) == {}
    assert order == [["measure", "teacher"], ["measure", "teacher"], ["teacher"]]


def seen(job):
    """The GPU that a worker sees."""
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_workers_see_the_gpu_of_their_job_and_those_beside_none():
    with Shares(["5", "GPU-a"], SHARE.__getitem__, 8) as executor:
        kinds = ("condense", "condense", "condense", "measure")
        futures = [executor.submit(seen, job(kind, n)) for n, kind in enumerate(kinds)]
        assert not executor.fits("teacher") and not executor.fits("measure")
        found = [future.result(60) for future in futures]
        assert sorted(found[:2]) == ["5", "GPU-a"] and found[2] in found[:2] and found[3] == ""
        assert executor.fits("teacher") and executor.fits("measure")
        assert len(executor._processes) in (3, 4)  # of those on one GPU the second may have taken the first one's place
