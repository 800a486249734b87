"""gpu-check goes on: past a row that raises, past a process that dies; and what it calls apart."""

import json
import math
import signal
import sys
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import gpu_check
from decoct.study.jobs import Job
from devices.agreement import EXACT, ROUNDED, Apart, _relative, apart
from devices.rows import Broken, Rows, Wrong, failures, markdown, read
from devices.trials import in_bfloat16
from devices.waits import told

BENCHMARKS = Path(gpu_check.__file__).parent
DYING = """
import os, sys, time
sys.path.insert(0, {benchmarks!r})
from pathlib import Path
from devices.rows import Rows
rows = Rows(Path({file!r}))
rows.table("Table", ["row", "made by"])
rows.row("first", lambda: [os.getpid()])
rows.row("second", lambda: {second})
rows.row("third", lambda: [os.getpid()])
"""


def raising(error):
    raise error


def dying(tmp_path, second):
    file = tmp_path / "rows.jsonl"
    script = tmp_path / "section.py"
    script.write_text(DYING.format(benchmarks=str(BENCHMARKS), file=str(file), second=second))
    return [sys.executable, str(script)], file


def test_a_row_that_raises_is_a_failed_row_and_the_next_is_made(tmp_path):
    rows = Rows(tmp_path / "rows.jsonl")
    rows.table("Table", ["row", "value"])
    rows.row("bad", lambda: raising(ValueError("too | far\nand more")))
    rows.row("wrong", lambda: raising(Wrong([7], "it is 7")))
    rows.row("good", lambda: [3])
    assert failures(read(rows.file)) == [("Table", "bad", "ValueError: too | far"), ("Table", "wrong", "it is 7")]
    text = markdown(read(rows.file))
    assert "| bad |  | **failed**: ValueError: too \\| far |" in text
    assert "| wrong | 7 | **failed**: it is 7 |" in text and "| good | 3 | ok |" in text


def test_nothing_opens_html(tmp_path):
    rows = Rows(tmp_path / "rows.jsonl")
    rows.table("Table", ["row", "value"])
    rows.row("one", lambda: ["<script>"])
    assert "<script" not in markdown(read(rows.file))


def test_rows_that_are_there_are_not_made_again_but_those_of_another_table_are(tmp_path):
    made = []
    for _ in range(2):
        rows = Rows(tmp_path / "rows.jsonl")
        rows.say("Once.")
        for table in ("A", "B"):
            rows.table(table, ["row"])
            rows.row("same", lambda table=table: made.append(table) or [])
    assert made == ["A", "B"]
    assert markdown(read(rows.file)).count("Once.") == 1


def test_a_process_whose_device_is_gone_ends_behind_the_row_that_broke_it(tmp_path):
    rows = Rows(tmp_path / "rows.jsonl", alive=lambda: raising(RuntimeError("CUDA error: an illegal memory access")))
    rows.table("Table", ["row"])
    with pytest.raises(Broken, match="illegal"):
        rows.row("broke it", lambda: raising(RuntimeError("CUDA error")))
    assert [row for _, row, _ in failures(read(rows.file))] == ["broke it"]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (f"os.kill(os.getpid(), {int(signal.SIGKILL)})", "its process died of signal 9"),
        ("os._exit(4)", "its process ended with 4"),
        ("time.sleep(600)", "it was ended after"),
    ],
)
def test_a_section_goes_on_behind_the_row_at_which_its_process_died(tmp_path, second, why):
    command, file = dying(tmp_path, second)
    gpu_check.finish(command, file, "Heading", patience=3.0)
    rows = {entry["row"]: entry for entry in read(file) if "row" in entry}
    assert list(rows) == ["first", "second", "third"]
    assert why in rows["second"]["failed"] and not rows["first"]["failed"] + rows["third"]["failed"]
    assert rows["first"]["cells"] != rows["third"]["cells"]  # of two processes


def test_a_section_that_dies_before_its_first_row_is_not_started_for_ever(tmp_path):
    file = tmp_path / "rows.jsonl"
    gpu_check.finish([sys.executable, "-c", "raise SystemExit(5)"], file, "Heading")
    assert failures(read(file)) == [
        ("Heading", "the section itself", "not done to its end: its process ended with 5"),
    ]


def checked(tmp_path, monkeypatch, device, fails):
    """All of it with sections that are there already."""
    monkeypatch.setattr(gpu_check, "finish", lambda command, file, heading: None)
    for name in gpu_check.SECTIONS:
        rows = Rows(tmp_path / f"{name}.jsonl")
        rows.table("Table", ["row"])
        rows.row("one", lambda name=name: raising(OSError("no")) if name in fails else [])
    options = {"device": device, "only": list(gpu_check.SECTIONS), "keep": tmp_path, "out": tmp_path / "page.md"}
    status = gpu_check.every(Namespace(**options, minutes=10.0, full=False))
    return status, (tmp_path / "page.md").read_text("utf-8")


def test_the_page_says_what_failed_and_the_status_is_1(tmp_path, monkeypatch, capsys):
    status, text = checked(tmp_path, monkeypatch, "cuda", {"large", "speed"})
    assert status == 1
    assert "2 of 7 rows failed" in text and "dry run" not in text
    end = text.partition("## What failed")[2]
    assert "- At 224 px. Table: one: OSError: no" in end and "- Speed. Table: one: OSError: no" in end
    assert "speed: Table · one: OSError: no" in capsys.readouterr().out


