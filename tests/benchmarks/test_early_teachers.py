"""Teachers that stop early, on digits: a line for each, paired with those that did not stop."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import early_teachers


def test_a_line_for_each_stop_and_the_last_without_a_difference(tmp_path, monkeypatch, capsys):
    small = {"DATA": "digits", "STUDENT": "convnet1_w8", "IPCS": (1,)}
    for name, value in small.items():
        monkeypatch.setattr(early_teachers, name, value)
    asked = "--net convnet2_bn_w32 --stops 0.5 --sets 2 --workers 1 --out"
    monkeypatch.setattr(sys, "argv", ["early_teachers", *asked.split(), str(tmp_path)])
    early_teachers.main()
    *_, head, _, early, end = (line.split("|")[1:-1] for line in capsys.readouterr().out.strip().splitlines())
    assert [cell.strip() for cell in head] == [*early_teachers.HEAD, "IPC 1, %", "− the end"]
    assert early[0].strip() == "50 %" and end[0].strip() == "the end" and end[-1].strip() == ""
    assert float(early[2].split()[0]) < float(end[2].split()[0])
    assert float(early[1].split()[0]) < float(end[1].split()[0]) == pytest.approx(30, abs=0.1)
    assert early[-1].strip()[0] in "+−"
