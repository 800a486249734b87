"""decoct plan: the table, JSON, the proposal, and what it refuses."""

import json

import pytest


@pytest.fixture
def ran(decoct, quick, tmp_path):
    """A finished run, its study, and its folder."""
    study, folder = quick("random"), tmp_path / "out"
    study.write_text(study.read_text().replace("{condense = 2}", "{condense = 4}"), "utf-8")
    assert decoct("run", study, "--workers", 1, "--out", folder, "--device", "cpu").code == 0
    return study, folder


def test_a_finished_study_has_nothing_left_to_do(decoct, ran):
    study, folder = ran
    said = decoct("plan", study, "--out", folder, "--device", "cpu")
    assert said.code == 0, said.err
    assert "8 jobs, 0 to do" in said.out and "not known" not in said.out
    assert json.loads((folder / "plan.json").read_text())["todo"] == 0


def test_from_another_run_with_a_proposal(decoct, ran, tmp_path):
    study, folder = ran
    words = ("plan", study, "--from", folder, "--probe", 0, "--seed", 5, "--workers", 1, "--device", "cpu")
    said = json.loads(decoct(*words, "--json").out)
    assert (said["jobs"], said["todo"], said["unknown"]) == (8, 8, 0)
    assert all(kind["sources"] == ["earlier"] for kind in said["kinds"]) and said["clock"] > 0
    limit = f"{said['clock'] * 0.8:.3f}s"
    found = json.loads(decoct(*words, "--budget", limit, "--json").out)["proposal"]
    assert found["met"] and found["toml"] == "replicates = {condense = 3, train = 1, teacher = 1}"
    shown = decoct(*words, "--budget", limit).out
    assert "as it is: " in shown and "condense replicates: 3: " in shown and ": fits " in shown
    assert found["toml"] in shown and "Nothing else can be left out" not in shown
    none = decoct(*words, "--budget", "0.001s")
    assert none.code == 0 and ": does not fit 1 ms\nNothing else can be left out." in none.out
    fits = decoct(*words, "--budget", "1d").out
    assert ": fits 24 h" in fits and "Keys to change" not in fits
    assert not (tmp_path / "runs").exists()


def test_what_is_not_known_is_said_and_not_said_to_fit(decoct, quick):
    words = ("plan", quick("random"), "--probe", 0, "--device", "cpu", "--budget")
    said = decoct(*words, "1d")
    assert "unknown" in said.out and "How long 4 jobs will take is unknown" in said.out
    assert "as it is: 0 and 4 jobs without an estimate: cannot be said to fit 24 h" in said.out
    raw = decoct(*words, "1d", "--json")
    found = json.loads(raw.out)["proposal"]
    assert (found["met"], found["fits_as_it_is"], found["steps"][0]["unknown"]) == (None, None, 4)
    assert said.code == raw.code == 0


def test_what_is_known_may_already_be_too_much(decoct, ran, tmp_path):
    """The other run knows no students of the second net."""
    study, folder = ran
    more = tmp_path / "more.toml"
    text = study.read_text("utf-8")
    (students,) = [line for line in text.splitlines() if line.startswith("students")]
    more.write_text(text.replace(students, students.replace("]", ', "convnet2_w8"]')), "utf-8")
    words = ("plan", more, "--from", folder, "--probe", 0, "--seed", 5, "--workers", 1, "--device", "cpu", "--budget")
    said = json.loads(decoct(*words, "0.001s", "--json").out)
    assert said["proposal"]["met"] is said["proposal"]["fits_as_it_is"] is False
    assert (said["unknown"], said["jobs"]) == (4, 12)


def test_the_report_sets_the_plan_beside_the_run(decoct, ran, tmp_path):
    study, folder = ran
    new = tmp_path / "new"
    assert decoct("plan", study, "--out", new, "--from", folder, "--probe", 0, "--device", "cpu").code == 0
    assert decoct("run", study, "--workers", 1, "--out", new, "--device", "cpu").code == 0
    told = json.loads(decoct("report", new, "--json").out)["plan"]
    assert told["all"]["jobs"] == 8 and told["unknown"] == told["open"] == 0
    assert {kind["kind"] for kind in told["kinds"]} == {"condense", "train"}
    page = (new / "report.html").read_text("utf-8")
    assert 'id="planned"' in page and "were planned" in page
    other = decoct("run", study, "--seed", 3, "--workers", 1, "--out", new, "--device", "cpu", "--json")
    assert json.loads(other.out)["plan"] is None


@pytest.mark.parametrize("budget", ["soon", "", "90", "-1h"])
def test_a_budget_that_cannot_be_read(refused, quick, budget):
    assert "1h30m" in refused(2, "plan", quick("random"), f"--budget={budget}")


def test_what_is_not_there(refused, quick, tmp_path):
    assert "does not exist" in refused(2, "plan", quick("random"), "--from", tmp_path / "none", "--probe", 0)
    assert "cannot read the study" in refused(2, "plan", tmp_path / "none.toml")


def test_how_many_sets_show_what_is_said_by_spread(decoct, quick):
    study = quick("random", "herding", "rded")
    words = ("plan", study, "--probe", 0, "--device", "cpu")
    told = json.loads(decoct(*words, "--json").out)["sets_to_show"]
    assert told["comparisons"] % 3 == 0 and told["margin"] == 0.01  # random, herding and rded make three pairs
    assert set(told["sets"]) == {"better", "same", "not better"}
    assert all(list(by_sd) == ["0.9", "1.2", "2"] for by_sd in told["sets"].values())
    shown = decoct(*words).out
    assert "better by 3 points" in shown and "not better than the best coreset" in shown
    alone = decoct("plan", quick("random"), "--probe", 0, "--device", "cpu")
    assert "better by 3 points" not in alone.out
