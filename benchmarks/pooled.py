"""Selection among all classes at ImageNet's size: what takes how long, run or extrapolated, and what is lost by haste.

Prints the part of docs/scaling.md on pooled selection. What takes minutes runs on 1,281,167 synthetic features of 512
numbers, in a memory map, each in a process of its own (``scaling.py``); what takes longer runs at three smaller sizes,
and the line through their logarithms is followed to that size. Where time grows with rows and picks, picks keep their
share of the rows, or the line would bend: N² is little where most rows are picked. An approximate graph by faiss is
there where faiss is installed (``pip install 'decoct[bench]'``). Needs 3 GB of disk.

    python benchmarks/pooled.py
    python benchmarks/pooled.py --size 40000 --least 1000     # a quick look
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from decoct import select
from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.methods.coresets.zcore import coverage
from decoct.select.graph import near_rows
from decoct.select.nearest import neighbours
from scaling import CLASSES, SIZE, THREADS, WIDTH, alone, made, tell
from yardstick import table

SHARE = IPC, IMAGES = 50, 1281  # of each class: picks and images, for what grows with both
DRAWS = 1_000_000  # of ZCore
FAISS = find_spec("faiss") is not None


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        name: what is run.
        run: (features [N, d], picks) -> anything.
        picks: how many; "share" for as many in proportion as 50 of each class are; "–" where none are asked for.
        sizes: that it runs at, in multiples of ``--least``; none for the whole size.
    """

    name: str
    run: Callable[[NDArray[np.float32], int], object]
    picks: int | str
    sizes: tuple[float, ...] = ()


def location(features: NDArray[np.float32], n: int, **options) -> object:
    return select.facility_location(features, n, **options)


def medoids(features: NDArray[np.float32], n: int) -> object:
    return select.k_medoids(features, n)


def covered(features: NDArray[np.float32], n: int) -> object:
    """``n`` draws of ZCore."""
    return coverage(features, n, 1000, 4.0, np.random.default_rng(0))


def exact(features: NDArray[np.float32], n: int) -> object:
    return neighbours(features, 10)


