"""Fine-tuning: its numbers, and students of a study that start from weights."""

from pathlib import Path

import pytest
from safetensors.torch import save_file

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Task
from decoct.core.record import read_json
from decoct.core.spec import parse
from decoct.data.dataset import Dataset, load_data
from decoct.methods.coresets.random import Random
from decoct.nets import zoo
from decoct.protocols.finetune import FineTune
from decoct.study.contract import check
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.study.store.store import Store


@pytest.fixture
def digits() -> Dataset:
    return load_data("digits")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "weights.safetensors"
    save_file(dict(zoo.build("test_resnet", 3, 7, 32, seed=1).state_dict()), file)
    return file


def planned(digits: Dataset, student: str, **fields: float) -> tuple[Planner, Job]:
    planner = Planner(digits)
    made = planner.condense("random", Random(), Budget(ipc=2), 0)
    return planner, planner.train(("finetune", FineTune(**fields)), student, made)


def test_its_numbers() -> None:
    made = parse("protocol", "finetune").recipe(Task(1000, 10, 32, flip=True))
    assert (made.lr, made.weight_decay, made.layer_decay, made.freeze) == (2e-3, 0.05, 0.75, 0)
    assert (made.steps, made.batch, made.schedule, made.loss, made.flip, made.pad) == (
        20 * 8,
        125,
        "cosine",
        "ce",
        True,
        4,
    )
    assert parse("protocol", "finetune").recipe(Task(1000, 10, 224, flip=True)).batch == 64


def test_it_keeps_the_contract() -> None:
    assert [finding for finding in check("finetune") if not finding.ok] == []


def test_the_content_of_the_weights_is_keyed_and_their_place_is_not(
    digits: Dataset, weights: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    (_, one), (_, two) = (planned(digits, f"timm:test_resnet@{file}") for file in (weights, copy))
    assert one.key == two.key
    assert str(tmp_path) not in str(one.keyed) + str(one.labels)
    save_file(dict(zoo.build("test_resnet", 3, 7, 32, seed=2).state_dict()), copy)
    assert planned(digits, f"timm:test_resnet@{copy}")[1].key != one.key
    assert one.keyed["seed"] == planned(digits, f"timm:test_resnet@{copy}")[1].keyed["seed"]


def test_a_student_starts_from_its_weights_and_what_is_frozen_stays(
    digits: Dataset, weights: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    store.root.mkdir()
    results = []
    for freeze in (0, 2):
        planner, job = planned(digits, f"test_resnet@{weights}", epochs=1, size=16, freeze=freeze)
        for each in planner.jobs.values():
            execute(store.root, each)
        results.append(read_json(store.path("train", job.key) / "result.json"))
    assert [(each["steps"], each["test_images"]) for each in results] == [(2, len(digits.test))] * 2
    assert results[0]["loss"] != results[1]["loss"]
    planner, job = planned(digits, f"test_resnet@{weights}", freeze=99)
    with pytest.raises(DecoctError, match="freeze = 99 leaves nothing to train"):
        execute(store.root, job)


def test_nets_without_weights_and_weights_without_use_are_refused(digits: Dataset, weights: Path) -> None:
    with pytest.raises(UsageError, match="nobody has pretrained convnet1_w8"):
        planned(digits, "convnet1_w8")
    with pytest.raises(UsageError, match=r"resnet18\.a1_in1k"):
        planned(digits, "resnet18")
    with pytest.raises(
        UsageError, match="erm trains test_resnet from fresh weights: leave @FILE out, or take finetune"
    ):
        Planner(digits).train(("erm", parse("protocol", "erm")), f"test_resnet@{weights}", None)
