"""Selection at ImageNet size: time and anonymous memory of each kernel, and how they grow.

Prints the head of docs/scaling.md and its parts on classes; ``pooled.py`` prints those on all classes at once.

Features lie in a memory map, once with rows sorted by class and once shuffled. Each measurement is a fresh process that
looks at its anonymous memory every few milliseconds; pages of the map are not counted, since the system takes them back
when it needs them. Needs 6 GB of disk.

    python benchmarks/scaling.py > docs/scaling.md
    python benchmarks/scaling.py --size 20000 --classes 100     # a quick look
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from decoct import select
from yardstick import table

SIZE, CLASSES, WIDTH, IPC, THREADS = 1_281_167, 1_000, 512, 50, 2  # ImageNet-1K's train split
KERNELS = {
    "herding": select.herding,
    "k_center": select.k_center,
    "k_medoids": select.k_medoids,
    "facility_location": select.facility_location,
    "graph_cut": select.graph_cut,
}


class Spent(NamedTuple):
    """Seconds, and the growth of anonymous memory in bytes."""

    seconds: float
    memory: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("size", SIZE), ("classes", CLASSES), ("width", WIDTH), ("ipc", IPC), ("threads", THREADS)):
        arguments.add_argument(f"--{name}", type=int, default=value)
    arguments.add_argument("--scratch", type=Path, help="a folder on a disk with room")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
        print(head(asked))
        print(whole(Path(folder), asked))
        print(growth(Path(folder), asked))


def whole(folder: Path, asked: argparse.Namespace) -> str:
    """Every kernel on the whole data, sorted and shuffled."""
    lines = []
    paths = {order: made(folder, order, asked.size, asked.classes, asked.width) for order in ("sorted", "shuffled")}
    for name in KERNELS:
        cells = [f"`{name}`"]
        for path in paths.values():
            spent = alone(per_class, name, path, asked.classes, asked.ipc, asked.threads)
            cells += [f"{spent.seconds:.1f}", f"{spent.memory / 2**20:,.0f}"]
            tell(f"{name} {path.stem}: {spent}")
        lines.append(cells)
    text = f"## Per class, IPC {asked.ipc}, {asked.threads} threads\n\n"
    return text + table(["kernel", "sorted, s", "sorted, MiB", "shuffled, s", "shuffled, MiB"], lines) + "\n"


def growth(folder: Path, asked: argparse.Namespace) -> str:
    """Ten classes: twice the rows, twice the width, five times the picks."""
    each = asked.size // asked.classes
    cases = {"as above": (each, asked.width, asked.ipc), "N × 2": (2 * each, asked.width, asked.ipc)}
    cases |= {"N × 4": (4 * each, asked.width, asked.ipc), "d × 2": (each, 2 * asked.width, asked.ipc)}
    cases |= {"d × 4": (each, 4 * asked.width, asked.ipc)}
    cases |= {f"IPC {n}": (each, asked.width, n) for n in (10, each // 10, each // 2, each * 9 // 10)}
    lines: dict[str, list[str]] = {name: [f"`{name}`"] for name in KERNELS}
    for case, (rows, width, ipc) in cases.items():
        path = made(folder, f"grown-{rows}-{width}", 10 * rows, 10, width)
        for name in KERNELS:
            spent = alone(per_class, name, path, 10, ipc, 1)
            lines[name].append(f"{spent.seconds / 10 * 1e3:,.0f}")
            tell(f"{name} {case}: {spent}")
    text = (
        f"## Milliseconds a class, one thread; as above: N = {each:,} a class, d = {asked.width}, IPC {asked.ipc}\n\n"
    )
    return text + table(["kernel", *cases], list(lines.values()))


def per_class(name: str, path: Path, classes: int, ipc: int, threads: int) -> None:
    """Pick in each class of a map."""
    features, labels = np.load(path, mmap_mode="r"), np.load(path.with_suffix(".labels.npy"))
    groups = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels, minlength=classes))[:-1])
    select.each(lambda _, rows: KERNELS[name](rows, ipc), features, groups, threads=threads)


def made(folder: Path, order: str, size: int, classes: int, width: int) -> Path:
    """A map of features in clusters, five a class, block by block, and its labels."""
    path = folder / f"{order}.npy"
    if path.exists():
        return path
    rng = np.random.default_rng(0)
    labels = np.sort(np.arange(size) % classes)
    labels = rng.permutation(labels) if order == "shuffled" else labels
    centres = rng.standard_normal((classes, 5, width), dtype=np.float32)
    features = np.lib.format.open_memmap(path, "w+", np.float32, (size, width))
    for at in range(0, size, 8192):
        part = labels[at : at + 8192]
        noise = rng.standard_normal((len(part), width), dtype=np.float32)
        features[at : at + 8192] = noise + centres[part, rng.integers(0, 5, len(part))]
    features.flush()
    np.save(path.with_suffix(".labels.npy"), labels)
    return path


def alone(work, *arguments) -> Spent:
    """What the work spends in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(watched, partial(work, *arguments), arguments[-1]).result()


def watched(work, threads: int) -> Spent:
    """Do the work, and look at the process's anonymous memory meanwhile."""
    torch.set_num_threads(threads)
    torch.randn(64, 64) @ torch.randn(64, 64)  # libraries take their room once
    done, before = threading.Event(), anonymous()
    seen = [before]

    def look() -> None:
        while not done.wait(0.005):
            seen.append(anonymous())

    watcher = threading.Thread(target=look)
    watcher.start()
    start = time.perf_counter()
    try:
        work()
    finally:
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    return Spent(seconds, max(seen) - before)


def anonymous() -> int:
    """Resident bytes that belong to no file; Linux."""
    status = Path("/proc/self/status").read_text("utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024


def head(asked: argparse.Namespace) -> str:
    """What was measured, and where."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    size = asked.size * asked.width * 4 / 1e9
    return f"""# Selection at scale

`python benchmarks/scaling.py` on {model}, {os.cpu_count()} cores, torch {torch.__version__}: {asked.size:,} synthetic
features of {asked.width} float32 numbers in {asked.classes:,} classes of five clusters, in a map of {size:.1f} GB
that is in the page cache. Memory is the growth of anonymous memory; the map's pages are not counted. One run of each.
"""


def tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
