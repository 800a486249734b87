"""Nets by name: the same seed gives the same weights, and nothing else is touched."""

import pytest
import torch
from torch import nn

from decoct.core.errors import UsageError
from decoct.nets import zoo

NETS = ["convnet3_w16", "convnet3_bn_w16", "resnet18", "resnet10t", "test_resnet", "mobilenetv3_small_050"]


# The students that studies of this field use, and the sizes that a light test builds them at.
STUDENTS = {
    "convnet3": (8, 28, 32),
    "convnet4_w32": (28, 64),
    "convnet5_bn_w16": (32, 128),
    "convnet6_w16": (64, 224),
    "resnet18": (8, 28),
    "resnet50": (8,),
    "resnet101": (),
    "resnet18_in": (28,),
    "resnet_ap10": (28, 32),
    "mobilenetv2_100": (8, 28, 32, 64, 224),
    "efficientnet_b0": (8, 28, 32, 64),
    "vit_tiny_patch16_224": (8, 28, 32, 64),
    "swin_tiny_patch4_window7_224": (28,),
    "shufflenet_v2_x0_5": (8, 28, 64, 224),
    "densenet121": (32,),
    "alexnet": (),
    "googlenet": (28,),
    "inception_v3": (),
}
LIGHT = [(name, size) for name, sizes in STUDENTS.items() for size in sizes]
HEAVY = [
    ("resnet50", 28),
    ("resnet101", 8),
    ("inception_v3", 96),
    *((name, 64) for name in ("resnet18", "resnet50", "resnet101", "resnet18_in", "resnet_ap10", "alexnet")),
    *(("swin_tiny_patch4_window7_224", size) for size in (32, 64)),
    *((name, 128) for name in ("convnet5", "resnet_ap10", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224")),
    *((name, 224) for name in ("convnet6", *(n for n in STUDENTS if not n.startswith("convnet")))),
]


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


def learns(name, size):
    """Build a student twice, compare, and take a step with a batch of four: grey up to 28 px, colour from there."""
    channels = 1 if size <= 28 else 3
    net = zoo.build(name, channels, 5, size, seed=1)
    assert torch.equal(weights(net), weights(zoo.build(name, channels, 5, size, seed=1)))
    x = torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.SGD(net.parameters(), 0.01)
    logits = net(x)
    assert net.training
    assert logits.shape == (4, 5)
    assert logits.std(0).max() > 0  # what the net says depends on the image
    loss = nn.functional.cross_entropy(logits, torch.arange(4))
    loss.backward()
    optimiser.step()
    assert loss.isfinite()
    assert all(p.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(("name", "size"), LIGHT)
def test_every_student_learns_at_small_resolution(name, size):
    learns(name, size)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), HEAVY)
def test_every_student_learns_at_full_resolution(name, size):
    learns(name, size)


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
    [
        ("convnet3_wide", "convnet3"),
        ("resnet81", "resnet18"),
        ("resnet_ap12", "resnet_ap10"),
        ("mobilenetv3_smal_050", "mobilenetv3_small_050"),
        ("efficientnet-b0", "efficientnet_b0"),
        ("vit_tiny_patch16", "vit_tiny_patch16_"),
    ],
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
        *STUDENTS,
    ]:
        zoo.check_name(name)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_detector_is_no_net_for_images_of_one_class():
    with pytest.raises(UsageError, match="unknown net"):
        zoo.check_name("fasterrcnn_resnet50_fpn")


def test_a_net_that_cannot_take_such_images_says_so():
    with pytest.raises(UsageError, match="alexnet cannot take 8 px images"):
        zoo.build("alexnet", 3, 5, 8, 0)
    with pytest.raises(UsageError, match="convnet3 halves the image 3 times"):
        zoo.build("convnet3_w8", 1, 5, 4, 0)


@pytest.mark.parametrize(("name", "size"), [("shufflenet_v2_x0_5", 28), ("googlenet", 28)])
def test_a_torchvision_net_takes_any_channels_by_a_first_convolution_of_its_own(name, size):
    colour, grey = (zoo.build(name, channels, 5, size, seed=0) for channels in (3, 1))
    theirs, ours = dict(colour.named_modules()), dict(grey.named_modules())
    first = next(path for path, module in theirs.items() if isinstance(module, nn.Conv2d))
    assert (theirs[first].in_channels, ours[first].in_channels) == (3, 1)
    assert theirs[first].extra_repr().replace("3, ", "1, ", 1) == ours[first].extra_repr()
    rest = [{key: value for key, value in net.state_dict().items() if first not in key} for net in (colour, grey)]
    assert rest[0].keys() == rest[1].keys()
    assert all(torch.equal(rest[0][key], rest[1][key]) for key in rest[0])
    assert ours[first].weight.std() > 0


def test_a_transformer_is_built_for_the_resolution():
    net = zoo.build("test_vit", 1, 5, 32, 0)
    assert net.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 5)


