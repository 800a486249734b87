"""Calibrate ``decoct shrink``: whole simulated studies with a known truth, to ``docs/results/shrink.md``.

    python benchmarks/shrink_calibration.py test race needed bounds folds --studies 1000 --seed 8

Studies of ``test`` and ``race`` are those of ``calibration/shrinking.py``; ``bounds`` and ``folds`` train a real
classifier, see ``calibration/shrinking_folds.py``.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np

from calibration import shrinking, shrinking_folds
from calibration.latent import answers
from calibration.shrinking import SHARES, SIZES, World
from calibration.shrinking_folds import percent
from decoct.shrinking import race
from decoct.shrinking.shown import Outcome
from decoct.shrinking.sizes import needed

PAGE = Path(__file__).parent.parent / "docs" / "results" / "shrink.md"
Row = Sequence[str]
FOLDER = ((600, 3), (2000, 2), (2000, 3), (2000, 5), (10000, 3))  # test images, students
FOLDS = ((3000, 2), (3000, 3))
CURSED = "facility_location"  # the best method wherever one is best


@cache
def raced(seed: int, scenario: str, study: int) -> dict[int, race.Standing]:
    """The race of a study, which several tables and scenarios share."""
    worlds = shrinking.worlds()
    return shrinking.raced(np.random.default_rng([seed, 0, list(worlds).index(scenario), study]), worlds[scenario])


def tests(studies: int, seed: int) -> Iterator[Row]:
    """How often what is named."""
    yield (
        "scenario",
        "tested on",
        "students",
        "outside, named",
        "its own set outside",
        "named",
        "median size / smallest",
    )
    for s, (name, world) in enumerate(shrinking.worlds().items()):
        choices = []
        for i in range(studies):
            choices.append({size: at.chosen for size, at in raced(seed, shrinking.races_like(name), i).items()})
        draw = np.random.default_rng([seed, 1, s]).integers(0, studies, (studies, 5))
        layouts = [(n, r, 1) for n, r in FOLDER] + [(n, r, 5) for n, r in FOLDS]
        if world.fixed:
            layouts = [(n, 1, k) for n, k in dict.fromkeys((n, k) for n, _, k in layouts)]
        for images, students, folds in layouts:
            found = [
                shrinking.judged(
                    np.random.default_rng([seed, 2, s, images, students, folds, i]),
                    world,
                    [choices[i]] if folds == 1 else [choices[j] for j in draw[i]],
                    images,
                    students,
                )
                for i in range(studies)
            ]
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


def races(studies: int, seed: int) -> Iterator[Row]:
    """False drops and false claims of the race."""
    yield (
        "scenario",
        "best dropped, worst size",
        "best dropped, any size",
        "no better than random, chosen, worst size",
        "any size",
        "best chosen, by share",
        "replicates saved",
    )
    for name, world in shrinking.worlds().items():
        if shrinking.races_like(name) != name:
            continue
        lost = np.zeros((studies, len(SIZES)), np.bool_)
        wrong, right, trained = lost.copy(), lost.copy(), 0
        for i in range(studies):
            for k, (size, at) in enumerate(raced(seed, name, i).items()):
                truths = {m: world.truth(m, size) for m in world.losses}
                lost[i, k] = CURSED in at.dropped
                wrong[i, k] = at.chosen != race.RANDOM and truths[at.chosen] <= truths[race.RANDOM]
                right[i, k] = at.chosen == CURSED
                trained += sum(
                    1 if world.fixed and m not in shrinking.DRAWN else race.LOOKS[at.dropped.get(m, at.look - 1)]
                    for m in world.losses
                )
        most = sum(1 if world.fixed and m not in shrinking.DRAWN else race.LOOKS[-1] for m in world.losses) * len(SIZES)
        yield (
            name,
            percent(int(lost.sum(0).max()), studies),
            percent(int(lost.any(1).sum()), studies),
            percent(int(wrong.sum(0).max()), studies),
            percent(int(wrong.any(1).sum()), studies),
            " ".join(f"{100 * x:.0f}" for x in right.mean(0)),
            f"{100 * (1 - trained / studies / most):.0f} %",
        )


def reached(studies: int, seed: int) -> Iterator[Row]:
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
        world = World(shrinking.CURVES, fixed=fixed)
        lost = world.losses[CURSED][SHARES.index(share)]
        fall, at = np.polyfit(np.log(SHARES), np.log(world.losses["random"]), 1)
        truth = float(np.exp((np.log(lost) - at) / fall)) * shrinking.CANDIDATES
        hits, middles, widths = 0, [], []
        for i in range(studies):
            rng = np.random.default_rng([seed, 3, images, students, int(share * 100), fixed, i])
            curve = [float(np.exp(at + fall * np.log(x))) / 100 for x in SHARES]
            own = world.full - np.array([lost / 100, *curve, 0.0])[:, None] + np.zeros((1, students))
            own[1:-1] += world.drawn / 100 * rng.normal(size=(len(SHARES), students))
            own += np.stack([world.students(rng, students) for _ in own])
            alone = np.isin(np.arange(len(own)), (0, len(own) - 1))
            right = answers(rng, world.latent, own[:, None, :, None], alone, images)[:, 0, :, 0]
            if fixed:
                right[alone] = right[alone, :1]
            sizes = (*SIZES, shrinking.CANDIDATES)
            mean, lo, hi = needed(
                {n: [Outcome(right[0], right[1 + k], fixed=fixed and bool(alone[1 + k]))] for k, n in enumerate(sizes)}
            )
            hits += lo <= truth <= hi
            middles.append(mean)
            widths.append(hi - lo)
        yield (
            f"{CURSED}, {share:.0%}",
            f"{images:,} images",
            str(students) + (", deterministic learner" if fixed else ""),
            f"{truth:,.0f}",
            percent(hits, studies),
            f"{np.median(middles):,.0f}",
            f"{np.median(widths):,.0f}",
        )


WHAT: dict[str, tuple[Callable[[int, int], Iterator[Row]], str]] = {
    "test": (
        tests,
        "How often a set that is truly outside the margin of 3 points is named (at most 5 % is promised), how often "
        "any set is named, and how much larger it is than the smallest size at which some method is inside. Rates "
        "in percent of studies. A tested set counts as outside by its own true loss; with folds by the mean of the "
        "folds' sets, and in the next column by that of the final set, which is drawn again.",
    ),
    "race": (
        races,
        f"Three looks at {', '.join(map(str, race.LOOKS))} replicates, six methods, "
        f"{World(shrinking.CURVES).inner} inner images. *Best dropped*: facility location, the best or as good as any, "
        "was dropped. Rates in percent.",
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


def section(name: str, studies: int, seed: int) -> str:
    """A table, with how it was made."""
    run, what = WHAT[name]
    head, *rows = shown(run(studies, seed))
    lines = [f"| {' | '.join(cells)} |" for cells in chain([head, ["---"] * len(head)], rows)]
    command = f"python benchmarks/shrink_calibration.py {name} --studies {studies} --seed {seed}"
    return "\n".join([f"### {name}\n\n`{command}`\n\n{what}\n", *lines]) + "\n"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="+", choices=WHAT, metavar="NAME", help=", ".join(WHAT))
    arguments.add_argument("--studies", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=8)
    arguments.add_argument("--print", action="store_true", help="leave the page as it is")
    options = arguments.parse_args()
    for name in options.names:
        made = section(name, options.studies, options.seed)
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
