"""How often one set of each method names the wrong winner: a table, and a picture.

A conclusion of n = 1, as papers draw it, is the sign of the difference between one set of a method and one set of
another, in the same setting and with a student that starts alike. It is overturned where the mean over all other sets
of the two has the other sign. Every pair of methods with ten sets or more each, and every set of theirs, is asked.
Intervals are by a bootstrap over methods, since pairs share them.

    python benchmarks/one_set.py                                        # of the rows in docs/results
    python benchmarks/one_set.py runs/own/results.csv --out runs/own    # of your own study

Needs matplotlib, which the extra ``bench`` brings.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoct.report.read.manifest import FULL
from decoct.report.stats.power import sets_to_show
from yardstick import table, written

RESULTS = Path(__file__).parents[1] / "docs" / "results"
ROWS = {  # files of students whose methods have ten sets, and what is compared there
    "precision": "ten images a class, seven distillation methods",
    "fashion_mnist": "one and ten images a class, random, herding, RDED, SRe2L",
    "pruning": "10 to 90 % kept, rankings",
}
TWIN = "_bf16"  # ends the name of what is another method but for rounding
DATA = {"fashion_mnist": "Fashion-MNIST", "openclipart": "clip art"}
LEAST = 10  # sets of a method
EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, np.inf)  # of differences, in points
FEW = 200  # conclusions, below which a bin is not drawn
GAINS = (0.01, 0.02, 0.03)
RESAMPLES, SEED = 1000, 0
ENOUGH = (
    "Sets of each method with which one comparison, by a paired t test at 5 %, finds a gain in four of five studies,\n"
    "at the median deviation. Where more comparisons are corrected together, it takes more."
)
COLOURS = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed")

Array = NDArray[np.float64]


class Setting(NamedTuple):
    """What a comparison holds fixed."""

    data: str
    protocol: str
    budget: str


class Group(NamedTuple):
    """Settings of one study that are shown together.

    Attributes:
        name: for readers.
        accuracies: of each setting, [methods, sets], in percent, of the first student of each set.
    """

    name: str
    accuracies: dict[Setting, Array]


class Share(NamedTuple):
    """Share of the conclusions that are overturned, its 95 % interval, and how many conclusions there are."""

    mean: float
    lo: float
    hi: float
    n: int

    def __str__(self) -> str:
        percent = f"{100 * self.mean:.0f} % [{100 * self.lo:.0f}, {100 * self.hi:.0f}], n = {self.n:,}"
        return percent if self.n else ""


def groups(path: Path) -> list[Group]:
    """Of a file of students, its data sets; methods with fewer than ``LEAST`` sets are left out.

    Methods of one setting are cut to the sets that all of them have.
    """
    found: dict[Setting, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    with path.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            if row["method"] == FULL or row["method"].endswith(TWIN) or int(row["train_replicate"]):
                continue
            setting = Setting(row["data"], row["protocol"], row["budget"])
            found[setting][row["method"]][int(row["condense_replicate"])] = 100 * float(row["accuracy"])
    by_data: dict[str, dict[Setting, Array]] = defaultdict(dict)
    for setting, methods in found.items():
        kept = [sets for sets in methods.values() if len(sets) >= LEAST]
        common = sorted(set.intersection(*map(set, kept))) if kept else []
        if len(kept) > 1 and len(common) >= LEAST:
            by_data[setting.data][setting] = np.array([[sets[number] for number in common] for sets in kept])
    about = ROWS.get(path.stem, path.stem)
    return [Group(f"{DATA.get(data, data)}, {about}", settings) for data, settings in by_data.items()]


def conclusions(accuracies: Array) -> tuple[Array, Array]:
    """What single sets say of pairs of methods.

    Args:
        accuracies: [M, N] of M methods' sets.

    Returns:
        Overturned: [M, M, N], 1 where set n's sign is not that of the mean over all other sets, a half where either is
        0; and the size of that mean, [M, M, N].
    """
    one = accuracies[:, None] - accuracies[None]
    n = accuracies.shape[1]
    others = (one.sum(2, keepdims=True) - one) / (n - 1)
    one, others = one.round(9), others.round(9)  # accuracies are counts: equal ones are not to differ by rounding
    overturned = np.where((one == 0) | (others == 0), 0.5, one * others < 0)
    return overturned, np.abs(others)


def by_size(accuracies: Sequence[Array], edges: Sequence[float] = EDGES) -> list[Share]:
    """How often single sets are overturned, in each bin of sizes of the difference.

    Args:
        accuracies: of each setting, [M, N].
        edges: of the bins, from 0 on.
    """
    rng = np.random.default_rng(SEED)
    bins = len(edges) - 1
    seen, resampled = np.zeros((2, bins)), np.zeros((2, RESAMPLES, bins))  # of those overturned, and of all
    for values in accuracies:
        overturned, size = conclusions(values)
        m = len(values)
        where, pairs = np.digitize(size, edges) - 1, np.triu(np.ones((m, m)), 1)
        tallies = np.stack([[((where == b) * what).sum(2) * pairs for b in range(bins)] for what in (overturned, 1.0)])
        seen += tallies.sum((2, 3))
        drawn = rng.multinomial(m, np.full(m, 1 / m), RESAMPLES).astype(float)  # how often each method
        resampled += np.einsum("rm,kbmo,ro->krb", drawn, tallies, drawn, optimize=True)
    made = []
    for (wrong, count), (again, of) in zip(seen.T, resampled.transpose(2, 0, 1), strict=True):
        lo, hi = np.quantile(again[of > 0] / of[of > 0], (0.025, 0.975)) if count else (np.nan, np.nan)
        made.append(Share(wrong / count if count else np.nan, float(lo), float(hi), round(count)))
    return made


def deviations(accuracies: Sequence[Array]) -> Array:
    """The deviation of the paired difference between single sets, of every pair of methods of a setting, in points."""
    found = []
    for values in accuracies:
        one = values[:, None] - values[None]
        found.append(one.std(2, ddof=1)[np.triu_indices(len(values), 1)])
    return np.concatenate(found)


def sets(deviation: float) -> list[str]:
    """Sets of each method to show a gain of so many points in four of five studies, if only this one is asked."""
    numbers = [sets_to_show("better", deviation / 100, 0.01, 1, 1, gain) for gain in GAINS]
    return [str(number) if number else "over 1,000" for number in numbers]


def draw(shown: Mapping[str, Sequence[Share]], path: Path) -> None:
    """Shares over sizes, a line for each group, beside the half that no difference gives."""
    import matplotlib.pyplot as plt

    plt.rcParams |= {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    figure, axes = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    axes.axhline(50, color="#57606a", linewidth=1, linestyle=":")
    axes.text(len(EDGES) - 1.9, 51, "of no difference at all", ha="right", va="bottom", color="#57606a", fontsize=9)
    for at, (name, shares) in enumerate(shown.items()):
        own = [(bin_, share) for bin_, share in enumerate(shares) if share.n >= FEW]
        x = [bin_ + 0.08 * (at - (len(shown) - 1) / 2) for bin_, _ in own]
        y = [100 * share.mean for _, share in own]
        bars = [
            [100 * (share.mean - share.lo) for _, share in own],
            [100 * (share.hi - share.mean) for _, share in own],
        ]
        axes.errorbar(x, y, bars, color=COLOURS[at % len(COLOURS)], marker="o", markersize=5, capsize=2, label=name)
    axes.set_xticks(range(len(EDGES) - 1), labels=sizes())
    axes.set_ylim(0, 58)
    axes.set_xlabel("difference between two methods over all other sets, points")
    axes.set_ylabel("one set names the wrong one, %")
    axes.legend(frameon=False, fontsize=9, loc="upper right", bbox_to_anchor=(1, 0.85))
    figure.savefig(path, dpi=110)


def sizes() -> list[str]:
    """The bins in words."""
    return [f"{lo:g} to {hi:g}" if np.isfinite(hi) else f"over {lo:g}" for lo, hi in pairwise(EDGES)]


def main() -> None:
    """Write the tables and the picture."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", type=Path, default=[RESULTS / f"{name}.csv" for name in ROWS])
    arguments.add_argument("--out", type=Path, default=RESULTS)
    asked = arguments.parse_args()
    found = [group for path in asked.files for group in groups(path)]
    shown = {group.name: by_size([*group.accuracies.values()]) for group in found}
    close = {group.name: by_size([*group.accuracies.values()], (0.0, 1.0))[0] for group in found}
    spread = []
    for group in found:
        low, middle, high = np.quantile(deviations([*group.accuracies.values()]), (0.25, 0.5, 0.75))
        methods = max(map(len, group.accuracies.values()))
        about = (f"{methods}", f"{len(group.accuracies)}", f"{middle:.2f} [{low:.2f}, {high:.2f}]")
        spread.append([group.name, *about, *sets(middle)])
    gains = [f"to see {100 * gain:.0f} point{'s' if gain > 0.01 else ''}" for gain in GAINS]
    heads = ["", "methods", "settings", "deviation between sets, points: median [quartiles of pairs]", *gains]
    rows = [[name, close[name], *shares] for name, shares in shown.items()]
    said = [
        f"## How often one set names the wrong method\n\n{table(['difference, points', 'below 1', *sizes()], rows)}",
        f"## How many sets it takes\n\n{ENOUGH}\n\n{table(heads, spread)}",
    ]
    written(asked.out / "one_set.md", "\n\n".join(said))
    drawn = {name: shares for name, shares in shown.items() if sum(share.n >= FEW for share in shares) > 1}
    draw(drawn, asked.out / "one_set.png")


if __name__ == "__main__":
    main()
