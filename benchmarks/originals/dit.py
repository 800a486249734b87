"""DiT, which Minimax, MGD³ and IGD sample: its authors' net, guidance and sampler beside diffusers' net in decoct.

The net is tiny and its weights are random, none of them zero; they go over by name, as the hub's were converted.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decoct.methods.generative._shared.sampling import Guide, Schedule, sample
from decoct.nets import pipeline
from decoct.nets.diffusion import DiffusionModel
from originals.beside import Agreement, At, doubled
from originals.trees import on_cpu, program, replaced

REPOSITORY = "facebookresearch/DiT"
PROGRAM = "models.py"
SETTING = "a DiT of 2 blocks of width 32, latents of 4 × 8 × 8, ten classes, random weights; 50 steps, guidance 4"
OURS = {"name": "mgd3", "scale": 0.0}
SIZES = {"input_size": 8, "patch_size": 2, "hidden_size": 32, "depth": 2, "num_heads": 4, "num_classes": 10}
LATENT, CLASSES, GUIDANCE, TAKEN, IMAGES = (4, 8, 8), 10, 4.0, 50, 3
AFTER = (0, 1, 10, 49)  # steps of sampling behind which the two are compared


def agree(tree: Path) -> Agreement:
    """The same noise, and the same draws in every step: guided predictions and latents instead of losses and images."""
    with doubled(), on_cpu(), program(tree / PROGRAM) as models:
        sampler = importlib.import_module("diffusion")  # of the tree, which ``program`` finds
        theirs = tiny(models)
        ours = wrapped(theirs.state_dict())
        draws = list(torch.randn(TAKEN + 1, IMAGES, *LATENT, generator=torch.Generator().manual_seed(4)))
        labels = torch.arange(IMAGES)
        rows = compare(seen(ours, draws, labels), followed(sampler, theirs, draws, labels))
        facts = apart(ours.net, theirs)
    why = "compared: the mean square of the guided prediction, the prediction and the latents, after steps of sampling"
    return Agreement(rows, why, facts)


def tiny(models: ModuleType, **sizes: int) -> torch.nn.Module:
    """A program's net in eval mode, with weights of which none is zero, so that everything takes part.

    Scale factors, which some have for Minimax, are 1 as where nothing was tuned.
    """
    net: torch.nn.Module = models.DiT(**SIZES | sizes).eval()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name != "pos_embed" and "gamma" not in name:
                weight.copy_(torch.randn(weight.shape, generator=rng) * (0.1 if weight.ndim > 1 else 0.05))
    waves = net.t_embedder.mlp  # it makes them float32
    waves.register_forward_pre_hook(lambda _, given: (given[0].double(),))  # type: ignore[operator, union-attr]
    return net


def converted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' weights by the names of diffusers' ``DiTTransformer2DModel``: each block has the embeddings."""
    names = {"pos_embed.proj": "x_embedder.proj", "proj_out_1": "final_layer.adaLN_modulation.1"}
    names["proj_out_2"] = "final_layer.linear"
    found = {}
    for i in range(depth(state)):
        block, emb = f"transformer_blocks.{i}", f"transformer_blocks.{i}.norm1.emb"
        names |= {
            f"{emb}.timestep_embedder.linear_1": "t_embedder.mlp.0",
            f"{emb}.timestep_embedder.linear_2": "t_embedder.mlp.2",
            f"{block}.norm1.linear": f"blocks.{i}.adaLN_modulation.1",
            f"{block}.attn1.to_out.0": f"blocks.{i}.attn.proj",
            f"{block}.ff.net.0.proj": f"blocks.{i}.mlp.fc1",
            f"{block}.ff.net.2": f"blocks.{i}.mlp.fc2",
        }
        found[f"{emb}.class_embedder.embedding_table.weight"] = state["y_embedder.embedding_table.weight"]
        for kind in ("weight", "bias"):
            for part, own in zip("qkv", state[f"blocks.{i}.attn.qkv.{kind}"].chunk(3), strict=True):
                found[f"{block}.attn1.to_{part}.{kind}"] = own.contiguous()
    pairs = [(f"{new}.{kind}", f"{old}.{kind}") for new, old in names.items() for kind in ("weight", "bias")]
    return found | {new: state[old] for new, old in pairs}


def depth(state: Mapping[str, Tensor]) -> int:
    """Blocks of the authors' weights."""
    return sum(name.endswith("attn.qkv.weight") for name in state)


