"""A job leaves a cell, or nothing: metered, with its own threads, and the caller's settings as they were."""

import errno
import inspect
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import decoct
from decoct.core.errors import DecoctError, LostDeviceError, UsageError
from decoct.core.record import CELL, MEASURED, read_cost, read_json
from decoct.core.spec import find
from decoct.study import cell as cells
from decoct.study import execute as module
from decoct.study.cell import Counter
from decoct.study.execute import LONGEST, WORK, attempt, cores, describe, execute, precisions, threads
from decoct.study.jobs import OWN, Job, kinds
from decoct.study.store.store import Store
from decoct.study.workers.executors import Inline, process_pool

TRAININGS = ("dynamics", "out_of_sample", "trajectory", "generator")


@pytest.fixture
def job(digits):
    compute = {"threads": 1, "precision": "float32", "compile": False}
    return Job(kind="train", keyed={"compute": compute}, inputs={"a": "b"}, config={}, data=str(digits.folder))


@pytest.fixture
def working(monkeypatch):
    """Let ``execute`` do something else than train."""

    def replace(function):
        monkeypatch.setitem(WORK, "train", function)

    return replace


def test_a_cell_says_what_it_is_and_what_it_took(job, working, tmp_path):
    took = []

    def nap(cell):
        assert (cell.data.name, cell.device) == ("digits", "cpu")
        before = time.perf_counter()
        with cell.meter():
            time.sleep(0.1)
        took.append(time.perf_counter() - before)
        time.sleep(0.1)

    working(nap)
    execute(tmp_path, job)
    folder = Store(tmp_path).path("train", job.key)
    known = read_json(folder / CELL)
    assert known == {"key": job.key, "kind": "train", "keyed": job.keyed, "inputs": {"a": "b"}, "files": {}}
    cost = read_cost(folder / MEASURED)
    assert 0.1 <= cost.seconds <= took[0]
    assert cost.cpu_seconds < cost.seconds
    assert (cost.device, cost.device_seconds) == ("cpu", 0.0)
    assert set(cost.versions) >= {"decoct", "torch", "numpy", "python"}


def test_the_peak_is_of_the_work_alone(job, working, tmp_path):
    sizes = {}

    def fill(megabytes):
        def work_on(cell):
            torch.ones(400 * 2**18)  # before the meter: does not count
            with cell.meter():
                held = torch.ones(megabytes * 2**18)
            del held
            sizes[megabytes] = cell.cost.peak_memory

        working(work_on)
        execute(tmp_path / str(megabytes), job)

    for megabytes in (200, 10):
        fill(megabytes)
    assert 150 * 2**20 < sizes[200] - sizes[10] < 250 * 2**20


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "mps"])
def test_an_accelerator_is_held_and_its_energy_counted(job, working, tmp_path, monkeypatch, device):
    """With counters for a clock, and a machine of two GPUs that is made up."""
    joules = {"processor": 1.0, "first": 10.0, "second": 100.0}

    def counts(name):
        return (Counter(lambda: joules[name]),)

    monkeypatch.setattr(cells, "of_processor", lambda: counts("processor"))
    monkeypatch.setattr(cells, "of_gpu", counts)
    gpus = {"cuda": "first", "cuda:0": "first", "cuda:1": "second"}
    made_up = {
        "init": lambda: None,
        "synchronize": lambda device: joules.update(second=joules["second"] + 50),
        "reset_peak_memory_stats": lambda device: None,
        "max_memory_allocated": {"cuda:0": 111, "cuda:1": 222}.__getitem__,
        "get_device_name": lambda device: f"the {gpus[device]} GPU",
        "get_device_properties": lambda device: SimpleNamespace(uuid=gpus[device]),
    }
    for name, function in made_up.items():
        monkeypatch.setattr(torch.cuda, name, function)

    def work(cell):
        joules["processor"] += 1000
        with cell.meter():
            for name in joules:
                joules[name] *= 2
        joules["processor"] += 1000

    working(work)
    execute(tmp_path, job, device)
    cost = read_cost(Store(tmp_path).path("train", job.key) / MEASURED)
    assert cost.device == device and cost.seconds > 0
    assert cost.energy == {"cpu": 1001.0, "cuda:1": 150.0, "mps": None}[device]
    assert cost.device_seconds == (0.0 if device == "cpu" else cost.seconds)
    if device == "cuda:1":
        assert (cost.peak_memory, cost.hardware) == (222, "the second GPU")


