"""Layers of a net: timm's own for timm's nets, children of others."""

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from decoct.core.interfaces import Machine
from decoct.nets import zoo
from decoct.nets.backbone import Backbone
from decoct.nets.layers import layers
from decoct.nets.renormalise import IMAGENET, Normalisation, renormalised
from decoct.training import loop
from decoct.training.batches import TrainingSet
from decoct.training.recipe import Recipe


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet"])
def test_rates_and_decay_are_timms(name: str) -> None:
    net = timm.create_model(name, num_classes=4)
    wrapped = renormalised(Backbone(net, (32, 32), IMAGENET), IMAGENET, Normalisation((0.0,) * 3, (1.0,) * 3))
    expected = {
        id(p): (group["lr_scale"], group["weight_decay"] if p.ndim > 1 else 0.0)
        for group in param_groups_layer_decay(net, weight_decay=0.05, layer_decay=0.6)
        for p in group["params"]
    }
    optimiser = loop._optimiser(wrapped, Recipe(2, 4, "adamw", 0.1, 0.05, "cosine", layer_decay=0.6))
    found = {id(p): (g["scale"], g["weight_decay"]) for g in optimiser.param_groups for p in g["params"]}
    assert found.keys() == expected.keys() == {id(p) for p in net.parameters()}
    assert len(set(expected.values())) > 4
    for parameter, rates in expected.items():
        assert found[parameter] == pytest.approx(rates)


def test_children_and_entries_of_sequences_are_the_layers_of_other_nets() -> None:
    net = zoo.build("resnet18", 3, 4, 32, 0)
    sizes = [sum(p.numel() for p in layer) for layer in layers(net)]
    blocks = [net.conv1, net.bn1, *(block for stage in (1, 2, 3, 4) for block in net.get_submodule(f"layer{stage}"))]
    assert sizes == [sum(p.numel() for p in block.parameters()) for block in [*blocks, net.fc]]


def test_a_step_is_that_of_torch_with_a_rate_for_each_layer() -> None:
    def fresh() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 5), nn.Linear(5, 3))

    recipe = Recipe(3, 4, "sgd", 0.5, 0.0, "cosine", layer_decay=0.5, freeze=1)
    images, labels = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 0])
    net, by_hand = fresh(), fresh()
    loop.train(net, TrainingSet(images, labels, [0.5] * 3, [0.2] * 3), recipe, seed=0)
    groups = [{"params": by_hand[3].parameters(), "lr": 0.25}, {"params": by_hand[4].parameters(), "lr": 0.5}]
    optimiser = torch.optim.SGD(groups, 0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 3)
    for _ in range(3):
        loss = nn.functional.cross_entropy(by_hand((images - 0.5) / 0.2), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    for one, two in zip(net.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net[1].weight, fresh()[1].weight, rtol=0, atol=0)


def test_frozen_batch_norm_keeps_its_statistics_also_after_a_look_at_the_net() -> None:
    net = zoo.build("resnet18", 3, 3, 16, 0)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    recipe = Recipe(4, 4, "adamw", 0.01, 0.0, "cosine", freeze=4)  # conv1, bn1 and the first two blocks
    data = TrainingSet(torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, 0]), [0.5] * 3, [0.2] * 3)
    loop.train(net, data, recipe, seed=0, machine=Machine(), on_epoch=lambda net, epoch: None)
    moved = {name.partition(".")[0] for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"layer2", "layer3", "layer4", "fc"}
    assert not net.layer1[0].bn1.weight.requires_grad


def test_freezing_everything_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    with pytest.raises(Exception, match="freeze = 1 leaves nothing to train: the net has 1 layers"):
        loop._optimiser(net, Recipe(1, 2, "adamw", 0.1, 0.0, "cosine", freeze=1))