def test_the_committees_are_those_of_the_protocols():
    for size, own in {8: "convnet2_bn", 28: "convnet3_bn", 32: "convnet3_bn", 64: "convnet4_bn"}.items():
        assert zoo.label_committee(size) == (own, "resnet10t", "test_resnet")
    assert zoo.label_committee(224) == ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "densenet121")
    assert [zoo.resolve("teacher", size) for size in (8, 32, 64, 65)] == [
        *("convnet2_bn", "convnet3_bn", "convnet4_bn", "resnet18")
    ]
    assert zoo.resolve("test_resnet", 8) == "test_resnet"
    for size in (8, 28, 64, 224):
        assert not {*zoo.judges(size)} & {*zoo.label_committee(size)}
        for name in (*zoo.label_committee(size), *zoo.judges(size)):
            zoo.check_name(name)


def test_the_default_student_fits_the_images():
    sizes = (4, 8, 28, 32, 64, 128, 129, 224)
    nets = [f"convnet{depth}" for depth in (1, 2, 3, 3, 4, 5)] + ["resnet18"] * 2
    assert [zoo.student(size) for size in sizes] == nets
    assert zoo.student(28, 32) == "convnet3_w32" and zoo.student(224, 32) == "resnet18"
    assert [zoo.resolve("convnet", size) for size in (8, 64, 224)] == ["convnet2", "convnet4", "convnet6"]
    for size in range(4, 225):
        zoo.check_fits(zoo.student(size, 32), size)


@pytest.mark.parametrize(
    ("name", "size", "fits"),
    [
        ("convnet4", 8, "convnet2"),
        ("convnet4_w8", 8, "convnet2_w8"),
        ("convnet5_bn", 28, "convnet3"),
        ("resnet18_in", 8, "convnet2"),
        ("resnet_ap10", 8, "convnet2"),
    ],
)
def test_a_net_that_would_halve_the_image_to_nothing_is_refused_with_the_net_to_take(name, size, fits):
    with pytest.raises(UsageError, match=rf"halves the image .*\ntake {fits}, which fits {size} px$"):
        zoo.check_fits(name, size)
    zoo.check_fits(fits, size)
    for other in ("convnet3_bn", "resnet18", "resnet_ap10_bn", "resnet10t"):
        zoo.check_fits(other, 8)


def test_the_judge_is_the_first_candidate_that_takes_no_part():
    first, second, third = zoo.judges(28)
    assert zoo.judge(28, {"convnet3_bn"}) == first
    assert zoo.judge(28, {first, "convnet3_bn"}) == second
    with pytest.raises(UsageError, match=f"leave one of {first}, {second}, {third} out"):
        zoo.judge(28, {first, second, third})


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x1_0", "densenet121", "resnet10t"])
def test_a_tag_names_weights_and_no_other_net(name):
    tag = "c3_in1k" if name == "resnet10t" else "tv_in1k"
    plain, tagged = (zoo.build(net, 3, 2, 64, seed=3).state_dict() for net in (name, f"{name}.{tag}"))
    assert list(plain) == list(tagged) and all(torch.equal(plain[key], tagged[key]) for key in plain)
    assert zoo.architecture(f"{name}.{tag}", 64) == zoo.architecture(name, 64) == name


def test_a_tagged_resnet_is_the_untagged_one_above_64_px_alone():
    assert zoo.architecture("resnet18.tv_in1k", 96) == "resnet18"
    assert zoo.architecture("resnet18.tv_in1k", 64) == "resnet18.tv_in1k"
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    one, other = zoo.build("resnet18", 3, 5, 96, 0).eval(), zoo.build("resnet18.tv_in1k", 3, 5, 96, 1).eval()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))
    assert zoo.build("resnet18.tv_in1k", 3, 5, 64, 0).conv1.stride == (2, 2)


def test_torchvision_s_mobilenet_is_timm_s_under_other_names():
    one, other = (zoo.build(net, 3, 5, 96, seed=0).eval() for net in ("mobilenet_v2", "mobilenetv2_100"))
    other.load_state_dict(dict(zip(other.state_dict(), one.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one(x), other(x))


def test_a_judge_takes_no_part_under_any_tag():
    first, second, _ = zoo.judges(224)
    assert zoo.judge(224, {f"{first}.lamb_in1k"}) == second
    assert zoo.judge(224, [], ["resnet18.tv_in1k"]) == first  # a label teacher by default


def test_a_judge_that_is_loaded_goes_before_one_that_would_be_trained():
    first, second, third = zoo.judges(224)
    committee = zoo.label_committee(224)
    assert zoo.judge(224, committee, [*committee, first]) == first
    assert zoo.judge(224, {*committee, first}, [*committee, first, third]) == third
    assert zoo.judge(224, {*committee, first}, [*committee, first, "alexnet"]) == "alexnet"
    assert zoo.judge(224, {*committee, first, "alexnet"}, [*committee, first, "alexnet"]) == second
    assert zoo.judge(224, {first, second, third}, ["alexnet"]) == "alexnet"
    assert zoo.judge(224, {"alexnet"}, [*committee, "alexnet"]) == first
