"""DC's main program."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.methods.matching._shared import gradients
from decoct.methods.matching.dc import DC
from originals import condensation
from originals.beside import Agreement, compare

REPOSITORY = condensation.REPOSITORY
PROGRAM = "main.py"
OUTER, INNER, NETS = 5, 2, 21
SETTING = "Fashion-MNIST, convnet3_w32, IPC 10, 256 real images of a class, 5 updates a net with 2 epochs between"
OURS = {"name": "dc", "net": condensation.NET, "iterations": 2, "outer": 5, "inner": 10}


def agree(tree: Path) -> Agreement:
    """Both from the noise, and with the batches, nets and orders, that decoct draws."""
    spec = DC(net=condensation.NET, iterations=NETS, outer=OUTER, inner=INNER)
    ours, draws = condensation.ours(spec, gradients, ipc=10)
    line = ["--method", "DC", "--ipc", "10", "--init", "noise", "--Iteration", str(NETS - 1)]
    theirs = condensation.theirs(tree, PROGRAM, line, draws, (OUTER, INNER))
    return Agreement(compare(ours, theirs))
