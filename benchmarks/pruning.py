"""What large shares of the data are worth: tables and figure of the studies of ``examples/pruning*.toml``.

    decoct run examples/pruning_fashion.toml --out runs/fashion --workers 2
    decoct run examples/pruning_by_class.toml --out runs/by_class --store runs/fashion/store --workers 2
    decoct run examples/pruning_clipart.toml --out runs/clipart --workers 2
    python benchmarks/pruning.py runs/fashion runs/by_class runs/clipart
    python benchmarks/pruning.py docs/results/pruning.csv runs/more     # rows of earlier runs and of another one

Differences to random subsets of the same size are paired by replicate, with 95 % t intervals over students. Words are
Holm's, over the named contrasts of all runs together; marks are Holm's over the cells of one table. Needs matplotlib,
which the extra ``bench`` brings.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
from scipy import stats

from decoct.report.read.manifest import FULL
from decoct.report.stats.comparisons import holm
from decoct.report.stats.intervals import ALPHA, Interval, Replicates, grid_floor, paired, t_interval
from yardstick import table, written

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
STEPS = "equal_steps"
REGIMES = {STEPS: "equal steps", "equal_epochs": "equal epochs"}
RANDOM = "random"
WHOLE, EACH = "", "_by_class"  # endings of methods that pick among all classes, and in each
PICKS = {WHOLE: "among all classes", EACH: "in each class"}
DRAWN = ("ccs", "dual", "zcore", "forgetting", "prototypes")  # whose sets differ from replicate to replicate
COLUMNS = (
    *("data", "method", "protocol", "budget", "images"),
    *("condense_replicate", "train_replicate", "accuracy", "steps", "test_images"),
)
STUDENT = ("method", "protocol", "budget", "condense_replicate", "train_replicate")

Results = dict[tuple[str, str, str], Replicates]  # by method, regime and budget


class Claim(NamedTuple):
    """A contrast that a paper promises.

    Attributes:
        better: the method that should be ahead.
        than: of this one.
        share: of the images that is kept.
        source: of the promise.
    """

    better: str
    than: str
    share: float
    source: str


CCS, AYED = "CCS", "Ayed and Hayou"
CLAIMS = (
    Claim("ccs", RANDOM, 0.1, CCS),
    Claim("ccs", "forgetting_hard", 0.1, CCS),
    Claim("ccs", "aum_hard", 0.1, CCS),
    Claim("d2", RANDOM, 0.3, "D2"),
    Claim("d2", RANDOM, 0.5, "D2"),
    Claim("d2", RANDOM, 0.7, "D2"),
    *(
        Claim(RANDOM, f"{score}_hard", share, AYED)
        for share in (0.1, 0.3)
        for score in ("el2n", "grand", "forgetting", "aum")
    ),
    *(
        Claim(f"{score}_hard", RANDOM, share, "the scores' own")
        for share in (0.7, 0.9)
        for score in ("el2n", "grand", "forgetting")
    ),
    Claim("prototypes_easy", "prototypes_hard", 0.1, "Sorscher et al."),
    Claim("prototypes_hard", "prototypes_easy", 0.9, "Sorscher et al."),
    Claim("dual", RANDOM, 0.1, "DUAL"),
    Claim("tdds_hard", RANDOM, 0.1, "TDDS"),
    Claim("zcore", RANDOM, 0.1, "ZCore"),
)


class Run(NamedTuple):
    """What the studies of a data set found.

    Attributes:
        data: its name.
        tested: test images.
        found: accuracy in percent by replicate.
        rows: as they are, for the CSV.
    """

    data: str
    tested: int
    found: Results
    rows: pa.Table

    @classmethod
    def read(cls, places: Sequence[Path]) -> list["Run"]:
        """Those of runs' folders and of .csv files of rows, one for each data set; a student counts once."""
        by_data: dict[str, dict[tuple[object, ...], dict[str, object]]] = defaultdict(dict)
        for place in places:
            rows = parquet.read_table(place / "results.parquet") if place.is_dir() else csv.read_csv(place)
            for row in rows.select(COLUMNS).to_pylist():
                by_data[row["data"]].setdefault(tuple(row[name] for name in STUDENT), row)
        return [cls.of(name, pa.Table.from_pylist([*rows.values()])) for name, rows in by_data.items()]

    @classmethod
    def of(cls, data: str, rows: pa.Table) -> "Run":
        """One data set's."""
        found: Results = defaultdict(dict)
        for row in rows.to_pylist():
            place = (row["condense_replicate"], row["train_replicate"])
            found[row["method"], row["protocol"], row["budget"]][place] = 100 * row["accuracy"]
        return cls(data, rows["test_images"][0].as_py(), dict(found), rows)

    @property
    def regimes(self) -> dict[str, str]:
        """Those that were run, and their words."""
        return {regime: words for regime, words in REGIMES.items() if any(own == regime for _, own, _ in self.found)}

    def difference(self, one: str, other: str, regime: str, share: float) -> Interval | None:
        """In points, paired by replicate; None where one of them has no two students in common with the other."""
        a, b = (self.found.get((method, regime, f"fraction={share}"), {}) for method in (one, other))
        values = paired(a, b)
        return t_interval(values, floor=100 * grid_floor(self.tested)) if len(values) > 1 else None

    def accuracy(self, method: str, regime: str, budget: str) -> Interval | None:
        """In percent; without bounds where there is one student."""
        values = list(self.found.get((method, regime, budget), {}).values())
        return t_interval(values) if values else None

    def whole(self, regime: str, share: float) -> Interval | None:
        """All images for as many steps; where every set takes as many, these are the full data's own."""
        own = self.accuracy(FULL, regime, f"fraction={share}")
        return own or (self.accuracy(FULL, regime, "all") if regime == STEPS else None)


