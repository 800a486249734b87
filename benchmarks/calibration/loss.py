"""How many true points a recommendation gives away, by rule, in units of the sd of a paired difference of two sets.

    PYTHONPATH=src:benchmarks python -m calibration.loss --studies 600 --seed 26 > benchmarks/calibration/loss.md

Costs are 100 s apart and drawn anew in each study, so that they say nothing about the means and none ties.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from calibration.generators import Design, Spread, flat, sweep
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.advice.candidates import Candidate, unbeaten
from decoct.report.advice.recommend import cheapest, leader
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import Interval, Replicates
from decoct.report.stats.pairwise import pairwise

SETTING, MARGIN, SPREAD = "hard 10", 0.01, Spread()
CANDIDATES, SETS = (5, 10, 40), (3, 5, 10, 20)
RULES = ("highest mean", "cheapest within the margin", "cheapest that none is shown to beat")
LAYOUTS = ("one ahead by 1 sd", "even over 4 sd", "normal, sd 1")


def design(candidates: int, sets: int) -> Design:
    """Candidates that all have sets of their own, in one setting, tested on 2,000 images."""
    names = tuple(f"d{i}" for i in range(candidates))
    return Design(distilled=names, coresets=(), fixed=(), settings=(SETTING,), protocols=1, sets=sets)


def paired_sd(seed: int, studies: int = 400) -> float:
    """Of the difference of two methods between single sets, as a share."""
    own = design(2, 20)
    drawn = (
        one.accuracy[0, 0, :, 0] - one.accuracy[1, 0, :, 0]
        for one in sweep(studies, seed, own, SPREAD, flat(own), fast=True)
    )
    return float(np.sqrt(np.mean([x.var(ddof=1) for x in drawn])))


def places(layout: str, candidates: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """True means in sd below or above a common place."""
    match layout:
        case "one ahead by 1 sd":
            return np.r_[1.0, np.zeros(candidates - 1)]
        case "even over 4 sd":
            return np.linspace(0, 4, candidates)
        case _:
            return rng.standard_normal(candidates)


def candidate(name: str, seconds: float, accuracies: NDArray[np.float64]) -> Candidate:
    """As a run would have it."""
    runs: Replicates = {(c, 0): float(x) for c, x in enumerate(accuracies)}
    error, mean, n = crossed(runs), float(accuracies.mean()), len(runs)
    a = Accuracy(name, Setting("hard", "net", "ipc=10"), Interval(mean, mean, mean, n), n, 100, 1, 1, 100, 0)
    return Candidate(a, runs, seconds, error, error.estimate())


def losses(layout: str, candidates: int, sets: int, studies: int, seed: int, sd: float) -> Iterator[list[float]]:
    """For each study, what each rule gives away, in sd."""
    own = design(candidates, sets)
    for index in range(studies):
        rng = np.random.default_rng([seed, candidates, sets, index])
        truth = 0.6 + sd * places(layout, candidates, rng)
        planted = {(name, SETTING): float(x) for name, x in zip(own.methods, truth, strict=True)}
        (one,) = sweep(1, seed, own, SPREAD, planted, fast=True, start=index)
        seconds = 100.0 * (1 + rng.permutation(candidates))
        rows = [
            candidate(name, float(s), x[0, :, 0]) for name, s, x in zip(own.methods, seconds, one.accuracy, strict=True)
        ]
        top = leader(rows)
        near = cheapest(rows, top, MARGIN) or top
        stay = unbeaten(pairwise([row.runs for row in rows]), range(candidates))
        cheap = min((row for row, stays in zip(rows, stay, strict=True) if stays), key=lambda row: row.seconds)
        yield [float(truth.max() - truth[rows.index(pick)]) / sd for pick in (top, near, cheap)]


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=600)
    parser.add_argument("--seed", type=int, default=26)
    asked = parser.parse_args()
    sd = paired_sd(asked.seed)
    print("# What a recommendation gives away\n")
    print("Expected loss: true mean of the best less that of what is named, in sd of a paired difference of two sets")
    print(
        f"({100 * sd:.2f} points here; the margin of 1 point is {MARGIN / sd:.2f} sd). {asked.studies:,} studies a row,"
    )
    print("standard errors up to 0.05. Costs are drawn anew in each study and say nothing about the means.\n")
    print(f"`PYTHONPATH=src:benchmarks python -m calibration.loss --studies {asked.studies} --seed {asked.seed}`\n")
    print(f"| true means | candidates | sets | {' | '.join(RULES)} |")
    print("|---|---:|---:|" + "---:|" * len(RULES))
    for layout in LAYOUTS:
        for candidates in CANDIDATES:
            for sets in SETS:
                mean = np.mean(list(losses(layout, candidates, sets, asked.studies, asked.seed, sd)), 0)
                print(
                    f"| {layout} | {candidates} | {sets} | " + " | ".join(f"{x:.2f}" for x in mean) + " |", flush=True
                )


if __name__ == "__main__":
    main()
