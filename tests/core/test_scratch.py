"""Names of what is being written say who writes it."""

import os
import subprocess
import sys

import pytest

from decoct.core import scratch as module
from decoct.core.scratch import abandoned, alive, elsewhere, machine, scratch


@pytest.fixture
def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_name_says_process_and_machine_and_is_nobody_else_s():
    one, other = scratch("abc"), scratch("abc")
    assert one != other
    assert one.split("-")[:3] == [".tmp", str(os.getpid()), "abc"]
    assert one.endswith(f"@{machine()}") and not elsewhere(one)


def test_what_a_living_process_writes_is_not_abandoned(tmp_path, dead):
    (tmp_path / scratch("abc")).mkdir()
    assert not abandoned(tmp_path / scratch("abc"))
    for name in (f".tmp-{dead}-abc-1", f".tmp-{dead}-abc-1@{machine()}"):
        (tmp_path / name).mkdir()
        assert abandoned(tmp_path / name)
    assert alive(os.getpid()) and not alive(dead)


def test_another_machine_s_process_is_trusted_for_a_day(tmp_path, dead):
    path = tmp_path / f".tmp-{dead}-abc-1@0123456"
    path.mkdir()
    assert elsewhere(path.name) and not abandoned(path)
    long_ago = path.stat().st_mtime - module.LONG - 60
    os.utime(path, (long_ago, long_ago))
    assert abandoned(path)


@pytest.mark.parametrize("name", [".tmp-x-abc", ".tmp-", ".tmp", "tmp-1-abc", "abc"])
def test_what_has_another_name_is_nobody_s_business(tmp_path, name):
    assert not abandoned(tmp_path / name)
