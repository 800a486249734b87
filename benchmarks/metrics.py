"""Metrics against their peers, at large sizes, and against what a student of the same study costs.

One thread, and one core where the system lets a process choose: the ``prdc`` package starts eight threads of its own
(``pip install 'decoct[bench]'``). Both sides of a ratio run turn by turn. Memory is what a fresh process holds at its
peak beyond what it held with the inputs ready.

    python benchmarks/metrics.py --turns 3 --parts package study
"""

import argparse
import contextlib
import io
import itertools
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from decoct import api
from decoct.core.interfaces import Measured, Task
from decoct.core.spec import names, parse
from decoct.data.dataset import load_data
from decoct.metrics.prdc import PRDC, prdc
from decoct.metrics.vendi import vendi
from decoct.needs.features import Features, splits_of
from decoct.needs.teacher import Teacher, load_teacher, training_set
from decoct.nets import zoo
from decoct.nets.features import logits
from decoct.study.study import Study
from decoct.study.work.measuring import readings
from decoct.training.loop import train
from yardstick import table

Rows = NDArray[np.float32]
WIDTH, MB = 512, 2**20
CLASSES, IMAGES, IPC = 1000, 1_281_167, 10
IPC_OF_STUDY, RESAMPLES = 10, 20


def package(turns: int) -> Iterator[str]:
    """PRDC of 10,000 against 10,000."""
    yield f"### PRDC, k = 5, d = {WIDTH}, against the `prdc` package"
    x, y = draw(10_000, 0), draw(10_000, 1)
    peak = fresh(memory_of, "ours", 10_000, 10_000)
    theirs = peer()
    if theirs is None:
        row = ["10,000 × 10,000", f"{median(seconds(prdc, x, y) for _ in range(turns)):.2f}", f"{peak / MB:.0f}"]
        yield "The package is not installed, so there is no ratio: `pip install 'decoct[bench]'`."
        yield table(["real × set", "decoct, s", "memory, MiB"], [row])
        return
    mine, other = race(lambda: prdc(x, y), lambda: theirs(x, y), turns)
    found, known = prdc(x, y), theirs(x, y)
    apart = max(abs(found[name] - float(known[name])) for name in known)
    head = ["real × set", "decoct, s", "package, s", "package / decoct", "target", "largest difference", "memory, MiB"]
    memory = f"{peak / MB:,.0f} (target ≤ 512), package {fresh(memory_of, 'package', 10_000, 10_000) / MB:,.0f}"
    row = ["10,000 × 10,000", *shown(mine, other), "≥ 3", f"{apart:.1g}", memory]
    yield table(head, [row])
    yield "The package compares distances in float32, where a pair at the edge of a ball falls either way."


def large(turns: int) -> Iterator[str]:
    """PRDC of many real images, where the package needs their square."""
    yield f"### PRDC of 50,000 real images, d = {WIDTH}"
    x, y = draw(50_000, 0), draw(500, 1)
    times = [seconds(prdc, x, y) for _ in range(min(turns, 3))]
    needed = 12 * len(x) ** 2  # float32 distances, and argpartition's int64 numbers of them
    head = ["real × set", "decoct, s", "memory, MiB", "the package's two N × N arrays, MiB"]
    peak = fresh(memory_of, "ours", len(x), len(y))
    yield table(head, [["50,000 × 500", f"{median(times):.1f}", f"{peak / MB:,.0f}", f"{needed / MB:,.0f}"]])


def dual(turns: int) -> Iterator[str]:
    """The Vendi scores: the cosine's through the d × d matrix, the Gaussian's of a thousand rows."""
    yield f"### Vendi scores, n = 5,000, d = {WIDTH}, against others' of the cosine alone"
    x, real = draw(5000, 0), draw(5000, 1)
    rivals: dict[str, Callable[[], float]] = {"`numpy.linalg.eigvalsh` of the n × n kernel": lambda: of_kernel(x)}
    if find_spec("vendi_score"):
        from vendi_score import vendi as package

        rivals |= {f"`vendi-score`, `{name}`": partial(getattr(package, name), x) for name in ("score_X", "score_dual")}
    rows = []
    for name, run in rivals.items():
        mine, other = race(lambda: vendi(real, x, width=1.0), run, min(turns, 3))
        apart = abs(vendi(real, x, width=1.0)["vendi_cosine"] / run() - 1)
        rows.append([name, *shown(mine, other), "≥ 1" if "dual" in name else "≥ 20", f"{apart:.1g}"])
    yield table(["against", "decoct, s", "its, s", "its / decoct", "target", "relative difference"], rows)
    if len(rivals) == 1:
        yield "The package is not installed: `pip install 'decoct[bench]'`."


