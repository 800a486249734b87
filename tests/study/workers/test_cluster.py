"""Jobs on Ray: the same bytes, a worker that dies takes nothing with it, and errors that say what to do."""

import json
import os
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.shrinking.pools import make_pool

import decoct
from decoct.core.errors import DecoctError, LostDeviceError, UsageError
from decoct.core.record import CELL, MEASURED
from decoct.shrinking.learners.scratch import Scratch
from decoct.shrinking.trainings import Fit, Look, Pick, Trainings
from decoct.study.drive import Driver
from decoct.study.execute import attempt
from decoct.study.expand import expand
from decoct.study.jobs import Job
from decoct.study.memory import MALLOC
from decoct.study.run import run
from decoct.study.store.store import Store
from decoct.study.study import Study
from decoct.study.workers import cluster
from decoct.study.workers.cluster import Cluster, Needed, said
from decoct.study.workers.executors import Inline

SMALL = """
    name = "small"
    students = ["convnet1_w8"]
    budgets = [{ipc = 1}]
    replicates = {condense = 2}
    condensers = ["random", "herding"]
    protocols = [{name = "erm", steps = 5}]
    teachers = [{net = "convnet2_bn", epochs = 1}]
    metrics = {names = []}
"""
PATIENCE = 300  # seconds that anything may take on a busy machine
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def ray_here():
    """One Ray for the module, of two CPUs and two GPUs that are made up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        patch.setenv("RAY_AUTH_MODE", "disabled")  # or Ray leaves a token in the user's home
        options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init("local", num_cpus=2, num_gpus=2, object_store_memory=100 * 2**20, **options)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import a test
        yield
        ray.shutdown()


@pytest.fixture
def executor(ray_here, tmp_path):
    """What runs calls with the GPUs of a job's kind; one that dies is tried again once."""
    gpus = {"train": 0.5, "teacher": 1.0}
    with Cluster(Needed(str(tmp_path / "store")), threads=1, gpus=gpus, retries=1) as made:
        yield made


def job(kind):
    return Job(kind=kind, keyed={}, config={}, data="")


def surroundings(job):
    began = [line for line in Path("/proc/self/environ").read_text().split("\0") if line]
    return dict(line.split("=", 1) for line in began), os.environ.get("CUDA_VISIBLE_DEVICES")


def nap(job, seconds):
    begin = time.monotonic()
    time.sleep(seconds)
    return begin, time.monotonic(), os.environ["CUDA_VISIBLE_DEVICES"]


def test_a_worker_begins_with_its_threads_and_malloc_and_sees_the_gpus_of_its_kind(executor):
    futures = [executor.submit(surroundings, job(kind)) for kind in ("train", "teacher", "measure")]
    (env, half), (_, whole), (_, none) = (future.result(PATIENCE) for future in futures)
    assert env["OMP_NUM_THREADS"] == "1" and MALLOC.items() <= env.items()
    assert half in ("0", "1") and whole in ("0", "1") and not none


def test_jobs_at_once_share_no_gpu_that_is_whole(executor):
    taken = [future.result(PATIENCE) for future in [executor.submit(nap, job("teacher"), 0.5) for _ in range(4)]]
    for one, (begin, end, gpu) in enumerate(taken):
        others = [other for at, other in enumerate(taken) if at != one]
        assert all(end <= b or e <= begin for b, e, g in others if g == gpu)


