"""Accuracy over minutes of construction, drawn from the rows that ``matching.py`` leaves.

    python benchmarks/matching_curve.py docs/results/matching.jsonl docs/results/matching_curve.svg

A panel for each recipe. Lines are means over sets, bands their 95 % t intervals, points single sets; dashed, the random
sets of the same recipe. Needs matplotlib, which the extra ``bench`` brings.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from decoct.report.stats.intervals import t_interval

COLOURS = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed")
GREY = "#57606a"
PANELS = ((True, "with DSA, 1,000 epochs"), (False, "no augmentation, 300 epochs"))


def curves(rows: Sequence[dict[str, Any]]) -> dict[str, dict[float, list[float]]]:
    """Accuracies in percent, one a set, by label and minutes; minute 0 stands for the random sets."""
    found: dict[str, dict[float, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        found[row["label"]][row["minutes"] or 0][row["seed"]].append(100 * row["accuracy"])
    return {
        label: {at: [float(np.mean(nets)) for _, nets in sorted(sets.items())] for at, sets in sorted(by.items())}
        for label, by in found.items()
    }


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the figure."""
    plt.rcParams |= {"svg.hashsalt": "decoct", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    figure, axes = plt.subplots(1, len(PANELS), figsize=(8.4, 3.4), sharey=True, layout="constrained")
    for axis, (dsa, title) in zip(axes, PANELS, strict=True):
        found = curves([row for row in rows if row["dsa"] == dsa])
        random = t_interval(found.pop("random")[0])
        axis.axhline(random.mean, color=GREY, linestyle="--", linewidth=1)
        axis.axhspan(random.lo, random.hi, color=GREY, alpha=0.12, linewidth=0)
        axis.annotate(
            f"random, n = {random.n}", (20, random.mean), (0, 3), textcoords="offset points", ha="right", color=GREY
        )
        for colour, (label, by) in zip(COLOURS, sorted(found.items()), strict=False):
            band(axis, colour, label, by)
        axis.set(xscale="log", xticks=(ticks := (1, 2, 5, 10, 20)), xlabel="minutes of one core", title=title)
        axis.set_xticks(ticks, [str(t) for t in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.25)
        axis.legend(frameon=False, loc="upper left")
    axes[0].set_ylabel("test accuracy, %")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def band(axis: Any, colour: str, label: str, by: dict[float, list[float]]) -> None:
    """A method's points, the line through their means, and the band of their intervals, where there are several."""
    sets = max(map(len, by.values()))
    axis.plot(
        list(by), [np.mean(values) for values in by.values()], color=colour, label=f"{label}, n = {sets}", linewidth=1.6
    )
    axis.scatter(
        [at for at, values in by.items() for _ in values],
        [*chain.from_iterable(by.values())],
        color=colour,
        s=9,
        zorder=3,
    )
    several = {at: t_interval(values) for at, values in by.items() if len(values) > 1}
    if several:
        bounds = [[getattr(each, side) for each in several.values()] for side in ("lo", "hi")]
        axis.fill_between(list(several), *bounds, color=colour, alpha=0.15, linewidth=0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("rows", type=Path)
    arguments.add_argument("figure", type=Path, help="SVG, PNG or PDF, by its ending")
    options = arguments.parse_args()
    draw([json.loads(line) for line in options.rows.read_text("utf-8").splitlines()], options.figure)


if __name__ == "__main__":
    main()
