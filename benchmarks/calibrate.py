"""Run simulated studies with a known truth through the report's statistics, to ``docs/results/statistics.md``.

python benchmarks/calibrate.py errors power coverage same more pooled
"""

import argparse
import re
from importlib import import_module
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "statistics.md"
NAMES = ("errors", "power", "coverage", "same", "more", "pooled")
HEAD = (
    "# Calibration of the statistics\n\nSimulated studies with a known truth, judged by the code that writes the report. "
    "What they mean is on [the page about statistics](../statistics.md). Seven distillation methods, three coresets of "
    "which two have one set each, six settings, one student a set; "
    "the standard deviation is 0.7 points between sets and 0.5 between students of one set, so that a paired "
    "difference of two stochastic methods has 1.2. Study k of a run is drawn from child k of the section's seed. "
    "± is 1.96 standard errors over studies, or three over their number where all of them agree. "
    "The spreads are in `benchmarks/calibration/named.py`.\n"
)


def section(name: str, by: float) -> str:
    """A run's tables."""
    run = import_module(f"calibration.{name}")
    with_by = f" --by {by:g}" if by != 1 else ""
    parts = [f"## {name}\n\n`python benchmarks/calibrate.py {name}{with_by}`, seed {run.SEED}.\n"]
    for table in run.tables(by):
        lines = [table.head, ["---"] * len(table.head), *table.rows]
        parts.append("\n".join([f"{table.what}\n", *(f"| {' | '.join(line)} |" for line in lines)]) + "\n")
    return "\n".join(parts)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    arguments.add_argument("--by", type=float, default=1.0, help="this many times the studies")
    options = arguments.parse_args()
    for name in options.names:
        made = section(name, options.by)
        print(made, flush=True)
        text = RESULTS.read_text("utf-8") if RESULTS.is_file() else ""
        known = {part.split()[1]: part for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]}
        known[name] = made
        RESULTS.write_text("\n".join([HEAD, *(known[each].strip() + "\n" for each in NAMES if each in known)]), "utf-8")


if __name__ == "__main__":
    main()
