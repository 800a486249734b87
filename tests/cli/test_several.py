"""compare, and report of several runs: on real runs that take no time."""

import json

import pytest


@pytest.fixture
def ran(decoct, quick, tmp_path):
    """``ran(NAME, METHODS, WORDS)``: folder of a run."""

    def run(name, *methods, words=()):
        study = quick(*(methods or ("random",)))
        table = '{name = "random", label = "at_large", pooled = true}'  # a second method that needs no teacher
        study.write_text(study.read_text("utf-8").replace("'at_large'", table), "utf-8")
        decoct("run", study, "--workers", 1, "--out", tmp_path / name, *words)
        return tmp_path / name

    return run


@pytest.fixture
def faces(ran):
    """A run as on another data set."""
    folder = ran("faces", "random", "at_large")
    run = json.loads((folder / "run.json").read_text())
    run["data"] |= {"name": "[bold]faces[/]", "digest": "f" * 32}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_compare_two_seeds(decoct, ran):
    a, b = ran("a"), ran("b", words=("--seed", 1))
    said = decoct("compare", a, b)
    assert said.code == 0, said.err
    assert "seed: 0 → 1" in said.out and "Welch" in said.out and "random" in said.out
    told = json.loads(decoct("compare", a, b, "--json").out)
    assert told["paired"] is False and [row["n"] for row in told["accuracy"]] == [[2, 2]]


def test_a_run_beside_more_of_itself_shares_its_students(decoct, ran):
    told = json.loads(decoct("compare", ran("a"), ran("b", "random", "unlucky"), "--json").out)
    assert told["paired"] and told["accuracy"][0]["same"]
    assert "only B has the method unlucky" in told["settings"]


def test_what_compare_refuses(refused, ran, faces, tmp_path):
    a = ran("a")
    assert "same run twice" in refused(2, "compare", a, a)
    assert f"decoct report {a} {faces}" in refused(2, "compare", a, faces).replace("\n", " ")
    assert "not a run" in refused(1, "compare", a, tmp_path / "none")


def test_a_leaderboard_beside_the_first_run(decoct, ran, faces, tmp_path):
    a = ran("a", "random", "at_large")
    said = decoct("report", a, faces)
    assert said.code == 0, said.err
    assert said.out.rstrip().endswith(str(tmp_path / "leaderboard" / "leaderboard.html"))
    assert "[bold]faces[/]" in said.out and "Average ranks over 2 data sets" in said.out
    told = json.loads(decoct("report", a, faces, "--out", tmp_path / "x", "--json").out)
    assert told["report"] == str(tmp_path / "x" / "leaderboard.html") and (tmp_path / "x" / "leaderboard.csv").is_file()
    assert told["data"] == ["digits", "[bold]faces[/]"] and told["ranks"][0]["p"] is None


def test_what_a_leaderboard_refuses(refused, ran, faces, tmp_path):
    a, b = ran("a"), ran("b", words=("--seed", 1))
    assert "decoct compare" in refused(2, "report", a, b)
    assert "--out" in refused(2, "report", a, "--out", tmp_path / "x")
    assert "--for" in refused(2, "report", a, faces, "--for", "10 images")
    assert not (tmp_path / "leaderboard").exists() and not (tmp_path / "x").exists()


def test_what_to_use_writes_nothing(decoct, refused, ran):
    a = ran("a")
    before = {path: path.stat().st_mtime_ns for path in a.iterdir()}
    said = decoct("report", a, "--for", "10 images")
    assert said.code == 0 and "random" in said.out
    assert json.loads(decoct("report", a, "--for", "10 images", "--json").out)
    assert "no unit" in refused(2, "report", a, "--for", "10 bananas")
    assert {path: path.stat().st_mtime_ns for path in a.iterdir()} == before