def of_kernel(condensed: Rows) -> float:
    """By the definition."""
    wide = condensed.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    spectrum = np.linalg.eigvalsh(unit @ unit.T / len(unit))
    spectrum = spectrum[spectrum > 0]
    return float(np.exp(-(spectrum * np.log(spectrum)).sum()))


def classes(turns: int) -> Iterator[str]:
    """PRDC of each of a thousand classes and of all, the real features on disk; run once."""
    yield f"### PRDC of {IMAGES:,} real images in {CLASSES:,} classes, {IPC} images of each, d = {WIDTH}"
    with tempfile.TemporaryDirectory() as folder:
        took, peak = fresh(by_class, Path(folder, "real.npy"))
    head = ["real × set", "per class and pooled, s", "anonymous memory, MiB", "features on disk, MiB"]
    sizes = f"{peak / MB:,.0f}", f"{IMAGES * WIDTH * 4 / MB:,.0f}"
    yield table(head, [[f"{IMAGES:,} × {CLASSES * IPC:,}", f"{took:.0f}", *sizes]])
    yield "Pooled is of 10,000 real images. Mapped pages are not counted: the system can take them back."


def by_class(path: Path) -> tuple[float, int]:
    """Seconds and peak of anonymous memory; classes are clusters."""
    labels = np.sort(np.arange(IMAGES) % CLASSES)
    features = np.lib.format.open_memmap(path, "w+", np.float32, (IMAGES, WIDTH))
    centres, edges = draw(CLASSES, 0), np.searchsorted(labels, np.arange(CLASSES + 1))
    for c, (start, stop) in enumerate(itertools.pairwise(edges)):
        features[start:stop] = draw(stop - start, 2 + c) + centres[c]
    features.flush()
    of_set = np.repeat(np.arange(CLASSES), IPC)
    condensed = draw(len(of_set), 1) + centres[of_set]
    real = np.load(path, mmap_mode="r")
    known = {"train": real}, {"train": labels}, tuple(map(str, range(CLASSES)))
    measured = Measured(condensed, of_set, *known, member=False, logits=condensed[:, :0])
    warm()
    before, peak, over = resident(), 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not over.wait(0.003):
            peak = max(peak, resident())

    thread = threading.Thread(target=look)
    thread.start()
    took = seconds(PRDC(), measured)
    over.set()
    thread.join()
    return took, peak - before


