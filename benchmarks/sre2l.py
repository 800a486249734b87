"""SRe2L on Fashion-MNIST at IPC 10: is the inversion real, and what does its loop cost? Minutes.

Targets: the teacher classifies at least 95 % of the recovered images as meant, and R_BN, the distance of their
batch-norm statistics from the teacher's, falls by more than half. The loop is timed beside a bare forward + backward +
Adam loop on the same pixels, without views, batch-norm statistics and clamping.

    python benchmarks/sre2l.py --seconds 10
"""

import argparse

import torch

import decoct
from decoct.api import Compute
from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Inputs
from decoct.core.record import cell_dir, read_json
from decoct.data.dataset import Dataset, default_store, load_data
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.needs.teacher import load_teacher
from decoct.study.memory import keep_memory
from decoct.study.work.sets import FACTS
from yardstick import bare_inversion, ratio, table

IPC = 10


def quality(condensed: Condensed) -> list[list[object]]:
    """What the construction put on record, beside its targets."""
    notes = read_json(cell_dir(default_store(), "condense", str(condensed.provenance.key)) / FACTS)["notes"]
    first, last = notes["bn_loss_first"], notes["bn_loss_last"]
    return [
        ["teacher's agreement", f"{notes['teacher_agreement']:.3f}", "≥ 0.95"],
        ["R_BN at the first iteration", f"{first:.2f}", ""],
        ["R_BN at the last iteration", f"{last:.2f}", ""],
        ["last / first", f"{last / first:.3f}", "< 0.5"],
    ]


def loops(data: Dataset, condensed: Condensed):
    """SRe2L as it is called, and bare steps on as many pixels."""
    ((_, key),) = condensed.provenance.inputs.items()
    teacher = load_teacher(cell_dir(default_store(), "teacher", key), data, "cpu")
    labels = torch.arange(len(data.class_names)).repeat(IPC)

    def ours(steps: int) -> None:
        SRe2L(iterations=steps)(Inputs(data, Budget(ipc=IPC), teachers={"teacher": teacher}))

    return ours, bare_inversion(teacher, labels, data.shape, SRe2L().at(data.size).lr)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="fashion_mnist")
    arguments.add_argument("--seconds", type=float, default=10, help="of one turn")
    arguments.add_argument("--repeats", type=int, default=3, help="turns of each loop")
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    data = load_data(options.data)
    compute = Compute(precision="bfloat16")  # of the teacher's training; the inversion is float32
    condensed = decoct.condense("sre2l", data, ipc=IPC, compute=compute)
    keep_memory()
    torch.set_num_threads(options.threads)
    ours, bare = loops(data, condensed)
    mine, theirs, share = ratio(ours, bare, seconds=options.seconds, repeats=options.repeats)
    rows = [
        *quality(condensed),
        ["its loop, images × steps per second", f"{mine * len(condensed):,.0f}", ""],
        ["the bare loop", f"{theirs * len(condensed):,.0f}", ""],
        ["ratio", f"{share:.3f}", "≥ 0.85"],
    ]
    print(f"{data.name}, IPC {IPC}; threads: {options.threads}.\n")
    print(table(["", "measured", "target"], rows))


if __name__ == "__main__":
    main()
