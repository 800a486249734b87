"""DC's main program."""

from pathlib import Path
from typing import Any

from decoct.methods.matching._shared import gradients
from decoct.methods.matching.dc import DC
from originals.beside import Agreement
from originals.condensation import MADE, NET, made, ours, row, theirs
from originals.condensation import REPOSITORY as REPOSITORY

PROGRAM = "main.py"
OUTER, INNER, NETS, BATCH = 5, 2, 21, 64
SETTING = f"Fashion-MNIST, {NET}, IPC 10, {BATCH} real images of a class; {OUTER} updates a net, {INNER} epochs between"
METHOD = ["--method", "DC", "--init", "noise"]
OURS = {"name": "dc", "net": MADE[1], "iterations": 2}


def agree(tree: Path) -> Agreement:
    """Both from the same noise, with the draws of decoct; then students of one set."""
    mine, draws = ours(DC(net=NET, iterations=NETS, outer=OUTER, inner=INNER, batch=BATCH), gradients)
    line = [*METHOD, "--Iteration", NETS - 1, "--batch_real", BATCH]
    return row(tree / PROGRAM, mine, theirs(tree / PROGRAM, line, draws, (OUTER, INNER)), with_dsa=False)


def make(tree: Path, seed: int) -> tuple[Any, Any]:
    """Ten images of each class, after as many iterations as ``OURS``."""
    return made(tree / PROGRAM, [*METHOD, "--Iteration", OURS["iterations"] - 1], seed)
