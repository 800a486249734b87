"""How errors become lines and exit codes, and what stdout and stderr get."""

import errno
import io
import json
import os
import re
import signal
import sys
import time
import warnings
from contextlib import redirect_stdout
from threading import Event, Semaphore

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table
from rich.text import Text

from decoct import console as module
from decoct.console import Plain, bars, explain, fail, guarded, say
from decoct.core.errors import DecoctError, UsageError
from decoct.core.names import printable


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/data/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "/data/x"),
    ],
)
def test_a_full_disk(error):
    assert explain(error) == "the disk is full: /data/x\nfree some space; the same command continues"


def test_a_full_disk_that_a_library_words_itself():
    assert explain(RuntimeError("I/O error: No space left on device (os error 28)")).startswith("the disk is full\n")


def test_an_error_of_the_system_names_its_file():
    assert explain(PermissionError(errno.EACCES, "Permission denied", "a/b")) == "Permission denied: a/b"
    assert explain(OSError(errno.EIO, "Input/output error", "a/b")).startswith("a/b: input/output error: the disk")
    assert "raise `ulimit -n`" in explain(OSError(errno.EMFILE, "Too many open files"))
    assert explain(MemoryError("Unable to allocate 7.8 TiB")).startswith("there is not as much memory as this takes (U")


def test_ours_are_said_as_they_are_in_three_lines_at_most():
    assert explain(UsageError("no such thing\ndo that")) == "no such thing\ndo that"
    assert explain(DecoctError("a\n\n  \nb\nc\nd")) == "a\nb\nc"


@pytest.mark.parametrize("error", [KeyError("x"), OSError("odd"), ZeroDivisionError("a\nb")])
def test_what_nobody_foresaw_names_its_class_and_the_way_to_more(error):
    first, second = explain(error).splitlines()
    assert first.startswith(type(error).__name__) and "--debug" in second


@given(st.text(), st.sampled_from([DecoctError, UsageError, RuntimeError, OSError]))
def test_no_message_is_longer_than_three_lines_of_four_hundred(text, kind):
    lines = explain(kind(text)).splitlines()
    assert len(lines) <= 3
    assert all(len(line) <= 402 for line in lines)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no"), 2),
        (DecoctError("no"), 1),
        (ValueError("no"), 1),
        (OSError(errno.ENOSPC, "full"), 1),
        (typer.BadParameter("no"), 2),
        (typer.Exit(5), 5),
        (typer.Exit(), 0),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error, code, capsys):
    with pytest.raises(SystemExit) as left, guarded(debug=False):
        raise error
    assert left.value.code == code
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    assert (said.err == "") == isinstance(error, typer.Exit)


def test_debug_shows_the_traceback_and_the_message(capsys):
    with pytest.raises(SystemExit), guarded(debug=True):
        raise DecoctError("no luck")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and lines[-1] == "decoct: no luck"


def test_nothing_is_caught_where_nothing_is_raised(capsys):
    with guarded(debug=False):
        print("fine")
    assert capsys.readouterr().out == "fine\n"


def test_a_warning_is_one_line_without_its_place(capsys):
    before = warnings.showwarning
    with guarded(debug=False), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("mind the gap", stacklevel=1)
    assert capsys.readouterr().err == "warning: mind the gap\n"
    assert warnings.showwarning is before


def test_a_message_is_no_markup_and_is_not_wrapped(capsys):
    with pytest.raises(SystemExit):
        fail("[red]x[/] " + "y" * 300, 1)
    assert capsys.readouterr().err == "decoct: [red]x[/] " + "y" * 300 + "\n"


HOSTILE = "\x1b]0;owned\x1b\\\x1b[2J\x9b31m\udc80 [red]x[/] :cat: [/none]"
SHOWN = r"\u001b]0;owned\u001b\\u001b[2J\u009b31m\udc80 [red]x[/] :cat: [/none]"


def tabled():
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    return table


@pytest.fixture
def console(monkeypatch):
    """``console(TERMINAL)``: one that writes into its ``file``."""

    def make(terminal):
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("FORCE_COLOR", "1") if terminal else monkeypatch.delenv("FORCE_COLOR", raising=False)
        made = Plain(stderr=True)
        made.file, made.width = io.StringIO(), 200
        assert made.is_terminal is terminal
        return made

    return make


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    ("what", "times"), [(HOSTILE, 1), (Text(HOSTILE), 1), (Group(HOSTILE, Text(HOSTILE)), 2), (tabled(), 3)]
)
def test_text_from_outside_steers_no_terminal_and_is_no_markup(console, what, times, terminal):
    shows = console(terminal)
    shows.print(what)
    shows.print(what, style="red", markup=False, soft_wrap=True)
    said = shows.file.getvalue()
    styles = re.compile(r"\x1b\[[0-9;]*m")  # Rich's own, on a terminal
    assert bool(styles.search(said)) is terminal
    said = styles.sub("", said)
    assert said.count(SHOWN) == 2 * times and printable(said) == said


