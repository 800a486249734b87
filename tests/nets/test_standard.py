"""Short names of extractors: what timm registers of them, and tiny nets of their architectures against other code."""

import math

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import normalize, resize

from decoct.core.errors import DecoctError
from decoct.nets import backbone, weights
from decoct.nets.backbone import embed
from decoct.nets.renormalise import IMAGENET, Normalisation
from decoct.nets.standard import STANDARD, architecture, frozen, standard

CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of OpenAI's code
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}


@pytest.fixture
def tiny(monkeypatch):
    """timm makes its transformers with two narrow blocks."""
    make = timm.create_model

    def create(name, **options):
        return make(name, **options, **(TINY if name.startswith("vit") else {}))

    monkeypatch.setattr(timm, "create_model", create)
    return create


def seeded(net):
    """Weights that matter everywhere: many of a fresh transformer's are 0 or 1."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=rng) * 0.2 + 0.5 * (weight.ndim == 1))
    return net.eval()


def pictures(size, n=3):
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def seen(images, size, takes):
    """Whole images as 8-bit code would resize them, but for the rounding."""
    resized = resize(images / 255, [size, size], InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)
    return normalize(resized, *takes)


def features(net, images):
    return torch.cat(list(embed(net, images)))


@pytest.mark.parametrize(
    ("name", "repository", "size", "width", "takes"),
    [  # as dgm-eval, FLD's and CMMD's code say
        ("dinov2", "vit_large_patch14_dinov2.lvd142m", 224, 1024, IMAGENET),
        ("dinov2_b", "vit_base_patch14_dinov2.lvd142m", 224, 768, IMAGENET),
        ("dinov2_s", "vit_small_patch14_dinov2.lvd142m", 224, 384, IMAGENET),
        ("clip", "vit_base_patch32_clip_224.openai", 224, 512, CLIP),
        ("clip_l336", "vit_large_patch14_clip_336.openai", 336, 768, CLIP),
        ("inception", "inception_v3.tv_in1k", 299, 2048, ((0.5,) * 3, (0.5,) * 3)),
    ],
)
def test_what_timm_registers_is_what_the_papers_take(name, repository, size, width, takes):
    wanted, facts = STANDARD[name], timm.get_pretrained_cfg(STANDARD[name].net)
    assert facts.hf_hub_id == f"timm/{repository}" and Normalisation(facts.mean, facts.std) == takes
    assert (wanted.size or facts.input_size[1]) == size
    with torch.device("meta"):
        net = timm.create_model(wanted.net)
    assert (facts.num_classes if wanted.projected else net.num_features) == width
    acts = {type(block.mlp.act).__name__ for block in getattr(net, "blocks", ())}
    assert acts == ({"QuickGELU"} if "clip" in name else {"GELU"} if "dino" in name else set())


@pytest.fixture
def clip(tmp_path):
    """transformers' CLIP of two narrow blocks, and a file with it under the names of OpenAI's code."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPVisionConfig(
        **sizes, projection_dim=512, image_size=224, patch_size=32, hidden_act="quick_gelu", attn_implementation="eager"
    )
    theirs = seeded(transformers.CLIPVisionModelWithProjection(config))
    old = {key.removeprefix("vision_model."): value for key, value in theirs.state_dict().items()}
    state = {
        "class_embedding": old["embeddings.class_embedding"],
        "positional_embedding": old["embeddings.position_embedding.weight"],
        "conv1.weight": old["embeddings.patch_embedding.weight"],
        "proj": old["visual_projection.weight"].T,
    }
    ends = ("weight", "bias")
    for end in ends:
        state |= {f"ln_pre.{end}": old[f"pre_layrnorm.{end}"], f"ln_post.{end}": old[f"post_layernorm.{end}"]}
        for i in range(2):
            block, its = f"transformer.resblocks.{i}", f"encoder.layers.{i}"
            state[f"{block}.attn.in_proj_{end}"] = torch.cat([old[f"{its}.self_attn.{x}_proj.{end}"] for x in "qkv"])
            names = {"attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
            names |= {"ln_1": "layer_norm1", "ln_2": "layer_norm2"}
            state |= {f"{block}.{mine}.{end}": old[f"{its}.{name}.{end}"] for mine, name in names.items()}
    file = tmp_path / "ViT-B-32.safetensors"
    text = {"token_embedding.weight": torch.zeros(2, 2)}  # the tower that is not wanted
    save_file({f"visual.{key}": value.contiguous() for key, value in state.items()} | text, file)
    return theirs, file


def test_clip_is_the_joint_embedding_that_transformers_gives(tiny, clip, in_hub, tmp_path):
    theirs, file = clip
    found, facts = backbone.load("clip", file)
    with torch.no_grad():
        expected = theirs(seen(pictures(40), 224, CLIP)).image_embeds
    made = features(found, pictures(40))
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-4)
    assert facts["net"] == "clip" and facts["features"] == 512
    in_hub("vit_base_patch32_clip_224.openai", found.net)
    fetched, _ = backbone.load("clip")
    assert torch.equal(features(fetched, pictures(40)), made)
    plain, _ = backbone.load("vit_base_patch32_clip_quickgelu_224.openai")
    assert features(plain, pictures(40)).shape == (3, 32)  # by timm's name, the projection is no feature
    weights.write(tmp_path / "kept.safetensors", found.net, (), Normalisation(*CLIP))
    again = backbone.restore(facts, weights.read(tmp_path / "kept.safetensors").state, "kept")
    assert torch.equal(features(again, pictures(40)), made)