def p_value(interval: Interval) -> float:
    """Two-sided, of the mean against 0."""
    quantile = stats.t.ppf(1 - ALPHA / 2, interval.n - 1)
    return float(2 * stats.t.sf(abs(interval.mean) / ((interval.hi - interval.lo) / 2 / quantile), interval.n - 1))


def signed(interval: Interval) -> str:
    return f"{interval.mean:+.1f} [{interval.lo:+.1f}, {interval.hi:+.1f}]".replace("-", "−")


def accuracies(what: str, known: Sequence[Interval | None]) -> tuple[object, ...]:
    """A row of accuracies."""
    bounds = [f" [{k.lo:.1f}, {k.hi:.1f}]" if k and k.n > 1 else "" for k in known]
    cells = [f"{k.mean:.1f}{bound}" if k else "" for k, bound in zip(known, bounds, strict=True)]
    return what, max((k.n for k in known if k), default=0), *cells


def fixed(method: str) -> bool:
    """Whether all students learnt from one set."""
    return method != RANDOM and not method.startswith(DRAWN)


def claims(runs: Sequence[Run]) -> str:
    """The named contrasts, in both regimes, corrected together."""
    cells = {
        (claim, run.data, regime): found
        for claim in CLAIMS
        for run in runs
        for regime in run.regimes
        if (found := run.difference(claim.better, claim.than, regime, claim.share))
    }
    p_values = dict(zip(cells, holm([p_value(found) for found in cells.values()]), strict=True))

    def said(key: tuple[Claim, str, str]) -> str:
        found = cells.get(key)
        if found is None:
            return ""
        word = "open" if p_values[key] > ALPHA else "**shown**" if found.mean > 0 else "**the opposite**"
        return f"{signed(found)} {word}"

    heads = [f"{run.data}, {words}" for run in runs for words in run.regimes.values()]
    rows = [
        (
            f"`{c.better}` > `{c.than}`",
            f"{c.share:.0%}",
            c.source,
            *(said((c, run.data, regime)) for run in runs for regime in run.regimes),
        )
        for c in CLAIMS
    ]
    return table(["promise", "kept", "by", *heads], rows)


def picking(run: Run, regime: str, ending: str) -> set[str]:
    """Methods that were run, of those with an ending."""
    methods = {method for method, own, _ in run.found if own == regime} - {RANDOM, FULL}
    return {method for method in methods if method.endswith(EACH) == (ending == EACH)}


