"""A training on a device that is not the host, as a stand-in has it: images of 64 px, with and without room there."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from decoct.core.interfaces import Machine
from decoct.nets import zoo
from decoct.training import images
from decoct.training.images import Images
from decoct.training.loop import train
from decoct.training.recipe import Recipe
from devices.elsewhere import elsewhere

PLAIN = Recipe(steps=2, batch=4, optimiser="sgd", lr=0.05, weight_decay=0.01, schedule="cosine")


@pytest.mark.parametrize(
    "kind",
    [
        {"scale": (0.2, 1.0), "flip": True, "cutmix": 1.0},
        {"pad": 4, "flip": True, "mixup": 0.8, "ema": 0.9},
        {"shuffle": 3, "jitter": 0.4, "lighting": 0.1, "optimiser": "adamw", "lr": 1e-4},
        {"dsa": True},
        {"loss": "kl", "scale": (0.2, 1.0), "halves": True},
    ],
    ids=["boxes", "crops", "tiles", "siamese", "taught in halves"],
)
@pytest.mark.parametrize("room", [2**34, 0], ids=["images on the device", "images on the host"])
@pytest.mark.filterwarnings("ignore::decoct.training.images.HostImages")
def test_a_training_at_64_px_takes_the_steps_that_the_cpu_takes(small_set, monkeypatch, kind, room):
    data, recipe = small_set(n=6, size=64, channels=3), replace(PLAIN, **kind)
    data = replace(data, images=data.images / 255)  # bytes would be resized as bytes, but on a CPU alone

    def trained(device):
        student, teacher = (zoo.build(name, 3, 3, 64, seed=0) for name in ("convnet3_w8", "convnet3_bn_w8"))
        teachers = [teacher.to(device)] if recipe.loss == "kl" else []
        made = train(student, data, recipe, seed=0, machine=Machine(device), teachers=teachers)
        return made, [p.detach().cpu() for p in student.parameters()]

    expected, weights = trained("cpu")
    monkeypatch.setattr(images, "free", lambda device: room)
    with elsewhere() as device:
        found, theirs = trained("meta")
    assert found == expected and all(map(torch.equal, weights, theirs))
    looks = {"training/resume.py:check", "training/batches.py:check", "training/loop.py:train", ""}  # "": this test
    assert {line.rpartition(":")[0] for line, _ in device.waits} <= looks


@pytest.mark.parametrize(("device", "pinned"), [("cuda", [torch.device("cpu")]), ("cpu", [])])
def test_what_a_gpu_is_sent_from_the_host_is_pinned(monkeypatch, device, pinned):
    seen = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda x: seen.append(x.device) or x)
    monkeypatch.setattr(images, "send", lambda x, to: x)
    stored = torch.rand(6, 1, 4, 4)
    assert len(Images(stored, stored, stored, torch.device(device)).rows(torch.tensor([4, 1]))) == 2
    assert seen == pinned
