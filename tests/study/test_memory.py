"""Memory that a process keeps, and gives back."""

import ctypes

import numpy as np
import psutil
import pytest

from decoct.study.memory import give_memory_back, keep_memory


def test_keeping_memory_is_harmless_twice():
    keep_memory()
    keep_memory()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library")
def test_what_is_kept_is_given_back():
    keep_memory()
    held = [np.ones(2**20, np.uint8) for _ in range(64)]
    before = psutil.Process().memory_info().rss
    del held
    give_memory_back()
    assert psutil.Process().memory_info().rss < before - 48 * 2**20
