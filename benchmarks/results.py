"""One command for a page of results: its studies, which resume, its tables, its picture, and what they were made with.

python benchmarks/results.py fashion_mnist
python benchmarks/results.py pruning matching --runs /fast/disk

A page has places, each from a line ``<!-- WHAT -->`` to a line ``<!-- end -->``. WHAT is ``report``, for what
``decoct report`` prints of all its studies, or the name of a table that it writes (``ranking``, ``controls``), or a
benchmark with its words, which is called for what it prints. The rows of all students stand beside the page, and the
study's card where the page shows that. The tests hold every mean that a page quotes against those rows, so text that
the new numbers contradict fails there.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from decoct.study.cell import hardware

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
CARD = "![The card of this study]"
BUILT_IN = "digits"
WIDTH, ENDLESS = 100, 10_000  # of what is printed, in characters: a table, and sentences of a line each
OPENED = r"^<!-- (?P<what>report|accuracy|ranking|verdict|controls|metrics|[a-z_]+\.py [^\n]*) -->\n"
PLACE = re.compile(OPENED + r"(?P<kept>.*?)^<!-- end -->$", re.M | re.S)
MADE = re.compile(r"^Made by `python benchmarks/results\.py .*\n\n?", re.M)


@dataclass(frozen=True)
class Page:
    """What a page stands on.

    Attributes:
        studies: of examples/, run in turn, or the built-in one.
        steps: benchmarks with their words, called after the studies; RUNS is the folder of all runs.
        rows: files beside the page, and where in RUNS they come from.
    """

    studies: Sequence[str] = ()
    steps: Sequence[str] = ()
    rows: Mapping[str, str] = field(default_factory=dict)


def one(name: str, *steps: str, **rows: str) -> Page:
    """A page of one study, whose students' rows lie beside it."""
    return Page((name,), steps, {f"{name}.csv": f"{name}/results.csv"} | rows)


ALONE = ("authors_iterations", "clipart", "coresets", "decoupled", "fashion_dc", "fifty_images")  # of one study
STOPS = "0.7 0.8 0.85 0.88"  # of narrow teachers, which do not reach .9
PAGES = {
    **{name: one(name) for name in ALONE},
    "beyond_accuracy": one(
        "beyond_accuracy",
        "as_pictures.py examples/beyond_accuracy.toml RUNS/beyond_accuracy --out RUNS/beyond_as_pictures "
        "--beside herding --measure",
    ),
    "cleaning": Page(),
    "cross_architecture": one(
        "cross_architecture",
        "as_pictures.py examples/cross_architecture.toml RUNS/cross_architecture --out RUNS/cross_as_pictures "
        "--beside herding",
        "batch_norm.py RUNS/cross_architecture --out RUNS/batch_norm",
        **{"cross_as_pictures.csv": "cross_as_pictures/rows.csv", "batch_norm.csv": "batch_norm/rows.csv"},
    ),
    "early_teachers": Page(
        steps=[f"early_teachers.py --net convnet3_bn_w32 --stops {STOPS} --out RUNS/early_teachers --store RUNS/store"],
        rows={"early_teachers.csv": "early_teachers/rows.csv"},
    ),
    "fashion_mnist": one(
        "fashion_mnist",
        "as_pictures.py examples/fashion_mnist.toml RUNS/fashion_mnist --out RUNS/as_pictures --beside herding",
        **{"as_pictures.csv": "as_pictures/rows.csv"},
    ),
    "generative": one(
        "generative",
        "sheet.py RUNS/generative docs/results/generative_sets.png",
        "modes.py --extractors held_out --ipc 10 --store RUNS/store --rows RUNS/modes.jsonl",
        "modes.py --extractors held_out --ipc 50 --seeds 5 --store RUNS/store --rows RUNS/modes.jsonl",
        **{"modes.jsonl": "modes.jsonl"},
    ),
    "matching": one("matching", "sheet.py RUNS/matching docs/results/matching_sets.png"),
    "one_set": Page(steps=["one_set.py"]),
    "points": Page(),
    "precision": Page(rows={"precision.csv": "precision/results.csv"}),
    "pruning": Page(
        ("pruning_fashion", "pruning_by_class", "pruning_clipart"),
        ["pruning.py RUNS/pruning_fashion RUNS/pruning_by_class RUNS/pruning_clipart"],
    ),
    "verdict": Page((BUILT_IN, "fashion_mnist", "clipart"), rows={"digits.csv": f"{BUILT_IN}/results.csv"}),
}


