"""Run simulated studies with a known truth through the report's statistics, to ``docs/results/statistics.md``.

python benchmarks/calibrate.py errors power
"""

import argparse
import re
from pathlib import Path

from calibration import coverage, errors, more, pooled, power, same

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "statistics.md"
RUNS = {
    "errors": (errors.errors, errors.SEED),
    "errors_with_images": (errors.errors_with_images, errors.SEED),
    "errors_unpromised": (errors.errors_unpromised, errors.SEED),
    "power": (power.power, power.SEED),
    "power_with_images": (power.power_with_images, power.SEED),
    "coverage": (coverage.coverage, coverage.SEED),
    "same_at_the_margin": (same.same_at_the_margin, same.SEED),
    "same_if_equal": (same.same_if_equal, same.SEED),
    "more": (more.more, more.SEED),
    "pooled": (pooled.pooled, pooled.SEED),
}
HEAD = """# Calibration of the statistics

Simulated studies with a known truth, judged by the code that writes the report; what they mean is on
[the page about statistics](../statistics.md). Unless a table says otherwise, a study has seven distillation methods,
three coresets of which two have one set each, six settings, one student a set, and the standard deviations are 0.7
points between sets and 0.5 between students of one set, so that a paired difference of two stochastic methods has 1.2.
The spreads are those of `benchmarks/calibration/named.py`. Study k of a table is drawn from child k of its seed. ± is
1.96 standard errors over studies, or three over their number where all of them agree.
"""


def section(name: str, by: float) -> str:
    """A table, with how it was made."""
    run, seed = RUNS[name]
    command, table = f"python benchmarks/calibrate.py {name}" + (f" --by {by:g}" if by != 1 else ""), run(by)
    lines = [f"| {' | '.join(cells)} |" for cells in (table.head, ["---"] * len(table.head), *table.rows)]
    return "\n".join([f"## {name}\n\n`{command}`, seed {seed}.\n\n{table.what}\n", *lines]) + "\n"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="+", choices=RUNS, metavar="NAME", help=", ".join(RUNS))
    arguments.add_argument("--by", type=float, default=1.0, help="this many times the studies")
    options = arguments.parse_args()
    for name in options.names:
        made = section(name, options.by)
        print(made, flush=True)
        text = RESULTS.read_text("utf-8") if RESULTS.is_file() else ""
        known = {part.split()[1]: part for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]} | {name: made}
        RESULTS.write_text("\n".join([HEAD, *(known[each].strip() + "\n" for each in RUNS if each in known)]), "utf-8")


if __name__ == "__main__":
    main()
