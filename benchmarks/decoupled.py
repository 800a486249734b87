"""What decoupled methods cost, each with its authors' nets and iterations on images of 224 px. Minutes.

Seconds of one thread per image, from the difference of two short runs, so that what is done once drops out; scaled by
one factor, that of SRe2L++, which lies beside the authors' own time. Nets are not trained: it changes no time.
Then RDED's selection beside the teacher's bare forward passes, and the inversion loop beside bare steps.

    python benchmarks/decoupled.py
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from decoct.core.budget import Budget
from decoct.core.interfaces import Condenser, Inputs
from decoct.data.dataset import Dataset, Split
from decoct.data.pixels import Pixels
from decoct.methods.decoupled.cda import CDA
from decoct.methods.decoupled.cim import CIM
from decoct.methods.decoupled.cv_dd import CVDD
from decoct.methods.decoupled.delt import DELT
from decoct.methods.decoupled.edc import EDC
from decoct.methods.decoupled.fadrm import FADRM
from decoct.methods.decoupled.g_vbsm import GVBSM
from decoct.methods.decoupled.rded import RDED
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.needs.statistics import LayerStatistics, collect
from decoct.needs.teacher import Teacher
from decoct.nets import zoo
from decoct.nets.layout import as_input, laid_out
from decoct.study.memory import keep_memory
from yardstick import Loop, bare_inversion, race, table

SIZE, CLASSES, IPC = 224, 10, 10
FEW = 40  # pictures per class, enough for all starts
ONE = {"preset": "imagenet1k"}


class Case(NamedTuple):
    """A method, how it is cut down, and what its authors report.

    Attributes:
        name: for the table.
        method: at its preset for ImageNet-1K.
        steps: iterations of the short run, enough that each net and stage has its share; the long one has twice those.
        classes: how many are made.
        published: seconds per image, and the source.
    """

    name: str
    method: Condenser
    steps: int
    classes: int
    published: float | None


CASES = (
    Case("RDED", RDED(**ONE), 0, 2, 0.042),
    Case("FADRM", FADRM(**ONE), 4, 2, 0.47),
    Case("CIM", CIM(**ONE), 2, 1, 0.48),
    Case("FADRM+", FADRM(preset="imagenet1k_plus"), 16, 2, 1.09),
    Case("DELT", DELT(**ONE), 8, 2, None),
    Case("CDA", CDA(**ONE), 4, 2, 2.09),
    Case("SRe2L", SRe2L(**ONE), 4, 2, None),
    Case("SRe2L++", CVDD(**ONE, nets=("resnet18",)), 4, 2, 2.52),
    Case("EDC", EDC(**ONE), 5, 2, 4.99),
    Case("CV-DD", CVDD(**ONE), 1, 2, 8.2),
    Case("G-VBSM", GVBSM(**ONE), 4, 2, 17.3),
)
YARDSTICK = "SRe2L++"


class Bench:
    """Data of generated pictures, and nets and statistics made when they are first asked for."""

    def __init__(self, members: int) -> None:
        rng = np.random.default_rng(0)
        labels = np.repeat(np.arange(CLASSES), members)
        split = Split(rng.integers(0, 256, (len(labels), 3, SIZE, SIZE), dtype=np.uint8), labels, None)
        names, mean, std = tuple(f"class {c}" for c in range(CLASSES)), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        self.data = Dataset("pictures", names, "", split, split, split, mean, std, flip=True, folder=Path())
        self.some = Split(split.images[:: members // 2], labels[:: members // 2], None)
        self.nets: dict[str, torch.nn.Module] = {}
        self.statistics: dict[str, object] = {}

    def net(self, name: str) -> torch.nn.Module:
        """In eval mode, laid out as a stored one."""
        name = "resnet18" if name == "teacher" else name
        if name not in self.nets:
            self.nets[name] = laid_out(zoo.build(name, 3, CLASSES, SIZE, 0)).eval().requires_grad_(False)
        return self.nets[name]

    def inputs(self, method: Condenser, classes: int, ipc: int) -> Inputs:
        """What the method needs, for its first classes."""
        needs, pixels = method.at(SIZE).needs(), Pixels.of(self.data, "cpu")
        for net in (need.net for need in needs if isinstance(need, LayerStatistics)):
            if net not in self.statistics:
                self.statistics[net] = collect(self.net(net), self.some, self.data.class_names, pixels)
        return Inputs(
            self.data,
            Budget(ipc=ipc),
            teachers={need.net: self.net(need.net) for need in needs if isinstance(need, Teacher)},
            statistics={need.net: self.statistics[need.net] for need in needs if isinstance(need, LayerStatistics)},
            classes=tuple(range(classes)),
        )

    def seconds(self, case: Case, repeats: int) -> float:
        """Processor seconds per image at the authors' iterations; of RDED, of the whole selection."""
        inputs = self.inputs(case.method, case.classes, IPC)

        def clock(**fields: int) -> float:
            method = case.method.model_copy(update=fields)
            start = time.process_time()
            method(inputs)
            return time.process_time() - start

        images = case.classes * IPC
        if not case.steps:
            return min(clock() for _ in range(repeats)) / images
        short = min(clock(iterations=case.steps) for _ in range(repeats))
        long = min(clock(iterations=2 * case.steps) for _ in range(repeats))
        return (long - short) / case.steps / images * (case.method.at(SIZE).iterations or 0)