@pytest.mark.parametrize("reported", [True, False])
def test_what_is_stopped_and_continues_costs_what_came_before_its_state(job, working, tmp_path, monkeypatch, reported):
    spent = {"wall": 0.0, "cpu": 0.0, "joules": 0.0}

    def spend(times):
        spent.update(wall=spent["wall"] + 5 * times, cpu=spent["cpu"] + 3 * times, joules=spent["joules"] + 7 * times)

    clock = SimpleNamespace(perf_counter=lambda: spent["wall"], process_time=lambda: spent["cpu"])
    monkeypatch.setattr(cells, "time", clock)
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(cells, "of_processor", lambda: (Counter(lambda: spent["joules"]),) if reported else ())

    def work(cell):
        spend(1000)  # inputs are read
        with cell.meter():
            state, found = cell.kept().load("state"), cell.machine().kept.load("another")
            spend(1)
            if found is None:
                cell.machine().kept.save("another" if state else "state", {"step": np.ones(1)})
                spend(1000)  # which is lost
                raise KeyboardInterrupt
        assert state.keys() == found.keys() == {"step"}

    working(work)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            execute(tmp_path, job, "cpu")
    execute(tmp_path, job, "cpu")
    cost = read_cost(Store(tmp_path).path("train", job.key) / MEASURED)
    assert (cost.seconds, cost.cpu_seconds, cost.energy) == (15.0, 9.0, 21.0 if reported else None)
    assert cost.around == 5000.0


def test_a_finished_cell_is_not_worked_on_again(job, working, tmp_path):
    calls = []

    def count(cell):
        with cell.meter():
            calls.append(cell)

    working(count)
    execute(tmp_path, job)
    execute(tmp_path, job)
    assert len(calls) == 1


@pytest.mark.parametrize("error", [DecoctError("no"), ValueError("no"), KeyboardInterrupt()])
def test_work_that_raises_leaves_nothing(job, working, tmp_path, error):
    def fail(cell):
        (cell.folder / "half").touch()
        with cell.meter():
            raise error

    working(fail)
    with pytest.raises(type(error)):
        execute(tmp_path, job)
    assert not Store(tmp_path).has("train", job.key)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_work_without_its_meter_is_refused(job, working, tmp_path):
    working(lambda cell: None)
    with pytest.raises(RuntimeError, match="without its meter"):
        execute(tmp_path, job)


def test_a_job_computes_with_its_threads_and_leaves_the_callers(job, working, tmp_path):
    seen = []

    def look(cell):
        seen.append(torch.get_num_threads())
        with cell.meter():
            pass

    working(look)
    before = torch.get_num_threads()
    execute(tmp_path, job.model_copy(update={"keyed": {"compute": {"threads": 3}}}))
    assert seen == [3]
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError), threads(2):
        raise ValueError
    assert torch.get_num_threads() == before


def test_a_checkpoint_stays_until_its_cell_is_there(job, working, tmp_path):
    found = Store(tmp_path).unfinished("train", job.key)

    def half(cell):
        cell.kept().save("training", {"done": np.zeros(1)})
        assert (found / "training.safetensors").is_file()
        with cell.meter():
            if len(calls) == 1:
                raise DecoctError("no")

    calls = [1]
    working(half)
    with pytest.raises(DecoctError):
        execute(tmp_path, job)
    assert found.exists()
    calls.append(2)
    execute(tmp_path, job)
    assert not found.exists() and Store(tmp_path).has("train", job.key)


def test_a_job_says_in_which_precisions_its_nets_compute(job):
    """For trainings, for a method's own nets, and for each extractor that measures."""

    def said(compute, config):
        return precisions(job.model_copy(update={"keyed": compute, "config": config}))

    half = {"precision": "bfloat16"}
    assert said({}, {}) == said({"compute": {"threads": 1}}, {"name": "random"}) == {"float32"}
    assert said({"compute": half}, {}) == said({}, half) == {"float32", "bfloat16"}
    assert said({"compute": half}, half) == {"bfloat16"}
    assert said({}, {"precision": {"a": "float32", "b": "bfloat16"}}) == {"float32", "bfloat16"}