def test_a_run_on_a_ray_of_its_own_leaves_the_bytes_of_one_in_this_process(start, contents, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    study = tmp_path / "small.toml"
    study.write_text(SMALL, "utf-8")
    process = start("run", study, "--out", tmp_path / "out", "--on", "ray", "--workers", "2", "--json")
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["failures"] == []
    assert run(Study.from_toml(study), tmp_path / "here") == {}
    assert contents(tmp_path / "out" / "store") == contents(tmp_path / "here" / "store")


def test_a_worker_that_lost_its_gpu_leaves_so_that_another_one_does_its_job(tmp_path, monkeypatch):
    def lose():
        raise LostDeviceError("cuda no longer computes")

    left = []
    monkeypatch.setattr(cluster.os, "_exit", left.append)
    cluster._work(Needed(str(tmp_path)), lose, (), {})
    assert left == [1]


def test_what_kills_its_worker_fails_alone_and_what_died_once_goes_on(
    ray_here, study_of, digits, tmp_path, contents, capsys
):
    jobs = expand(study_of("dies", "own", "dies_once", "random"), digits)
    store = Store(tmp_path / "store")
    store.prepare()

    def pool(workers):
        return Cluster(Needed(store.where, (str(digits.folder),), jobs[0].plugins), retries=1)

    told = []
    driver = Driver(store, pool, 3, on_done=lambda job, error: told.append((job.labels["method"], error is None)))
    assert {str(error) for error in driver.run(jobs).values()} == {
        "its worker process died, 2 times; it may need more memory than there is",
        "Misfortune: rain: clouds",
    }
    assert sorted(told) == [
        *(("dies", False), ("dies_once", True), ("dies_once", True), ("own", False)),
        *(("random", True), ("random", True)),
    ]
    assert capsys.readouterr().out == ""  # stdout is for JSON
    store.sweep()
    assert [path.name for path in store.root.glob(".*")] == []
    assert [path for path in (store.root / "unfinished").rglob("*") if path.is_file()] == []


def test_nodes_look_for_the_store_before_any_job_runs(ray_here, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "touch", lambda path: None)  # as if the folder were another one there
    with pytest.raises(DecoctError, match=r"node \S+ does not see the store .*: let --out or --store name a folder"):
        Cluster(Needed(str(tmp_path / "store")))
    assert sys.stdout is not None and not isinstance(sys.stdout, cluster.Hushed)


def test_nodes_look_for_data_and_plug_ins(tmp_path):
    with pytest.raises(DecoctError, match="the data set is not at"):
        Needed(str(tmp_path), data=(str(tmp_path / "data"),)).check()
    with pytest.raises(DecoctError, match=r"does not see .*mine\.py"):
        Needed(str(tmp_path), plugins=(str(tmp_path / "mine.py"),)).check()
    Needed(str(tmp_path)).check()


def test_a_node_of_another_version_is_refused_with_both(ray_here, tmp_path, monkeypatch, executor):
    with pytest.raises(DecoctError, match=rf"decoct 9\.9, and node \S+ has decoct {decoct.__version__}: install"):
        Needed(str(tmp_path), version="9.9").check()
    future = executor.submit(attempt, str(tmp_path), job("train"), "cpu", "9.9")
    with pytest.raises(DecoctError, match=rf"driven by decoct 9\.9, .* has decoct {decoct.__version__}"):
        future.result(PATIENCE)
    assert not list(tmp_path.rglob(CELL))


def test_what_no_node_can_take_is_refused(ray_here, tmp_path):
    with pytest.raises(UsageError, match="no node of the cluster has 1000 CPUs"):
        Cluster(Needed(str(tmp_path)), threads=1000)
    with pytest.raises(UsageError, match=r"3 GPUs for a train job.*ask for less"):
        Cluster(Needed(str(tmp_path)), gpus={"train": 3.0})


def test_without_ray_one_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'decoct\[ray\]'"):
        Cluster(Needed(str(tmp_path)))


def test_what_ray_says_of_a_task_becomes_one_line():
    missing = ModuleNotFoundError("No module named 'decoct'")
    wrapped = ray.exceptions.RayTaskError("f", "Traceback\nModuleNotFoundError: No module named 'decoct'", missing)
    assert str(said(wrapped, 0, "n1")).startswith(f"n1 of the cluster has no decoct {decoct.__version__}: run `pip")
    assert "out of memory" in str(said(ray.exceptions.OutOfMemoryError("x"), 3))
    assert "died, 4 times" in str(said(ray.exceptions.NodeDiedError("gone"), 3))
    assert str(said(ray.exceptions.RayTaskError("f", "Traceback", ValueError("a\nb")), 3)) == "ValueError: a; b"


def test_trainings_of_a_race_say_on_ray_what_they_say_here(executor, tmp_path):
    pool = make_pool(tmp_path / "pool", [f"{i}.png" for i in range(24)], [0, 1] * 12, ["a", "b"])
    rows, none = np.arange(16), np.empty(0, np.int64)
    look = Look(rows, 0)
    said = []
    for name, make in (("here", lambda workers: Inline()), ("ray", lambda workers: executor)):
        with Trainings(pool, Scratch("convnet1_w8", epochs=1, least=3), tmp_path / name, make, 2) as trainings:
            features = trainings.materials({0: look})[0].features
            chosen = trainings.picks({0: Pick("herding", rows, 8, look, 0, none, none)})[0]
            right = trainings.fits({seed: Fit(chosen, np.arange(16, 24), seed, whole=True) for seed in range(3)})
            said.append((features.tolist(), chosen.tolist(), [each.tolist() for each in right.values()]))
    assert said[0] == said[1]


@pytest.mark.slow
def test_inline_pool_and_ray_leave_the_same_bytes_of_the_default_study(start, contents, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for on, workers in (("inline", 1), ("pool", 2), ("ray", 2)):
        process = start("run", "--out", tmp_path / on, "--on", on, "--workers", workers, "--device", "cpu", "--json")
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        assert json.loads(stdout)["failures"] == []
    inline = contents(tmp_path / "inline" / "store")
    assert len(inline) > 300
    for on in ("pool", "ray"):
        assert contents(tmp_path / on / "store") == inline
        assert (tmp_path / on / "results.csv").read_bytes() == (tmp_path / "inline" / "results.csv").read_bytes()


@pytest.mark.slow
def test_on_ray_with_its_cells_in_s3_a_run_leaves_what_one_alone_leaves(start, contents, bucket, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    study, url = tmp_path / "small.toml", f"{bucket}/{tmp_path.name}/ray"
    study.write_text(SMALL)
    for out, words in (("alone", ("--on", "inline")), ("far", ("--on", "ray", "--workers", 2, "--store", url))):
        process = start("run", study, "--out", tmp_path / out, "--device", "cpu", "--json", *words)
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        assert json.loads(stdout)["failures"] == []
    files, place = s3fs.S3FileSystem(), url.removeprefix("s3://")
    there = {path.removeprefix(f"{place}/"): files.cat(path) for path in files.find(place)}
    alone = contents(tmp_path / "alone" / "store")
    assert {name: there[name] for name in alone} == alone
    others = {name.partition("/")[0] for name in there.keys() - alone.keys() if not name.endswith(MEASURED)}
    assert others == {"data", "studies"}
    assert (tmp_path / "far" / "results.csv").read_bytes() == (tmp_path / "alone" / "results.csv").read_bytes()


@pytest.mark.parametrize("address", ["nonsense", "host:port", "ray://127.0.0.1:10001"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UsageError, match="HOST:PORT or auto"):
        cluster.join(address)


def test_a_cluster_that_does_not_answer_is_not_waited_for(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"no Ray cluster answers at {address}"):
            cluster.join(address)  # bound, and nobody listens
        free.listen()
        monkeypatch.setattr(cluster, "JOIN", 0.5)
        with pytest.raises(UsageError, match="did not answer as Ray"):
            cluster.join(address)


def test_why_a_cluster_refuses_is_said_in_one_line():
    other = (
        "Traceback (most recent call last):\n  File x\nRuntimeError: Version mismatch:\n    Ray: 2.40\n    Python: 3.12"
    )
    assert (
        cluster.refused("a:1", other)
        == "cannot join the Ray cluster at a:1: RuntimeError: Version mismatch: Ray: 2.40 Python: 3.12"
    )
    assert "RAY_AUTH_MODE=token" in cluster.refused("a:1", "ray.exceptions.AuthenticationError: RPC error")
    assert "ray start --head" in cluster.refused("auto", "ConnectionError: Could not find any running Ray instance.")
    assert "without a word" in cluster.refused("a:1", "")
