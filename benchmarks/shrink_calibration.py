"""Calibrate ``decoct shrink``: whole simulated studies with a known truth, to ``docs/results/shrink.md``.

    python benchmarks/shrink_calibration.py test race needed bounds folds --studies 1000 --seed 8

Studies of ``test`` and ``race`` are those of ``calibration/shrinking.py``; ``bounds`` and ``folds`` train a real
classifier, see ``calibration/shrinking_folds.py``.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from calibration import shrinking, shrinking_folds
from calibration.latent import answers
from calibration.shrinking import SHARES, SIZES, World
from calibration.shrinking_folds import percent
from decoct.shrinking.inference import race
from decoct.shrinking.inference.shown import Outcome
from decoct.shrinking.inference.sizes import needed

PAGE = Path(__file__).parent.parent / "docs" / "results" / "shrink.md"
Row = Sequence[str]
FOLDER = ((600, 3), (2000, 2), (2000, 3), (2000, 5), (10000, 3))  # test images, students
FOLDS = ((3000, 2), (3000, 3))
RACES = 250  # that the studies of ``test`` draw from, since a test does not depend on the images of a race
CURSED = "facility_location"  # the best method wherever one is best


Each = Callable[..., Iterator[Any]]  # map, or that of a pool


def one_race(seed: int, name: str, study: int) -> dict[int, race.Standing]:
    """The race of a study."""
    base = name.removesuffix(shrinking.SPLIT)
    rng = np.random.default_rng([seed, 0, list(shrinking.worlds()).index(base), study])
    return shrinking.raced(rng, shrinking.raced_worlds()[name])


def one_test(
    seed: int, name: str, layout: tuple[int, int, int], item: tuple[int, list[dict[int, str]]]
) -> shrinking.Verdict:
    """The test of a study, after the races that made these choices."""
    study, choices = item
    worlds, (images, students, folds) = shrinking.worlds(), layout
    rng = np.random.default_rng([seed, 2, list(worlds).index(name), *layout, study])
    return shrinking.judged(rng, worlds[name], choices[:folds], images, students)


def tests(studies: int, seed: int, each: Each) -> Iterator[Row]:
    """How often what is named."""
    yield "scenario", "tested on", "students", "outside, named", "final set outside", "named", "median size / smallest"
    banks: dict[str, list[dict[int, str]]] = {}
    for s, (name, world) in enumerate(shrinking.worlds().items()):
        like = shrinking.races_like(name)
        if like not in banks:
            ends = each(partial(one_race, seed, like), range(min(studies, RACES)))
            banks[like] = [{size: at.chosen for size, at in end.items()} for end in ends]
        bank = banks[like]
        draws = np.random.default_rng([seed, 1, s]).integers(0, len(bank), (studies, 5))
        items = [(i, [bank[j] for j in draw]) for i, draw in enumerate(draws)]
        layouts = [(n, r, 1) for n, r in FOLDER] + [(n, r, 5) for n, r in FOLDS]
        if world.fixed:
            layouts = [(n, 1, k) for n, k in dict.fromkeys((n, k) for n, _, k in layouts)]
        for images, students, folds in layouts:
            found = each(partial(one_test, seed, name, (images, students, folds)), items)
            named = [v for v in found if v.size is not None]
            least = shrinking.smallest(world)
            ratios = [v.size / least for v in named if v.size is not None and least]
            yield (
                name,
                f"{images:,} images" + (" in 5 folds" if folds > 1 else ""),
                str(students),
                percent(sum(v.loss >= shrinking.MARGIN - 1e-9 for v in named), studies),
                percent(sum(v.final >= shrinking.MARGIN - 1e-9 for v in named), studies) if folds > 1 else "",
                percent(len(named), studies),
                f"{np.median(ratios):.1f}" if ratios else "",
            )


def races(studies: int, seed: int, each: Each) -> Iterator[Row]:
    """False drops and false claims of the race."""
    yield (
        "scenario",
        "best dropped, of sizes",
        "of studies",
        "chosen, no better than random, of sizes",
        "of studies",
        "best chosen at each size",
        "trainings",
    )
    for name, world in shrinking.raced_worlds().items():
        trainings = [world.splits * n for n in world.looks]
        lost = np.zeros((studies, len(SIZES)), np.bool_)
        wrong, right, trained = lost.copy(), lost.copy(), 0
        for i, ends in enumerate(each(partial(one_race, seed, name), range(studies))):
            for k, (size, at) in enumerate(ends.items()):
                truths = {m: world.truth(m, size) for m in world.losses}
                lost[i, k] = CURSED in at.dropped
                wrong[i, k] = at.chosen != race.RANDOM and truths[at.chosen] <= truths[race.RANDOM]
                right[i, k] = at.chosen == CURSED
                trained += sum(
                    world.splits if still(world, m) else trainings[at.dropped.get(m, at.look - 1)] for m in world.losses
                )
        most = sum(world.splits if still(world, m) else trainings[-1] for m in world.losses) * len(SIZES)
        yield (
            name,
            percent(int(lost.sum()), lost.size),
            percent(int(lost.any(1).sum()), studies),
            percent(int(wrong.sum()), wrong.size),
            percent(int(wrong.any(1).sum()), studies),
            ", ".join(f"{100 * x:.0f}" for x in right.mean(0)),
            f"{trained / studies:.0f} of {most}",
        )


def still(world: World, method: str) -> bool:
    """Whether nothing about a method's students varies."""
    return world.fixed and method not in shrinking.DRAWN


def power_law(share: float) -> tuple[float, float, float]:
    """Random images that lose as much as the best method's set, and the power law of random's losses."""
    lost = shrinking.CURVES[CURSED][SHARES.index(share)]
    fall, at = np.polyfit(np.log(SHARES), np.log(shrinking.CURVES["random"]), 1)
    return float(np.exp((np.log(lost) - at) / fall)) * shrinking.CANDIDATES, float(fall), float(at)


