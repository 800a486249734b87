"""Once a process, by content; parts of an array while it lives; bounded."""

import gc
from functools import partial

import numpy as np
import pytest
import torch

from decoct.core import once as module
from decoct.core.once import Spent, once, part


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(module, "_known", module._Known())
    return module._known


def counted():
    calls = []

    def total(array, *, times=1):
        calls.append(times)
        return float(array.sum()) * times

    return total, calls


def test_equal_content_is_computed_once():
    total, calls = counted()
    x = np.arange(4.0)
    assert [once(total, x), once(total, x.copy()), once(total, np.arange(8.0)[:4])] == [6, 6, 6]
    assert calls == [1]
    assert once(total, x, times=2) == 12
    assert once(total, x.astype(np.float32)) == 6
    assert once(total, x + 1) == 10
    assert once(total, x[::2]) == 2
    assert len(calls) == 5


def test_every_array_counts():
    calls = []

    def product(x, y):
        calls.append(1)
        return float(x @ y)

    x, y = np.arange(3.0), np.ones(3)
    assert [once(product, x, y), once(product, x.copy(), y), once(product, x, x), once(product, y, x)] == [3, 3, 5, 3]
    assert len(calls) == 3


def test_an_array_that_is_written_to_is_another():
    total, _ = counted()
    x = np.arange(4.0)
    once(total, x)
    x[0] = 10
    assert once(total, x) == 16


def test_an_error_is_not_kept():
    def fails(array):
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            once(fails, np.ones(2))


def taking(clock, calls):
    def hundred(array, *, seconds):
        clock[0] += seconds
        calls.append(float(array[0]))
        return (torch.zeros(50, dtype=torch.float64), np.zeros(50))

    return hundred


def test_of_results_as_dear_the_one_not_used_for_longest_makes_room(monkeypatch, known):
    clock, calls = [0.0], []
    monkeypatch.setattr(module, "ROOM", 3 * 800)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    hundred = taking(clock, calls)
    for value in (0.0, 1.0, 2.0, 3.0):  # 0 goes
        once(hundred, np.array([value]), seconds=1)
    for value in (1.0, 4.0, 1.0, 2.0):  # 1 was used since, so that 2 goes
        once(hundred, np.array([value]), seconds=1)
    assert calls == [0, 1, 2, 3, 4, 2]
    assert known.size == 3 * 800


def test_a_dear_result_outlives_cheap_ones_and_goes_when_it_is_not_used_any_more(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr(module, "ROOM", 3 * 800)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    hundred = taking(clock, calls)
    once(hundred, np.array([-1.0]), seconds=10)
    for value in range(15):  # rounds of five cheap ones, of which two find room
        once(hundred, np.array([float(value % 5)]), seconds=1)
        once(hundred, np.array([-1.0]), seconds=10)
    assert calls.count(-1) == 1
    for value in range(100):
        once(hundred, np.array([float(value)]), seconds=1)
    once(hundred, np.array([-1.0]), seconds=10)
    assert calls.count(-1) == 2


def test_a_part_is_made_once_and_is_read_only_and_the_same_object(known):
    x, made = np.arange(10.0), []

    def rows():
        made.append(1)
        return x[[1, 3]]

    first = part(x, "odd", rows)
    assert part(x, "odd", rows) is first and made == [1]
    assert part(x, "other", rows) is not first and part(x.copy(), "odd", rows) is not first
    assert len(made) == 3
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 5


def test_a_part_is_digested_once_and_meets_equal_content_of_others(known, monkeypatch):
    total, calls = counted()
    x, hashes = np.arange(10.0), []
    honest = module.hashlib.blake2b
    monkeypatch.setattr(module.hashlib, "blake2b", lambda data: hashes.append(1) or honest(data))
    for _ in range(3):
        assert once(total, part(x, "odd", lambda: x[[1, 3]])) == 4
    assert calls == [1] and len(hashes) == 1
    assert once(total, np.array([1.0, 3.0])) == 4
    assert calls == [1] and len(hashes) == 2


def test_parts_go_with_the_array_they_are_of(known):
    x = np.arange(1000.0)
    part(part(x, "half", lambda: np.ones(500)), "quarter", lambda: np.ones(250))
    assert known.held == 750 * 8
    del x
    gc.collect()
    assert (known.held, known.parts, known.digests) == (0, {}, {})


def test_a_memory_map_is_let_go(known, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(100.0))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    part(x, "all", partial(np.array, x[np.arange(100)]))
    assert known.held == 800
    del x
    gc.collect()
    assert known.held == 0


def test_without_room_a_part_is_made_anew_each_time_and_digested_but_once(known, monkeypatch):
    monkeypatch.setattr(module, "ROOM", 100)
    x, made, hashes = np.arange(20.0), [], []
    honest = module.hashlib.blake2b
    monkeypatch.setattr(module.hashlib, "blake2b", lambda data: hashes.append(1) or honest(data))

    def rows():
        made.append(1)
        return x[:10].copy()

    part(x, "few", lambda: x[:5].copy())
    assert np.array_equal(part(x, "ten", rows), part(x, "ten", rows)) and len(made) == 2
    assert known.held == 40
    total, calls = counted()
    assert [once(total, part(x, "ten", rows)) for _ in range(3)] == [45.0] * 3
    assert len(calls) == 1 and len(hashes) == 1


def test_the_time_that_results_took_is_told_and_that_of_nested_ones_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module.time, "process_time", lambda: now[0] / 2)

    def inner(array):
        now[0] += 3
        return array.sum()

    def outer(array):
        now[0] += 4
        return once(inner, array)

    assert Spent.now() == (0, 0)
    for _ in range(2):
        once(outer, np.arange(4.0))
    assert Spent.now() == (7, 3.5)
    once(inner, np.arange(4.0))
    assert Spent.now() == (7, 3.5)
    with pytest.raises(ZeroDivisionError):
        once(lambda array: 1 / 0, np.arange(3.0))
    once(inner, np.arange(2.0))
    assert Spent.now() == (10, 5)
