"""What it takes to read a large folder of images for ``decoct shrink``: seconds, images per second, memory, disk.

Generated JPEGs of 300 × 200, a hundred classes: smooth fields under a tint and waves of the class, and noise. They are
read once without and once with the features of EfficientNet-Lite0 at 224 px (the package of ``decoct[offline]``), each
time in a fresh process with one worker per core; then once more, which finds the pool. Memory is the anonymous
resident memory of that process and its workers together, at its peak, looked at every 20 ms: pages of mapped files do
not count, since the system takes them back. At twice the images it should be about the same. With --answer the features
are then raced and tested as ``decoct shrink --within 3`` does.

    python benchmarks/shrink_scale.py --images 100000
    python benchmarks/shrink_scale.py --folder photos/ --answer
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from PIL import Image

from decoct.data.reading.parallel import cores
from decoct.shrinking.answer import Answer
from decoct.shrinking.asked import Asked
from decoct.shrinking.reading.embed import Embed
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.reading.splits import folds, hold_out
from decoct.shrinking.run import FOLDER, run
from decoct.study.workers.place import Place
from yardstick import table

CLASSES, WIDTH, HEIGHT, QUALITY, STEP = 100, 300, 200, 85, 500
NET = "timm:tf_efficientnet_lite0"
HEAD = ("", "images", "seconds", "processor seconds", "images per second", "found again, s", "memory, MB", "disk, MB")


class Cost(NamedTuple):
    """Of reading a folder: images, seconds of the clock and of processors, seconds of a second call, bytes."""

    images: int
    seconds: float
    processor: float
    again: float
    memory: int
    disk: int


def make(root: Path, images: int) -> None:
    """Write ``ROOT/CLASS/NUMBER.jpg``, in worker processes."""
    for label in range(CLASSES):
        (root / f"class{label:02d}").mkdir(parents=True)
    with ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn")) as pool:
        for _ in pool.map(partial(_draw, root, images), range(0, images, STEP)):
            pass


def _draw(root: Path, images: int, start: int) -> None:
    grid = np.stack(np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT)), -1).astype(np.float32)
    noise = np.random.default_rng(start).normal(0, 25, (16, HEIGHT, WIDTH, 1)).astype(np.float32)
    for number in range(start, min(images, start + STEP)):
        label, own = number % CLASSES, np.random.default_rng((1, number))
        style = np.random.default_rng((0, label))
        tint, waves = style.uniform(-40, 40, 3), style.uniform(-25, 25, (2, 3))
        field = Image.fromarray(own.integers(0, 256, (6, 9, 3), dtype=np.uint8))
        pixels = np.asarray(field.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) + noise[own.integers(16)]
        pixels += 30 * np.sin(grid @ waves.astype(np.float32) + own.uniform(0, 6, 3).astype(np.float32))
        pixels += tint.astype(np.float32)
        made = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        made.save(root / f"class{label:02d}" / f"{number:07d}.jpg", quality=QUALITY)


def measured(root: Path, out: Path, word: str | None, size: int | None) -> Cost:
    """Read a folder, and read it again."""
    embed = Embed(word) if word else None
    memory, seconds, pool = watched(lambda: read_pool(root, out, size=size, embed=embed))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    start = time.perf_counter()
    again = read_pool(root, out, size=size, embed=embed)
    assert again.folder == pool.folder
    seconds_again = time.perf_counter() - start
    disk = sum(path.stat().st_size for path in pool.folder.iterdir())
    processor = sum(each.ru_utime + each.ru_stime for each in used)
    return Cost(len(pool), seconds, processor, seconds_again, memory, disk)


def answered(root: Path, word: str, size: int | None) -> tuple[int, float, Answer]:
    """Memory, seconds and the answer of a whole call, on a folder that was read before."""
    asked = Asked.of(within=3)
    call = partial(run, str(root), asked, out=None, protocol="probe", extractor=word, size=size, say=_tell)
    return watched(lambda: call(place=Place(None, cores())))


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def split(root: Path, out: Path, size: int | None) -> tuple[float, float]:
    """Seconds to hold out a quarter, and to make five folds."""
    pool, times = read_pool(root, out, size=size), []
    rows = np.arange(len(pool))
    for work in (lambda: hold_out(pool, rows, 0.25, 0), lambda: folds(pool, rows, 5, 0)):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times[0], times[1]


def watched(work: Callable[[], Any]) -> tuple[int, float, Any]:
    """Peak of the anonymous memory of this process and those that it starts, seconds, and what the work gives."""
    peak, over, me = 0, threading.Event(), psutil.Process()

    def look() -> None:
        nonlocal peak
        while not over.wait(0.02):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    lines = Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
                except OSError:
                    continue  # it has ended
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
            peak = max(peak, total)

    thread = threading.Thread(target=look)
    thread.start()
    start = time.perf_counter()
    try:
        made = work()
    finally:
        seconds = time.perf_counter() - start
        over.set()
        thread.join()
    return peak, seconds, made


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--images", type=int, default=20_000, help="to generate")
    asked.add_argument("--folder", type=Path, help="of class folders, instead of generated images")
    asked.add_argument("--size", type=int, help="side of the pool's images")
    asked.add_argument("--store", type=Path, help="that stays; by default a temporary folder")
    asked.add_argument("--features", default=NET, help="the extractor; an empty word for none")
    asked.add_argument("--answer", action="store_true", help="race and test on what was read")
    args = asked.parse_args()
    place = args.store or Path(tempfile.mkdtemp())
    os.environ["DECOCT_STORE"] = str(place)  # so that a whole call finds what was read
    try:
        root = args.folder or place / "photos"
        if not root.is_dir():
            start = time.perf_counter()
            make(root, args.images)
            print(f"{args.images:,} JPEGs made in {time.perf_counter() - start:.0f} s\n", flush=True)
        rows = []
        for word in dict.fromkeys((None, args.features or None)):
            title = f"images and features of {word}" if word else "images alone"
            cost = fresh(measured, root, place / FOLDER, word, args.size)
            spent = [f"{cost.seconds:,.1f}", f"{cost.processor:,.1f}", f"{cost.images / cost.seconds:,.0f}"]
            sizes = [f"{cost.memory / 1e6:,.0f}", f"{cost.disk / 1e6:,.0f}"]
            rows.append([title, f"{cost.images:,}", *spent, f"{cost.again:.2f}", *sizes])
        print(table(HEAD, rows))
        held, parts = fresh(split, root, place / FOLDER, args.size)
        print(f"\nholding out a quarter takes {held:.2f} s, five folds {parts:.2f} s; {cores()} cores", flush=True)
        if args.answer and args.features:
            memory, seconds, found = fresh(answered, root, args.features, args.size)
            print(f"\nthe answer took {seconds:,.0f} s and {memory / 1e6:,.0f} MB\n\n" + "\n".join(found.said))
            print("\n".join(f"{part}: {took:,.1f}" for part, took in found.cost.items()))
    finally:
        if args.store is None:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
