"""Tiny generators that have learnt nothing: a DiT with a decoder, a U-Net on pixels, one that is told by text."""

from dataclasses import replace

import diffusers
import pytest
import torch

from decoct.needs.generator import ImageGenerator
from decoct.needs.trajectory import Experts, Trajectories, Trajectory, flattened, shapes_of
from decoct.nets import pipeline, zoo
from decoct.nets.diffusion import DiffusionModel

CLASSES, NULL = 3, 5  # the generator knows two classes that the data lack, and calls the first one last
ROWS = torch.tensor([4, 0, 2])


def alphas(steps=100):
    return torch.linspace(1e-3, 0.2, steps, dtype=torch.float64).mul(-1).add(1).cumprod(0)


def dit_net(latent=4):
    return diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        norm_num_groups=4,
        sample_size=latent,
        patch_size=2,
        num_embeds_ada_norm=5,
    )


def unet_net(channels, size):
    return diffusers.UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=8,
        num_class_embeds=6,
    )


def decoder():
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=8,
    )


def frozen(net):
    return net.eval().requires_grad_(False)


@pytest.fixture
def generator(text_pipeline):
    """generator("dit"): latents of 4 × 4 × 4 with a learnt variance; generator("unet"): grey pixels of 8 × 8.

    generator("text"): latents as those of "dit", from ``text_pipeline``.
    """

    def make(kind, channels=1):
        if kind == "text":
            found = pipeline.read(text_pipeline())
            model = make("dit", channels)
            nets = {"net": frozen(found.net), "vae": frozen(found.vae), "alphas": found.alphas}
            return replace(model, **nets, text=found.text, scheduler=found.scheduler, null=None, rows=torch.tensor([]))
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(3)
            dit = kind == "dit"
            net, vae = (dit_net(), frozen(decoder())) if dit else (unet_net(channels, 8), None)
        return DiffusionModel(
            net=frozen(net),
            vae=vae,
            alphas=alphas(),
            prediction="epsilon",
            rows=ROWS,
            null=NULL,
            latent=(4, 4, 4) if dit else (channels, 8, 8),
            pixels=8,
            shape=(channels, 8, 8),
        )

    return make


@pytest.fixture
def supplied(toy, generator):
    """supplied(method, ipc, kind): inputs on the toy's three classes, with a generator and a surrogate."""

    def make(method, ipc=2, kind="dit", seed=5, box=None, **rest):
        box = box or toy()
        model = generator("text" if method.text else kind)
        generators, trajectories = {}, {}
        for need in method.at(8).needs():
            if isinstance(need, ImageGenerator):
                generators[need] = model
            elif isinstance(need, Trajectories):
                trajectories[need] = experts(need.net, need.epochs)
        return replace(box.inputs(ipc, seed), generators=generators, trajectories=trajectories, **rest)

    return make


def experts(net, epochs):
    """A surrogate that wanders."""
    nets = [zoo.build(net, 1, CLASSES, 8, seed=s) for s in range(epochs + 1)]
    weights = torch.stack([flattened(each) for each in nets])
    return Experts(nets[0].eval().requires_grad_(False), (Trajectory(weights.numpy(), shapes_of(nets[0])),))
