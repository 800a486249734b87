"""Learnt images as pictures: exported, read again, and held against the sets as they were made."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from decoct import load_data
from decoct.core.condensed import Condensed
from decoct.needs.teacher import load_teacher
from decoct.report.read.manifest import Manifest
from decoct.report.write import write_report
from decoct.study.run import run
from decoct.study.study import Study

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import as_pictures

STUDY = """
name = "small"
data = "digits"
students = ["convnet1_w8", "convnet2_w8"]
budgets = [{ipc = 1}, {ipc = 2}]
replicates = {condense = 2}
ceiling = false
condensers = ["random", {name = "dm", label = "learnt", net = "convnet2_w8", iterations = 3, batch = 8, lr = 500}]
metrics = {names = []}
[[teachers]]
net = "convnet1_w8"
epochs = 1
[[protocols]]
name = "erm"
steps = 3
[[protocols]]
name = "single_teacher"
teacher = "convnet1_w8"
steps = 3
"""


def test_learnt_sets_alone_are_exported_and_trained_on_again(tmp_path, monkeypatch, capsys):
    (tmp_path / "small.toml").write_text(STUDY)
    folder, out = tmp_path / "small", tmp_path / "out"
    monkeypatch.chdir(tmp_path)  # where nothing may be left
    assert not run(Study.from_toml(tmp_path / "small.toml"), folder, workers=1)
    write_report(folder)
    words = [str(tmp_path / "small.toml"), str(folder), "--out", str(out), "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["as_pictures", *words, "--beside", "nobody"])
    with pytest.raises(SystemExit, match="no students of 'nobody'"):
        as_pictures.main()
    monkeypatch.setattr(sys, "argv", ["as_pictures", *words])
    as_pictures.main()
    head, _, *lines = capsys.readouterr().out.strip().splitlines()[-10:]
    cells = [[word.strip() for word in line.split("|")[1:-1]] for line in (head, *lines)]
    assert [own[0] for own in cells[1:]] == ["learnt"] * 8
    said = {(*own[1].split(", "), own[2]): dict(zip(cells[0], own, strict=True)) for own in cells[1:]}
    taken = {place: own["seen as their class, made → pictures, %"] for place, own in said.items()}

    assert {path.name for path in tmp_path.iterdir()} == {"small.toml", "small", "out"}
    job = next(job for job in Manifest.read(folder).finished("condense") if job.labels["method"] == "learnt")
    made = Condensed.load(Manifest.read(folder).cell(job))
    zero = out / "sets" / "learnt" / "ipc=1" / "0" / "0" / "00000.png"
    first = made.images[made.labels == 0][0, 0]
    assert np.array_equal(np.asarray(Image.open(zero)), np.round(first.clip(0, 1) * 255))
    with (out / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "results.csv").open(newline="") as file:
        beside = [row for row in csv.DictReader(file) if row["method"] == "random"]
    assert len(rows) == 16 and {row["budget"] for row in rows} == {"ipc=1", "ipc=2"}
    outside = 100 * ((made.images < 0) | (made.images > 1)).mean()
    assert float(rows[0]["outside"]) == pytest.approx(outside) and outside > 0
    assert {row["seen_as_made"] for row in rows if row["protocol"] == "erm"} == {""}
    assert taken["erm", "convnet1_w8", "IPC 1"] == ""
    for (protocol, student, size), own in said.items():
        place = {"protocol": protocol, "student": student, "budget": size.replace("IPC ", "ipc=")}
        two = [float(row["as_made"]) for row in rows if place.items() <= row.items()]
        assert own["n"] == "2" and own["as made, %"].split()[0] == f"{np.mean(two):.1f}"
        pictures = [float(row["as_pictures"]) for row in rows if place.items() <= row.items()]
        random = [100 * float(row["accuracy"]) for row in beside if place.items() <= row.items()]
        assert own["pictures − random"].split()[0].replace("−", "-") == f"{np.mean(pictures) - np.mean(random):+.1f}"

    manifest, data = Manifest.read(folder), load_data("digits")
    teacher = next(manifest.cell(job) for job in manifest.finished("teacher") if job.labels["net"] == "convnet1_w8")
    mean, std = (np.reshape(value, (-1, 1, 1)) for value in (data.mean, data.std))
    with torch.inference_mode():
        answers = load_teacher(teacher, data, "cpu")(torch.tensor((made.images - mean) / std, dtype=torch.float32))
    own = next(row for row in rows if row["protocol"] == "single_teacher")
    assert float(own["seen_as_made"]) == 100 * np.mean(answers.argmax(1).numpy() == made.labels)
    mine = [row for row in rows if row["protocol"] == "single_teacher" and row["budget"] == "ipc=1"]
    both = (np.mean([float(row[word]) for row in mine]) for word in ("seen_as_made", "seen_as_pictures"))
    assert taken["single_teacher", "convnet1_w8", "IPC 1"] == " → ".join(f"{share:.0f}" for share in both)


def test_sets_whose_teachers_are_their_own_are_refused(tmp_path, monkeypatch):
    own = STUDY.replace("{condense = 2}", "{condense = 2, teacher = 2}")
    (tmp_path / "small.toml").write_text(own)
    monkeypatch.setattr(sys, "argv", ["as_pictures", str(tmp_path / "small.toml"), str(tmp_path), "--out", "out"])
    with pytest.raises(SystemExit, match="one teacher"):
        as_pictures.main()


def test_sets_and_their_pictures_are_measured_if_asked_for(tmp_path, monkeypatch, capsys):
    text = STUDY.partition("[[teachers]]")[0].replace("budgets = [{ipc = 1}, {ipc = 2}]", "budgets = [{ipc = 2}]")
    text = text.replace("metrics = {names = []}", 'metrics = {names = ["mmd"], extractors = ["pixels"], draws = 2}')
    (tmp_path / "small.toml").write_text(text + '[[protocols]]\nname = "erm"\nsteps = 3\n')
    assert not run(Study.from_toml(tmp_path / "small.toml"), tmp_path / "small", workers=1)
    write_report(tmp_path / "small")
    table = tmp_path / "out" / "learnt_ipc=2" / "tables" / "metrics.md"
    words = [str(tmp_path / name) for name in ("small.toml", "small")]
    for more in ([], ["--measure"]):
        called = ["as_pictures", *words, "--out", str(tmp_path / "out"), "--workers", "1", *more]
        monkeypatch.setattr(sys, "argv", called)
        as_pictures.main()
        assert table.is_file() == bool(more)
    head = next(line for line in table.read_text("utf-8").splitlines() if line.startswith("| reading"))
    assert "| learnt | as\\_pictures |" in head
