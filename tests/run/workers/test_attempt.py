"""A job as an executor calls it: refused by another version, and failing in one line."""

import pytest

import decoct
from decoct.core.errors import DecoctError
from decoct.run.jobs import Job
from decoct.run.workers.attempt import LONGEST, attempt, describe
from decoct.run.workers.executors import Inline, process_pool


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
