"""A few failing writes of the benchmark that tries all of them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "io_errors.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="loads a library before the C library")
def test_a_write_that_fails_is_told_and_the_next_run_has_everything():
    words = [sys.executable, PROGRAM, "--methods", "1", "--every", "250"]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    calls = int(re.match(r"([\d,]+) calls that write", said.stdout)[1].replace(",", ""))
    tried = [int(n) for n in re.findall(r"^\| (?:once|full) \| (\d+)", said.stdout, re.MULTILINE)]
    assert calls > 250 and len(tried) == 2 and min(tried) >= 2