def test_what_is_shown_instead_is_wrapped_and_not_cut(console):
    shows = console(False)
    shows.width = 20
    for what in (HOSTILE, Text(HOSTILE), Group(Text(HOSTILE))):
        shows.print(what)
    said = shows.file.getvalue()
    assert "".join(said.split()) == 3 * "".join(SHOWN.split())
    assert max(map(len, said.splitlines())) <= 20


def test_errors_warnings_and_tracebacks_steer_no_terminal(capsys):
    with pytest.raises(SystemExit), guarded(debug=True):
        warnings.simplefilter("always")
        warnings.warn(HOSTILE, stacklevel=1)
        raise DecoctError(HOSTILE)
    said = capsys.readouterr().err
    assert said.count(SHOWN) == 3 and printable(said) == said


def test_a_bar_s_title_is_no_markup(console, monkeypatch):
    shows = console(True)
    monkeypatch.setattr(module, "err", shows)
    with bars() as bar:
        bar(HOSTILE)(1, 2)
    assert SHOWN in shows.file.getvalue() and "\x1b]0;" not in shows.file.getvalue()


@given(st.text(st.characters()))
def test_json_steers_no_terminal_and_says_the_same(text):
    with redirect_stdout(io.StringIO()) as said:
        say({text: [text]})
    assert json.loads(said.getvalue()) == {text: [text]} and printable(said.getvalue()) == said.getvalue()


def test_json_alone(capsys):
    say({"a": "é…", "b": [1.5, None]})
    assert json.loads(capsys.readouterr().out) == {"a": "é…", "b": [1.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        say(float("nan"))


def test_bars_leave_stdout_and_a_file_on_stderr_alone(capsys):
    with bars() as bar:
        step = bar("working")
        step(1, 2)
        step(2, 2)
    said = capsys.readouterr()
    assert said.out == "" and said.err.strip() == ""
    assert sys.stdout is not sys.stderr


class HalfMinutes(Event):
    """An event whose waits end when the test says so."""

    ask, asked, blocked = Semaphore(0), Semaphore(0), []

    def wait(self, timeout=None):
        assert timeout == 30
        self.blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        self.asked.release()
        self.ask.acquire()
        return self.is_set()

    def set(self):
        super().set()
        self.ask.release()

    @classmethod
    def passes(cls):
        cls.ask.release()
        assert cls.asked.acquire(timeout=60)


def test_where_there_is_no_terminal_the_latest_news_is_said_every_half_minute(capsys, monkeypatch):
    monkeypatch.setattr("decoct.console.Event", HalfMinutes)
    with bars() as bar:
        assert HalfMinutes.asked.acquire(timeout=60)
        first = bar("reading [red]x[/]")
        HalfMinutes.passes()
        first(3, 2000)
        first(1000, 2000)
        HalfMinutes.passes()
        first(1001, 2000, 190.4)
        HalfMinutes.passes()
        bar("teacher net")
        HalfMinutes.passes()
    said = capsys.readouterr()
    assert said.out == ""
    news = [line.partition(" ")[2] for line in said.err.splitlines() if line]
    counted = ["reading [red]x[/]: 1,000 of 2,000", "reading [red]x[/]: 1,001 of 2,000, about 0:03:10 left"]
    assert news == ["reading [red]x[/]: begun", *counted, "teacher net: begun"]
    assert all(signal.SIGINT in blocked for blocked in HalfMinutes.blocked)  # which a main thread may block for a while


@pytest.mark.parametrize("how", ["not caught", "work put down", "left with 130"])
def test_sigterm_says_a_line_and_exits_143(how, capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left, guarded(debug=False):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except KeyboardInterrupt:
            if how == "not caught":
                raise
            if how == "left with 130":
                sys.exit(130)
    assert left.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == (
        "decoct: stopped by SIGTERM; finished work is kept, and the same command continues\n"
    )


def test_a_command_that_leaves_by_itself_keeps_its_code():
    with pytest.raises(SystemExit) as left, guarded(debug=False):
        sys.exit(130)
    assert left.value.code == 130


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("embedded null byte"), "a path holds a NUL character"),
        (RuntimeError("Could not determine home directory."), "a path begins with ~ and a name"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
    ],
)
def test_what_a_user_wrote_is_no_defect(error, said):
    assert said in explain(error) and "defect" not in explain(error)
