"""A store of very many cells, a folder of very many files: what each command takes, in seconds and memory.

    python benchmarks/load.py --cells 100000
    python benchmarks/load.py --files 100000 --classes 10000

Cells are those of a study of digits, written by the run itself; only the students are drawn instead of trained, and
nothing is flushed to disk while they are. Files are PNG pictures of 8 px, half of them in one class folder. Every
command is a process of its own; memory is the most that it had.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from decoct.core import scratch
from decoct.core.record import Result, write_json
from decoct.study import execute
from decoct.study.cell import Cell
from decoct.study.run import run
from decoct.study.store import store
from decoct.study.study import Study
from decoct.study.work.students import CORRECT, RESULT
from yardstick import table

STUDY = """
name = "load"
students = ["convnet1_w8"]
budgets = [{{ipc = 1}}, {{ipc = 10}}]
replicates = {{condense = 5, train = {train}}}
ceiling = false
condensers = ["random", "herding", "k_center", "k_means"]
protocols = [{{name = "erm", steps = 5}}]
teachers = [{{net = "convnet2_bn", epochs = 1}}]
metrics = {{names = ["cost"]}}
"""


def drawn(cell: Cell) -> None:
    """A student that nobody trained: its answers are drawn by its seed."""
    rng, labels = np.random.default_rng(cell.job.keyed["seed"]), cell.data.test.labels
    with cell.meter():
        right = rng.random(len(labels)) < 0.7
    per_class = tuple(float(right[labels == c].mean()) for c in range(len(cell.data.class_names)))
    made = Result(
        accuracy=float(right.mean()),
        per_class=per_class,
        test_images=len(right),
        steps=5,
        images_seen=5,
        loss=0.0,
        label_bytes=0,
    )
    write_json(cell.folder / RESULT, made.model_dump(mode="json"))
    np.save(cell.folder / CORRECT, np.packbits(right))


def fill(study: Path, out: Path) -> int:
    """Write all cells; gives how many there are."""
    execute.WORK["train"] = drawn
    scratch.sync = store.sync = lambda path: None
    count = 0

    def planned(todo: int, total: int) -> None:
        nonlocal count
        count = total

    failures = run(Study.from_toml(study), out, on_plan=planned)
    if failures:
        raise SystemExit("\n".join(list(failures.values())[:3]))
    return count


def pictures(root: Path, files: int, classes: int) -> None:
    """Half of the files in one class, the rest spread over the others."""
    rng = np.random.default_rng(0)
    for number in range(files):
        label = 0 if number % 2 else 1 + number // 2 % (classes - 1)
        folder = root / f"class{label:05}"
        if number < 2 * classes:
            folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number:06}.png")


def timed(words: Sequence[str | Path]) -> list[str]:
    """A row: what was called, its seconds, and the most memory that it had, with the processes that it started."""
    start, most = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([sys.executable, "-m", "decoct", *map(str, words)], stdout=said, stderr=said)
        looked = psutil.Process(child.pid)
        while child.poll() is None:
            for each in (looked, *looked.children(recursive=True)):
                try:
                    most = max(most, each.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.05)
        said.seek(0)
        last = said.read().decode().strip().splitlines()
    title = f"`decoct {' '.join(str(word) for word in words if not isinstance(word, Path))}`"
    told = "" if child.returncode == 0 else f"exit {child.returncode}: {last[-1][:80] if last else ''}"
    return [title, f"{time.perf_counter() - start:,.1f}", f"{most / 1e6:,.0f}", told]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cells", type=int, default=0)
    asked.add_argument("--files", type=int, default=0)
    asked.add_argument("--classes", type=int, default=100)
    given = asked.parse_args()
    head = ["", "seconds", "memory, MB", ""]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["DECOCT_STORE"] = str(folder / "cache")
        if given.cells:
            study, out = folder / "study.toml", folder / "run"
            study.write_text(STUDY.format(train=max(1, given.cells // 40)), "utf-8")
            start = time.perf_counter()
            cells = fill(study, out)
            seconds = time.perf_counter() - start
            print(f"{cells:,} cells, written in {seconds:,.0f} s: {1000 * seconds / cells:.1f} ms each\n", flush=True)
            calls = (
                ["run", study, "--out", out],
                ["report", out],
                ["ls", "runs", "--in", folder],
                ["verify", out],
                ["gc", out],
            )
            print(table(head, [timed(words) for words in calls]))
        if given.files:
            root = folder / "photos"
            pictures(root, given.files, given.classes)
            print(f"\n{given.files:,} files in {given.classes:,} classes\n", flush=True)
            calls = (["shrink", root, "--check", "--size", "8"], ["shrink", root, "--check", "--size", "8"])
            print(table(head, [timed(words) for words in calls]))


if __name__ == "__main__":
    main()
