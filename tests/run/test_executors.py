"""Inline and pool take the same calls; workers keep out of Ctrl-C's way and do not outlive who started them."""

import os
import signal

import pytest

from decoct.run.executors import Inline, keep_memory, process_pool


def test_inline_is_done_when_it_returns():
    with Inline() as executor:
        assert executor.submit(divmod, 7, 2).result(timeout=0) == (3, 1)
        assert isinstance(executor.submit(divmod, 7, 0).exception(timeout=0), ZeroDivisionError)


def test_inline_lets_ctrl_c_through():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Inline().submit(interrupted)


def test_a_worker_is_another_process_that_is_deaf_to_ctrl_c(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "7")  # put back at the end: the pool sets them
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with process_pool(1, threads=3) as pool:
        worker = pool.submit(os.getpid).result()
        assert worker != os.getpid()
        os.kill(worker, signal.SIGINT)
        assert pool.submit(os.getpid).result() == worker
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "3"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask


def test_keeping_memory_is_harmless_twice():
    keep_memory()
    keep_memory()
