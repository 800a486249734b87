"""Nets by name: the same seed gives the same weights, and nothing else is touched."""

import pytest
import torch
from torch import nn

from decoct.core.errors import UsageError
from decoct.nets import zoo

NETS = ["convnet3_w16", "convnet3_bn_w16", "resnet18", "resnet10t", "test_resnet", "mobilenetv3_small_050"]


def weights(net):
    return torch.cat([value.flatten().double() for value in net.state_dict().values()])


@pytest.mark.parametrize("size", [8, 28])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NETS)
def test_every_net_takes_small_images_grey_and_in_colour(name, channels, size):
    net = zoo.build(name, channels, 5, size, seed=0)
    assert net.training
    x = torch.randn(3, channels, size, size, generator=torch.Generator().manual_seed(0))
    logits = net.eval()(x)
    assert logits.shape == (3, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", NETS)
def test_weights_depend_on_the_seed_and_on_nothing_drawn_before(name):
    torch.random.default_generator.manual_seed(1)
    one = weights(zoo.build(name, 3, 5, 16, seed=3))
    torch.random.default_generator.manual_seed(2)
    state = torch.random.get_rng_state()
    assert torch.equal(weights(zoo.build(name, 3, 5, 16, seed=3)), one)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(weights(zoo.build(name, 3, 5, 16, seed=4)), one)


def test_a_net_is_fresh_its_batch_norm_has_seen_nothing():
    for name in ("resnet10t", "test_resnet"):
        for module in zoo.build(name, 3, 5, 16, seed=0).modules():
            if isinstance(module, nn.BatchNorm2d):
                assert int(module.num_batches_tracked) == 0
                assert module.running_mean.abs().max() == 0


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("convnet3_wide", "convnet3"), ("resnet81", "resnet18"), ("mobilenetv3_smal_050", "mobilenetv3_small_050")],
)
def test_an_unknown_net_gets_the_nearest_name(wrong, near):
    state = torch.random.get_rng_state()
    for ask in (zoo.check_name, lambda name: zoo.build(name, 3, 5, 32, 0)):
        with pytest.raises(UsageError, match=f"unknown net '{wrong}'.* Did you mean '{near}"):
            ask(wrong)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_known_names_pass_without_being_built():
    state = torch.random.get_rng_state()
    for name in [
        *NETS,
        "convnet6_bn_w99999999",
        "shufflenet_v2_x0_5",
        "vit_tiny_patch16_224",
        "swin_tiny_patch4_window7_224",
    ]:
        zoo.check_name(name)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_detector_is_no_net_for_images_of_one_class():
    with pytest.raises(UsageError, match="unknown net"):
        zoo.check_name("fasterrcnn_resnet50_fpn")


def test_a_net_that_cannot_take_such_images_says_so():
    with pytest.raises(UsageError, match="alexnet cannot take 8 px images"):
        zoo.build("alexnet", 3, 5, 8, 0)
    with pytest.raises(UsageError, match="colour images only"):
        zoo.build("shufflenet_v2_x0_5", 1, 5, 32, 0)
    with pytest.raises(UsageError, match="convnet3 halves the image 3 times"):
        zoo.build("convnet3_w8", 1, 5, 4, 0)


def test_a_transformer_is_built_for_the_resolution():
    net = zoo.build("test_vit", 1, 5, 32, 0)
    assert net.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 5)


def test_the_committees_are_those_of_the_protocols():
    assert set(zoo.label_committee(28)) == {"convnet3_bn", "resnet10t", "test_resnet"}
    assert set(zoo.label_committee(29)) == set(zoo.label_committee(64)) == {"convnet3_bn", "resnet10t", "resnet18"}
    assert set(zoo.label_committee(224)) == {"resnet18", "mobilenetv2_100", "shufflenet_v2_x0_5", "densenet121"}
    assert [zoo.resolve("teacher", size) for size in (8, 28, 32, 64, 224)] == ["convnet3_bn"] * 2 + ["resnet18"] * 3
    assert zoo.resolve("test_resnet", 8) == "test_resnet"
    for size in (8, 28, 64, 224):
        assert zoo.HELD_OUT not in zoo.label_committee(size)
        for name in (*zoo.label_committee(size), zoo.HELD_OUT):
            zoo.check_name(name)
