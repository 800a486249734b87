"""Coverage of the interval of the highest of K means: corrected for the picking, and as if it had not been picked.

    PYTHONPATH=src:benchmarks python -m calibration.picked --studies 600 --seed 26 > benchmarks/calibration/picked.md

Sets, students and 500 test images are drawn anew in each study; all candidates are asked the same images.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from calibration.generators import Spread, Study, flat, sweep
from calibration.loss import SETTING, design
from decoct.report.stats import intervals, moderated, selected
from decoct.report.stats.answers import tally
from decoct.report.stats.crossed import crossed

IMAGES, CANDIDATES, SETS = 500, (2, 5, 20, 60), (3, 5, 10)
SPREADS = {
    "images dominate": Spread(),
    "sets dominate": Spread(sets=4.0, students=1.0),
    "sets dominate, unequally up to 3 times": Spread(sets=3.0, students=1.0, unequal=3.0),
}
LAYOUTS = ("all equal", "one ahead by 4 sd", "even over 2 sd")


def places(layout: str, candidates: int) -> Sequence[float]:
    """True means in sd of sets and students."""
    match layout:
        case "all equal":
            return [0.0] * candidates
        case "one ahead by 4 sd":
            return [4.0, *[0.0] * (candidates - 1)]
        case _:
            return [float(x) for x in np.linspace(0, 2, candidates)]


def covers(one: Study) -> Iterator[bool]:
    """Whether the corrected and the plain interval of the highest mean hold its true mean."""
    assert one.correct is not None
    x = one.accuracy[:, 0, :, 0]
    best, n = int(x.mean(1).argmax()), x.shape[1]
    prior = moderated.prior(x.var(1, ddof=1).tolist(), [n - 1.0] * len(x))
    runs = {(c, 0): float(a) for c, a in enumerate(x[best])}
    answers = tally((c, one.correct[best, 0, c, 0]) for c in range(n))
    error = crossed(runs, answers, intervals.grid_floor(IMAGES) / np.sqrt(2))
    truth = one.truth[best, 0]
    for lo, hi in (selected.highest(error.estimate(prior), len(x)), error.estimate().bounds(0.95)):
        yield lo <= truth <= hi


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=600)
    parser.add_argument("--seed", type=int, default=26)
    asked = parser.parse_args()
    print("# The interval of what was picked\n")
    print("Coverage in percent of the 95 % interval of the highest of K means, corrected for the picking and plain.")
    print(f"{asked.studies:,} studies a row: standard errors of 0.9 at 95 %. {IMAGES} test images, the same for all.\n")
    print(f"`PYTHONPATH=src:benchmarks python -m calibration.picked --studies {asked.studies} --seed {asked.seed}`\n")
    print("| chance | true means | candidates | sets | corrected | plain |\n|---|---|---:|---:|---:|---:|")
    for name, spread in SPREADS.items():
        for layout in LAYOUTS if name != "images dominate" else LAYOUTS[:1]:
            for candidates in CANDIDATES:
                for sets in SETS:
                    own = replace(design(candidates, sets), images=IMAGES)
                    sd = np.hypot(spread.sets, spread.students) / 100
                    where = [sd * x for x in places(layout, candidates)]
                    add = dict(zip([(m, SETTING) for m in own.methods], where, strict=True))
                    drawn = sweep(asked.studies, asked.seed, own, spread, flat(own, add=add))
                    rate = 100 * np.mean([list(covers(one)) for one in drawn], 0)
                    print(f"| {name} | {layout} | {candidates} | {sets} | {rate[0]:.1f} | {rate[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
