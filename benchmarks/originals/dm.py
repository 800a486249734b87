"""DM's main program."""

from pathlib import Path

from decoct.methods.matching import dm
from decoct.methods.matching.dm import DM
from originals import condensation
from originals.beside import AFTER, Agreement, compare

REPOSITORY = condensation.REPOSITORY
PROGRAM = "main_DM.py"
NETS = max(AFTER) + 1


def agree(tree: Path) -> Agreement:
    """Both from the same real images, with the batches, nets and transforms that decoct draws."""
    spec = DM(net=condensation.NET, iterations=NETS)
    ours, draws = condensation.ours(spec, dm, ipc=10)
    line = ["--ipc", "10", "--init", "real", "--dsa_strategy", condensation.STRATEGY]
    return Agreement(compare(ours, condensation.theirs(tree, PROGRAM, [*line, "--Iteration", str(NETS - 1)], draws)))