def cubic(t):
    """The kernel of bicubic interpolation with a = -3/4."""
    t, a = abs(t), -0.75
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def regridded(grid, side, offset):
    """[o, o, d] at ``side`` points a side whose distance is o / (side + offset), borders repeated."""
    o = len(grid)
    rows = np.zeros((side, o))
    for i in range(side):
        at = (i + 0.5) * o / (side + offset) - 0.5
        for tap in range(math.floor(at) - 1, math.floor(at) + 3):
            rows[i, min(max(tap, 0), o - 1)] += cubic(at - tap)
    return np.einsum("ia,jb,abd->ijd", rows, rows, grid)


@pytest.mark.parametrize(("asked", "side"), [(None, 16), (98, 7)])
def test_dinov2_is_its_class_token_with_positions_as_its_own_code_resamples_them(tiny, in_hub, tmp_path, asked, side):
    size, native = 14 * side, seeded(tiny("vit_small_patch14_dinov2"))
    in_hub("vit_small_patch14_dinov2.lvd142m", native)
    found, facts = backbone.load("dinov2_s", size=asked)
    grid = native.pos_embed[0, 1:].detach().double().unflatten(0, (37, 37)).numpy()
    wanted = torch.from_numpy(regridded(grid, side, 0.1)).float().flatten(0, 1)
    torch.testing.assert_close(found.net.pos_embed[0, 1:], wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(found.net.pos_embed[0, 0], native.pos_embed[0, 0]) and facts["size"] == [size, size]
    with torch.no_grad():
        native.set_input_size(img_size=size)
        assert not torch.allclose(native.pos_embed[0, 1:], wanted, atol=1e-3)  # timm's way is another
        native.pos_embed[0, 1:] = wanted
        expected = native.forward_features(seen(pictures(30), size, IMAGENET))[:, 0]
    made = features(found, pictures(30))
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-4)
    weights.write(tmp_path / "kept.safetensors", found.net, (), IMAGENET)
    again = backbone.restore(facts, weights.read(tmp_path / "kept.safetensors").state, "kept")
    assert torch.equal(features(again, pictures(30)), made)


def test_dinov2_s_own_file_is_read(tiny, in_hub, tmp_path):
    net = seeded(tiny("vit_small_patch14_dinov2"))
    file = tmp_path / "dinov2_vits14_pretrain.pth"
    torch.save(net.state_dict() | {"mask_token": torch.zeros(1, 32)}, file)
    in_hub("vit_small_patch14_dinov2.lvd142m", net)
    one, other = backbone.load("dinov2_s", file)[0], backbone.load("dinov2_s")[0]
    assert torch.equal(features(one, pictures(30)), features(other, pictures(30)))
    with pytest.raises(DecoctError, match="does not fit the net"):
        backbone.load("dinov2_s", save_of(timm.create_model("test_resnet"), tmp_path))


def save_of(net, folder):
    save_file(net.state_dict(), folder / "other.safetensors")
    return folder / "other.safetensors"


def test_inception_is_torchvision_s_from_its_own_cache(monkeypatch, tmp_path):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        theirs = models.inception_v3(weights=None, init_weights=False, transform_input=True).eval()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(theirs.state_dict(), tmp_path / "checkpoints" / "inception_v3_google-0cc3c7bd.pth")
    backbone.at_hand("inception")
    found, facts = backbone.load("inception")
    theirs.fc = nn.Identity()
    with torch.no_grad():
        expected = theirs(seen(pictures(40, 2), 299, IMAGENET))
    assert facts["features"] == 2048 and facts["size"] == [299, 299]
    torch.testing.assert_close(features(found, pictures(40, 2)), expected, rtol=1e-3, atol=1e-4)


def test_which_words_are_pretrained_nets():
    words = ("dinov2", "clip@w.pth", "dinov2@0123", "timm:resnet18.a1@0123", "timm:resnet18")
    assert all(map(frozen, words)) and not any(map(frozen, ("teacher", "resnet18", "clip.npy", "npy:0123", "pixels")))
    assert architecture("dinov2@0123") == architecture("timm:vit_large_patch14_dinov2.lvd142m") != "dinov2"
    assert architecture("timm:resnet18.a1@0123") == architecture("resnet18") == "resnet18"
    assert standard("resnet18").size is None and not standard("resnet18").projected
