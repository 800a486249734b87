"""DM, DC and DSA on Fashion-MNIST: accuracy over minutes of construction, and what a step of DM costs.

    python benchmarks/matching.py                        # a DM step against the bare forward passes of its batches
    python benchmarks/matching.py --method dm --ipc 10 --seed 0 --minutes 20 --out runs/matching
    python benchmarks/matching.py --evaluate runs/matching --nets 2 --random 3
    python benchmarks/matching.py --table runs/matching

A construction keeps snapshots of its images and ends with the last; one that was killed goes on from its last
snapshot. Minutes are the processor's, by thread, on a machine that does other things as well. Evaluation trains
convnet3 in bfloat16 through torch.compile under the dc recipe, with DSA for dm and dsa and without for dc, on every
snapshot and on as many random sets as are asked for; it resumes from its own rows.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Condenser, Draft, Inputs, Machine, Task
from decoct.core.record import Provenance
from decoct.core.seeds import seed as derive
from decoct.core.spec import parse
from decoct.data.dataset import Dataset, load_data
from decoct.data.pixels import Pixels
from decoct.methods.coresets.random import Random
from decoct.methods.matching._shared.synthetic import in_data_scale
from decoct.nets import zoo
from decoct.protocols.dc import DC
from decoct.report.stats.intervals import t_interval
from decoct.study.memory import keep_memory
from decoct.study.store.store import KeptOnDisk
from decoct.study.work.sets import from_draft
from decoct.training.evaluate import correct
from decoct.training.learn import STATE
from decoct.training.loop import TrainingSet, train
from matching_speed import speed

PUBLISHED = {  # percent, as shared by the papers' tables and later surveys
    "dc": {1: 70.5, 10: 82.3, 50: 83.6},
    "dsa": {1: 70.6, 10: 84.6, 50: 88.7},
    "dm": {10: 83.5, 50: 88.1},
}
PRECISION = "bfloat16"
SNAPSHOTS, ROWS = "snapshots.jsonl", "accuracy.jsonl"


class TimeUpError(Exception):
    """The last snapshot is made."""


class Snapshots(KeptOnDisk):
    """Keeps the state of a construction at given minutes, each time with the images as a set, and ends it in the end.

    Args:
        folder: of this construction.
        minutes: ascending, of the construction's own time.
        data: the data set.
        provenance: of the sets.
        facts: that go into each row.
    """

    def __init__(
        self, folder: Path, minutes: list[float], data: Dataset, provenance: Provenance, facts: Mapping[str, Any]
    ) -> None:
        super().__init__(folder)
        self.data, self.provenance, self.facts = data, provenance, dict(facts)
        done = [row for row in read(folder.parent / SNAPSHOTS) if row["construction"] == folder.name]
        self.before = (done[-1]["seconds"], done[-1]["cpu_seconds"]) if done else (0.0, 0.0)
        self.left = [m for m in minutes if m > max((r["minutes"] for r in done), default=0)]
        self.begun, self.begun_cpu = time.perf_counter(), time.process_time()

    def elapsed(self) -> tuple[float, float]:
        """Wall and processor seconds of the construction, without those of keeping it."""
        return (
            self.before[0] + time.perf_counter() - self.begun,
            self.before[1] + time.process_time() - self.begun_cpu,
        )

    def due(self) -> bool:
        """Whether the next minute has come: of the processor per thread, so that it matters not what else runs."""
        return bool(self.left) and self.elapsed()[1] / self.facts["threads"] >= 60 * self.left[0]

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """The state, and a snapshot of the images."""
        wall, cpu = self.elapsed()
        super().save(name, arrays)
        if name == STATE:
            images = in_data_scale(torch.from_numpy(arrays["images"]), Pixels.of(self.data, "cpu"))
            ipc = len(images) // len(self.data.class_names)
            draft = Draft.synthesised(images, np.repeat(range(len(self.data.class_names)), ipc))
            self.note(self.left.pop(0), wall, cpu, draft, arrays["trace"])
            if not self.left:
                raise TimeUpError
        self.begun, self.begun_cpu = time.perf_counter(), time.process_time()
        self.before = (wall, cpu)

    def note(self, minutes: float, wall: float, cpu: float, draft: Draft, trace: NDArray[Any]) -> None:
        """Save the set and write its row."""
        name = f"{self.folder.name}-{minutes:g}"
        from_draft(draft, self.data, self.provenance).save(self.folder.parent / name)
        last = {"updates": len(trace), "loss": float(np.mean(trace[-10:]))} if len(trace) else {}
        row = {**self.facts, "construction": self.folder.name, "minutes": minutes, "seconds": wall, "cpu_seconds": cpu}
        append(self.folder.parent / SNAPSHOTS, {**row, **last, "folder": name})


def construct(method: Condenser, options: argparse.Namespace) -> None:
    """Run a method for some minutes."""
    data, budget = load_data("fashion_mnist"), Budget(ipc=options.ipc)
    label = " ".join([method.name, *options.set])
    folder = options.out / "-".join([*label.split(), f"ipc{options.ipc}", f"seed{options.seed}"])
    provenance = Provenance(
        method=method.name,
        spec=method.identity(),
        data=data.name,
        data_digest=data.digest,
        budget=str(budget),
        seed=options.seed,
    )
    minutes = sorted({float(m) for m in options.at.split(",") if float(m) < options.minutes} | {options.minutes})
    facts = {"method": method.name, "label": label, "ipc": options.ipc, "seed": options.seed}
    kept = Snapshots(folder, minutes, data, provenance, facts | {"threads": options.threads})
    if not kept.left:
        return
    try:
        draft = method(Inputs(data, budget, options.seed, kept=kept))
    except TimeUpError:
        return
    wall, cpu = kept.elapsed()  # it came to its end before its time
    kept.note(cpu / 60 / options.threads, wall, cpu, draft, np.zeros(0))
    kept.drop(STATE)


def evaluate(folder: Path, nets: int, sets: int) -> None:
    """Train nets on every snapshot, and on random sets under the same recipes; the test images are seen once each."""
    data = load_data("fashion_mnist")
    snapshots = [row | {"dsa": row["method"] != "dc"} for row in read(folder / SNAPSHOTS)]
    tasks = [{"label": "random", "minutes": None, "seed": s} for s in range(sets)]
    recipes = {(row["ipc"], row["dsa"]) for row in snapshots}
    tasks = [task | {"ipc": ipc, "dsa": dsa} for task in tasks for ipc, dsa in sorted(recipes)] + snapshots
    names = ("label", "ipc", "dsa", "seed", "minutes", "net")
    done = {tuple(row[name] for name in names) for row in read(folder / ROWS)}
    for net in range(nets):
        for task in tasks:
            key = {name: (task | {"net": net})[name] for name in names}
            if tuple(key.values()) in done:
                continue
            if task["label"] == "random":
                draw = derive(0, "random", task["seed"])
                rows = Random()(Inputs(data, Budget(ipc=task["ipc"]), draw)).indices
                images, labels = data.train.images[rows], data.train.labels[rows]
            else:
                made = Condensed.load(folder / task["folder"])
                assert made.images is not None
                images, labels = made.images, made.labels
            start = derive(0, "net", task["seed"], net)
            student = zoo.build("convnet3", 1, 10, 28, start)
            recipe = DC(dsa=task["dsa"]).recipe(Task(len(labels), 10, 28, data.flip))
            whole = TrainingSet(
                torch.from_numpy(np.array(images)), torch.from_numpy(np.array(labels)), data.mean, data.std
            )
            train(student, whole, recipe, seed=start, machine=Machine(precision=PRECISION, compiled=True))
            accuracy = float(correct(student, data.test, data, "cpu").mean())
            took = {name: task[name] for name in ("updates", "cpu_seconds") if name in task}
            row = {**key, "accuracy": accuracy, **took}
            append(folder / ROWS, row)
            print(json.dumps(row), flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: accuracy over sets, their difference from the random set of the same seed, and the published number."""
    head = ("method", "IPC", "minutes", "sets × nets", "accuracy, %", "95 % interval", "− random", "95 % interval")
    lines = [f"| {' | '.join((*head, 'published, %'))} |", "|---" * (len(head) + 1) + "|"]
    groups = sorted({(r["ipc"], r["dsa"], r["label"], r["minutes"] or 0) for r in rows})
    for ipc, dsa, label, minutes in groups:
        mine = by_seed(rows, ipc, dsa, label, minutes)
        random = by_seed(rows, ipc, dsa, "random", 0)
        gains = [mine[s] - random[s] for s in mine if s in random] if label != "random" else []
        nets = max(r["net"] for r in rows if (r["label"], r["ipc"], r["dsa"]) == (label, ipc, dsa)) + 1
        published = PUBLISHED.get(label.split()[0], {}).get(ipc, "")
        name = f"{label} ({'DSA' if dsa else 'no augmentation'})" if label == "random" else label
        cells = [name, ipc, f"{minutes:g}" if minutes else "", f"{len(mine)} × {nets}", *interval(list(mine.values()))]
        lines.append(f"| {' | '.join(map(str, [*cells, *interval(gains, '+'), published]))} |")
    return "\n".join(lines)


