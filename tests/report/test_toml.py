"""A study written out as TOML reads back as it was."""

import tomllib

from decoct.report.toml import written


def test_the_study_reads_back_from_its_toml():
    study = {
        "name": 'a "b" \\ ü',
        "data": {"name": "folder", "path": "x y"},
        "budgets": [{"ipc": 1}, {"ipc": 10}],
        "margin": 0.01,
        "condensers": [{"name": "rded", "factor": 2, "flip": True}],
        "protocols": ["erm"],
        "metrics": {"names": ["prdc"], "odd key": 1},
    }
    assert tomllib.loads(written(study | {"nothing": None})) == study


def test_protocols_read_back_as_the_tables_that_a_study_lists():
    kept = {"erm": {"name": "erm", "steps": 5}, "long": {"name": "erm", "steps": 9, "batch": None}}
    assert tomllib.loads(written({"name": "a", "protocols": kept})) == {
        "name": "a",
        "protocols": [{"name": "erm", "steps": 5}, {"name": "erm", "label": "long", "steps": 9}],
    }
