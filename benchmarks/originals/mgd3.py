"""MGD³ beside a later paper's program that has it inside, since the authors' own was not at hand.

ManifoldGD weighs what MGD³ adds with a kernel, and adds a term of its own. With −1 for the kernel, and without that
term, its sampler is MGD³'s.
"""

import importlib
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from decoct.methods.generative.mgd3 import MGD3, ModeGuidance
from originals import dit
from originals.beside import Agreement, doubled
from originals.trees import on_cpu, program, replaced

REPOSITORY = "AyushRoy2001/ManifoldGD"
PROGRAM = "diffusion/gaussian_diffusion.py"
SETTING = "the net and the latents of dit; a random mode for each image, λ .1, stop at 25 of 50 steps"
OURS = {"name": "mgd3"}
STOP = 25  # --stop_t of the launch scripts


def agree(tree: Path) -> Agreement:
    """The same noise, modes, and draws in every step: guided predictions and latents instead of losses and images."""
    with doubled(), on_cpu(), program(tree / "models.py") as models:
        sampler = importlib.import_module("diffusion")  # of the tree, which ``program`` finds
        net = dit.tiny(models)
        draws = list(torch.randn(dit.TAKEN + 1, dit.IMAGES, *dit.LATENT, generator=torch.Generator().manual_seed(4)))
        modes = torch.randn(dit.IMAGES, *dit.LATENT, generator=torch.Generator().manual_seed(5))
        labels, method = torch.arange(dit.IMAGES), MGD3()
        guide = ModeGuidance(modes, method.scale, method.stop)
        seen = dit.seen(dit.wrapped(net.state_dict()), draws, labels, guide)
        each = [followed(sampler, net, draws, labels, modes, image) for image in range(dit.IMAGES)]
        theirs = [(torch.cat([a for a, _ in own]), torch.cat([b for _, b in own])) for own in zip(*each, strict=True)]
        rows = dit.compare(seen, theirs)
    why = "compared: as for dit; the kernel of its own idea is replaced by the −1 of MGD³"
    steps = sum(guide.active(i / dit.TAKEN) for i in range(dit.TAKEN))
    return Agreement(rows, why, {"guided steps": steps})


def followed(
    sampler: ModuleType, net: nn.Module, draws: list[Tensor], labels: Tensor, modes: Tensor, image: int
) -> dit.Seen:
    """What the program's sampler sees of one image, with its draws replaced."""
    waiting, steps = iter(draw[image : image + 1] for draw in draws[1:]), dit.Seen()

    def noted(x: Tensor, t: Tensor, y: Tensor, cfg_scale: float) -> Tensor:
        out: Tensor = net.forward_with_cfg(x, t, y, cfg_scale)  # type: ignore[operator]
        steps.append((out[:1, : dit.LATENT[0]], x[:1]))
        return out

    start = draws[0][image : image + 1].repeat(2, 1, 1, 1)
    told = {"y": torch.tensor([int(labels[image]), dit.CLASSES]), "cfg_scale": dit.GUIDANCE}
    diffusion = sampler.create_diffusion(str(dit.TAKEN))
    diffusion._kernel_phi = lambda diff, **_: -torch.ones_like(diff)
    with (
        torch.no_grad(),
        dit.exact(sampler),
        replaced(torch, randn_like=lambda x: next(waiting, x[:1]).repeat(2, 1, 1, 1)),
    ):
        diffusion.p_sample_loop_with_mode_guidance(
            noted,
            start.shape,
            start,
            clip_denoised=False,
            model_kwargs=told,
            device="cpu",
            mode_features=modes[image : image + 1],
            stop_t=STOP,
            manifold_guidance_scale=0.0,
        )
    return steps
