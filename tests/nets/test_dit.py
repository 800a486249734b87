"""DiT from the hub: weights in its authors' layout give diffusers' net the same predictions, and guidance is theirs."""

import math

import diffusers
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.nets import pipeline
from decoct.nets.diffusion import DiffusionModel
from originals.dit import converted

WIDTH, HEADS, DEPTH, PATCH, SIDE, CHANNELS, CLASSES = 16, 2, 2, 2, 4, 4, 10
STEPS = torch.tensor([0, 1, 250, 999])


def authors(seed=0):
    """Weights by the names that Peebles and Xie's release gives them (arXiv:2212.09748), none of them zero."""
    rng = torch.Generator().manual_seed(seed)
    shapes = {
        "x_embedder.proj": (WIDTH, CHANNELS, PATCH, PATCH),
        "t_embedder.mlp.0": (WIDTH, 256),
        "t_embedder.mlp.2": (WIDTH, WIDTH),
        "final_layer.adaLN_modulation.1": (2 * WIDTH, WIDTH),
        "final_layer.linear": (PATCH**2 * 2 * CHANNELS, WIDTH),
    }
    for i in range(DEPTH):
        shapes |= {
            f"blocks.{i}.attn.qkv": (3 * WIDTH, WIDTH),
            f"blocks.{i}.attn.proj": (WIDTH, WIDTH),
            f"blocks.{i}.mlp.fc1": (4 * WIDTH, WIDTH),
            f"blocks.{i}.mlp.fc2": (WIDTH, 4 * WIDTH),
            f"blocks.{i}.adaLN_modulation.1": (6 * WIDTH, WIDTH),
        }
    state = {f"{name}.weight": torch.randn(shape, generator=rng) * 0.2 for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.randn(shape[0], generator=rng) * 0.2 for name, shape in shapes.items()}
    return state | {"y_embedder.embedding_table.weight": torch.randn(CLASSES + 1, WIDTH, generator=rng)}