def lists(features: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    rows = torch.from_numpy(features)
    return near_rows(rows.__getitem__, len(features), 10, rows.device).rows.numpy()


def by_faiss(features: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """As many lists and probes as decoct has, trained on as many rows."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    count = round(4 * len(features) ** 0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(features.shape[1]), features.shape[1], count)
    index.cp.niter, index.nprobe = 4, 16
    index.train(np.ascontiguousarray(features[:: max(1, features.nbytes // 2**28)]))
    index.add(np.ascontiguousarray(features))
    found = [index.search(np.ascontiguousarray(part), 11)[1] for part in np.array_split(features, 64)]
    return np.concatenate(found)[:, 1:]


ROWS = [
    Row("`k_center`", lambda x, n: select.k_center(x, n), 1000),
    Row("`herding`", lambda x, n: select.herding(x, n), 1000),
    Row("`graph_cut`", lambda x, n: select.graph_cut(x, n), 1000),
    Row("`facility_location`, sparse", partial(location, search="sparse"), "share", (8, 16, 32)),
    Row("`facility_location`, stochastic", partial(location, search="stochastic"), "share", (1, 2, 4)),
    # Beyond 8,192 rows, where their products among themselves are no longer kept.
    Row("`facility_location`, greedy", location, "share", (2.5, 3.5, 5)),
    Row("`k_medoids`", medoids, 1000, (2, 4, 8)),
    Row("`k_medoids`", medoids, "share", (1, 2, 4)),
    Row("10 nearest, exact", exact, "–", (4, 8, 16)),
    Row("10 nearest, by inverted lists", lists, "–", (8, 16, 32)),
    *([Row("10 nearest, by faiss, `IndexIVFFlat`", by_faiss, "–", (8, 16, 32))] if FAISS else []),
]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("size", SIZE), ("classes", CLASSES), ("width", WIDTH), ("threads", THREADS), ("least", 5000)):
        arguments.add_argument(f"--{name}", type=int, default=value)
    arguments.add_argument("--scratch", type=Path, help="a folder on a disk with room")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
        path = made(Path(folder), "shuffled", asked.size, asked.classes, asked.width)
        print(f"## Pooled: among all {asked.size:,} rows, threads: {asked.threads}\n\n`python benchmarks/pooled.py`.\n")
        lines = [line(path, number, asked) for number in range(len(ROWS))] + [zcore(path, asked)]
        print(table(["", "picks", "time", "MiB", "how"], lines), flush=True)
        print("\n## What haste loses: F of the picks / F of greedy picks, lowest of three seeds\n")
        whole = np.load(path, mmap_mode="r")
        shares = [*lost("synthetic", np.array(whole[:10_000])), *lost_of_images()]
        print(table(["features", "search", *(f"{n:,} picks" for n in PICKS)], shares), flush=True)
        print("\n## 10 nearest: share of them that is found, N = 20,000\n")
        print(table(["", "recall"], recalls(np.array(whole[:20_000]))))


def line(path: Path, number: int, asked: argparse.Namespace) -> list[str]:
    """A line of the table: run at the whole size, or followed there from three."""
    row = ROWS[number]
    sizes = [round(asked.least * size) for size in row.sizes] or [asked.size]
    many = [share(size) if row.picks == "share" else row.picks if row.picks != "–" else 0 for size in sizes]
    spent = [alone(at, number, path, *case, asked.threads) for case in zip(sizes, many, strict=True)]
    tell(f"{row.name} {sizes} {many}: {spent}")
    picks = f"{share(asked.size):,}" if row.picks == "share" else row.picks if row.picks == "–" else f"{row.picks:,}"
    if not row.sizes:
        return [row.name, picks, clock(spent[0].seconds), f"{spent[0].memory / 2**20:,.0f}", "run"]
    power, there = followed(sizes, [each.seconds for each in spent], asked.size)
    least = f"{spent[-1].memory / 2**20:,.0f} at {sizes[-1]:,}"
    seen = ", ".join(f"{size:,}: {each.seconds:.1f} s" for size, each in zip(sizes, spent, strict=True))
    return [row.name, picks, clock(there), least, f"extrapolated, N^{power:.1f}: {seen}"]


def zcore(path: Path, asked: argparse.Namespace) -> list[str]:
    """ZCore at the whole size: a straight line through three numbers of draws."""
    draws = [asked.least // 4 * times for times in (1, 2, 4)]
    spent = [alone(at, -1, path, asked.size, n, asked.threads) for n in draws]
    tell(f"zcore {draws}: {spent}")
    each, once = np.polyfit(draws, [one.seconds for one in spent], 1)
    seen = ", ".join(f"{n:,}: {one.seconds:.1f} s" for n, one in zip(draws, spent, strict=True))
    memory = f"{spent[-1].memory / 2**20:,.0f}"
    return [
        f"`zcore`, {DRAWS:,} draws",
        "all ranked",
        clock(once + each * DRAWS),
        memory,
        f"extrapolated, linear in draws: {seen}",
    ]


def at(number: int, path: Path, size: int, picks: int, threads: int) -> None:
    """Run a row, or ZCore for −1, on the first rows of the map, which are shuffled."""
    features = np.load(path, mmap_mode="r")[:size]
    (covered if number < 0 else ROWS[number].run)(features, picks)


def share(size: int) -> int:
    """As many picks as at the whole size with 50 of each class."""
    return size * IPC // IMAGES


def followed(sizes: list[int], seconds: list[float], to: int) -> tuple[float, float]:
    """The power of N, and the time there."""
    power, scale = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(power), float(np.exp(scale + power * np.log(to)))


def clock(seconds: float) -> str:
    """In the unit that fits."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


PICKS = (10, 100, 1000)


def lost(name: str, features: NDArray[np.float32]) -> Iterator[list[str]]:
    """What a search reaches of the F of greedy picks, and what random picks do."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    greedy = select.facility_location(features, PICKS[-1])
    for search, options in SEARCHES.items():
        shares = []
        for n in PICKS:
            picks = [select.facility_location(features, n, **options, seed=seed) for seed in range(3)]
            shares.append(f"{min(reached(unit, each) for each in picks) / reached(unit, greedy[:n]):.4f}")
        yield [name, search, *shares]
    drawn = [[np.random.default_rng(seed).choice(len(unit), n, replace=False) for seed in range(3)] for n in PICKS]
    of_random = [min(reached(unit, each) for each in some) for some in drawn]
    yield [name, "random picks"] + [
        f"{value / reached(unit, greedy[:n]):.4f}" for value, n in zip(of_random, PICKS, strict=True)
    ]


def lost_of_images() -> Iterator[list[str]]:
    """The same of the pixels of 10,000 real images, where they are installed."""
    try:
        images = load_data("fashion_mnist").train.images[:10_000]
    except DecoctError as error:
        tell(f"no real images: {error}")
    else:
        yield from lost("Fashion-MNIST, pixels", images.reshape(len(images), -1).astype(np.float32) / 255)


SEARCHES = {
    "sparse, 16 neighbours": {"search": "sparse", "neighbours": 16},
    "sparse, 64 neighbours": {"search": "sparse"},
    "stochastic, ε = 0.1": {"search": "stochastic"},
    "stochastic, ε = 0.01": {"search": "stochastic", "epsilon": 0.01},
}


def reached(unit: NDArray[np.float32], picks) -> float:
    """F = Σ_i max_s (1 + cos)."""
    return float((1 + (unit @ unit[np.asarray(picks)].T).max(1)).sum(dtype=np.float64))


def recalls(features: NDArray[np.float32]) -> list[list[str]]:
    """Share of the true neighbours that lists find."""
    true, _ = neighbours(features, 10)

    def recall(found: NDArray[np.int64]) -> str:
        return f"{np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), true.tolist(), strict=True)]):.3f}"

    ours = ["by inverted lists", recall(lists(features, 0))]
    return [ours, ["by faiss, `IndexIVFFlat`", recall(by_faiss(features, 0))]] if FAISS else [ours]


if __name__ == "__main__":
    main()
