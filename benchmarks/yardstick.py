"""Two loops timed in turns, so that other work slows both; tables of what came out, and the pages where they go."""

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.methods.decoupled._shared.invert import frozen
from decoct.nets.layout import as_input, laid_out
from decoct.training.loop import objective
from decoct.training.recipe import Recipe

Loop = Callable[[int], None]  # runs so many steps


class Race(NamedTuple):
    """Steps a second of both loops, and the median, the lowest and the highest of ours / bare over the repeats."""

    ours: float
    bare: float
    ratio: float
    lowest: float
    highest: float

    def cells(self, images: int) -> list[str]:
        """Images a second of both, and the ratio with its spread, where a step is so many images."""
        spread = f"{self.ratio:.3f} ({self.lowest:.3f} to {self.highest:.3f})"
        return [f"{self.ours * images:,.0f}", f"{self.bare * images:,.0f}", spread]


def race(ours: Loop, bare: Loop, *, seconds: float, repeats: int, warm: int = 5, least: int = 10) -> Race:
    """Time both loops in turns.

    Args:
        ours: the loop that is judged.
        bare: the yardstick.
        seconds: how long one turn of the bare loop takes, about.
        repeats: turns of each.
        warm: steps before anything is timed: the first calls choose kernels and fill caches.
        least: steps of a turn, however long they take.
    """
    ours(warm), bare(warm)
    steps = max(least, round(seconds * warm / clock(bare, warm)))
    turns = [(clock(ours, steps), clock(bare, steps)) for _ in range(repeats)]
    mine, theirs = (steps / median(column) for column in zip(*turns, strict=True))
    ratios = [b / a for a, b in turns]
    return Race(mine, theirs, median(ratios), min(ratios), max(ratios))


def ratio(ours: Loop, bare: Loop, *, seconds: float, repeats: int) -> tuple[float, float, float]:
    """Steps a second of both loops, and the median over the repeats of ours / bare."""
    return race(ours, bare, seconds=seconds, repeats=repeats)[:3]


def clock(loop: Loop, steps: int) -> float:
    """Seconds of so many steps, until a GPU is done with them."""
    start = time.perf_counter()
    loop(steps)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()
    return time.perf_counter() - start


def bare_loop(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    precision: str = "float32",
    compiled: bool = False,
    teachers: Sequence[nn.Module] = (),
) -> Loop:
    """Forward + backward + step on one batch that is ready: the net, loss, optimiser, layout and precision alone.

    Args:
        net: on the device of the images.
        images: [B, C, S, S] normalised.
        labels: [B].
        recipe: of the loss and the optimiser, AdamW; nothing else of it is done.
        precision: "float32" or "bfloat16".
        compiled: run the net through torch.compile.
        teachers: eval-mode nets whose mean logits label the batch anew at each step.
    """
    laid_out(net.train())
    x, of_teachers = as_input(images, net), [(laid_out(t), as_input(images, t)) for t in teachers]
    forward = torch.compile(net, dynamic=False) if compiled else net
    optimiser = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)

    def loop(steps: int) -> None:
        net.train()
        for _ in range(steps):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                with torch.no_grad():
                    said = [teacher(seen).float() for teacher, seen in of_teachers]
                logits = forward(x).float()
            loss = objective(logits, labels, None, torch.stack(said).mean(0) if said else None, recipe)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

    return loop


def bare_inversion(net: nn.Module, labels: Tensor, shape: Sequence[int], lr: float, precision: str = "float32") -> Loop:
    """Forward + backward + Adam on the pixels of a batch: no views, statistics or clamping.

    Args:
        net: whose loss is minimised, on the device of the labels.
        labels: [B].
        shape: (C, S, S) of an image.
        lr: of Adam.
        precision: of the net, "float32" or "bfloat16".
    """

    def loop(steps: int) -> None:
        images = torch.randn(len(labels), *shape, device=labels.device).requires_grad_()
        optimiser = torch.optim.Adam([images], lr, betas=(0.5, 0.9))
        with frozen(net):
            for _ in range(steps):
                with torch.autocast(labels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                    logits = net(images).float()
                loss = F.cross_entropy(logits, labels)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()

    return loop


def keep(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows under their columns, as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def written(page: Path, sections: str) -> None:
    """Put the sections in place of those of a page, whose introduction stays."""
    before = page.read_text("utf-8").partition("\n## ")[0] if page.is_file() else f"# {page.stem}\n"
    page.write_text(f"{before.rstrip()}\n\n{sections.rstrip()}\n", "utf-8")
