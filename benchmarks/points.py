"""Where the points come from, over all studies whose rows are there: a table, and a picture.

To a random set under hard labels a teacher's labels add points, and so do the images that a method chooses or makes,
which are held against a random set under the same labels. Students of one study take as many steps under all of its
protocols, so steps add nothing here. Differences are paired over sets; controls are left out.

    python benchmarks/points.py

Needs matplotlib, which the extra ``bench`` brings.
"""

import argparse
import csv
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from decoct.core.spec import parse
from decoct.report.read.manifest import FULL, REFERENCE
from decoct.report.stats.intervals import Interval, t_interval
from yardstick import table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
STUDIES = {
    "fashion_mnist": "Fashion-MNIST",
    "decoupled": "Fashion-MNIST, decoupled methods",
    "coresets": "Fashion-MNIST, coresets",
    "generative": "Fashion-MNIST, generators",
    "fifty_images": "Fashion-MNIST, DM",
    "matching": "Fashion-MNIST, matching",
    "clipart": "clip art",
}
HARD, OWN = "erm", "dc"  # the second is a recipe of its own, with more steps
COLOURS = {"labels": "#0b6bcb", "coreset": "#15803d", "distillation": "#c2410c"}
WORDS = {"labels": "a teacher's labels", "coreset": "images of a coreset", "distillation": "images of a distilled set"}


class Gain(NamedTuple):
    """What something adds to a random set of the same size.

    Attributes:
        study, budget: where.
        kind: "labels", or the family of the method whose images these are.
        who: the protocol whose labels they are, or the method.
        protocol: under which it was seen.
        points: paired over sets.
    """

    study: str
    budget: str
    kind: str
    who: str
    protocol: str
    points: Interval


def gains(name: str, path: Path) -> list[Gain]:
    """All of one study.

    Raises:
        SystemExit: there are rows of a method that the study has not.
    """
    families, found = contenders(name), defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            place = row["condense_replicate"], row["train_replicate"]
            found[row["budget"], row["method"], row["protocol"]][place] = 100 * float(row["accuracy"])
    if strange := {method for _, method, _ in found} - families.keys() - {FULL}:
        raise SystemExit(f"{path} has rows of {', '.join(sorted(strange))}, which examples/{name}.toml has not")
    made = []
    for (budget, method, protocol), own in found.items():
        if method == FULL or protocol == OWN:
            continue
        if method == REFERENCE and protocol != HARD:
            kind, who, other = "labels", protocol, found.get((budget, REFERENCE, HARD))
        elif method != REFERENCE and families[method]:
            kind, who, other = families[method], method, found.get((budget, REFERENCE, protocol))
        else:
            continue
        places = sorted(own.keys() & (other or {}).keys())
        if len(places) > 1:
            points = t_interval([own[place] - other[place] for place in places])
            made.append(Gain(name, budget, kind, who, protocol, points))
    return made


def contenders(name: str) -> dict[str, str]:
    """The family of each method of a study by its label; empty for those that others are held against."""
    study = tomllib.loads((ROOT / "examples" / f"{name}.toml").read_text("utf-8"))
    given = [each if isinstance(each, dict) else {"name": each} for each in study["condensers"]]
    controls = {each["control"] for each in given if "control" in each}
    labels = {each.get("label", each["name"]): each["name"] for each in given}
    return {label: "" if label in controls else parse("condenser", name).family for label, name in labels.items()}


def lines(made: list[Gain]) -> list[list[str]]:
    """Of the table: a row for each study and budget."""
    rows = []
    for (study, budget), own in grouped(made).items():
        cells = [STUDIES[study], size(budget)]
        for kind in WORDS:
            several = sorted((gain for gain in own if gain.kind == kind), key=lambda gain: gain.points.mean)
            cells.append(" to ".join(dict.fromkeys(map(said, (several[0], several[-1])))) if several else "")
        rows.append([*cells, str(sum(gain.kind != "labels" and gain.points.lo > 0 for gain in own))])
    return rows


def grouped(made: list[Gain]) -> dict[tuple[str, str], list[Gain]]:
    """By study and budget, in their order."""
    groups: dict[tuple[str, str], list[Gain]] = defaultdict(list)
    for gain in made:
        groups[gain.study, gain.budget].append(gain)
    return groups


def size(budget: str) -> str:
    """As readers know it."""
    return budget.replace("ipc=", "IPC ")


def said(gain: Gain) -> str:
    """The points with their interval, and whose they are."""
    found = gain.points
    where = gain.who if gain.kind == "labels" or gain.protocol == HARD else f"{gain.who}, {gain.protocol}"
    return f"{found.mean:+.1f} [{found.lo:.1f}, {found.hi:.1f}] ({where})".replace("-", "−")


def draw(made: list[Gain], path: Path) -> None:
    """A lane for each study and budget; a mark for each gain, filled where its interval leaves out 0."""
    import matplotlib.pyplot as plt

    plt.rcParams |= {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    groups = grouped(made)
    figure, axes = plt.subplots(figsize=(8.4, 0.8 + 0.62 * len(groups)), layout="constrained")
    axes.axvline(0, color="#57606a", linewidth=1, linestyle=":")
    for at, own in enumerate(groups.values()):
        for offset, kind in zip((-0.22, 0.0, 0.22), WORDS, strict=True):
            points = [gain.points for gain in own if gain.kind == kind]
            x = np.array([each.mean for each in points])
            sure = np.array([each.lo > 0 or each.hi < 0 for each in points], dtype=bool)
            for shown, fill in ((sure, COLOURS[kind]), (~sure, "none")):
                y = np.full(int(shown.sum()), at + offset)
                marker = "s" if kind == "labels" else "o"
                axes.scatter(x[shown], y, 26, facecolors=fill, edgecolors=COLOURS[kind], marker=marker)
    for kind, words in WORDS.items():
        axes.scatter([], [], 26, color=COLOURS[kind], marker="s" if kind == "labels" else "o", label=words)
    names = [f"{STUDIES[study]}\n{size(budget)}" for study, budget in groups]
    axes.set_yticks(range(len(groups)), labels=names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("points added to a random set of the same size; hollow: the interval holds 0")
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=3)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="file of the picture")
    asked = parser.parse_args()
    made = [gain for name in STUDIES for gain in gains(name, RESULTS / f"{name}.csv")]
    print(table(["study", "size", *WORDS.values(), "better than random"], lines(made)))
    if asked.picture:
        draw(made, asked.picture)


if __name__ == "__main__":
    main()
