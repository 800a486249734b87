"""Minimax diffusion's own program beside decoct: the fine-tuning of a tiny DiT, on the same latents and draws.

The program runs as a whole. Its latents are given in place of an encoder's; its device is the CPU and its process group
is itself.
"""

import importlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from decoct.data.dataset import Split
from decoct.methods.generative import minimax
from decoct.methods.generative._shared import finetune
from originals import data, dit
from originals.beside import AFTER, Agreement, compare, doubled, in_turn, watched
from originals.trees import on_cpu, program, recorded, replaced

REPOSITORY = "vimar-gu/MinimaxDiffusion"
PROGRAM = "train_dit.py"
SETTING = (
    "a DiT of 28 blocks of width 32, 120 latents of 4 × 8 × 8 in ten classes, random weights; its script's numbers"
)
OURS = {"name": "minimax"}
DEPTH = 28  # scale factors are in the first 14 blocks, whatever the depth
IMAGES, BATCH, STEPS, SCALE = 120, 8, max(AFTER) + 1, 0.18215
WORDS = {  # of the launch script, and of the parser where it says nothing
    **{"model": "tiny", "image_size": 64, "num_classes": dit.CLASSES, "ckpt": "", "vae": "ema", "results_dir": ""},
    **{"data_path": "", "nclass": dit.CLASSES, "finetune_ipc": -1, "spec": "", "phase": 0, "num_workers": 0},
    **{"global_seed": 0, "global_batch_size": BATCH, "epochs": 1, "condense": True, "tag": "minimax"},
    **{"lambda_pos": 0.002, "lambda_neg": 0.008, "memory_size": 64, "log_every": 10**9, "ckpt_every": 10**9},
}


@dataclass(frozen=True)
class Draws:
    """What decoct drew in a step; ``dropped`` says which labels became "no class"."""

    latents: Tensor
    places: Tensor
    noise: Tensor
    times: Tensor
    dropped: Tensor


def agree(tree: Path) -> Agreement:
    """The loss, its gradient in all that learns, and the weights; and in the end their average, which is sampled."""
    with (
        doubled(),
        on_cpu(),
        program(tree / PROGRAM, data=_module(ImageFolder=lambda *_, **__: range(IMAGES))) as theirs,
    ):
        weights = dit.tiny(importlib.import_module("models"), depth=DEPTH).state_dict()
        state = {name: value for name, value in weights.items() if "gamma" not in name}
        ours, draws, average = tuned(state)
        steps, averaged = followed(theirs, state, draws)
        assert not any((one.times == 0).any() for one in draws), "at t = 0 the two losses differ by design"
        rows = compare(ours, steps)
        apart = float((average - averaged).abs().max() / averaged.std())
    why = "compared: the loss, its gradient in all parameters that learn, and these parameters instead of images"
    return Agreement(rows, why, {"average of the weights, largest difference": apart, "learn": len(average)})


def tuned(state: Mapping[str, Tensor]) -> tuple[list[Any], list[Draws], Tensor]:
    """decoct's fine-tuning: its steps, its draws, and the average of what learnt."""
    train = Split(data.fashion().train.images[:IMAGES], data.fashion().train.labels[:IMAGES])
    given = data.inputs({}, train=train)
    spec = minimax.Minimax(iterations=STEPS)
    sampling = spec.made(given, dit.wrapped(state))
    latents = torch.randn(IMAGES, 1, *dit.LATENT, generator=torch.Generator().manual_seed(1)).numpy()
    phase = sampling.phases[0]
    learnt: list[tuple[Any, dict[str, nn.Parameter]]]
    with (
        replaced(minimax.Tuned, views=lambda *_: (latents, train.labels.astype(np.int64))),
        recorded(finetune, "diff_fit") as learnt,
        asked(finetune, "denoising_loss") as losses,
        asked(minimax.Memories, "__call__") as looked,
        watched(learnt=lambda: ((p, p.grad) for _, p in sorted(learnt[0][1].items()))) as steps,
    ):
        sampling.tuned(phase)
    draws = [
        Draws(real, places, noise, times, labels == dit.CLASSES)
        for (_, real, noise, times, labels), (_, _, _, places) in zip(losses, looked, strict=True)
    ]
    return steps, draws, torch.cat([p.detach().flatten() for _, p in sorted(learnt[0][1].items())])


