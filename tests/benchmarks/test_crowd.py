"""What is read from the jobs of runs on one store, and two such runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from crowd import Noted, wait

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "crowd.py"


@pytest.mark.parametrize(
    ("jobs", "seconds"),
    [
        ([(2, 5, True), (5, 9, True)], 0),
        ([(2, 5, True), (6, 9, True)], 1),
        ([(2, 5, True), (5, 6, False), (8, 9, True), (9, 11, False)], 3),
        ([(2, 5, True), (5, 9, False)], 4),
        ([(2, 3, False), (4, 9, False)], 7),
    ],
)
def test_a_run_waits_while_it_makes_nothing(jobs, seconds):
    assert wait([Noted("a", *job) for job in jobs]) == seconds


@pytest.mark.slow
def test_two_runs_at_once():
    said = subprocess.run([sys.executable, PROGRAM, "--runs", "2"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr + said.stdout
    assert re.search(r"^\| most runs that made one job \| [12] \|$", said.stdout, re.MULTILINE)
