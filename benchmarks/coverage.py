"""Coverage of 95 % intervals over nested replicates, simulated: which one to use from how many condense replicates on.

A study's effects are drawn for sets, for students within sets, and for what the test images add to each student, with
standard deviations as in real runs, 1 point together. Normal: the t's own assumption. Skewed: shifted log-normal sets
and students of skewness 1.75; very skewed: 6.2, as where training fails now and then. Five minutes on one core.

    python benchmarks/coverage.py
"""

import argparse
import math

import numpy as np
from scipy.special import stdtrit

from decoct.report.stats import nested
from decoct.report.stats.intervals import ALPHA
from yardstick import table

SETS, STUDENTS = (2, 3, 5, 10, 20, 30, 50), (1, 3)
SD = {"set": 0.008, "student": 0.005, "images": 0.0035}
SHAPE = {"normal": 0.0, "skewed": 0.5, "very skewed": 1.0}  # sigma of the log-normal
WAYS = ("t", "percentile", "× √(C/(C−1))", "bootstrap-t")
WITHIN = 0.015


def effects(rng, sigma, sd, shape):
    """Draws of mean 0 and the given standard deviation, log-normal where sigma is above 0."""
    if not sigma:
        return rng.normal(0, sd, shape)
    top = math.exp(sigma**2)
    return sd * (rng.lognormal(0, sigma, shape) - math.sqrt(top)) / math.sqrt((top - 1) * top)


def simulated(rng, sigma, sets, students, studies):
    """Differences of studies whose true difference is 0: [sets, students, studies]."""
    shape = (sets, students, studies)
    own = effects(rng, sigma, SD["set"], (sets, 1, studies)) + effects(rng, sigma, SD["student"], shape)
    return own + effects(rng, 0.0, SD["images"], shape)


def covered(values, draws):
    """Share of the studies whose interval holds 0, by way, and how wide the bootstrap-t is beside the t."""
    sets, students, studies = values.shape
    flat, design = values.reshape(-1, studies), (students,) * sets
    means = values.mean(1)
    mean, se = means.mean(0), means.std(0, ddof=1) / math.sqrt(sets)
    half = stdtrit(sets - 1, 1 - ALPHA / 2) * se
    drawn = np.quantile(nested.redrawn(flat, design, draws)[0], [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    wider = mean + math.sqrt(sets / (sets - 1)) * (drawn - mean)
    ratios = nested.pivots(flat, design, draws=draws)
    studentised = [mean - nested.quantile(ratios, p) * se for p in (1 - ALPHA / 2, ALPHA / 2)]
    bounds = ((mean - half, mean + half), drawn, wider, studentised)
    width = np.median((studentised[1] - studentised[0]) / (2 * half))
    return [float(np.mean((lo <= 0) & (hi >= 0))) for lo, hi in bounds], float(width)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--studies", type=int, default=10_000)
    arguments.add_argument("--draws", type=int, default=1_999)
    options = arguments.parse_args()
    found, rows = {}, []
    rng = np.random.default_rng(0)
    for name, sigma in SHAPE.items():
        for students in STUDENTS:
            for sets in SETS:
                shares, sizes = np.zeros(len(WAYS)), []
                for _ in range(10):  # in tenths, to hold less at a time
                    values = simulated(rng, sigma, sets, students, options.studies // 10)
                    share, width = covered(values, options.draws)
                    shares += np.array(share) / 10
                    sizes.append(width)
                found[name, students, sets] = shares
                width = np.median(sizes)
                said = [f"{100 * s:.1f}" for s in shares]
                rows.append([name, students, sets, *said, f"{width:.2f}" if width < 100 else "no bound"])
    error = 196 * math.sqrt(ALPHA * (1 - ALPHA) / options.studies)
    parts = ", ".join(f"{who} {100 * sd:g}" for who, sd in SD.items())
    print(
        f"Coverage of 95 % intervals in %, over {options.studies:,} simulated studies a row, each with "
        f"{options.draws:,} draws; the binomial error of a coverage of 95 % is ± {error:.1f} points (95 %). Standard "
        f"deviations, in points: {parts}. Width: of the bootstrap-t as a multiple of the t, median.\n"
    )
    print(table(["effects", "students a set", "sets C", *WAYS, "width"], rows))
    print()
    for way, at in (("t", 0), ("bootstrap-t", 3)):
        for name in SHAPE:
            off = {c: max(abs(found[name, t, c][at] - (1 - ALPHA)) for t in STUDENTS) for c in SETS}
            kept = [c for c in SETS if all(off[more] <= WITHIN for more in SETS if more >= c)]
            where = f"from {kept[0]} sets on" if kept else "nowhere"
            print(f"- {way}, {name}: within 1.5 points {where}")


if __name__ == "__main__":
    main()
