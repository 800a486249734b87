"""DSA: the program of DC with one transform for the real and the learnt images of a class."""

from pathlib import Path
from typing import Any

from decoct.methods.matching._shared import gradients
from decoct.methods.matching.dsa import DSA
from originals.beside import Agreement
from originals.condensation import MADE, NET, STRATEGY, made, ours, row, theirs
from originals.condensation import REPOSITORY as REPOSITORY

PROGRAM = "main.py"
OUTER, INNER, NETS, BATCH = 5, 2, 21, 64
SETTING = f"Fashion-MNIST, {NET}, IPC 10, {BATCH} real images of a class; {OUTER} updates a net, {INNER} epochs between"
METHOD = ["--method", "DSA", "--init", "real", "--dsa_strategy", STRATEGY]
OURS = {"name": "dsa", "net": MADE[1], "iterations": 2}


def agree(tree: Path) -> Agreement:
    """Both from the same real images, with the draws of decoct; then students of one set."""
    mine, draws = ours(DSA(net=NET, iterations=NETS, outer=OUTER, inner=INNER, batch=BATCH), gradients)
    line = [*METHOD, "--Iteration", NETS - 1, "--batch_real", BATCH]
    return row(tree / PROGRAM, mine, theirs(tree / PROGRAM, line, draws, (OUTER, INNER)), with_dsa=True)


def make(tree: Path, seed: int) -> tuple[Any, Any]:
    """Ten images of each class, after as many iterations as ``OURS``."""
    return made(tree / PROGRAM, [*METHOD, "--Iteration", OURS["iterations"] - 1], seed)
