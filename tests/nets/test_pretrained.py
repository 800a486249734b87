"""Pretrained weights by name, from stand-ins: nothing is fetched here."""

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import zoo
from decoct.nets.imagenet_classes import wnids
from decoct.nets.pretrained import expected, pretrained, tagged
from decoct.nets.renormalise import IMAGENET, Normalisation, renormalised
from decoct.nets.weights import Fitted, fit

pytestmark = pytest.mark.usefixtures("online")


@pytest.fixture
def hub(monkeypatch):
    """timm's and torchvision's makers of nets, with random weights in place of what they would fetch."""
    timms, torchvisions, asked = timm.create_model, models.get_model, []

    def create_model(name, pretrained=False, **options):
        net = timms(name, pretrained=False, **options)  # a convolutional net takes no img_size
        asked.extend([name] if pretrained else [])
        return net

    def get_model(name, weights=None, **options):
        asked.extend([name] if weights is not None else [])
        return torchvisions(name, weights=None, **options)

    monkeypatch.setattr(timm, "create_model", create_model)
    monkeypatch.setattr(models, "get_model", get_model)
    return asked


V1, V2 = "IMAGENET1K_V1", "IMAGENET1K_V2"


@pytest.mark.parametrize(
    ("name", "loads", "full"),
    [  # (torchvision's name, its enum) or timm's full name; and the name in full
        ("resnet18", ("resnet18", V1), "resnet18.tv_in1k"),
        ("resnet50", ("resnet50", V1), "resnet50.tv_in1k"),
        ("resnet50.tv_in1k", "resnet50.tv_in1k", "resnet50.tv_in1k"),
        ("resnet50.tv2_in1k", "resnet50.tv2_in1k", "resnet50.tv2_in1k"),
        ("mobilenet_v2", ("mobilenet_v2", V1), "mobilenet_v2.tv_in1k"),
        ("mobilenet_v2.tv_in1k", ("mobilenet_v2", V1), "mobilenet_v2.tv_in1k"),
        ("mobilenet_v2.tv2_in1k", ("mobilenet_v2", V2), "mobilenet_v2.tv2_in1k"),
        ("shufflenet_v2_x0_5", ("shufflenet_v2_x0_5", V1), "shufflenet_v2_x0_5.tv_in1k"),
        ("shufflenet_v2_x1_0.tv_in1k", ("shufflenet_v2_x1_0", V1), "shufflenet_v2_x1_0.tv_in1k"),
        ("alexnet.tv_in1k", ("alexnet", V1), "alexnet.tv_in1k"),
        ("densenet121", "densenet121.ra_in1k", "densenet121.ra_in1k"),  # timm goes before torchvision
        ("densenet121.tv_in1k", "densenet121.tv_in1k", "densenet121.tv_in1k"),
        ("efficientnet_b0", "efficientnet_b0.ra_in1k", "efficientnet_b0.ra_in1k"),
    ],
)
def test_which_weights_a_name_loads(monkeypatch, name, loads, full):
    asked, net = [], timm.create_model("test_resnet", num_classes=1000)

    def of_timm(name, pretrained, **options):
        facts = timm.get_pretrained_cfg(name)
        asked.append(f"{facts.architecture}.{facts.tag}")
        return net

    monkeypatch.setattr(timm, "create_model", of_timm)
    monkeypatch.setattr(models, "get_model", lambda name, weights: asked.append((name, weights.name)) or net)
    pretrained(name, 224)
    assert asked == [loads]
    assert tagged(name) == full


def test_a_net_that_torchvision_has_other_weights_of_only_loads_those(monkeypatch):
    net, asked = timm.create_model("test_resnet", num_classes=1000), []
    monkeypatch.setattr(models, "get_model", lambda name, weights: asked.append(weights.name) or net)
    pretrained("vit_h_14", 224)
    assert asked == ["IMAGENET1K_SWAG_E2E_V1"]