def one_curve(seed: int, layout: tuple[float, int, int, bool], study: int) -> tuple[float, float, float]:
    """Random images needed, as one study sees it."""
    share, images, students, fixed = layout
    world = World(shrinking.CURVES, fixed=fixed)
    _, fall, at = power_law(share)
    rng = np.random.default_rng([seed, 3, images, students, int(share * 100), fixed, study])
    curve = [float(np.exp(at + fall * np.log(x))) / 100 for x in SHARES]
    lost = np.array([shrinking.CURVES[CURSED][SHARES.index(share)] / 100, *curve, 0.0])
    own = world.full - lost[:, None] + np.zeros((1, students))
    own[1:-1] += world.drawn / 100 * rng.normal(size=(len(SHARES), students))
    own += np.stack([world.students(rng, students) for _ in own])
    alone = np.isin(np.arange(len(own)), (0, len(own) - 1))
    right = answers(rng, world.latent, own[:, None, :, None], alone, images)[:, 0, :, 0]
    if fixed:
        right[alone] = right[alone, :1]
    sizes = (*SIZES, shrinking.CANDIDATES)
    return needed(
        {n: [Outcome(right[0], right[1 + k], fixed=fixed and bool(alone[1 + k]))] for k, n in enumerate(sizes)}
    )


def reached(studies: int, seed: int, each: Each) -> Iterator[Row]:
    """Coverage of how many random images reach the set's accuracy."""
    yield "set", "tested on", "students", "truth", "covered", "median", "median width"
    for share, images, students, fixed in (
        (0.2, 600, 3, False),
        (0.3, 600, 3, False),
        (0.3, 2000, 3, False),
        (0.3, 2000, 5, False),
        (0.3, 10000, 5, False),
        (0.2, 2000, 3, True),
    ):
        layout = share, images, students, fixed
        truth, _, _ = power_law(share)
        found = list(each(partial(one_curve, seed, layout), range(studies)))
        yield (
            f"{CURSED}, {share:.0%}",
            f"{images:,} images",
            str(students) + (", deterministic learner" if fixed else ""),
            f"{truth:,.0f}",
            percent(sum(lo <= truth <= hi for _, lo, hi in found), studies),
            f"{np.median([mean for mean, _, _ in found]):,.0f}",
            f"{np.median([hi - lo for _, lo, hi in found]):,.0f}",
        )


WHAT: dict[str, tuple[Callable[[int, int, Each], Iterator[Row]], str]] = {
    "test": (
        tests,
        "How often a set that is truly outside the margin of 3 points is named (at most 5 % is promised), how often "
        "any set is named, and how much larger it is than the smallest size at which some method is inside. Rates "
        "in percent of studies. A tested set counts as outside by its own true loss; with folds by the mean of the "
        "folds' sets, and in the next column by that of the final set, which is drawn again. Choices are those of "
        f"{RACES} races.",
    ),
    "race": (
        races,
        f"Three looks at {', '.join(map(str, race.LOOKS))} replicates, six methods, {World(shrinking.CURVES).inner} "
        "inner images; with four inner splits two looks at 2 and 3 replicates of each. *Best dropped*: facility "
        "location, the best or as good as any, was dropped. Rates in percent; sizes are "
        f"{', '.join(f'{x:.0%}' for x in SHARES)}.",
    ),
    "needed": (
        reached,
        "How often the 95 % interval of “random images needed” holds the truth, where random follows a power law. The "
        "curve ends with all images.",
    ),
    "bounds": (shrinking_folds.bounds, shrinking_folds.BOUNDS),
    "folds": (shrinking_folds.margins, shrinking_folds.NAMED),
}


def shown(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows as they come, told on stderr."""
    for row in rows:
        print(*row, sep=" | ", file=sys.stderr, flush=True)
        yield row


def section(name: str, studies: int, seed: int, each: Each) -> str:
    """A table, with how it was made."""
    run, what = WHAT[name]
    head, *rows = shown(run(studies, seed, each))
    lines = [f"| {' | '.join(cells)} |" for cells in chain([head, ["---"] * len(head)], rows)]
    command = f"python benchmarks/shrink_calibration.py {name} --studies {studies} --seed {seed}"
    return "\n".join([f"### {name}\n\n`{command}`\n\n{what}\n", *lines]) + "\n"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="+", choices=WHAT, metavar="NAME", help=", ".join(WHAT))
    arguments.add_argument("--studies", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=8)
    arguments.add_argument("--print", action="store_true", help="leave the page as it is")
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    with ProcessPoolExecutor(options.workers) as pool:
        for name in options.names:
            made = section(name, options.studies, options.seed, partial(pool.map, chunksize=10))
            print(made, flush=True)
            if not options.print:
                PAGE.write_text(placed(PAGE.read_text("utf-8") if PAGE.is_file() else "", name, made), "utf-8")


def placed(page: str, name: str, made: str) -> str:
    """The page with a table in its section "Calibration", the rest as it was."""
    before, _, rest = page.partition("## Calibration\n")
    own, *after = re.split(r"^(?=## )", rest, maxsplit=1, flags=re.MULTILINE)
    intro, *parts = re.split(r"^(?=### )", own, flags=re.MULTILINE)
    known = {part.split()[1]: part for part in parts} | {name: made}
    tables = [known[each].strip() + "\n" for each in WHAT if each in known]
    return "\n".join([f"{before}## Calibration\n\n{intro.strip()}".strip() + "\n", *tables, *after])


if __name__ == "__main__":
    main()