def wrapped(state: Mapping[str, Tensor]) -> DiffusionModel:
    """The same net as decoct has it."""
    net = diffusers.DiTTransformer2DModel(
        num_attention_heads=SIZES["num_heads"],
        attention_head_dim=SIZES["hidden_size"] // SIZES["num_heads"],
        in_channels=LATENT[0],
        out_channels=2 * LATENT[0],
        num_layers=depth(state),
        sample_size=LATENT[1],
        patch_size=SIZES["patch_size"],
        num_embeds_ada_norm=CLASSES,
        activation_fn="gelu-approximate",
    ).double()
    net.load_state_dict(converted(state))
    pipeline.as_trained(net)
    return DiffusionModel(
        net=net.eval(),
        vae=object(),  # latents are none of pixels
        alphas=torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0),
        prediction="epsilon",
        rows=torch.arange(CLASSES),
        null=CLASSES,
        latent=LATENT,
        pixels=LATENT[1],
        shape=LATENT,
        guided=pipeline.GUIDED,
    )


Seen = list[tuple[Tensor, Tensor]]  # of each step, the guided prediction and the latents that it saw


@contextmanager
def exact(sampler: ModuleType) -> Iterator[None]:
    """In the block, the constants of the program's schedule, which it rounds to float32 at each use, stay float64."""

    def whole(values: NDArray[np.float64], t: Tensor, shape: torch.Size) -> Tensor:
        return torch.from_numpy(values)[t].view(-1, 1, 1, 1).expand(shape)

    with replaced(sampler.gaussian_diffusion, _extract_into_tensor=whole):
        yield


def seen(model: DiffusionModel, draws: list[Tensor], labels: Tensor, guide: Guide | None = None) -> Seen:
    """What decoct's sampler sees."""
    steps, waiting = [], iter(draws[1:])
    predict = DiffusionModel.predict

    def noted(self: DiffusionModel, x: Tensor, *rest: Any) -> Any:
        said = predict(self, x, *rest)
        steps.append((said.noise, x))
        return said

    import decoct.methods.generative._shared.sampling as ours

    schedule = Schedule.respaced(model.alphas, TAKEN)
    names = [str(c) for c in range(CLASSES)]
    with replaced(DiffusionModel, predict=noted), replaced(ours, draw=lambda *_: next(waiting)):
        sample(model, schedule, labels, draws[0], [], class_names=names, guidance=GUIDANCE, guide=guide)
    return steps


def followed(sampler: ModuleType, net: torch.nn.Module, draws: list[Tensor], labels: Tensor) -> Seen:
    """What the authors' sampler sees, with its draws replaced; it makes each image twice, for guidance."""
    steps, waiting = [], iter(draws[1:])

    def noted(x: Tensor, t: Tensor, y: Tensor, cfg_scale: float) -> Tensor:
        out: Tensor = net.forward_with_cfg(x, t, y, cfg_scale)  # type: ignore[operator]
        steps.append((out[:IMAGES, : LATENT[0]], x[:IMAGES]))
        return out

    both = torch.cat([draws[0], draws[0]])
    told = {"y": torch.cat([labels, torch.full_like(labels, CLASSES)]), "cfg_scale": GUIDANCE}
    twice = replaced(torch, randn_like=lambda x: torch.cat([next(waiting, x[:IMAGES])] * 2))
    with torch.no_grad(), exact(sampler), twice:
        sampler.create_diffusion(str(TAKEN)).p_sample_loop(
            noted, both.shape, both, clip_denoised=False, model_kwargs=told, progress=False, device="cpu"
        )
    return steps


def compare(ours: Seen, theirs: Seen) -> list[At]:
    """How far the two are apart behind some steps."""
    rows = []
    for t in AFTER:
        (said, x), (meant, z) = ours[t], theirs[t]
        squares = [float(each.square().mean()) for each in (said, meant)]
        rows.append(
            At(
                t,
                abs(squares[0] - squares[1]) / squares[1],
                float((said - meant).norm() / meant.norm()),
                float((x - z).abs().max() / z.std()),
            )
        )
    return rows


def apart(net: Any, theirs: torch.nn.Module) -> dict[str, float]:
    """‖ours − theirs‖ / ‖theirs‖ of what the nets say over all steps: as decoct has it, and as diffusers builds it."""
    t = torch.arange(0, 1000, 10)
    x = torch.randn(len(t), *LATENT, generator=torch.Generator().manual_seed(1))
    y = t // 10 % (CLASSES + 1)
    found = {}
    with torch.no_grad():
        meant = theirs(x, t, y)
        for shift, eps in ((pipeline.SHIFT, pipeline.EPSILON), (pipeline.SHIFT, 1e-5), (1, 1e-5)):
            for block in net.transformer_blocks:
                block.norm1.emb.time_proj.downscale_freq_shift, block.norm3.eps = shift, eps
            said = net(x, timestep=t, class_labels=y, return_dict=False)[0]
            found[f"net, frequencies shifted by {shift}, epsilon {eps:g}"] = float((said - meant).norm() / meant.norm())
    return found
