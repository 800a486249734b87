"""Real terminals: narrow, dumb, without colour, without Unicode; and a run under way on one."""

import json
import os
import pty
import re
import struct
import subprocess
import sys
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

WIDTH = 60
STYLES = re.compile(rb"\x1b\[[0-9;]*m")
STEERING = re.compile(rb"\x1b\[[0-9;?]*[A-Za-ln-z]")  # whatever else moves the cursor


def on_terminal(*words, **environment):
    """Exit code and bytes of ``decoct WORDS`` on a terminal of 60 columns."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "decoct", *map(str, words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=plain | {"TERM": "xterm-256color"} | environment,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    return process.wait(timeout=60), said


@pytest.fixture
def ran(decoct, quick, tmp_path):
    out = tmp_path / "out"
    assert decoct("run", quick("random"), "--out", out, "--workers", 1).code == 0
    run = json.loads((out / "run.json").read_text("utf-8"))
    (out / "run.json").write_text(json.dumps(run | {"name": "größer ≈ −1"}), "utf-8")
    return out


@pytest.mark.parametrize(
    ("environment", "styled", "unicode"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, True),  # bold is no colour
        ({"TERM": "dumb"}, False, True),
        ({"PYTHONIOENCODING": "ascii"}, True, False),
        ({"PYTHONIOENCODING": "latin-1"}, True, False),
        ({"LC_ALL": "C", "LANG": "C"}, True, False),
    ],
    ids=["usual", "no colour", "dumb", "ascii", "latin-1", "locale C"],
)
def test_a_report_is_read_on_any_terminal(ran, environment, styled, unicode):
    code, said = on_terminal("report", ran, "--all", **environment)
    assert code == 0, said
    assert bool(STYLES.search(said)) is styled
    text = STYLES.sub(b"", said)
    name = "größer ≈ −1" if unicode else "grosser ~ -1"
    assert name.encode() in text and text.isascii() is not unicode
    lines = [line for line in text.decode("utf-8").splitlines() if str(ran) not in line]
    assert max(map(len, lines)) <= (80 if environment.get("TERM") == "dumb" else WIDTH)  # whose width Rich does not ask
    row = next(line for line in lines if line.strip().startswith("random  "))
    assert re.fullmatch(r"  random +\d+\.\d \[\d+\.\d, \d+\.\d\]", row.rstrip())


def test_a_run_is_drawn_on_a_terminal_and_leaves_its_report(quick, tmp_path):
    code, said = on_terminal("run", quick("random"), "--out", tmp_path / "out", "--workers", 1)
    assert code == 0, said
    assert STEERING.search(said)
    text = STYLES.sub(b"", said).decode("utf-8")
    assert "planning the jobs" in text or "of 4 jobs" in text
    end = text.rpartition("Test accuracy, %")[2]
    assert "random" in end and f"The page: {tmp_path / 'out' / 'report.html'}" in end


def test_a_dumb_terminal_gets_lines(quick, tmp_path):
    code, said = on_terminal("run", quick("random"), "--out", tmp_path / "out", "--workers", 1, TERM="dumb")
    assert code == 0, said
    assert not STEERING.search(said)
    assert re.search(rb"0:00:\d\d random, IPC 1, erm: \d+\.\d %, the first of 2", said)


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("ls", "methods"), ("published", "--method", "CIM")])
def test_what_has_signs_in_it_is_printed_without_unicode(words):
    code, said = on_terminal(*words, PYTHONIOENCODING="ascii")
    assert code == 0 and said.isascii()
