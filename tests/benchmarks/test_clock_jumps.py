"""A program's wall clock jumps, and nothing else does."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from clock_jumps import FAR, Clock, jumping

SAYS = """
import json, sys, threading, time
lock = threading.Lock()
lock.acquire()
for line in sys.stdin:
    began = time.monotonic()
    assert not lock.acquire(timeout=0.01)
    print(json.dumps([time.time(), time.time_ns() / 1e9, time.monotonic(), time.monotonic() - began]), flush=True)
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="loads a library before the C library"
)


@pytest.fixture
def ask():
    """``ask(ENVIRONMENT)``: a program, which says all its clocks each time that it is called."""
    begun = []

    def start(environment):
        said = subprocess.PIPE
        begun.append(
            subprocess.Popen([sys.executable, "-c", SAYS], env=environment, stdin=said, stdout=said, text=True)
        )

        def look(program=begun[-1]):
            program.stdin.write("\n")
            program.stdin.flush()
            return json.loads(program.stdout.readline())

        return look

    yield start
    for program in begun:
        program.communicate()


def test_the_wall_clock_is_as_far_away_as_it_was_told_and_the_monotonic_one_stays(tmp_path, ask):
    clock = Clock(tmp_path)
    look = ask(os.environ | clock.environment)
    for away in (0, FAR[-1], -FAR[-1], 3600, 0):
        clock.jump(away)
        first, second, monotonic, waited = look()
        assert first - time.time() == pytest.approx(away, abs=60) and second == pytest.approx(first, abs=60)
        assert monotonic == pytest.approx(time.monotonic(), abs=60) and waited < 60
    assert clock.jumps == 5


def test_it_jumps_in_the_block_and_no_program_is_touched_after_it(tmp_path, ask, monkeypatch):
    monkeypatch.setattr("clock_jumps.PAUSE", 0.01)
    with jumping(tmp_path, 0) as clock:
        look = ask(None)
        end = time.monotonic() + 60
        while abs(look()[0] - time.time()) < 3600 and time.monotonic() < end:
            pass
        assert time.monotonic() < end and clock.jumps
    assert "LD_PRELOAD" not in os.environ
    assert ask(None)()[0] == pytest.approx(time.time(), abs=60)
