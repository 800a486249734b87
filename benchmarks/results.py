"""One command for a page of results: its studies, which resume, its tables, its picture, and what they were made with.

python benchmarks/results.py fashion_mnist
python benchmarks/results.py pruning --runs /fast/disk

A page of one study gets what ``decoct report`` prints, between the lines ``<!-- report -->`` and ``<!-- end -->``, the
rows of all students as a file beside it, and the study's card where it shows that. The tests hold every mean that the
page quotes against those rows, so text that the new numbers contradict fails there.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from decoct.study.cell import hardware

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
STUDIES = {  # of examples/, which a page stands on; several have tables of their own, by a benchmark of the page's name
    "authors_iterations": ("authors_iterations",),
    "clipart": ("clipart",),
    "decoupled": ("decoupled",),
    "fashion_mnist": ("fashion_mnist",),
    "pruning": ("pruning_fashion", "pruning_by_class", "pruning_clipart"),
}
CARD = "![The card of this study]"
WIDTH = 100  # of what is printed, in characters
PRINTED = re.compile(r"(?<=^<!-- report -->\n).*?(?=^<!-- end -->$)", re.MULTILINE | re.DOTALL)
MADE = re.compile(r"^Made by `python benchmarks/results\.py .*\n\n?", re.MULTILINE)


def make(name: str, runs: Path) -> None:
    """The page and all that stands on it; what a run has done already is not done again."""
    folders = [runs / study for study in STUDIES[name]]
    for study, folder in zip(STUDIES[name], folders, strict=True):
        done = ("--out", str(folder), "--store", str(runs / "store"))
        call("-m", "decoct", "run", str(ROOT / "examples" / f"{study}.toml"), *done)
    page = RESULTS / f"{name}.md"
    if len(folders) > 1:
        call(str(ROOT / "benchmarks" / f"{name}.py"), *map(str, folders))
        text = page.read_text("utf-8")
    else:
        text = filled(page.read_text("utf-8"), call("-m", "decoct", "report", str(folders[0])))
        if f"{CARD}({name}.png)" in text:
            call("-m", "decoct", "report", str(folders[0]), "--card", str(RESULTS / f"{name}.png"))
        shutil.copyfile(folders[0] / "results.csv", RESULTS / f"{name}.csv")
    page.write_text(stamped(text, name), "utf-8")


def call(*words: str) -> str:
    """Run Python, in this checkout; gives what it printed."""
    plain = os.environ | {"COLUMNS": str(WIDTH), "NO_COLOR": "1"}
    called = subprocess.run(
        [sys.executable, *words], check=True, cwd=ROOT, env=plain, stdout=subprocess.PIPE, text=True
    )
    print(called.stdout, end="", flush=True)
    return called.stdout


def filled(text: str, printed: str) -> str:
    """A page with what a report printed in its place, but for the last line, which says where a file is.

    Raises:
        SystemExit: the page has no such place, or several.
    """
    kept = printed.partition("\nThe page: ")[0].strip("\n")
    if len(PRINTED.findall(text)) != 1:
        raise SystemExit("the page needs a line <!-- report --> once, and a line <!-- end --> below it")
    return PRINTED.sub(lambda _: f"```text\n{kept}\n```\n", text)


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