def test_a_dry_run_says_so_first_and_ends_with_0_where_nothing_failed(tmp_path, monkeypatch):
    status, text = checked(tmp_path, monkeypatch, "cpu", set())
    assert status == 0 and text.endswith("## What failed\n\nNothing.\n")
    assert text.index("no figure on this page is a GPU's") < text.index("## Where")


def test_a_page_of_half_a_run_says_what_it_has_not_come_to(tmp_path):
    options = Namespace(device="cuda", only=["where", "waits"], keep=tmp_path, minutes=10.0)
    assert "It has not come to: Waits." in gpu_check.page(options, {"where": 1.0}, 60.0)


def a_set(folder, **arrays):
    folder.mkdir()
    save_file({name: np.asarray(value) for name, value in arrays.items()}, folder / "condensed.safetensors")
    return folder


def test_images_are_apart_in_levels_of_255_whatever_they_are_stored_as(tmp_path):
    pixels = np.zeros((2, 3, 4, 4), np.uint8)
    other = pixels.copy()
    other[0, 0, 0, 0] = 96
    whole = apart(a_set(tmp_path / "a", images=pixels), a_set(tmp_path / "b", images=other))
    real = apart(
        a_set(tmp_path / "c", images=pixels.astype(np.float32)),
        a_set(tmp_path / "d", images=(other / 255).astype(np.float32)),
    )
    assert (whole.mean, whole.most) == (1.0, 96.0) and whole.picks is None
    assert real.mean == pytest.approx(1.0) and real.most == pytest.approx(96.0)
    assert whole.why_not(EXACT) == "mean" and not whole.why_not(ROUNDED)


def test_picks_are_apart_by_those_that_the_other_has_not(tmp_path):
    found = apart(a_set(tmp_path / "a", indices=[1, 2, 3, 4]), a_set(tmp_path / "b", indices=[1, 2, 3, 9]))
    assert found.picks == 0.25 and found.why_not(EXACT) == "picks" and not found.why_not(ROUNDED)


def test_a_loss_that_is_no_number_or_not_there_does_not_agree(tmp_path):
    for name, notes in (("a", {"ce_first": 2.0}), ("b", {"ce_first": float("nan")}), ("c", {})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "facts.json").write_text(json.dumps({"notes": notes}))
    for other in ("b", "c"):
        assert apart(tmp_path / "a", tmp_path / other).why_not(ROUNDED) == "loss"
    assert not apart(tmp_path / "a", tmp_path / "a").why_not(EXACT)


def test_last_losses_do_not_count_and_first_ones_are_relative(tmp_path):
    for name, first, last in (("a", 2.0, 1.0), ("b", 2.1, 9.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "facts.json").write_text(json.dumps({"notes": {"loss_first": first, "loss_last": last}}))
    assert apart(tmp_path / "a", tmp_path / "b").loss == pytest.approx(0.05)


def test_a_student_of_one_step_tells_of_the_first_loss_and_another_of_the_last(tmp_path):
    for name, steps, loss in (("a", 1, 2.0), ("b", 1, 2.2), ("c", 4, 2.0), ("d", 4, 2.2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps({"steps": steps, "loss": loss}))
    assert apart(tmp_path / "a", tmp_path / "b") == Apart(loss=pytest.approx(0.1))
    assert apart(tmp_path / "c", tmp_path / "d") == Apart(last=pytest.approx(0.1))


def test_weights_are_apart_by_the_norm_over_all_of_a_file(tmp_path):
    for name, one in (("a", 3.0), ("b", 3.5)):
        (tmp_path / name).mkdir()
        save_file({"x": np.float32([one]), "y": np.float32([4.0])}, tmp_path / name / "weights.safetensors")
    assert apart(tmp_path / "a", tmp_path / "b") == Apart(numbers=pytest.approx(0.1))


def test_a_training_takes_the_precision_of_its_study_and_a_method_its_own_if_it_has_one():
    compute = {"threads": 1, "precision": "float32", "compile": False}
    job = {"keyed": {"compute": compute}, "inputs": {"condensed": "k"}, "data": "d"}
    student = Job(kind="train", config={"name": "erm"}, **job)
    assert student.key  # which is cached
    half = in_bfloat16(student)
    assert half.keyed["compute"]["precision"] == "bfloat16" and half.key != student.key
    assert half.inputs == student.inputs and student.keyed["compute"]["precision"] == "float32"
    assert in_bfloat16(Job(kind="condense", config={"name": "random"}, **job)) is None
    has = in_bfloat16(Job(kind="condense", config={"name": "sre2l", "precision": "float32"}, **job))
    assert has.config["precision"] == "bfloat16"
    eyes = {"metrics": {}, "precision": {"resnet18": "float32"}}
    assert in_bfloat16(Job(kind="measure", config=eyes, **job)).config["precision"] == {"resnet18": "bfloat16"}


def test_calls_that_synchronise_are_counted_and_other_warnings_are_not():
    with told() as found:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally at a.cpp:1.)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert sum(found.waits.values()) == 3


def test_readings_near_zero_are_apart_by_what_they_are_and_not_by_their_ratio():
    assert _relative({"a": 0.0}, {"a": 1e-12}) == pytest.approx(1e-9)
    assert _relative({"a": 2.0, "b": math.nan}, {"a": 2.5, "b": math.nan}) == pytest.approx(0.2)
    assert _relative({"a": 1.0}, {"a": math.nan}) == _relative({"a": 1.0}, {"b": 1.0}) == math.inf
