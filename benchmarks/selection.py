"""Selection kernels against plain NumPy loops, DeepCore's algorithms, apricot and faiss, one thread each, turn by turn.

50,000 features of 512 numbers, 10 classes of 20 clusters. Per class, both sides first gather the class's rows. NumPy's
loops take one product of features and a vector per pick, and keep the running minimum of k-center and the running sum
of herding. DeepCore's algorithms (Guo et al., 2022, arXiv:2204.08499) are written anew as its code computes: k-center
keeps a row of distances for each pick, herding adds up its picks again for each, both copy the rows that are left, and
facility location holds all similarities and looks at one row at a time. Where DeepCore draws the first pick or takes
the farthest row, ours is given, so that picks can be compared. apricot (``pip install 'decoct[bench]'``) gets the same
similarity, 1 + cos, and builds it in its turn; its lazy optimiser is timed, which is faster here than its default.
faiss finds the ten nearest of 20,000 rows in an index that compares all.

A file of the name select.py would stand before Python's own module, so this is not one.

    python benchmarks/selection.py --turns 3
"""

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_similarity
from threadpoolctl import threadpool_limits

from decoct import select
from decoct.select.nearest import neighbours
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
    head = ["kernel", "scope", "picks", "yardstick", "decoct, s", "its, s", "its / decoct", "target", "same picks"]
    print(table(head, [row for row in rows(features, groups, turns) if row]))


def rows(features: Features, groups: list[NDArray[np.int64]], turns: int) -> Iterator[list[str]]:
    loops: tuple[tuple[str, Callable, Callable, Callable], ...] = (
        ("k_center", select.k_center, k_center, deepcore_k_center),
        ("herding", select.herding, herding, deepcore_herding),
    )
    for name, ours, *others in loops:
        for whose, theirs in zip(("NumPy", "DeepCore's"), others, strict=True):
            least = "≥ 0.91" if whose == "NumPy" else "≥ 3"
            for n in (10, 50):
                run = (each(ours, n), each(theirs, n))
                yield race(name, "class", n, whose, *run, features, groups, turns, least)
            for n in (100, 500) if whose == "NumPy" else (100,):
                run = (whole(ours, n), whole(theirs, n))
                yield race(name, "pooled", n, whose, *run, features, groups, min(turns, 3), least)
    ours = each(select.facility_location, 50)
    run = (ours, each(deepcore_facility_location, 50))
    yield race("facility_location", "class", 50, "DeepCore's", *run, features, groups, min(turns, 3), "≥ 3")
    if find_spec("apricot"):
        import apricot

        def location(x: Features, n: int) -> list[int]:
            found = apricot.FacilityLocationSelection(n, metric="precomputed", optimizer="lazy")
            return [int(row) for row in found.fit(1 + cosine_similarity(x)).ranking]

        location(features[:100], 2)  # compiled here
        for n in (10, 50):
            run = (each(select.facility_location, n), each(location, n))
            yield race("facility_location", "class", n, "apricot", *run, features, groups, min(turns, 3), "≥ 5")
    if find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)

        def nearest(x: Features, k: int) -> list[list[int]]:
            index = faiss.IndexFlatL2(x.shape[1])
            index.add(x)
            return index.search(x, k + 1)[1][:, 1:].tolist()

        run = (whole(lambda x, k: neighbours(x, k)[0], 10), whole(nearest, 10))
        yield race("neighbours", "pooled", 10, "faiss", *run, features[:20_000], groups, min(turns, 3), "≥ 0.5")


def each(kernel: Callable, n: int) -> Callable:
    """The kernel on every class, its rows gathered first."""
    return lambda features, groups: [list(map(int, kernel(features[group], n))) for group in groups]


def whole(kernel: Callable, n: int) -> Callable:
    """The kernel on all rows."""
    return lambda features, groups: [np.asarray(kernel(features, n)).tolist()]


def race(
    name: str,
    scope: str,
    n: int,
    whose: str,
    ours: Callable,
    theirs: Callable,
    features: Features,
    groups: list[NDArray[np.int64]],
    turns: int,
    target: str,
) -> list[str]:
    """A line of the table: both in turns."""
    same = np.mean(np.asarray(ours(features, groups)) == np.asarray(theirs(features, groups)))
    mine, other = [], []
    for _ in range(turns):
        for run, times in ((ours, mine), (theirs, other)):
            start = time.perf_counter()
            run(features, groups)
            times.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    shown = [f"{median(times):.3f}" for times in (mine, other)]
    return [f"`{name}`", scope, str(n), whose, *shown, spread, target, "yes" if same == 1 else f"{same:.2%}"]


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


def deepcore_distances(point: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """[n] from squared lengths that are computed each time."""
    squared = (point**2).sum(1, keepdim=True) + (rows**2).sum(1) - 2 * point @ rows.T
    return squared.clamp(min=1e-12).sqrt()[0]


def deepcore_k_center(x: Features, n: int) -> list[int]:
    """Farthest-first with (n − 1) × N distances that are kept."""
    rows, left = torch.from_numpy(x), torch.ones(len(x), dtype=torch.bool)
    known = torch.full((n - 1, len(x)), -1.0)
    picked, nearest = select.k_center(x, 1).tolist(), torch.full((len(x),), torch.inf)
    for step in range(n - 1):
        left[picked[-1]] = False
        known[step, left] = deepcore_distances(rows[picked[-1:]], rows[left])
        nearest = torch.minimum(nearest, known[step])
        picked.append(int(nearest.argmax()))
    return picked


def deepcore_herding(x: Features, n: int) -> list[int]:
    """From t times the mean less the sum of the picks, which is taken anew each time; the nearest, not the farthest."""
    rows, left, numbers = torch.from_numpy(x), torch.ones(len(x), dtype=torch.bool), np.arange(len(x))
    mean, picked = rows.mean(0), []
    for step in range(n):
        target = (step + 1) * mean - rows[~left].sum(0)
        best = deepcore_distances(target[None], rows[left]).argmin()
        picked.append(int(numbers[left.numpy()][int(best)]))
        left[picked[-1]] = False
    return picked


def deepcore_facility_location(x: Features, n: int) -> list[int]:
    """Lazy greedy on all N × N similarities ½ + ½ cos, one row at a time."""
    length = np.linalg.norm(x, axis=1)
    similar = 0.5 + 0.5 * (x @ x.T / (length[:, None] * length))
    covered, every = np.zeros(len(x), np.float32), np.arange(len(x))
    gain = np.maximum(0, similar - covered[:, None]).sum(0)
    picked: list[int] = []
    while len(picked) < n:
        best, last = -np.inf, -1
        while (row := int(gain.argmax())) != last:
            gain[row] = np.maximum(0, similar[np.ix_(every, [row])] - covered[:, None]).sum(0)[0]
            if gain[row] >= best:
                best, last = gain[row], row
        picked.append(row)
        gain[row] = -np.inf
        covered = np.maximum(covered, similar[:, row])
    return picked


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