def shares(run: Run, regime: str, ending: str) -> str:
    """Every method's difference to random at every share, best first at the smallest one."""
    methods = picking(run, regime, ending)
    cells = {
        (method, share): found
        for method in methods
        for share in SHARES
        if (found := run.difference(method, RANDOM, regime, share))
    }
    p_values = dict(zip(cells, holm([p_value(found) for found in cells.values()]), strict=True))

    def said(method: str, share: float) -> str:
        found = cells.get((method, share))
        if found is None:
            return ""
        mark = "" if p_values[method, share] > ALPHA else " ▲" if found.mean > 0 else " ▼"
        return signed(found) + mark

    def rank(method: str) -> float:
        found = cells.get((method, SHARES[0]))
        return found.mean if found else 0.0

    def students(method: str) -> int:
        return max((cells[method, share].n for share in SHARES if (method, share) in cells), default=0)

    rows: list[tuple[object, ...]] = [
        accuracies("`random`, %", [run.accuracy(RANDOM, regime, f"fraction={share}") for share in SHARES]),
        accuracies("all images for as many steps (RS2), %", [run.whole(regime, share) for share in SHARES]),
    ]
    rows = [row for row in rows if any(row[2:])]
    for method in sorted(methods, key=rank, reverse=True):
        name = f"`{method}`" + ("†" if fixed(method) else "")
        rows.append((name, students(method), *(said(method, share) for share in SHARES)))
    return table(["", "n", *(f"{share:.0%} kept" for share in SHARES)], rows)


def draw(runs: Sequence[Run], path: Path) -> None:
    """Differences to random over the share that is kept, a panel for each run and regime."""
    import matplotlib.pyplot as plt

    shown = {"ccs": "#0b6bcb", "d2": "#15803d", "dual": "#7c3aed", "zcore": "#0891b2", "el2n_hard": "#c2410c"}
    shown |= {"forgetting_hard": "#be185d", "prototypes_easy": "#0f766e", "el2n_easy": "#57606a"}
    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    columns = [(run, regime) for run in runs for regime in run.regimes]
    size = (3.4 * len(columns), 3.2 * len(PICKS))
    figure, axes = plt.subplots(
        len(PICKS), len(columns), figsize=size, layout="constrained", squeeze=False, sharey="col"
    )
    panels = [(run, regime, ending) for ending in PICKS for run, regime in columns]
    for axis, (run, regime, ending) in zip(axes.flat, panels, strict=True):
        axis.axhline(0, color="#57606a", linewidth=1)
        for method, colour in shown.items():
            own = [(s, d) for s in SHARES if (d := run.difference(method + ending, RANDOM, regime, s))]
            if not own:
                continue
            at = [100 * s for s, _ in own]
            axis.plot(at, [d.mean for _, d in own], color=colour, marker="o", markersize=3, label=method)
            axis.fill_between(at, [d.lo for _, d in own], [d.hi for _, d in own], color=colour, alpha=0.15, linewidth=0)
        axis.set_title(f"{run.data}, {REGIMES[regime]}\n{PICKS[ending]}", fontsize=9)
        axis.set_xlim(5, 95)
        axis.set_xticks([100 * s for s in SHARES])
        axis.grid(alpha=0.25)
    figure.supxlabel("% of the images kept", fontsize=9)
    figure.supylabel("accuracy minus that of random, points", fontsize=9)
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Write the page's tables, its figure and its rows."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("runs", nargs="+", type=Path, help="folders of runs, or .csv files of their rows")
    arguments.add_argument("--out", type=Path, default=Path("docs/results"))
    given = arguments.parse_args()
    runs = Run.read(given.runs)
    sections = [f"## What the papers promise\n\n{claims(runs)}"]
    sections += [
        f"## {run.data}, {words}, {picks}\n\n{shares(run, regime, ending)}"
        for run in runs
        for regime, words in run.regimes.items()
        for ending, picks in PICKS.items()
        if picking(run, regime, ending)
    ]
    written(given.out / "pruning.md", "\n\n".join(sections))
    draw(runs, given.out / "pruning.png")
    csv.write_csv(pa.concat_tables([run.rows for run in runs]), given.out / "pruning.csv")


if __name__ == "__main__":
    main()
