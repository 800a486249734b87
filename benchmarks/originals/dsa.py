"""DSA, the same program as DC's with one transform for the real and the learnt images of a class."""

from pathlib import Path

from decoct.methods.matching._shared import gradients
from decoct.methods.matching.dsa import DSA
from originals import condensation
from originals.beside import Agreement, compare

REPOSITORY = condensation.REPOSITORY
PROGRAM = "main.py"
OUTER, INNER, NETS = 5, 2, 21


def agree(tree: Path) -> Agreement:
    """Both from the same real images, with the batches, nets, orders and transforms that decoct draws."""
    spec = DSA(net=condensation.NET, iterations=NETS, outer=OUTER, inner=INNER)
    ours, draws = condensation.ours(spec, gradients, ipc=10)
    line = ["--method", "DSA", "--ipc", "10", "--init", "real", "--dsa_strategy", condensation.STRATEGY]
    theirs = condensation.theirs(tree, PROGRAM, [*line, "--Iteration", str(NETS - 1)], draws, (OUTER, INNER))
    return Agreement(compare(ours, theirs))