def by_seed(rows: list[dict[str, Any]], ipc: int, dsa: bool, label: str, minutes: float) -> dict[int, float]:
    """Mean accuracy of the nets of each set."""
    wanted = (ipc, dsa, label, minutes)
    mine = [r for r in rows if (r["ipc"], r["dsa"], r["label"], r["minutes"] or 0) == wanted]
    seeds = sorted({r["seed"] for r in mine})
    return {s: float(np.mean([r["accuracy"] for r in mine if r["seed"] == s])) for s in seeds}


def interval(values: list[float], sign: str = "") -> list[str]:
    """Mean and bounds in percent; the bounds need two values."""
    if not values:
        return ["", ""]
    found = t_interval(values)
    bounds = f"[{100 * found.lo:{sign}.1f}, {100 * found.hi:{sign}.1f}]" if found.n > 1 else ""
    return [f"{100 * found.mean:{sign}.1f}", bounds]


def read(path: Path) -> list[dict[str, Any]]:
    """The rows so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def append(path: Path, row: Mapping[str, Any]) -> None:
    """One row more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--method", choices=["dm", "dc", "dsa"])
    arguments.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="of the method")
    arguments.add_argument("--ipc", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--minutes", type=float, default=20, help="of construction")
    arguments.add_argument("--at", default="1,2,5,10,20", help="minutes at which images are kept")
    arguments.add_argument("--out", type=Path, default=Path("runs/matching"))
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--evaluate", type=Path, metavar="DIR", help="train nets on what was constructed there")
    arguments.add_argument("--nets", type=int, default=2)
    arguments.add_argument("--random", type=int, default=3, metavar="SETS", help="random sets beside")
    arguments.add_argument("--table", type=Path, metavar="PATH", help="print what was evaluated there, or its rows")
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    if options.table:
        print(table(read(options.table / ROWS if options.table.is_dir() else options.table)))
    elif options.evaluate:
        evaluate(options.evaluate, options.nets, options.random)
    elif options.method:
        fields = dict(each.split("=", 1) for each in options.set)
        construct(parse("condenser", {"name": options.method, **fields}), options)
    else:
        print(speed(options.ipc))


if __name__ == "__main__":
    main()
