"""Inline and pool take the same calls; workers keep out of Ctrl-C's way and do not outlive who started them."""

import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from decoct.core.errors import UsageError
from decoct.study.memory import MALLOC
from decoct.study.store.store import Store
from decoct.study.workers.executors import Inline, Place, Pool, process_pool, visible_gpus

LOOK = (  # the GPU that a worker sees, and whether torch was there before its first call
    "(__import__('os').environ['CUDA_VISIBLE_DEVICES'], 'torch' in __import__('sys').modules, "
    "__import__('time').sleep(5))[:2]"
)


def test_inline_is_done_when_it_returns():
    with Inline() as executor:
        assert executor.submit(divmod, 7, 2).result(timeout=0) == (3, 1)
        assert isinstance(executor.submit(divmod, 7, 0).exception(timeout=0), ZeroDivisionError)


def test_inline_lets_ctrl_c_through():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Inline().submit(interrupted)


def test_a_worker_is_another_process_that_is_deaf_to_ctrl_c():
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with process_pool(1) as pool:
        worker = pool.submit(os.getpid).result()
        assert worker != os.getpid()
        os.kill(worker, signal.SIGINT)
        assert pool.submit(os.getpid).result() == worker
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask


def test_a_worker_is_born_with_threads_and_malloc_and_the_driver_keeps_its_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "12345")  # somebody knows better
    before = dict(os.environ)
    with process_pool(1, threads=3) as pool:
        began = pool.submit(Path("/proc/self/environ").read_bytes).result().decode().split("\0")
        assert dict(os.environ) == before
    assert {"OMP_NUM_THREADS=3", "MKL_NUM_THREADS=3", "MALLOC_MMAP_THRESHOLD_=12345"} <= set(began)
    assert f"MALLOC_TRIM_THRESHOLD_={MALLOC['MALLOC_TRIM_THRESHOLD_']}" in began


def test_each_worker_takes_a_gpu_before_it_imports_torch_and_a_new_pool_has_all_again():
    seen = []
    for _ in range(2):
        with process_pool(2, gpus=("5", "GPU-a")) as pool:
            both = [pool.submit(eval, LOOK) for _ in range(2)]  # naps, so that no worker takes both
            seen.append([future.result() for future in both])
            assert pool.submit(eval, "__import__('torch').cuda.is_available.__module__").result() == "torch.cuda"
            (broken,) = [pool.submit(os._exit, 1)]
            with pytest.raises(BrokenProcessPool):
                broken.result()
    for gpus in seen:
        assert sorted(gpu for gpu, _ in gpus) == ["5", "GPU-a"]
        assert [torch for _, torch in gpus] == [False, False]


def test_more_workers_than_gpus_share_them():
    with process_pool(3, gpus=("0",)) as pool:
        assert {pool.submit(os.getenv, "CUDA_VISIBLE_DEVICES").result() for _ in range(3)} == {"0"}


@pytest.mark.parametrize(
    ("said", "count", "names"),
    [
        (None, 3, ("0", "1", "2")),
        ("2, 3", 2, ("2", "3")),
        ("GPU-a,GPU-b", 1, ("GPU-a",)),
        ("GPU-8932f937, GPU-2bb", 2, ("GPU-8932f937", "GPU-2bb")),
        ("0,7,-1,2", 2, ("0", "7")),  # of which CUDA counts those before the first that is none
        ("MIG-a,MIG-GPU-b/1/0", 1, ("MIG-a", "MIG-GPU-b/1/0")),  # CUDA counts one slice a process
        ("MIG-a,MIG-a", 1, ("MIG-a",)),
        ("MIG-gone", 0, ()),
        ("0", 1, ("0",)),  # of a GPU that is sliced, its first slice
        ("", 0, ()),
        (None, 0, ()),
    ],
)
def test_gpus_are_named_as_cuda_names_them(said, count, names, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if said is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert visible_gpus(count) == names


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ({"on": "rya"}, r"jobs cannot run on 'rya'. Did you mean 'ray'\?"),
        ({"address": "auto"}, "--address is for Ray: add --on ray"),
        ({"on": "pool", "gpus": {"train": 1}, "device": "cuda"}, "--gpus is for Ray"),
        ({"on": "inline", "workers": 2}, "one job at a time"),
        (
            {"on": "ray", "device": "cuda", "gpus": {"trian": 1}},
            "no kind of job is called 'trian'. Did you mean 'train'",
        ),
        ({"on": "ray", "device": "cuda", "gpus": {"train": 1.5}}, "train=1.5: a fraction below 1, or a whole number"),
        ({"on": "ray", "device": "cuda", "gpus": {"train": -1}}, "train=-1: a fraction"),
        ({"on": "ray", "device": "cuda", "gpus": {"train": float("nan")}}, "train=nan: a fraction"),
        ({"on": "ray", "gpus": {"train": 1}}, "needs --device cuda; jobs compute on cpu"),
        ({"on": "ray", "device": "cuda:1"}, "use --device cuda, not cuda:1"),
    ],
)
def test_what_does_not_go_together_is_refused(place, line):
    with pytest.raises(UsageError, match=line):
        Place(**place)


def test_a_job_gets_one_gpu_unless_it_is_said_otherwise():
    place = Place("ray", None, "cuda", gpus={"train": 0.25, "measure": 0})
    assert [place.share(kind) for kind in ("teacher", "train", "measure")] == [1.0, 0.25, 0.0]
    assert place.on_cpu == {"measure"}
    assert Place("ray").share("teacher") == 0.0
    assert place.at_once > Place("ray", 3).at_once > Place("ray", 3, address="auto").at_once == 3


@pytest.mark.parametrize(
    ("place", "kind"),
    [(Place(), Inline), (Place(workers=2), Pool), (Place("pool"), Pool), (Place("inline"), Inline)],
)
def test_one_job_at_a_time_runs_here_and_several_in_a_pool(place, kind, tmp_path):
    with place.executors(1, Store(tmp_path), [])(place.at_once) as executor:
        assert type(executor) is kind


def test_pool_workers_share_the_gpus_out(tmp_path):
    place = Place("pool", 1, "cuda", visible=("3",))
    with place.executors(1, Store(tmp_path), [])(1) as executor:
        assert executor.submit(eval, "__import__('os').environ['CUDA_VISIBLE_DEVICES']").result() == "3"


def test_what_an_ended_worker_held_is_removed_without_a_warning():
    program = """
import multiprocessing
from decoct.study.drive import abandon
from decoct.study.workers.executors import process_pool
if __name__ == "__main__":
    pool = process_pool(1)
    pool.submit(exec, "import builtins, multiprocessing; builtins.kept = multiprocessing.Lock()").result()
    abandon(pool)
"""
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (made.returncode, made.stderr) == (0, "")