def followed(theirs: ModuleType, state: Mapping[str, Tensor], draws: list[Draws]) -> tuple[list[Any], Tensor]:
    """The authors' fine-tuning with these draws: its steps, and its average of the weights, in decoct's order."""
    seen: dict[str, nn.Module] = {}

    def tiny(**_: Any) -> nn.Module:
        return dit.tiny(importlib.import_module("models"), depth=DEPTH)

    def parallel(net: nn.Module, **_: Any) -> nn.Module:
        seen["net"] = net
        return Alone(net)

    def average(net: nn.Module) -> nn.Module:
        seen["average"] = twin = tiny()
        twin.load_state_dict(net.state_dict())
        return twin

    def learnt() -> Iterable[tuple[Tensor, Tensor]]:
        named = dict(seen["net"].named_parameters())
        slopes = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in named.items()}
        values, slopes = by_our_names(named), by_our_names(slopes)
        return ((values[name], slopes[name]) for name in learning(seen["net"]))

    batches = [(one.latents, one.places, one.places) for one in draws]
    encoder = SimpleNamespace(encode=lambda x: SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda: x / SCALE)))
    encoder.to, encoder.eval = lambda *_: encoder, lambda: encoder
    alone = {"init_process_group": lambda *_: None, "get_world_size": lambda: 1, "get_rank": lambda: 0}
    places = {
        "DiT_models": {"tiny": tiny},
        "find_model": lambda _: state,
        "deepcopy": average,
        "DDP": parallel,
        "AutoencoderKL": SimpleNamespace(from_pretrained=lambda _: encoder),
        "DataLoader": lambda *_, **__: batches,
        "dist": SimpleNamespace(**alone, barrier=lambda: None, destroy_process_group=lambda: None),
        "create_logger": lambda _: logging.getLogger(__name__),
    }
    gpu = {"is_available": lambda: True, "device_count": lambda: OnCpu(), "set_device": lambda _: None}
    waiting = {
        "randint": in_turn([one.times for one in draws]),
        "randn_like": in_turn([one.noise for one in draws]),
        "rand": in_turn([1.0 - one.dropped.double() for one in draws]),
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        replaced(theirs, **places),
        replaced(torch.cuda, **gpu),
        dit.exact(importlib.import_module("diffusion")),
        watched(learnt=learnt) as steps,
        replaced(torch, **waiting),
    ):
        theirs.main(SimpleNamespace(**WORDS | {"results_dir": folder}))
    final = by_our_names(dict(seen["average"].named_parameters()))
    return steps, torch.cat([final[name].detach().flatten() for name in learning(seen["net"])])


def by_our_names(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' tensors by decoct's names, with the scale factors of DiffFit."""
    found = dit.converted({name: value for name, value in named.items() if "gamma" not in name})
    for name in [name for name in named if name.endswith("attn.gamma1")]:
        theirs, block = name.removesuffix("attn.gamma1"), f"transformer_{name.removesuffix('.attn.gamma1')}"
        for part, own in zip("qkv", named[name].chunk(3), strict=True):
            found[f"{block}.attn1.to_{part}.gamma"] = own
        found[f"{block}.attn1.to_out.0.gamma"] = named[f"{theirs}attn.gamma2"]
        found |= {f"{block}.attn1.gamma": named[f"{theirs}gamma1"], f"{block}.ff.gamma": named[f"{theirs}gamma2"]}
    return found


def learning(net: nn.Module) -> list[str]:
    """decoct's names of what the authors' program lets learn, in order, each embedding once."""
    marks = by_our_names({name: torch.full_like(p, float(p.requires_grad)) for name, p in net.named_parameters()})
    once = [name for name in marks if ".norm1.emb." not in name or name.startswith("transformer_blocks.0.")]
    return sorted(name for name in once if marks[name].all())


@contextmanager
def asked(place: Any, name: str) -> Iterator[list[tuple[Any, ...]]]:
    """What a function of a module or class is called with in the block."""
    seen: list[tuple[Any, ...]] = []
    function = getattr(place, name)

    def kept(*args: Any) -> Any:
        seen.append(args)
        return function(*args)

    with replaced(place, **{name: kept}):
        yield seen


class Alone(nn.Module):
    """A net in place of one that is spread over processes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


class OnCpu:
    """A number of devices of which every one is the CPU."""

    def __rmod__(self, rank: int) -> str:
        return "cpu"


def _module(**names: Any) -> ModuleType:
    """A module that holds these."""
    made = ModuleType("data")
    vars(made).update(names)
    return made