def make(name: str, runs: Path) -> None:
    """The page and all that stands on it; what a run has done already is not done again."""
    asked, page = PAGES[name], RESULTS / f"{name}.md"
    for study in asked.studies:
        file = [] if study == BUILT_IN else [str(ROOT / "examples" / f"{study}.toml")]
        call("-m", "decoct", "run", *file, "--out", str(runs / study), "--store", str(runs / "store"))
    for step in asked.steps:
        benchmark(step, runs)
    made = {what: filled(what, runs, asked.studies) for what, _ in PLACE.findall(places(page.read_text("utf-8")))}
    now = places(page.read_text("utf-8"))  # read again: the page may have been edited while all that was made
    text = PLACE.sub(lambda place: made.get(place["what"], place[0]), now)
    if f"{CARD}({name}.png)" in text:
        call("-m", "decoct", "report", str(runs / asked.studies[0]), "--card", str(RESULTS / f"{name}.png"))
    for file, source in asked.rows.items():
        shutil.copyfile(runs / source, RESULTS / file)
    page.write_text(stamped(text, name), "utf-8")


def call(*words: str, width: int = WIDTH) -> str:
    """Run Python, in this checkout; gives what it printed, in lines of so many characters at most."""
    plain = os.environ | {"COLUMNS": str(width), "NO_COLOR": "1"}
    called = subprocess.run(
        [sys.executable, *words], check=True, cwd=ROOT, env=plain, stdout=subprocess.PIPE, text=True
    )
    print(called.stdout, end="", flush=True)
    return called.stdout


def benchmark(words: str, runs: Path) -> str:
    """Call a benchmark by its words; gives what it printed."""
    file, *rest = shlex.split(words)
    return call(str(ROOT / "benchmarks" / file), *(word.replace("RUNS", str(runs)) for word in rest))


def places(text: str) -> str:
    """The same text.

    Raises:
        SystemExit: a place has no end, or an end no place.
    """
    if not len(re.findall(OPENED, text, re.M)) == len(PLACE.findall(text)) == text.count("<!-- end -->"):
        raise SystemExit("every <!-- WHAT --> needs a line <!-- end --> below it, and that a WHAT")
    return text


def filled(what: str, runs: Path, studies: Sequence[str]) -> str:
    """A place with what stands there now; of a report all but its last line, which says where a file is, of several
    studies a point for each sentence.

    Raises:
        SystemExit: it is for the table of a study, and the page has none, or several.
    """
    several = len(studies) > 1
    if ".py" in what:
        now = benchmark(what, runs).strip()
    elif what == "report" and studies:
        folders = [str(runs / study) for study in studies]
        out = ("--out", str(runs / "_".join(studies))) if several else ()
        words = ("-m", "decoct", "report", *folders, *out)
        said = call(*words, width=ENDLESS if several else WIDTH).partition("\nThe page: ")[0].strip("\n")
        now = "\n".join(f"- {line}" for line in said.splitlines() if line) if several else f"```text\n{said}\n```"
    elif several or not studies:
        raise SystemExit(f"<!-- {what} --> needs a page of one study")
    else:
        now = (runs / studies[0] / "tables" / f"{what}.md").read_text("utf-8").strip()
    return f"<!-- {what} -->\n{now}\n<!-- end -->"


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
    arguments.add_argument("names", nargs="+", choices=PAGES, metavar="NAME", help=", ".join(PAGES))
    arguments.add_argument("--runs", type=Path, default=ROOT / "runs" / "results", help="folder of the runs")
    asked = arguments.parse_args(words)
    for name in asked.names:
        make(name, asked.runs.absolute())


if __name__ == "__main__":
    main()
