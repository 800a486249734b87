"""Records and where they live."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from decoct.core.record import CELL, Cost, Provenance, Result, cell_dir, complete, read_json, write_json


def test_a_cell_lives_under_the_first_two_digits_of_its_key():
    assert cell_dir(Path("store"), "train", "abcdef") == Path("store/train/ab/abcdef")


def test_a_cell_is_complete_once_its_cell_file_is_there(tmp_path):
    assert not complete(tmp_path / "nowhere")
    assert not complete(tmp_path)
    write_json(tmp_path / CELL, {})
    assert complete(tmp_path)


def test_equal_content_gives_equal_bytes_whatever_the_order_of_keys(tmp_path):
    write_json(tmp_path / "a", {"x": 1, "ü": [1.5, None, "\u2028"]})
    write_json(tmp_path / "b", {"ü": [1.5, None, "\u2028"], "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_json(tmp_path / "a") == {"x": 1, "ü": [1.5, None, "\u2028"]}


def test_a_record_survives_json_and_refuses_unknown_keys(tmp_path):
    result = Result(
        accuracy=0.1, per_class=(0.1, 1 / 3), test_images=9, steps=5, images_seen=50, loss=2.302585, label_bytes=10
    )
    write_json(tmp_path / "r", result.model_dump(mode="json"))
    assert Result(**read_json(tmp_path / "r")) == result
    with pytest.raises(ValidationError):
        Provenance(method="random", metod="herding")


OLD = {  # as measured.json was before it knew of accelerators and energy
    "seconds": 3.5,
    "cpu_seconds": 7.0,
    "peak_memory": 1000,
    "device": "cpu",
    "hardware": "a processor",
    "host": "here",
    "versions": {},
}


@pytest.mark.parametrize(("device", "held"), [("cpu", 0.0), ("cuda", 3.5), ("cuda:1", 3.5), ("mps", 3.5)])
def test_a_cost_from_before_device_seconds_held_its_accelerator_all_the_time(device, held):
    cost = Cost(**{**OLD, "device": device})
    assert (cost.device_seconds, cost.energy) == (held, None)
    assert (cost.once, cost.cpu_once) == (0, 0)
    newer = {"device_seconds", "energy", "once", "cpu_once", "around"}
    assert cost.model_dump(exclude=newer) == {**OLD, "device": device}


@pytest.mark.parametrize("students", [1, 8])
def test_a_cost_from_when_students_were_trained_together_is_its_share(students):
    """Every ``measured.json`` of those versions names how many they were, be it one."""
    old = {**OLD, "device": "cuda", "device_seconds": 1.25}
    given = {**old, "together": students}
    assert Cost(**given) == Cost(**old)
    assert given["together"] == students  # what was given is left as it was
    assert "together" not in Cost(**given).model_dump()


def test_a_cost_that_says_what_it_held_is_believed(tmp_path):
    cost = Cost(**{**OLD, "device": "cuda", "device_seconds": 1.25, "energy": 310.0})
    assert (cost.device_seconds, cost.energy) == (1.25, 310.0)
    write_json(tmp_path / "cost.json", cost.model_dump(mode="json"))
    assert Cost(**read_json(tmp_path / "cost.json")) == cost


def test_a_cost_without_seconds_is_refused():
    with pytest.raises(ValidationError, match="seconds"):
        Cost(**{name: value for name, value in OLD.items() if name != "seconds"})
