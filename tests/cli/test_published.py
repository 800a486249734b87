"""published: a table with sources, filtered; and beside a run."""

import json


def test_numbers_are_listed_with_their_sources(decoct):
    said = decoct("published", "--method", "CIM", "--json")
    assert said.code == 0, said.err
    rows = json.loads(said.out)
    assert {row["method"] for row in rows} == {"cim"} and all(row["source"] == "CIM (ECCV'26), Table 2" for row in rows)
    told = decoct("published", "--data", "imagewoof", "--ipc", 10)
    assert told.code == 0 and "57.3" in told.out and "7 numbers" in told.out and "another recipe" in told.out


def test_a_slip_is_told(refused):
    assert "Did you mean 'rded'" in refused(2, "published", "--method", "rdeed")


def test_beside_a_run_on_other_data_there_is_nothing(decoct, refused, quick, tmp_path):
    out = tmp_path / "out"
    assert decoct("run", quick("random"), "--out", out, "--workers", 1).code == 0
    said = decoct("report", out, "--published")
    assert said.code == 0 and "nothing is published here" in said.out
    assert json.loads(decoct("report", out, "--published", "--json").out) == []
    assert "--published asks one run" in refused(2, "report", out, "--published", "--for", "10 images")