def naive(state, x, t, y):
    """The published architecture, a patch at a time: adaLN-zero blocks on fixed places, patches of ε and variance."""

    def linear(name, z):
        return F.linear(z, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(z):
        return F.layer_norm(z, z.shape[-1:], eps=1e-6)

    half = 128
    angles = t[:, None].float() * torch.tensor([math.exp(-math.log(10000) * i / half) for i in range(half)])
    waves = torch.cat([angles.cos(), angles.sin()], 1)
    told = linear("t_embedder.mlp.2", F.silu(linear("t_embedder.mlp.0", waves)))
    told = F.silu(told + state["y_embedder.embedding_table.weight"][y])
    cells = [(row, column) for row in range(SIDE // PATCH) for column in range(SIDE // PATCH)]
    kernel = state["x_embedder.proj.weight"].flatten(1)
    tokens = []
    for row, column in cells:
        patch = x[:, :, PATCH * row : PATCH * (row + 1), PATCH * column : PATCH * (column + 1)]
        place = []
        for where in (column, row):
            rates = [where / 10000 ** (4 * i / WIDTH) for i in range(WIDTH // 4)]
            place += [math.sin(rate) for rate in rates] + [math.cos(rate) for rate in rates]
        tokens.append(patch.flatten(1) @ kernel.T + state["x_embedder.proj.bias"] + torch.tensor(place))
    z = torch.stack(tokens, 1)
    for i in range(DEPTH):
        moved = linear(f"blocks.{i}.adaLN_modulation.1", told)[:, None].chunk(6, -1)
        q, k, v = linear(f"blocks.{i}.attn.qkv", norm(z) * (1 + moved[1]) + moved[0]).chunk(3, -1)
        heads = []
        for a, b, c in zip(*(each.split(WIDTH // HEADS, -1) for each in (q, k, v)), strict=True):
            heads.append(torch.softmax(a @ b.transpose(1, 2) / math.sqrt(WIDTH // HEADS), -1) @ c)
        z = z + moved[2] * linear(f"blocks.{i}.attn.proj", torch.cat(heads, -1))
        hidden = F.gelu(linear(f"blocks.{i}.mlp.fc1", norm(z) * (1 + moved[4]) + moved[3]), approximate="tanh")
        z = z + moved[5] * linear(f"blocks.{i}.mlp.fc2", hidden)
    shift, scale = linear("final_layer.adaLN_modulation.1", told)[:, None].chunk(2, -1)
    patches = linear("final_layer.linear", norm(z) * (1 + scale) + shift)
    out = torch.zeros(len(x), 2 * CHANNELS, SIDE, SIDE)
    for patch, (row, column) in zip(patches.unbind(1), cells, strict=True):
        pixels = patch.view(-1, PATCH, PATCH, 2 * CHANNELS).permute(0, 3, 1, 2)
        out[:, :, PATCH * row : PATCH * (row + 1), PATCH * column : PATCH * (column + 1)] = pixels
    return out


@pytest.fixture
def released(tiny_pipeline):
    """A folder as the hub has it: the authors' weights, converted."""
    folder, state = tiny_pipeline("dit", classes=CLASSES), authors()
    net = diffusers.DiTTransformer2DModel(
        num_attention_heads=HEADS,
        attention_head_dim=WIDTH // HEADS,
        in_channels=CHANNELS,
        out_channels=2 * CHANNELS,
        num_layers=DEPTH,
        sample_size=SIDE,
        patch_size=PATCH,
        num_embeds_ada_norm=CLASSES,
        activation_fn="gelu-approximate",
    )
    net.load_state_dict(converted(state), strict=True)
    net.save_pretrained(folder / "transformer")
    return folder, state


def apart(net, state):
    """‖ours − theirs‖ / ‖theirs‖ over steps, classes and the null class."""
    x = torch.randn(len(STEPS), CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    y = torch.tensor([0, 3, 9, CLASSES])
    with torch.no_grad():
        ours = net(x, timestep=STEPS, class_labels=y, return_dict=False)[0]
    theirs = naive(state, x, STEPS, y)
    return float((ours - theirs).norm() / theirs.norm())


def test_the_authors_weights_give_the_authors_predictions(released):
    folder, state = released
    net = pipeline.read(folder).net
    assert apart(net, state) < 1e-5  # of 999 times a frequency in float32
    assert {block.norm3.eps for block in net.transformer_blocks} == {1e-6}
    diffusers_own = diffusers.DiTTransformer2DModel.from_pretrained(folder / "transformer").eval()
    assert apart(diffusers_own, state) > 0.02
    assert apart(pipeline.read(folder, shift=1).net, state) == apart(diffusers_own, state)


def test_three_of_four_channels_are_guided(released):
    folder, state = released
    found = pipeline.read(folder)
    assert found.guided == 3
    model = DiffusionModel(
        net=found.net.eval(),
        vae=None,
        alphas=found.alphas,
        prediction="epsilon",
        rows=torch.arange(CLASSES),
        null=CLASSES,
        latent=(CHANNELS, SIDE, SIDE),
        pixels=SIDE,
        shape=(1, SIDE, SIDE),
        guided=found.guided,
    )
    x, y = torch.randn(3, CHANNELS, SIDE, SIDE), torch.tensor([1, 2, 3])
    t = torch.full((3,), 500)
    told, untold = (naive(state, x, t, labels) for labels in (y, torch.full((3,), CLASSES)))
    expected = torch.cat([untold[:, :3] + 4 * (told[:, :3] - untold[:, :3]), told[:, 3:4]], 1)
    with torch.no_grad():
        said = model.predict(x, 500, y, 4.0)
    torch.testing.assert_close(said.noise, expected, rtol=1e-3, atol=1e-4)
    assert said.fraction is not None
    np.testing.assert_allclose(said.fraction, (told[:, CHANNELS:] + 1) / 2, rtol=1e-3, atol=1e-4)
