"""IGD's sampler beside decoct: a copy of it in a later repository, since the authors' own was not at hand.

Their program decodes the second half of the batch as well, which is there for guidance alone: its latents go a way of
their own, and the first half's gradient is taken from both. That is mended here by a decoder that gives the first half.
"""

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.data.pixels import Pixels
from decoct.methods.generative._shared.influence import Surrogate
from decoct.methods.generative.igd import IGD, PAPER, InfluenceGuidance
from originals import dit
from originals.beside import Agreement, At, doubled
from originals.trees import on_cpu, program, replaced

REPOSITORY = "Lokshaw-Chau/MinimaxDiffusion"
FOLDER = "IGD"  # in which it lies: another repository has its name
PROGRAM = "diffusion/gaussian_diffusion.py"
SETTING = "commit 3a9bbbd; net and latents of dit, three images of a class; random decoder and surrogates"
OURS = {"name": "igd"}
SHAPES = ((8, 1, 3, 3), (8,), (10, 128), (10,))  # of the surrogate: a convolution and a classifier
CLASS, SCALE, LOW, HIGH, PICKED = 3, 0.18215, 30, 45, 2  # LOW, HIGH of sample_mp.sh


class Given(NamedTuple):
    """What both are given: a decoder, weights of a surrogate, gradients of real images there, and how it is asked."""

    decoder: nn.Module
    weights: list[Tensor]
    targets: Tensor
    surrogate: Surrogate


def agree(tree: Path) -> Agreement:
    """The same noise and draws in every step: guided predictions and latents instead of losses and images."""
    with doubled(), on_cpu(), program(tree / "models.py") as models:
        sampler = importlib.import_module("diffusion")  # of the tree, which ``program`` finds
        net = dit.tiny(models)
        what, draws = given(), torch.randn(dit.IMAGES, dit.TAKEN + 1, 1, *dit.LATENT, generator=seeded(4))
        rows, facts = compared(sampler, net, what, draws, 1)
        as_it_is, _ = compared(sampler, net, what, draws, 2)
    apart = max(max(at.loss, at.gradient, at.images) for at in as_it_is)
    why = "compared: as for dit; its decoder sees both halves of the batch, which is mended here"
    return Agreement(rows, why, facts | {"as it is, largest distance": apart})


def compared(
    sampler: ModuleType, net: nn.Module, what: Given, draws: Tensor, halves: int
) -> tuple[list[At], dict[str, int]]:
    """Three images one after the other; each side keeps away from those that the program made before."""
    scaled = SimpleNamespace(scaling_factor=SCALE)
    vae = SimpleNamespace(decode=lambda z: SimpleNamespace(sample=what.decoder(z)), config=scaled)
    model = replace(dit.wrapped(net.state_dict()), vae=vae, shape=(1, *dit.LATENT[1:]))
    made: list[Tensor] = []
    mine, theirs, guided = [], [], 0
    for image in range(dit.IMAGES):
        guide = InfluenceGuidance(
            IGD(deviation=IGD().deviation * PAPER / dit.LATENT[0] / dit.LATENT[1] / dit.LATENT[2]),
            model,
            what.surrogate,
            what.weights,
            what.targets[None],
            torch.tensor([CLASS]),
            [[each[0] for each in made]],
        )
        guided = sum(guide.active(i / dit.TAKEN) for i in range(dit.TAKEN))
        mine.append(dit.seen(model, list(draws[image]), torch.tensor([CLASS]), guide))
        steps, last = followed(sampler, net, what, list(draws[image]), list(made), halves)
        theirs.append(steps)
        made.append(last)
    stacked = [
        [(torch.cat([a for a, _ in own]), torch.cat([b for _, b in own])) for own in zip(*side, strict=True)]
        for side in (mine, theirs)
    ]
    return dit.compare(*stacked), {"guided steps": guided}


def followed(
    sampler: ModuleType, net: nn.Module, what: Given, draws: list[Tensor], made: list[Tensor], halves: int
) -> tuple[dit.Seen, Tensor]:
    """What the program's sampler sees of one image, with its draws replaced, and the latents that it ends at."""
    waiting, steps = iter(draws[1:]), dit.Seen()

    def noted(x: Tensor, t: Tensor, y: Tensor, cfg_scale: float) -> Tensor:
        out: Tensor = net.forward_with_cfg(x, t, y, cfg_scale)  # type: ignore[operator]
        steps.append((out[:1, : dit.LATENT[0]].detach(), x[:1].detach()))
        return out

    def asked(images: Tensor, flat_param: Tensor) -> Tensor:
        surrogate = what.surrogate
        logits: Tensor = surrogate.experts.logits(
            surrogate.experts.parameters(flat_param), surrogate.pixels.normalise((images + 1) * 127.5)
        )
        return logits

    vae = SimpleNamespace(decode=lambda z: SimpleNamespace(sample=what.decoder(z[:halves])))
    weights = [[each] for each in what.weights]
    resource = [vae, asked, weights, list(what.targets), CLASS, nn.CrossEntropyLoss(), 1, 1, IGD().influence]
    told = {
        **{"y": torch.tensor([CLASS, dit.CLASSES]), "cfg_scale": dit.GUIDANCE, "gm_resource": resource},
        **{"gen_type": "igd", "low": LOW, "high": HIGH, "pseudo_memory_c": made, "neg_e": IGD().deviation},
    }
    start = draws[0].repeat(2, 1, 1, 1)
    with dit.exact(sampler), replaced(torch, randn_like=lambda x: next(waiting, x[:1]).repeat(2, 1, 1, 1)):
        last = sampler.create_diffusion(str(dit.TAKEN)).p_sample_loop(
            noted, start.shape, start, clip_denoised=False, model_kwargs=told, device="cpu"
        )
    return steps, last[:1].detach()


def given() -> Given:
    """Random, and the same for both."""
    rng = seeded(6)
    decoder = nn.Sequential(nn.Conv2d(dit.LATENT[0], 1, 3, padding=1), nn.Softsign())
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.2, generator=rng)
    decoder.requires_grad_(False)

    def parameters(flat: Tensor) -> list[Tensor]:
        parts = flat.split([torch.Size(shape).numel() for shape in SHAPES])
        return [part.view(shape) for shape, part in zip(SHAPES, parts, strict=True)]

    def logits(parts: list[Tensor], images: Tensor) -> Tensor:
        maps = F.softplus(F.conv2d(images, parts[0], parts[1], padding=1))
        return F.linear(F.avg_pool2d(maps, 2).flatten(1), parts[2], parts[3])

    experts: Any = SimpleNamespace(parameters=parameters, logits=logits)
    size = sum(torch.Size(shape).numel() for shape in SHAPES)
    pixels = Pixels(torch.full((1, 1, 1), 100.0), torch.full((1, 1, 1), 80.0))
    weights = [0.2 * torch.randn(size, generator=rng) for _ in range(PICKED)]
    targets = F.normalize(torch.randn(PICKED, size, generator=rng), dim=1)
    return Given(decoder, weights, targets, Surrogate(experts, pixels, "cpu"))


def seeded(number: int) -> torch.Generator:
    """A generator of draws."""
    return torch.Generator().manual_seed(number)
