"""The driver on graphs that nobody chose, with executors that break; then real jobs in real processes."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import LostDeviceError
from decoct.core.record import CELL
from decoct.study import drive
from decoct.study import execute as module
from decoct.study.drive import Driver, abreast
from decoct.study.expand import expand
from decoct.study.jobs import Job
from decoct.study.run import run
from decoct.study.store.store import Store
from decoct.study.workers.executors import Inline, process_pool
from decoct.study.workers.shares import Shares


class Fragile(Executor):
    """Runs what is submitted when it is waited for; dies, with all that waits, of a job in ``killers``."""

    def __init__(self, killers: set[str]) -> None:
        self.killers, self.waiting, self.broken = killers, [], False

    def submit(self, fn, /, *args):
        if self.broken:
            raise BrokenProcessPool("broken")
        future = Future()
        self.waiting.append((future, fn, args))
        return future

    def advance(self):
        future, fn, args = self.waiting.pop(0)
        if args[1].key in self.killers:
            self.broken = True
            for other in (future, *(f for f, _, _ in self.waiting)):
                other.set_exception(BrokenProcessPool("a worker died"))
            self.waiting.clear()
            return
        try:
            future.set_result(fn(*args))
        except Exception as error:
            future.set_exception(error)


def test_shards_of_a_set_that_is_there_are_not_missing(tmp_path):
    store = Store(tmp_path)
    shard, other = (Job(kind="shard", keyed={"n": n}, config={}, data="") for n in (0, 1))
    made, waits = (
        Job(kind="condense", keyed={"n": n}, inputs={"shard:0": part.key}, config={}, data="")
        for n, part in enumerate((shard, other))
    )
    driver = Driver(store, lambda _: Inline())
    assert set(driver.missing([shard, other, made, waits])) == {job.key for job in (shard, other, made, waits)}
    cell = store.path(made.kind, made.key)
    cell.mkdir(parents=True)
    (cell / CELL).write_text("{}")
    assert set(driver.missing([shard, other, made, waits])) == {other.key, waits.key}


def node(number: int, inputs: list[str]) -> Job:
    return Job(
        kind="train", keyed={"n": number}, inputs={str(i): key for i, key in enumerate(inputs)}, config={}, data=""
    )


@st.composite
def graphs(draw):
    jobs = []
    for number in range(draw(st.integers(1, 12))):
        before = st.lists(st.sampled_from([job.key for job in jobs]), unique=True, max_size=3) if jobs else st.just([])
        jobs.append(node(number, draw(before)))
    fates = draw(st.lists(st.sampled_from(["fine"] * 4 + ["fails", "kills", "there"]), min_size=12, max_size=12))
    return jobs, {job.key: fate for job, fate in zip(jobs, fates, strict=False)}


@given(graph=graphs(), workers=st.integers(1, 3))
@settings(max_examples=75, deadline=None)
def test_everything_runs_that_can_whatever_fails_and_breaks(graph, workers, tmp_path_factory):
    jobs, fates = graph
    store = Store(tmp_path_factory.mktemp("store"))
    ran, told = [], {}
    pools: list[Fragile] = []

    def make(job):
        with store.writing(job.kind, job.key) as folder:
            (folder / CELL).write_text("{}")

    def execute(where, job, device):
        assert Path(where) == store.root
        assert all(store.has("train", key) for key in job.inputs.values())
        ran.append(job.key)
        if fates[job.key] == "fails":
            raise ValueError("no")
        make(job)

    def wait(running, return_when):
        pools[-1].advance()
        done = {future for future in running if future.done()}
        return type("Waited", (), {"done": done})

    def pool(size):
        pools.append(Fragile({key for key, fate in fates.items() if fate == "kills"}))
        return pools[-1]

    for job in jobs:
        if fates[job.key] == "there":
            make(job)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "execute", execute)
        patch.setattr(drive, "wait", wait)
        driver = Driver(store, pool, workers, on_done=lambda job, error: told.update({job.key: error}))
        failed = driver.run(jobs)

    doable: dict[str, bool] = {}
    for job in jobs:
        free = all(doable[key] for key in job.inputs.values())
        doable[job.key] = fates[job.key] == "there" or (free and fates[job.key] == "fine")
    due = [j for j in jobs if fates[j.key] != "there" and all(doable[key] for key in j.inputs.values())]
    assert {job.key for job in jobs if store.has("train", job.key)} == {key for key, done in doable.items() if done}
    assert set(failed) == {job.key for job in due if fates[job.key] in ("fails", "kills")}
    assert told.keys() == {job.key for job in due}
    assert {key for key, error in told.items() if error} == set(failed)
    assert sorted(ran) == sorted(job.key for job in due if fates[job.key] != "kills")


def test_as_many_jobs_are_abreast_as_begin_together():
    first = node(0, [])
    second, third = node(1, [first.key]), node(2, [first.key])
    last = node(3, [second.key, third.key, "not among them"])
    chain = {job.key: job for job in (first, second, last)}
    assert (abreast({}), abreast(chain), abreast(chain | {third.key: third})) == (0, 1, 2)
    assert abreast({job.key: job for job in (node(n, []) for n in range(5))}) == 5


def test_jobs_run_at_once_up_to_the_workers_and_one_waits():
    seen = []

    class Counting(Fragile):
        def submit(self, fn, /, *args):
            future = super().submit(fn, *args)
            seen.append(len(self.waiting))
            return future

    pool = Counting(set())

    def wait(running, return_when):
        pool.advance()
        return type("Waited", (), {"done": {future for future in running if future.done()}})

    class Nothing(Store):
        def has(self, kind, key):
            return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "execute", lambda *args: None)
        patch.setattr(drive, "wait", wait)
        Driver(Nothing("none"), lambda size: pool, workers=2).run([node(n, []) for n in range(8)])
    assert max(seen) == 3


def test_what_another_run_is_making_comes_last_and_is_not_waited_for(tmp_path, monkeypatch):
    jobs, begun = [node(n, []) for n in range(4)], []

    class Shared(Store):
        def underway(self):
            return {job.key for job in jobs[:3]} if len(begun) < 3 else set()

    monkeypatch.setattr(module, "execute", lambda where, job, device: begun.append(job.keyed["n"]))
    assert Driver(Shared(tmp_path), lambda size: Inline()).run(jobs) == {}
    assert begun == [3, 0, 1, 2]


def test_where_jobs_run_in_this_process_each_is_told_before_the_next_begins(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(module, "execute", lambda where, job, device: events.append(("runs", job.keyed["n"])))
    driver = Driver(
        Store(tmp_path),
        lambda size: Inline(),
        on_start=lambda job: events.append(("begins", job.keyed["n"])),
        on_done=lambda job, error: events.append(("ends", job.keyed["n"])),
    )
    driver.run([node(n, []) for n in range(3)])
    assert events == [(what, n) for n in range(3) for what in ("begins", "runs", "ends")]


def test_no_more_jobs_begin_than_there_are_workers_and_each_before_it_ends(tmp_path):
    pool, at_work, most, ended = Fragile(set()), set(), [], []

    def wait(running, return_when):
        pool.advance()
        return type("Waited", (), {"done": {future for future in running if future.done()}})

    def begins(job):
        at_work.add(job.key)
        most.append(len(at_work))

    def ends(job, error):
        at_work.remove(job.key)
        ended.append(job.key)

    jobs = [node(n, []) for n in range(8)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "execute", lambda *args: None)
        patch.setattr(drive, "wait", wait)
        Driver(Store(tmp_path), lambda size: pool, 2, on_start=begins, on_done=ends).run(jobs)
    assert max(most) == 2 and at_work == set()
    assert sorted(ended) == sorted(job.key for job in jobs)


def of_kind(kind: str, name: str, **inputs: Job) -> Job:
    return Job(
        kind=kind,
        keyed={"name": name},
        inputs={role: job.key for role, job in inputs.items()},
        labels={"method": name.partition(" ")[0]} if kind in ("train", "condense") else {},
        config={},
        data="",
    )


def test_one_student_comes_first_then_all_as_they_are_planned_and_measures_last():
    teacher = of_kind("teacher", "net")
    dear, cheap = of_kind("condense", "herding", teacher=teacher), of_kind("condense", "random")
    measured = of_kind("measure", "herding", condensed=dear)
    students = [of_kind("train", f"{s.keyed['name']} {n}", condensed=s) for s in (dear, cheap) for n in (0, 1)]
    full = of_kind("train", "full")
    jobs = [teacher, dear, measured, *students[:2], cheap, *students[2:], full]
    ranks = drive.order({job.key: job for job in jobs})
    first = [cheap, students[2]]  # needs the least of the students on a set; the full data need less and take longer
    assert sorted(jobs, key=lambda job: ranks[job.key]) == [
        *first,
        teacher,
        dear,
        *students[:2],
        students[3],
        full,
        measured,
    ]


@given(graph=graphs())
def test_every_job_has_a_rank_of_its_own(graph):
    jobs, _ = graph
    assert sorted(drive.order({job.key: job for job in jobs}).values()) == list(range(len(jobs)))


@pytest.mark.parametrize("at_once", [True, False], ids=["all are told at once", "one after the other"])
def test_suspects_run_last_and_each_in_a_pool_of_one_worker(tmp_path, at_once):
    jobs = [node(n, []) for n in range(6)]
    sizes, ran, at_work, most = [], [], set(), []
    pools: list[Fragile] = []

    def begins(job):
        at_work.add(job.key)
        most.append((len(at_work), len(sizes)))

    def pool(size):
        assert not at_work  # who ran when the last one broke waits
        sizes.append(size)
        pools.append(Fragile({jobs[1].key}))
        return pools[-1]

    def wait(running, return_when):
        if not any(future.done() for future in running):
            pools[-1].advance()
        done = [future for future in running if future.done()]
        return type("Waited", (), {"done": done if at_once else done[:1]})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "execute", lambda where, job, device: ran.append(job.key))
        patch.setattr(drive, "wait", wait)
        told = {"on_start": begins, "on_done": lambda job, error: at_work.discard(job.key)}
        driver = Driver(Store(tmp_path), pool, 2, **told, on_back=lambda job: at_work.discard(job.key))
        failed = driver.run(jobs)
    assert all(number <= sizes[pool - 1] for number, pool in most)
    assert {key: str(error) for key, error in failed.items()} == {
        jobs[1].key: "its worker process died, twice; it may need more memory than there is"
    }
    assert ran[:3] == [jobs[n].key for n in (0, 4, 5)]  # 1, 2 and 3 were running when the pool broke
    assert sorted(ran[3:]) == sorted(jobs[n].key for n in (2, 3))
    assert sizes == [2, 2, 1, 1, 1]


def test_a_worker_that_lost_its_gpu_gets_nothing_more_and_its_job_is_done_elsewhere(tmp_path, monkeypatch):
    jobs, ran, pools = [node(n, []) for n in range(6)], [], []

    class Losing(Inline):
        """From its third job on it has no GPU, unless it is a later one; job 4 loses every GPU."""

        def submit(self, fn, /, *args):
            self.taken = getattr(self, "taken", 0) + 1
            if args[1] == jobs[4] or (self is pools[0] and self.taken > 2):
                (future := Future()).set_exception(LostDeviceError("cuda no longer computes: sparks"))
                return future
            return super().submit(fn, *args)

    def pool(workers):
        pools.append(Losing())
        return pools[-1]

    monkeypatch.setattr(module, "execute", lambda where, job, device: ran.append(job.keyed["n"]))
    failed = Driver(Store(tmp_path), pool).run(jobs)
    assert {key: str(error) for key, error in failed.items()} == {jobs[4].key: "cuda no longer computes: sparks"}
    assert ran == [0, 1, 3, 5, 2]  # the third one by itself, when all others are done
    assert len(pools) == 5


def test_a_kind_that_gets_no_gpu_computes_on_the_cpu(tmp_path, monkeypatch):
    devices = {}
    monkeypatch.setattr(module, "execute", lambda where, job, device: devices.update({job.kind: device}))
    monkeypatch.setattr(module, "resolve", str)  # as if it were there
    jobs = [Job(kind=kind, keyed={}, config={}, data="") for kind in ("train", "measure")]
    driver = Driver(Store(tmp_path), lambda size: Inline(), device="cuda", on_cpu=frozenset({"measure"}))
    assert driver.run(jobs) == {}
    assert devices == {"train": "cuda", "measure": "cpu"}


def test_workers_elsewhere_find_a_store_that_was_named_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(module, "execute", lambda where, job, device: found.append(where))
    Driver(Store("here"), lambda size: Inline()).run([node(0, [])])
    assert found == [str(tmp_path / "here")]


def runner(store: Store, workers: int = 1) -> Callable[..., Driver]:
    return Driver(store, lambda size: Inline() if workers == 1 else process_pool(size), workers)


def test_what_a_plug_in_breaks_fails_alone(study_of, tmp_path):
    names = ["raises", "own", "leaves", "not_finite", "wrong_shape", "too_many", "no_such_image"]
    failures = run(study_of("random", *names), tmp_path / "out")
    store = Store(tmp_path / "out" / "store")
    messages = sorted(failures.values())
    assert messages == sorted(
        [
            "ValueError: no luck; today",
            "Misfortune: rain: clouds",
            "SystemExit: 3",
            "the images hold values that are not finite",
            "wrong_shape made images of shape (1, 9, 9); the data's are (1, 8, 8)",
            "too_many made 50 images where the budget ipc=1 gives 10",
            "no_such_image picked images that the train split does not have",
        ]
    )
    assert [len(list(store.root.glob(f"{kind}/*/*"))) for kind in ("condense", "train")] == [1, 1]
    assert list(store.root.glob(".tmp-*")) == []


def test_a_loss_that_is_not_finite_fails_alone(study_of, tmp_path):
    study = study_of("random", protocols=[{"name": "erm", "steps": 2}, {"name": "dc", "epochs": 5, "lr": 1e30}])
    (message,) = run(study, tmp_path).values()
    assert "not finite" in message
    assert "lower lr" in message
    assert len(list((tmp_path / "store" / "train").glob("*/*"))) == 1


def test_what_is_in_the_store_is_not_run_again(study_of, digits, tmp_path):
    store = Store(tmp_path)
    first, all_jobs = expand(study_of("random"), digits), expand(study_of("random", "good"), digits)
    assert runner(store).run(first) == {}
    ran = []
    driver = runner(store)
    driver.on_done = lambda job, error: ran.append(job.key)
    assert driver.run(all_jobs) == {}
    assert ran == [job.key for job in all_jobs if job.key not in {done.key for done in first}]
    assert driver.missing(all_jobs) == {}


def test_a_failure_is_not_remembered(study_of, digits, tmp_path, monkeypatch):
    store, jobs = Store(tmp_path), expand(study_of("random"), digits)
    with monkeypatch.context() as patch:
        patch.setattr(module, "execute", lambda *args: 1 / 0)
        (error,) = runner(store).run(jobs).values()
    assert str(error) == "ZeroDivisionError: division by zero"
    assert runner(store).run(jobs) == {}
    assert all(store.has(job.kind, job.key) for job in jobs)


@pytest.mark.parametrize("pool", [process_pool, lambda most: Shares("01", {"train": 0.5}.get, most)])
def test_in_real_processes_a_worker_that_dies_takes_nothing_with_it(pool, study_of, digits, tmp_path, contents):
    study = study_of("dies", "own", "random")
    jobs, told = expand(study, digits), []
    driver = Driver(Store(tmp_path / "pool"), pool, 2, on_cpu=frozenset({"condense"}))
    driver.on_done = lambda job, error: told.append((job.labels["method"], error is None))
    messages = {str(error) for error in driver.run(jobs).values()}
    assert messages == {
        "its worker process died, twice; it may need more memory than there is",
        "Misfortune: rain: clouds",
    }
    assert sorted(told) == [("dies", False), ("own", False), ("random", True), ("random", True)]
    driver.store.sweep()  # the pool that broke may have taken a writer with it
    alone = Store(tmp_path / "alone")
    assert runner(alone).run(expand(study_of("random"), digits)) == {}
    assert contents(tmp_path / "pool") == contents(tmp_path / "alone")


def test_ctrl_c_reaches_the_caller_and_leaves_the_store_whole(study_of, digits, tmp_path, monkeypatch):
    store, jobs, real = Store(tmp_path), expand(study_of("random", replicates=3), digits), module.execute

    def interrupted(root, job, device):
        if job.kind == "train":
            raise KeyboardInterrupt
        real(root, job, device)

    with monkeypatch.context() as patch:
        patch.setattr(module, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runner(store).run(jobs)
    made = [job for job in jobs if store.has(job.kind, job.key)]
    assert 1 <= len(made) < len(jobs)
    assert all(job.kind == "condense" for job in made)
    assert runner(store).run(jobs) == {}
    assert all(store.has(job.kind, job.key) for job in jobs)
