"""One command for a page of results: its studies, which resume, its tables, its picture, and what they were made with.

python benchmarks/results.py one_set
python benchmarks/results.py pruning --runs /fast/disk
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from decoct.study.cell import hardware

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
STUDIES = {  # of examples/, which a page stands on
    "pruning": ("pruning_fashion", "pruning_by_class", "pruning_clipart"),
}
MADE = re.compile(r"^Made by `python benchmarks/results\.py .*\n\n?", re.MULTILINE)


def make(name: str, runs: Path) -> None:
    """The page and all that stands on it; what a run has done already is not done again."""
    folders = [runs / study for study in STUDIES[name]]
    for study, folder in zip(STUDIES[name], folders, strict=True):
        done = ("--out", str(folder), "--store", str(runs / "store"))
        call("-m", "decoct", "run", str(ROOT / "examples" / f"{study}.toml"), *done)
    call(str(ROOT / "benchmarks" / f"{name}.py"), *map(str, folders))
    page = RESULTS / f"{name}.md"
    page.write_text(stamped(page.read_text("utf-8"), name), "utf-8")


def call(*words: str) -> None:
    """Run Python, in this checkout."""
    subprocess.run([sys.executable, *words], check=True, cwd=ROOT)


def stamped(text: str, name: str) -> str:
    """A page that says, before its first table, what it was made with."""
    asked = subprocess.run(["git", "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    commit = asked.stdout.strip() or "unknown"  # where there is no history
    made = f"commit {commit}, {hardware('cpu')}, torch {version('torch')}"
    said = f"Made by `python benchmarks/results.py {name}` on {made}."
    head, section, rest = MADE.sub("", text).partition("\n## ")
    return f"{head.rstrip()}\n\n{said}\n{section}{rest}"


def main(words: Sequence[str] | None = None) -> None:
    """Make the pages that are named."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="+", choices=STUDIES, metavar="NAME", help=", ".join(STUDIES))
    arguments.add_argument("--runs", type=Path, default=ROOT / "runs" / "results", help="folder of the runs")
    asked = arguments.parse_args(words)
    for name in asked.names:
        make(name, asked.runs.absolute())


if __name__ == "__main__":
    main()
