"""A function in worker processes: order, bounds, and what goes wrong."""

import operator
import os
from functools import partial

import pytest

from decoct.core.errors import DecoctError
from decoct.data.reading.parallel import AHEAD, cores, each


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_things_are_drawn_when_needed(workers):
    drawn = []
    results = each(partial(operator.mul, 3), (drawn.append(i) or i for i in range(40)), workers)
    for count, result in enumerate(results):
        assert result == 3 * count
        assert len(drawn) <= count + AHEAD * workers
    assert drawn == list(range(40))


def test_errors_come_through_and_what_is_left_is_dropped():
    with pytest.raises(ZeroDivisionError):
        list(each(partial(operator.floordiv, 1), [1, 0, 1], 2))


def test_a_worker_that_dies_is_told():
    with pytest.raises(DecoctError, match=r"a worker that decodes was killed.*\n.*--workers; what was decoded is kept"):
        list(each(os._exit, [1], 2))


def test_cores_are_those_of_this_process():
    assert 1 <= cores() <= (os.cpu_count() or 1)
