"""Nets that start from weights: of a file, of the hub's cache, of the user's code; and what decides them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from decoct.core.errors import DecoctError
from decoct.nets import zoo
from decoct.nets.renormalise import Normalisation
from decoct.nets.started import at_hand, identity, inner, started
from decoct.nets.student import Student

OWN = Normalisation((0.3, 0.4, 0.5), (0.2, 0.25, 0.3))


def save(net: Any, file: Path) -> Student:
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, file)
    return Student.of(f"{net.known}@{file}")


def test_it_gives_what_the_net_gives_to_resized_and_renormalised_images(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", num_classes=9)
    source.known = "test_resnet"
    net = started(save(source, tmp_path / "w.safetensors"), OWN, 4, 8, seed=2, side=32).eval()
    images = torch.rand(3, 3, 8, 8)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in OWN)
    found = net((images - mean) / std)

    source.reset_classifier(0)
    large = torch.nn.functional.interpolate(images, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(source.pretrained_cfg[v]).view(3, 1, 1) for v in ("mean", "std"))
    head = inner(net).get_submodule("fc")
    torch.testing.assert_close(found, head(source.eval()((large - mean) / std)), atol=1e-4, rtol=1e-4)


def test_the_head_comes_from_the_seed_alone(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", num_classes=4)  # as many classes: its head is not taken either
    source.known = "test_resnet"
    student = save(source, tmp_path / "w.safetensors")
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(7)
        before = torch.get_rng_state()
        heads.append(inner(started(student, OWN, 4, 32, seed)).get_submodule("fc").weight)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not torch.equal(heads[0], source.fc.weight)


def test_nets_of_decocts_own_start_from_a_file(tmp_path: Path) -> None:
    source = zoo.build("convnet2_w8", 3, 6, 16, seed=5)
    source.known = "convnet2_w8"
    net = inner(started(save(source, tmp_path / "w.safetensors"), OWN, 4, 16, seed=0))
    state, expected = net.state_dict(), source.state_dict()
    body = [name for name, value in state.items() if value.shape == expected[name].shape]
    assert len(body) == len(state) - 2  # but for the weight and the bias of the head
    assert all(torch.equal(state[name], expected[name]) for name in body)


def test_weights_come_from_the_hubs_cache(in_hub: Callable[..., Any]) -> None:
    source = in_hub("test_resnet.r160_in1k", timm.create_model("test_resnet", num_classes=1000))
    student = Student.of("timm:test_resnet")
    assert at_hand(student)
    assert identity(student, 3, 4, 32) == {"weights": "test_resnet.r160_in1k"}
    net = inner(started(student, OWN, 4, 32, seed=0))
    assert torch.equal(net.get_submodule("conv1")[0].weight, source.conv1[0].weight)


def test_weights_that_are_out_of_reach_are_said_at_once(
    in_hub: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decoct.nets.hub.answers", lambda url: False)
    student = Student.of("timm:test_resnet")
    assert not at_hand(student)
    assert not at_hand(Student.of("convnet3"))
    with pytest.raises(DecoctError, match=r"no weights of timm's test_resnet.* are on this machine"):
        started(student, OWN, 4, 32, seed=0)


def test_what_the_users_code_loads_is_known_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"value": 0.5}, tmp_path / "w.pt")
    (tmp_path / "loads.py").write_text(
        "import torch\nfrom pathlib import Path\nfrom torch import nn\n"
        "def make(classes, channels, size):\n"
        "    net = nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))\n"
        "    nn.init.constant_(net[1].weight, torch.load(Path(__file__).parent / 'w.pt')['value'])\n"
        "    return net\n"
    )
    monkeypatch.chdir(tmp_path)
    student = Student.of("loads:make")
    before = identity(student, 3, 4, 8)
    assert before == identity(student, 3, 4, 8)
    torch.save({"value": 0.25}, tmp_path / "w.pt")
    assert identity(student, 3, 4, 8) != before
