"""Memory of a construction as the set grows: many classes at 224 px, from data on disk to the stored cell.

Each job runs alone in a fresh process that looks at its anonymous memory every few milliseconds; pages of mapped files
are not counted, since the system takes them back when it needs them. The bound is what the job takes with a few
classes and the same batch: libraries, a net, a batch with its activations. Target: with all classes it grows by less
than 50 MB. DELT makes its set in one job, RDED in two shards, which are put together. DELT leaves its images where
they start, and takes one iteration on smaller ones: the processor has enough to do with 50,000 images of 224 px.

Data are coloured squares, nets are untrained. The disk needs room for six times the set.

    python benchmarks/memory.py --classes 100 --ipc 10 --size 64
"""

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from decoct.core.budget import Budget
from decoct.core.spec import parse
from decoct.data.dataset import load_data
from decoct.data.source import Part, Raw, Source
from decoct.needs.teacher import Teach
from decoct.nets import weights, zoo
from decoct.nets.renormalise import Normalisation
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from yardstick import table

NET, MB = "mobilenetv3_small_050", 1e6


class Squares(Source):
    """Images of 8 × 8 coloured squares: each class has ``each`` of one bank of images; val and test are a few."""

    classes: int
    each: int
    size: int

    def manifest(self) -> None:
        """The fields say it all."""

    def read(self, manifest: None, scratch: Path, progress: Callable[[int, int], None]) -> Raw:
        """Draw the bank and who takes what."""
        rng, cells = np.random.default_rng(0), np.arange(self.size) * 8 // self.size
        bank = rng.integers(0, 256, (100, 3, 8, 8), dtype=np.uint8)[:, :, cells[:, None], cells]
        labels = {"train": np.repeat(np.arange(self.classes), self.each), "val": np.arange(2), "test": np.arange(2)}
        parts = {split: Part(bank, each, rng.integers(0, len(bank), len(each))) for split, each in labels.items()}
        return Raw(tuple(f"{c:04d}" for c in range(self.classes)), parts)


class Memory(NamedTuple):
    """Bytes of a job that was run: anonymous before and at the peak, mapped files at the peak; processor seconds."""

    before: int
    peak: int
    mapped: int
    seconds: float


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def resident(kind: str) -> int:
    """Resident bytes: "RssAnon", or "RssFile"."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024


def watched(root: Path, job: Job) -> Memory:
    """Run a job, and look at its memory every few milliseconds."""
    before, peaks, over = resident("RssAnon"), {"RssAnon": 0, "RssFile": 0}, threading.Event()

    def look() -> None:
        while not over.wait(0.003):
            for kind, peak in peaks.items():
                peaks[kind] = max(peak, resident(kind))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        execute(root, job)
    finally:
        over.set()
        thread.join()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Memory(before, peaks["RssAnon"], peaks["RssFile"], used.ru_utime + used.ru_stime)


def cases(size: int, iterations: int, small: int) -> dict[str, tuple[dict[str, Any], int, int]]:
    """Methods with their fields, how many shards they are made in, and the side of the images."""
    delt = {"name": "delt", "nets": [NET], "ranker": NET, "block": 100}
    rded = {"name": "rded", "teacher": NET, "factor": 1, "crops": 1}
    return {
        f"delt, {size} px, iterations: {iterations}": ({**delt, "iterations": iterations}, 1, size),
        f"delt, {small} px, iterations: 1": ({**delt, "iterations": 1}, 1, small),
        f"rded, {size} px": (rded, 2, size),
    }


def prepared(folder: Path, classes: int, ipc: int, config: dict[str, Any], shards: int, size: int) -> list[Job]:
    """The data, the net and what else is needed on disk; the jobs, those first that others read."""
    data = load_data(Squares(classes=classes, each=ipc, size=size), folder / "data")
    net = zoo.build(NET, data.shape[0], classes, size, 0)
    weights.write(folder / "net.safetensors", net, data.class_names, Normalisation.of(data.mean, data.std))
    planner = Planner(data, teachings={NET: Teach(net=NET, checkpoint=str(folder / "net.safetensors")).pinned()})
    planner.condense(config["name"], parse("condenser", config), Budget(ipc=ipc), 0, shards)
    teacher, *jobs = planner.jobs.values()
    (folder / "store").mkdir()
    execute(folder / "store", teacher)
    return jobs


def run(name: str, place: Path, *case: Any) -> dict[str, Memory]:
    """Memory of each job of a case by its name; nothing is left of it."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        root, memory = Path(folder).resolve(), {}
        for job in (jobs := fresh(prepared, root, *case)):
            number = job.labels.get("shard")
            part = ", put together" if number is None else f", shard {number + 1} of {len(jobs) - 1}"
            memory[name + part * (len(jobs) > 1)] = fresh(watched, root / "store", job)
        return memory


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--classes", type=int, default=1000)
    arguments.add_argument("--few", type=int, default=10, help="classes of the bound; a batch must be full with them")
    arguments.add_argument("--ipc", type=int, default=50)
    arguments.add_argument("--size", type=int, default=224, help="pixels")
    arguments.add_argument("--iterations", type=int, default=0, help="of DELT at that size")
    arguments.add_argument("--small", type=int, default=64, help="pixels of DELT with an iteration")
    arguments.add_argument("--folder", type=Path, default=Path(), help="where everything is made, and removed again")
    options = arguments.parse_args()
    nbytes = options.classes * options.ipc * 3 * options.size**2
    if (room := shutil.disk_usage(options.folder).free) < 6 * nbytes:
        sys.exit(f"{options.folder.resolve()} has room for {room / 1e9:.0f} GB; this writes {6 * nbytes / 1e9:.0f} GB")
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder.resolve()) as folder:
        for name, case in cases(options.size, options.iterations, options.small).items():
            few, many = (run(name, Path(folder), n, options.ipc, *case) for n in (options.few, options.classes))
            for job, used in many.items():
                numbers = (few[job].before, few[job].peak, used.peak, used.peak - few[job].peak, used.mapped)
                rows.append([job, *(f"{number / MB:,.0f}" for number in numbers), f"{used.seconds:.0f}"])
    print(
        f"{options.classes:,} classes × IPC {options.ipc}, {nbytes / 1e9:.1f} GB of images at {options.size} px. "
        f"MB of anonymous memory, and of mapped files; the bound is the peak with {options.few} classes.\n"
        f"`{NET}`, batches of 100 images, of RDED 200 crops; threads: 1.\n"
    )
    peaks = f"peak, {options.few} classes", f"peak, {options.classes:,} classes", "growth (< 50)"
    print(table(["job", "at the start", *peaks, "mapped, peak", "processor, s"], rows))


if __name__ == "__main__":
    main()
