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


COST = {
    "seconds": 3.5,
    "cpu_seconds": 7.0,
    "peak_memory": 1000,
    "device": "cpu",
    "hardware": "a processor",
    "host": "here",
    "versions": {},
}


def test_a_cost_that_says_what_it_held_is_believed(tmp_path):
    cost = Cost(**{**COST, "device": "cuda", "device_seconds": 1.25, "energy": 310.0})
    assert (cost.device_seconds, cost.energy) == (1.25, 310.0)
    write_json(tmp_path / "cost.json", cost.model_dump(mode="json"))
    assert Cost(**read_json(tmp_path / "cost.json")) == cost


def test_a_cost_without_seconds_is_refused():
    with pytest.raises(ValidationError, match="seconds"):
        Cost(**{name: value for name, value in COST.items() if name != "seconds"})