def study(turns: int) -> Iterator[str]:
    """What it takes to measure a set of the built-in study, beside the training of a student."""
    yield f"### Every metric of one set beside one student: digits, IPC {IPC_OF_STUDY}, {RESAMPLES} resamples"
    built_in = Study.default()
    data, protocol, student = load_data("digits"), built_in.recipes()["erm"], built_in.students_at(8)[0]
    specs = [parse("metric", {"name": name}) for name in names("metric")]
    with tempfile.TemporaryDirectory() as folder:
        compute = api.Compute(store=Path(folder))
        condensed = api.condense("random", data, ipc=IPC_OF_STUDY, compute=compute)
        planner = compute.planner(data)
        jobs = {word: planner.job(Features(extractor=word)) for word in built_in.metrics.extractors}
        judge = planner.job(Teacher(net=planner.held_out))
        store = compute.do(planner)
        seen = {word: splits_of(store.path("features", job.key)) for word, job in jobs.items()}
        net = load_teacher(store.path("teacher", judge.key), data, "cpu")
    said = logits(net, condensed.pixels(), data.mean, data.std, "cpu").numpy()
    labels = {"train": data.train.labels, "val": data.val.labels}

    def taught() -> None:
        recipe = protocol.recipe(Task.of(data, condensed, False))
        train(
            zoo.build(student, data.shape[0], len(data.class_names), data.size, 0),
            training_set(data, condensed),
            recipe,
            seed=0,
        )

    def measured(real: Mapping[str, NDArray[Any]]) -> Measured:
        own = np.asarray(real["train"][condensed.indices])
        return Measured(own, condensed.labels, real, labels, data.class_names, condensed.member, said)

    taught(), warm()
    sets = {word: measured(real) for word, real in seen.items()}
    times: dict[tuple[str, str], list[float]] = {}
    whole, bare, teaching = [], [], []
    for turn in range(turns + 1):  # the first finds what depends on the real data alone
        whole.append(0.0), bare.append(0.0)
        for word, one in sets.items():
            for spec in specs:
                if spec.needs == "cost" or (spec.needs == "logits" and word != next(iter(sets))):
                    continue
                took = seconds(readings, spec, one, word, RESAMPLES)
                times.setdefault((spec.name, word), []).append(took)
                whole[-1] += took
                bare[-1] += seconds(readings, spec, one, word, 0)
        teaching += [seconds(taught)] if turn else []
    head = ["metric", *(f"{word}, s a set" for word in sets), "the first set, s", "of one training, %"]
    one = median(teaching)
    rows = []
    for spec in specs:
        own = {word: times[spec.name, word] for word in sets if (spec.name, word) in times}
        if own:
            cells = [f"{median(own[word][1:]):.3f}" if word in own else "–" for word in sets]
            total = sum(median(each[1:]) for each in own.values())
            rows.append(
                [f"`{spec.name}`", *cells, f"{sum(each[0] for each in own.values()):.3f}", f"{100 * total / one:.1f}"]
            )
    ratios = [100 * a / b for a, b in zip(whole[1:], teaching, strict=True)]
    spread = f"**{median(ratios):.0f}** ({min(ratios):.0f} to {max(ratios):.0f})"
    rows.append(["**all**", *("" for _ in sets), f"{whole[0]:.3f}", spread])
    yield table(head, rows)
    yield (
        f"A set takes {median(whole[1:]):.2f} s, and {median(bare[1:]):.2f} s without intervals over images "
        f"({100 * median(bare[1:]) / one:.0f} % of one training); one training of {student}, {protocol.name}, "
        f"{protocol.steps} steps {one:.2f} s. The first set finds what depends on the real data alone, for all others."
    )


def race(ours: Callable[[], Any], theirs: Callable[[], Any], turns: int) -> tuple[list[float], list[float]]:
    """Seconds of both in turns."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(turns)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def shown(mine: list[float], other: list[float]) -> list[str]:
    """Medians, and that of the ratios with the lowest and the highest."""
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    return [
        f"{median(mine):.2f}",
        f"{median(other):.2f}",
        f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
    ]


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def draw(n: int, seed: int) -> Rows:
    return np.random.default_rng(seed).standard_normal((n, WIDTH), dtype=np.float32)


def peer() -> Callable[[Rows, Rows], Mapping[str, float]] | None:
    """The package, without what it prints; None where it is not installed."""
    try:
        from prdc import compute_prdc
    except ImportError:
        return None

    def quiet(x: Rows, y: Rows) -> Mapping[str, float]:
        with contextlib.redirect_stdout(io.StringIO()):
            return compute_prdc(x, y, nearest_k=5)

    return quiet


def warm() -> None:
    """Whatever libraries do at their first call."""
    prdc(draw(100, 0), draw(100, 1))


def memory_of(whose: str, n: int, m: int) -> int:
    """Bytes at the peak beyond those with the inputs ready."""
    run = prdc if whose == "ours" else peer()
    x, y = draw(n, 0), draw(m, 1)
    run(x[:100], y[:100])
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmHWM")
    run(x, y)
    return resident("VmHWM") - before


def resident(kind: str = "RssAnon") -> int:
    """Bytes of this process: "RssAnon" now, "VmHWM" at the peak."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024


def alone() -> None:
    """One thread on one core, the first that this process may use."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), alone) as pool:
        return pool.submit(function, *arguments).result()


PARTS = {"package": package, "large": large, "dual": dual, "classes": classes, "study": study}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--turns", type=int, default=5)
    arguments.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = arguments.parse_args()
    alone()
    print(f"One thread; medians of {options.turns} turns, a ratio's with its lowest and highest.")
    for part in options.parts:
        for text in PARTS[part](options.turns):
            print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
