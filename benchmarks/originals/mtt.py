"""MTT's distillation of decoct's experts; it loads all of them, so that it draws one an iteration, as decoct does."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.methods.matching.mtt import MTT
from decoct.protocols.dc import DC
from originals import experts
from originals.beside import AFTER, Agreement, compare

REPOSITORY = "GeorgeCazenavette/mtt-distillation"
PROGRAM = "distill.py"
SETTING = "Fashion-MNIST, 2 experts of 6 epochs, convnet3_w16, IPC 1, 6 steps of 5 images"
OURS: dict[str, Any] = {
    **{"name": "mtt", **experts.EXPERTS, "iterations": 100, "syn_steps": 10, "max_start_epoch": 3},
    **{"lr_img": 100.0, "lr_lr": 1e-5, "lr_teacher": 0.03},
}


def agree(tree: Path) -> Agreement:
    """Both from the same real images, with the experts, start epochs, batches and transforms that decoct draws."""
    fields = {**OURS, "iterations": max(AFTER) + 1, "syn_steps": 6, "batch_syn": 5}
    spec = MTT(**{name: value for name, value in fields.items() if name != "name"})
    ours, draws = experts.ours(spec, 1)
    theirs = experts.theirs(tree / PROGRAM, tree, spec, 1, draws, load_all=True)
    at = compare(ours.images, theirs.images)
    student = experts.evaluated(tree / PROGRAM, tree, DC(dsa=True, own_rate=True, epochs=19), ours.rates[-1])
    return Agreement(at, facts=experts.apart(ours, theirs, at) | student)


def make(tree: Path, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Ten images of each class."""
    spec = MTT(**{name: value for name, value in OURS.items() if name != "name"})
    return experts.made(tree / PROGRAM, tree, spec, 10, seed, load_all=True)
