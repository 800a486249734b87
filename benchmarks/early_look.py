"""Would a study that looks after three of five sets, and makes no more of what is decided, save anything?

A look costs level: by the cube of the share of sets (Kim and DeMets, 1987), as in ``decoct shrink``, it gets 1.1 of the
5 % and the last one 3.9. Every method is held against random, in every setting, with Holm over the study. A method's
last two sets can be left out only where its comparison is decided in every setting of the budget, since one set serves
all protocols.

    python benchmarks/early_look.py                          # of the rows in docs/results
    python benchmarks/early_look.py runs/own/results.csv     # of your own study
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scipy.special import stdtrit

from decoct.report.read.manifest import FULL, REFERENCE
from decoct.report.stats.comparisons import Comparison, corrected, holm
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import ALPHA, Replicates
from decoct.shrinking.inference.race import spent
from yardstick import table

RESULTS = Path(__file__).parents[1] / "docs" / "results"
STUDIES = ("decoupled", "fashion_mnist", "generative")  # of five sets
LOOKS = (3, 5)
MARGIN = 0.01
ASKED = 42  # comparisons with random in examples/imagenet1k.toml: seven methods, two budgets, three protocols


class At(NamedTuple):
    """A method beside random: in which setting."""

    method: str
    budget: str
    rest: tuple[str, ...]  # of the setting


class Told(NamedTuple):
    """What the looks of a study decide.

    Attributes:
        asked: comparisons with random.
        early: of them decided at the first look.
        whole: decided at the last look, at the level that is left.
        plain: decided by all sets at the whole level, without a look.
        budgets: a method at a budget, as often as there are; so many sets there are to save.
        saved: of these decided early in every setting.
    """

    asked: int
    early: int
    whole: int
    plain: int
    budgets: int
    saved: int


def told(differences: dict[At, Replicates]) -> Told:
    """Apply both looks to a study's differences from random, by (condense, train) replicate."""
    first, last = spent(LOOKS)
    early = _decided(differences, LOOKS[0], first)
    whole, plain = (_decided(differences, LOOKS[1], level) for level in (last, ALPHA))
    by_budget = defaultdict[tuple[str, str], list[bool]](list)
    for at in differences:
        by_budget[at.method, at.budget].append(at in early)
    saved = sum(map(all, by_budget.values()))
    return Told(len(differences), len(early), len(whole), len(plain), len(by_budget), saved)


def _decided(differences: dict[At, Replicates], sets: int, level: float) -> set[At]:
    """Shown better, worse or the same by the first sets, after Holm over all."""
    known = {at: {place: x for place, x in own.items() if place[0] < sets} for at, own in differences.items()}
    family = corrected([Comparison(crossed(own), MARGIN) for own in known.values()])
    apart = holm([min(c.p_better, c.p_worse) for c in family])
    alike = holm([c.p_same for c in family])
    return {at for at, p, q in zip(known, apart, alike, strict=True) if p < level / 2 or q < level}


def visible(asked: int) -> tuple[float, float]:
    """Differences that the first and the last look find in half of the cases, in deviations of a paired difference.

    By a comparison's own deviation, the strictest of so many; from five sets on comparisons also borrow.
    """
    each = zip(LOOKS, spent(LOOKS), strict=True)
    early, late = (float(stdtrit(n - 1, 1 - level / 2 / asked)) / n**0.5 for n, level in each)
    return early, late


def read(path: Path) -> dict[At, Replicates]:
    """Differences from random of all methods with as many sets, from the rows of students."""
    found = defaultdict[At, dict[tuple[int, int], float]](dict)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = At(row["method"], row["budget"], (row["data"], row["protocol"], row["student"]))
            found[at][int(row["condense_replicate"]), int(row["train_replicate"])] = float(row["accuracy"])
    pairs = dict[At, Replicates]()
    for at, own in found.items():
        random = found.get(at._replace(method=REFERENCE), {})
        shared = {place: x - random[place] for place, x in own.items() if place in random}
        if at.method not in (REFERENCE, FULL) and len({place[0] for place in shared}) >= LOOKS[-1]:
            pairs[at] = shared
    return pairs


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", type=Path, metavar="CSV", help="default: those of docs/results")
    files = arguments.parse_args(words).files or [RESULTS / f"{study}.csv" for study in STUDIES]
    rows = []
    for path in files:
        each = told(read(path))
        counts = f"{each.early} of {each.asked}", each.whole, each.plain, f"{each.saved} of {each.budgets}"
        rows.append([path.stem, *map(str, counts)])
    head = [
        "",
        "decided by three sets",
        "by five, after a look",
        "by five, without one",
        "methods that need no more sets",
    ]
    print(table(head, rows))
    early, late = visible(ASKED)
    print(f"\nOf {ASKED} comparisons the strictest finds {early:.0f} deviations with three sets, {late:.1f} with five.")


if __name__ == "__main__":
    main()
