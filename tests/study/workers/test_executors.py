"""Inline and pool take the same calls; workers keep out of Ctrl-C's way and do not outlive who started them."""

import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from decoct.study.memory import MALLOC
from decoct.study.workers.executors import Inline, process_pool

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
