"""Selection kernels against plain NumPy loops and apricot, one thread on both sides, turn by turn.

50,000 features of 512 numbers, 10 classes of 20 clusters. Per class, both sides first gather the class's rows. NumPy's
loops take one product of features and a vector per pick, and keep the running minimum of k-center and the running sum
of herding. apricot (``pip install 'decoct[bench]'``) gets the same similarity, 1 + cos, and builds it in its turn; its
lazy optimiser is timed, which is faster here than its default.

A file of the name select.py would stand before Python's own module, so this is not one.

    python benchmarks/selection.py --turns 3
"""

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_similarity
from threadpoolctl import threadpool_limits

from decoct import select
from yardstick import table

Features = NDArray[np.float32]
Pick = Callable[[Features], list[int]]
SIZE, WIDTH, CLASSES = 50_000, 512, 10


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--turns", type=int, default=7)
    turns = arguments.parse_args().turns
    torch.set_num_threads(1)
    features, labels = clustered(SIZE, WIDTH, CLASSES)
    groups = [np.flatnonzero(labels == c) for c in range(CLASSES)]
    print(f"float32; one thread; medians of {turns} turns, the ratio's with its lowest and highest; 3 where pooled.\n")
    head = ["kernel", "scope", "picks", "decoct, s", "yardstick, s", "yardstick / decoct", "target", "same picks"]
    print(table(head, [row for row in rows(features, groups, turns) if row]))


def rows(features: Features, groups: list[NDArray[np.int64]], turns: int) -> Iterator[list[str]]:
    loops: tuple[tuple[str, Callable, Callable], ...] = (
        ("k_center", select.k_center, k_center),
        ("herding", select.herding, herding),
    )
    for name, ours, plain in loops:
        for n in (10, 50):
            yield race(name, "class", n, each(ours, n), each(plain, n), features, groups, turns, "≥ 0.91")
        for n in (100, 500):
            mine = lambda x, g, n=n, ours=ours: [ours(x, n).tolist()]  # noqa: E731
            theirs = lambda x, g, n=n, plain=plain: [plain(x, n)]  # noqa: E731
            yield race(name, "pooled", n, mine, theirs, features, groups, min(turns, 3), "≥ 0.91")
    try:
        import apricot
    except ImportError:
        return

    def location(x: Features, n: int) -> list[int]:
        found = apricot.FacilityLocationSelection(n, metric="precomputed", optimizer="lazy")
        return [int(row) for row in found.fit(1 + cosine_similarity(x)).ranking]

    location(features[:100], 2)  # compiled here
    for n in (10, 50):
        run = (each(select.facility_location, n), each(location, n))
        yield race("facility_location", "class", n, *run, features, groups, min(turns, 3), "≥ 5")


def each(kernel: Callable, n: int) -> Callable:
    """The kernel on every class, its rows gathered first."""
    return lambda features, groups: [list(map(int, kernel(features[group], n))) for group in groups]


def race(
    name: str,
    scope: str,
    n: int,
    ours: Callable,
    theirs: Callable,
    features: Features,
    groups: list[NDArray[np.int64]],
    turns: int,
    target: str,
) -> list[str]:
    """A line of the table: both in turns."""
    same = ours(features, groups) == theirs(features, groups)
    mine, other = [], []
    for _ in range(turns):
        for run, times in ((ours, mine), (theirs, other)):
            start = time.perf_counter()
            run(features, groups)
            times.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    shown = [f"{median(times):.3f}" for times in (mine, other)]
    return [f"`{name}`", scope, str(n), *shown, spread, target, "yes" if same else "no"]


def clustered(size: int, width: int, classes: int, clusters: int = 20) -> tuple[Features, NDArray[np.int64]]:
    """Features in clusters, classes shuffled."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(size) % classes)
    centres = rng.standard_normal((classes, clusters, width), dtype=np.float32)
    features = rng.standard_normal((size, width), dtype=np.float32)
    features += centres[labels, rng.integers(0, clusters, size)]
    return features, labels


def k_center(x: Features, n: int) -> list[int]:
    """Farthest-first with a running minimum of squared distances, from the row nearest the mean."""
    squared, mean = np.einsum("ij,ij->i", x, x), x.mean(0)
    picked = [int((squared - 2 * (x @ mean)).argmin())]
    nearest = np.full(len(x), np.inf, np.float32)
    while len(picked) < n:
        row = picked[-1]
        away = x @ x[row]
        away *= -2
        away += squared
        away += squared[row]
        np.minimum(nearest, away, out=nearest)
        nearest[row] = -1
        picked.append(int(nearest.argmax()))
    return picked


def herding(x: Features, n: int) -> list[int]:
    """The row nearest to t times the mean less the picks, again and again."""
    squared, mean = np.einsum("ij,ij->i", x, x), x.mean(0)
    residual, picked = mean.copy(), []
    while len(picked) < n:
        away = x @ residual
        away *= -2
        away += squared
        row = int(away.argmin())
        picked.append(row)
        residual += mean - x[row]
        squared[row] = np.inf
    return picked


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