def costs(whole: Bench, repeats: int) -> str:
    """The table of all methods."""
    few = Bench(FEW)  # what is ranked to start from drops out of the difference
    measured = {}
    for case in CASES:
        measured[case.name] = (few if case.steps else whole).seconds(case, repeats)
        print(f"{case.name}: {measured[case.name]:.2f} CPU s / image", file=sys.stderr, flush=True)
    published = {case.name: case.published for case in CASES}
    factor = (published[YARDSTICK] or 1) / measured[YARDSTICK]
    rows = [_row(case, measured[case.name], factor) for case in CASES]
    said = f"Scaled by {factor:.4f}, that of {YARDSTICK}.\n\n"
    head = [
        "method",
        "nets",
        "iterations",
        "here, CPU s / image",
        "scaled",
        "its authors, s / image",
        "scaled / authors",
    ]
    return said + table(head, rows)


def _row(case: Case, seconds: float, factor: float) -> list[str]:
    spec = case.method.at(SIZE)
    nets: Sequence[str] = getattr(spec, "nets", None) or ("teacher",)
    beside = ["", ""] if case.published is None else [f"{case.published:g}", f"{seconds * factor / case.published:.2f}"]
    return [
        case.name,
        ", ".join("resnet18" if net == "teacher" else net for net in nets),
        f"{getattr(spec, 'iterations', 0):,}",
        f"{seconds:.1f}",
        f"{seconds * factor:.2f}",
        *beside,
    ]


def selection(bench: Bench) -> tuple[Loop, Loop, int]:
    """RDED for so many classes, and forward passes of as many crops that are ready; crops of a class."""
    method, net = RDED(**ONE), bench.net("teacher")
    crops = method.candidates * method.crops
    x = as_input(torch.randn(method.batch, 3, SIZE, SIZE), net)

    def ours(classes: int) -> None:
        method(bench.inputs(method, classes, IPC))

    @torch.inference_mode()
    def bare(classes: int) -> None:
        for _ in range(classes * crops // method.batch):
            net(x)
        net(x[: classes * crops % method.batch]) if classes * crops % method.batch else None

    return ours, bare, crops


def inversion(bench: Bench) -> tuple[Loop, Loop, int]:
    """SRe2L's loop, and forward + backward + Adam on as many pixels, without views, statistics and clamping."""
    method, net, labels = SRe2L(**ONE), bench.net("teacher"), torch.arange(CLASSES)
    inputs = bench.inputs(method, CLASSES, 1)

    def ours(steps: int) -> None:
        method.model_copy(update={"iterations": steps})(inputs)

    return ours, bare_inversion(net, labels, bench.data.shape, 0.25), CLASSES


def beside(name: str, ours: Loop, bare: Loop, images: int, steps: int) -> str:
    """A row: so many steps of both, five turns."""
    race_ = race(ours, bare, seconds=1, repeats=5, warm=1, least=steps)
    return table(
        ["resnet18, 224 px, 5 turns", "decoct, images/s", "bare, images/s", "ratio (≥ 0.85)"],
        [[name, *race_.cells(images)]],
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=2, help="of each short run; the fastest counts")
    arguments.add_argument("--members", type=int, default=300, help="pictures per class")
    arguments.add_argument("--only", choices=("costs", "selection", "inversion"), help="one of the three tables")
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    bench = Bench(options.members)
    parts: dict[str, Callable[[], str]] = {
        "costs": lambda: costs(bench, options.repeats),
        "selection": lambda: beside("RDED, 2 classes × 300 × 5 crops", *selection(bench), steps=2),
        "inversion": lambda: beside("SRe2L, batch 10, 40 steps", *inversion(bench), steps=40),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            print(part() + "\n", flush=True)


if __name__ == "__main__":
    main()