def test_every_kind_of_job_has_its_work():
    assert set(WORK) == set(OWN)
    assert set(kinds()) == {*OWN, "teacher", "features", "statistics", *TRAININGS}
    assert all(callable(find("need", kind).make) for kind in kinds() if kind not in OWN)


def test_there_is_a_core():
    assert cores() >= 1


def test_a_worker_of_another_version_is_refused_with_both(tmp_path):
    for executor in (Inline(), process_pool(1)):
        with executor:
            future = executor.submit(
                attempt, str(tmp_path), Job(kind="condense", keyed={}, config={}, data=""), "cpu", "0.0.1"
            )
            said = rf"driven by decoct 0\.0\.1, and its worker on \S+ has decoct {decoct.__version__}: install the same"
            with pytest.raises(DecoctError, match=said):
                future.result()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DecoctError("one\ntwo"), "one; two"),
        (ValueError("bad"), "ValueError: bad"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("first\n\n  second  \n"), "RuntimeError: first; second"),
    ],
)
def test_a_failure_is_told_in_one_line(error, line):
    assert describe(error) == line


def test_a_failure_that_says_too_much_is_cut():
    assert len(describe(ValueError("x" * 10_000))) == LONGEST + len(" …")


def test_the_files_of_a_cell_are_those_that_its_work_names(finished):
    """The site's table of cells is written from these docstrings."""
    kinds_seen = set()
    for cell in (finished / "store").glob(f"[a-z]*/??/*/{CELL}"):
        kind, folder = cell.parents[2].name, cell.parent
        work = WORK[kind] if kind in WORK else find("need", kind).make
        section = (inspect.getdoc(work) or "").partition("Files:\n")[2].partition("\n\n")[0]
        told = {line.strip().partition(": ")[0].rstrip("/") for line in section.splitlines()}
        there = {path.name for path in folder.iterdir()} - {CELL, MEASURED}
        assert there <= told or "NAME.npy" in told, (kind, there - told)
        kinds_seen.add(kind)
    assert {"teacher", "features", "condense", "train", "measure", "reference"} <= kinds_seen


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_names_its_files(kind):
    work = WORK[kind] if kind in WORK else find("need", kind).make
    assert "Files:\n" in (inspect.getdoc(work) or "")


def test_a_strain_on_the_machine_is_told_with_the_way_out():
    said = describe(OSError(errno.EMFILE, "Too many open files", "a.npz"))
    assert said == "a.npz: too many open files: raise `ulimit -n`, then run the same again"


@pytest.mark.parametrize(("why", "error"), [("sparks", LostDeviceError), ("", DecoctError)])
def test_a_failure_after_which_the_gpu_computes_nothing_is_told_as_such(why, error, job, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    released = []
    monkeypatch.setattr(module, "execute", fail)
    monkeypatch.setattr(module, "resolve", str)
    monkeypatch.setattr(module, "lost", lambda device: why)
    monkeypatch.setattr(module, "release", released.append)  # which would fail as well
    with pytest.raises(error, match="cuda no longer computes: sparks" if why else "illegal memory") as caught:
        attempt(str(tmp_path), job, "cuda", decoct.__version__)
    assert type(caught.value) is error
    assert "illegal memory access" in "".join(caught.value.__notes__)
    assert released == ([] if why else ["cuda"])


def test_a_gpu_is_not_asked_after_an_error_that_says_what_to_do_unless_it_is_gone(job, tmp_path, monkeypatch):
    def fail(*args):
        raise UsageError("take another precision")

    monkeypatch.setattr(module, "execute", fail)
    monkeypatch.setattr(module, "resolve", str)
    monkeypatch.setattr(module, "lost", lambda device: "gone")
    monkeypatch.setattr(module, "release", lambda device: None)
    for there, said in ((True, "take another precision"), (False, "cuda no longer computes: gone")):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        with pytest.raises(DecoctError, match=said):
            attempt(str(tmp_path), job, "cuda", decoct.__version__)
