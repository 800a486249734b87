"""watch: on runs that are finished, failed, half-way, under way, or not there yet."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-m", "decoct"]


@pytest.fixture
def ran(decoct, quick, tmp_path):
    def run(*methods):
        decoct("run", quick(*methods), "--workers", 1, "--out", tmp_path / "out")
        return tmp_path / "out"

    return run


def remove_a_student(folder):
    (next(folder.joinpath("store", "train").rglob("cell.json"))).unlink()


def test_a_finished_run_is_shown_once_and_left(decoct, ran):
    folder = ran("random")
    for words in (("--once",), ()):
        said = decoct("watch", folder, *words)
        assert said.code == 0, said.err
        assert "4 of 4 jobs" in said.out and "complete" in said.out and "NOT READABLE" in said.out
        said_so = (
            "In the end: which coreset? No answer: students hardly learn in the one setting of this study; raise the "
            "budgets or train for more steps."
        )
        assert said_so in " ".join(said.out.split())


def test_half_way_nobody_is_at_work(decoct, ran):
    folder = ran("random")
    remove_a_student(folder)
    for file in folder.rglob("measured.json"):
        os.utime(file, (1, 1))
    told = json.loads(decoct("watch", folder, "--once", "--json").out)
    assert (told["state"], told["done"], told["planned"]) == ("idle", 3, 4)
    assert told["worth"]["answer"].startswith("No answer: ") and told["accuracy"][0]["n"] == 1
    said = decoct("watch", folder, "--once").out
    assert "So far, from 1 of 2 students" in said and "No worker is active" in said


def test_failures_are_named_once_with_their_message(decoct, ran):
    said = decoct("watch", ran("random", "unlucky"), "--once").out
    assert "ended, with failures" in said and said.count("no luck") == 1


def test_hostile_names_stay_text(decoct, ran):
    folder = ran("random")
    run = json.loads((folder / "run.json").read_text())
    run["name"] = "[bold red]x[/] \x1b[31m"
    (folder / "run.json").write_text(json.dumps(run))
    said = decoct("watch", folder, "--once").out
    assert "[bold red]x[/]" in said and "\x1b" not in said


def test_what_it_refuses(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert "not a run yet" in refused(1, "watch", tmp_path / "none", "--once")
    assert "--once" in refused(2, "watch", tmp_path, "--json")
    assert "is a file" in refused(2, "watch", tmp_path / "file")


def test_it_waits_for_a_run_follows_it_and_leaves_with_it(decoct, quick, tmp_path):
    out = tmp_path / "out"
    watch = subprocess.Popen([*COMMAND, "watch", str(out), "--every", "0.2"], stdout=subprocess.PIPE, text=True)
    try:
        said = watch.stdout.readline() + watch.stdout.readline()
        assert "waiting for a run to begin" in said.replace("\n", "").replace("  ", " ")  # a long path wraps the line
        assert decoct("run", quick("random"), "--workers", 1, "--out", out).code == 0
        rest, _ = watch.communicate(timeout=60)
    finally:
        watch.kill()
    assert watch.returncode == 0 and "4 of 4 jobs" in rest and "The run is complete." in rest
    assert not list(out.rglob(".tmp-*"))


def test_ctrl_c_of_a_viewer_is_no_failure(tmp_path):
    watch = subprocess.Popen(
        [*COMMAND, "watch", str(tmp_path / "none")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert "waiting" in watch.stdout.readline() + watch.stdout.readline()
        time.sleep(0.1)
        watch.send_signal(signal.SIGINT)
        _, said = watch.communicate(timeout=30)
    finally:
        watch.kill()
    assert watch.returncode == 0 and said == ""