@pytest.mark.parametrize(
    ("name", "size", "origin", "normalisation"),
    [
        ("test_resnet", 8, "test_resnet.r160_in1k of timm", Normalisation((0.5,) * 3, (0.5,) * 3)),
        ("test_efficientnet", 32, "test_efficientnet.r160_in1k of timm", IMAGENET),
        ("test_vit", 32, "test_vit.r160_in1k of timm", Normalisation((0.5,) * 3, (0.5,) * 3)),
        ("resnet10t.c3_in1k", 32, "resnet10t.c3_in1k of timm", IMAGENET),
        ("shufflenet_v2_x0_5", 32, "shufflenet_v2_x0_5 IMAGENET1K_V1 of torchvision", IMAGENET),
        ("shufflenet_v2_x0_5.tv_in1k", 32, "shufflenet_v2_x0_5 IMAGENET1K_V1 of torchvision", IMAGENET),
        ("resnet18", 96, "resnet18 IMAGENET1K_V1 of torchvision", IMAGENET),
        ("resnet18.tv_in1k", 96, "resnet18.tv_in1k of timm", IMAGENET),
    ],
)
def test_pretrained_weights_fit_the_zoo_s_net_with_the_head_cut(hub, name, size, origin, normalisation):
    found = pretrained(name, size)
    assert hub == [name if found.origin.endswith("timm") else name.partition(".")[0]]
    assert (found.origin, found.normalisation, found.imagenet) == (origin, normalisation, True)
    net = zoo.build(name, 3, 2, size, seed=0)
    assert expected(net) == normalisation
    assert fit(net, found, [wnids()[5], wnids()[3]]) == Fitted(sliced_from=1000, imagenet=True)


def test_a_transformer_is_asked_for_at_the_resolution(hub):
    assert pretrained("test_vit", 32).state["pos_embed"].shape == zoo.build("test_vit", 3, 2, 32, 0).pos_embed.shape


def test_a_net_that_transforms_its_input_itself_is_known_by_what_comes_out(monkeypatch):
    options = {"num_classes": 1000, "aux_logits": False, "init_weights": False}
    full = models.googlenet(weights=None, transform_input=True, **options).eval()
    monkeypatch.setattr(models, "get_model", lambda name, weights: full)
    found = pretrained("googlenet", 64)
    monkeypatch.undo()
    net = models.googlenet(weights=None, **options).eval()
    fit(net, found, wnids())
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(renormalised(net, IMAGENET, found.normalisation)(x), full(x))


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("convnet3_bn", 32, "nobody has pretrained convnet3_bn"),
        ("resnet18", 64, "another stem than the pretrained net up to 64 px"),
        ("resnet18_in", 96, "nobody has pretrained resnet18_in"),
        ("resnet10t.nonsense", 32, "nonsense"),
        ("alexnet.tv2_in1k", 96, "no IMAGENET1K_V2 weights of alexnet: take alexnet without .tv2_in1k"),
        ("alexnet.a1_in1k", 96, "unknown net 'alexnet.a1_in1k'"),
        ("resnet24_unknown", 32, "unknown net"),
    ],
)
def test_what_nobody_has_pretrained(hub, name, size, said):
    with pytest.raises(UsageError, match=said):
        pretrained(name, size)
    assert hub == []


def test_a_net_without_pretrained_weights(hub):
    bare = next(name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights)
    with pytest.raises(UsageError, match="no pretrained weights"):
        pretrained(bare, 32)


def test_another_head_than_imagenet_1k_s(monkeypatch):
    made = timm.create_model("test_resnet", num_classes=7)
    monkeypatch.setattr(timm, "create_model", lambda name, **options: made)
    with pytest.raises(DecoctError, match="7 outputs"):
        pretrained("test_resnet", 8)


@pytest.mark.parametrize(
    ("module", "maker", "name"), [(timm, "create_model", "test_resnet"), (models, "get_model", "alexnet")]
)
def test_without_a_network_the_error_says_what_to_do(monkeypatch, module, maker, name):
    def cut_off(*args, **kwargs):
        raise OSError("network is unreachable\nand more")

    monkeypatch.setattr(module, maker, cut_off)
    monkeypatch.setattr(timm, "is_model", lambda known: module is timm)
    with pytest.raises(DecoctError, match=r"OSError: network is unreachable\n.*checkpoint") as caught:
        pretrained(name, 224)
    assert len(str(caught.value).splitlines()) == 2


def test_a_net_that_says_nothing_expects_imagenet_s_usual_normalisation():
    assert expected(nn.Linear(1, 1)) == IMAGENET
    assert torch.tensor(IMAGENET).shape == (2, 3)
