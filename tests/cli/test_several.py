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
def told():
    """``told(FOLDER)``: a run whose sets need one teacher of its own."""

    def edit(folder):
        run = json.loads((folder / "run.json").read_text())
        key = f"{run['study']['seed']:032}"
        for job in run["jobs"]:
            job["inputs"] |= {"teacher": key} if job["kind"] == "condense" else {}
        run["jobs"].append({"key": key, "kind": "teacher", "inputs": {}, "labels": {"net": "convnet2_bn"}})
        (folder / "run.json").write_text(json.dumps(run))
        return folder

    return edit


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
    assert "[bold]faces[/]" in said.out and "Average ranks" not in said.out
    assert "Average ranks over 2 data sets" in decoct("report", a, faces, "--all").out
    told = json.loads(decoct("report", a, faces, "--out", tmp_path / "x", "--json").out)
    assert told["report"] == str(tmp_path / "x" / "leaderboard.html") and (tmp_path / "x" / "leaderboard.csv").is_file()
    assert told["data"] == ["digits", "[bold]faces[/]"] and told["ranks"][0]["p"] is None


def test_what_a_leaderboard_refuses(refused, ran, faces, tmp_path):
    a, b = ran("a"), ran("b")
    assert "decoct compare" in refused(2, "report", a, b)
    assert "--out" in refused(2, "report", a, "--out", tmp_path / "x")
    assert "--for" in refused(2, "report", a, faces, "--for", "10 images")
    assert "--within asks one run" in refused(2, "report", a, faces, "--within", "5")
    assert "--card asks one run" in refused(2, "report", a, faces, "--card", tmp_path / "card.png")
    assert "one at a time" in refused(2, "report", a, "--within", "5", "--for", "10 images")
    for text in ("banana", "-1"):
        assert f"'{text}' is not a distance" in refused(2, "report", a, "--within", text)
    assert not (tmp_path / "leaderboard").exists() and not (tmp_path / "x").exists()


def test_runs_that_differ_in_their_seed_are_one_run(decoct, ran, told, tmp_path):
    a, b = told(ran("a")), told(ran("b", words=("--seed", 1)))
    said = decoct("report", a, b)
    assert said.code == 0, said.err
    why = "each run counts as one replicate, because its sets share the same teachers: n = 2."
    assert f"2 runs that differ only in their seed are pooled; {why}" in " ".join(said.out.split())
    folder = tmp_path / "pooled"
    assert said.out.rstrip().endswith(str(folder / "report.html"))
    assert why in (folder / "report.html").read_text("utf-8") and (folder / "results.csv").is_file()
    for _ in range(2):  # over its own files
        own = json.loads(decoct("report", a, b, "--out", tmp_path / "x", "--json").out)
        assert own["report"] == str(tmp_path / "x" / "report.html") and own["trained"] == 4
        assert own["pooled"] | {"text": ""} == {
            "runs": [str(a), str(b)], "seeds": [0, 1], "count_by": "run", "n": 2, "text": ""
        }  # fmt: skip
        assert [row["n"] for row in own["accuracy"]] == [2]
    advice = decoct("report", a, b, "--for", "10 images")
    assert advice.out.startswith("2 runs") and "random sets reach" in advice.out.splitlines()[1]
    assert json.loads(decoct("report", a, "--json").out)["pooled"] is None
    assert decoct("report", a, b, "--card", tmp_path / "card.svg").code == 0
    assert "2 sets per method" in (tmp_path / "card.svg").read_text("utf-8")


def test_sets_without_a_teacher_count_by_set(decoct, ran, tmp_path):
    own = json.loads(decoct("report", ran("a"), ran("b", words=("--seed", 1)), "--json").out)
    assert (own["pooled"]["count_by"], own["pooled"]["n"]) == ("set", 4)


def test_runs_are_pooled_before_they_stand_side_by_side(decoct, ran, faces):
    a, b = ran("a", "random", "at_large"), ran("b", "random", "at_large", words=("--seed", 1))
    board = json.loads(decoct("report", a, faces, b, "--json").out)
    assert [bool(run["pooled"]) for run in board["runs"]] == [True, False]
    assert {row["data"]: row["n"] for row in board["accuracy"]} == {"digits": 4, "[bold]faces[/]": 2}
    assert "2 runs that differ only in their seed are pooled" in decoct("report", a, faces, b).out


def test_what_a_pool_refuses(refused, ran, tmp_path):
    a, b = ran("a"), ran("b", words=("--seed", 1))
    assert "same run twice" in refused(2, "report", a, b, a)
    assert "a run's own folder" in refused(2, "report", a, b, "--out", b)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "results.csv").write_text("mine")
    assert "results.csv, which decoct did not write" in refused(2, "report", a, b, "--out", tmp_path / "full")
    run = json.loads((b / "run.json").read_text())
    (b / "run.json").write_text(json.dumps(run | {"study": run["study"] | {"margin": 0.02}}))
    said = refused(2, "report", a, b)
    assert "differ in margin, seed" in said.replace("\n", " ") and "decoct compare" in said
    (b / "run.json").write_text(json.dumps(run | {"format": 0}))
    assert "format 0" in refused(1, "report", a, b)


def test_what_to_use_writes_nothing(decoct, refused, ran):
    a = ran("a")
    before = {path: path.stat().st_mtime_ns for path in a.iterdir()}
    said = decoct("report", a, "--for", "10 images")
    assert said.code == 0 and "none of its settings counts: random sets reach" in said.out
    assert json.loads(decoct("report", a, "--for", "10 images", "--json").out)
    assert "not a unit" in refused(2, "report", a, "--for", "10 bananas")
    assert "no student was trained: set ceiling = true" in refused(2, "report", a, "--within", "5")
    assert {path: path.stat().st_mtime_ns for path in a.iterdir()} == before
