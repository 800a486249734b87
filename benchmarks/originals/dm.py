"""DM's main program."""

from pathlib import Path
from typing import Any

from decoct.methods.matching import dm
from decoct.methods.matching.dm import DM
from originals.beside import AFTER, Agreement
from originals.condensation import MADE, NET, STRATEGY, made, ours, row, theirs
from originals.condensation import REPOSITORY as REPOSITORY

PROGRAM = "main_DM.py"
NETS, BATCH = max(AFTER) + 1, 64
SETTING = f"Fashion-MNIST, {NET}, IPC 10, {BATCH} real images of a class; an update a net"
METHOD = ["--init", "real", "--dsa_strategy", STRATEGY]
OURS = {"name": "dm", "net": MADE[1], "iterations": 100}


def agree(tree: Path) -> Agreement:
    """Both from the same real images, with the draws of decoct; then students of one set."""
    mine, draws = ours(DM(net=NET, iterations=NETS, batch=BATCH), dm)
    line = [*METHOD, "--Iteration", NETS - 1, "--batch_real", BATCH]
    return row(tree / PROGRAM, mine, theirs(tree / PROGRAM, line, draws), with_dsa=True)


def make(tree: Path, seed: int) -> tuple[Any, Any]:
    """Ten images of each class, after as many iterations as ``OURS``."""
    return made(tree / PROGRAM, [*METHOD, "--Iteration", OURS["iterations"] - 1], seed)
