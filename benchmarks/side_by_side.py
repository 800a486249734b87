"""The authors' programs and decoct's on the same data, nets and random draws, and sets of both under two protocols.

    python benchmarks/side_by_side.py --trees FOLDER                     # step by step, all methods
    python benchmarks/side_by_side.py --trees FOLDER --only rded dm
    python benchmarks/side_by_side.py --trees FOLDER --only rded --sets  # five sets of each, and their students
    python benchmarks/side_by_side.py                                    # the table of what there is

FOLDER holds a clone of each repository under its own name: SRe2L, RDED, … Nothing of them comes into this project. What
is found of a method stays in docs/results/originals/METHOD.json, the table in docs/results/originals.md.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from decoct.report.stats.comparisons import compare
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import t_interval
from originals.data import EPOCHS

DOCS = Path(__file__).parents[1] / "docs" / "results"
ROWS = DOCS / "originals"
METHODS = (
    *("sre2l", "rded", "g_vbsm", "edc", "cv_dd", "fadrm", "delt", "cim"),
    *("dc", "dsa", "dm", "mtt", "datm", "minimax", "mgd3", "igd", "dit"),
)
SETS, IPC, STEPS, MARGIN = 5, 10, 500, 0.015
LABELLER = "convnet3_bn_w32"  # what single_teacher's students learn from
WORDS = {"same": "equivalent", "better": "different", "worse": "different", "open": "open"}
STUDY = """name = "{method} beside its authors'"
data = "fashion_mnist"
students = ["convnet3_w32"]
budgets = [{{ipc = {ipc}}}]
replicates = {{condense = {sets}, train = 1}}
ceiling = false
metrics = {{names = ["cost"]}}
teachers = [{teachers}]
condensers = [{{{ours}}}]

[[external]]
label = "theirs"
paths = {paths}
format = {{normalised = "none"}}

[[protocols]]
name = "erm"
steps = {steps}
[[protocols]]
name = "single_teacher"
teacher = "{net}"
steps = {steps}
"""
HEAD = """# Beside the authors' programs

    python benchmarks/side_by_side.py --trees FOLDER
    python benchmarks/side_by_side.py --trees FOLDER --sets

The authors' own program and decoct's run on the same data, with the same nets, from the same start and with the same
random draws, in float64. *After n* is the largest of three distances behind n iterations: of the loss (relative), of
its gradient (relative, in norm), and of the images (the largest of a pixel, in deviations of all). Below {rounding:.0e}
they agree to rounding.

Sets: {sets} of each side with draws of its own, IPC {ipc}, at the same small number of iterations; students are
convnet3_w32, {steps} steps, once each at the last step. *Equivalent* means that the difference is shown to be smaller
than {margin} points, *different* that it is not 0, *open* neither. The interval is of the difference between sets,
paired by the students' seeds, 95 %. Sets that are made from the same draws are the same, as the first table shows.
"""


def module(method: str) -> ModuleType:
    """The file of a method."""
    return importlib.import_module(f"originals.{method}")


def tree(trees: Path, one: ModuleType) -> Path:
    """The authors' repository of a method."""
    name = getattr(one, "FOLDER", one.REPOSITORY.partition("/")[2])
    found = trees / name
    if not found.is_dir():
        sys.exit(f"no folder {name} in {trees}: clone {one.REPOSITORY} there")
    return found


def step_by_step(method: str, trees: Path) -> None:
    """Run both and save the row."""
    one = module(method)
    found = one.agree(tree(trees, one))
    found.write(ROWS, method, repository=one.REPOSITORY, program=one.PROGRAM, setting=one.SETTING)
    print(f"{method}: {found.word}", flush=True)


def sets(method: str, trees: Path, out: Path) -> None:
    """Make sets by the authors' program, train students on them and on ours, and save what came out."""
    one = module(method)
    if not hasattr(one, "make"):
        print(f"{method}: its file has no make", flush=True)
        return
    folder = out / method
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"theirs-{seed}.npz" for seed in range(SETS)]
    for seed, path in enumerate(paths):
        if not path.is_file():
            images, labels = one.make(tree(trees, one), seed)
            np.savez(path, images=images, labels=labels)
            print(f"{method}: set {seed + 1} of {SETS}", flush=True)
    nets = dict.fromkeys([LABELLER, *one.OURS.get("nets", ()), *filter(None, [one.OURS.get("teacher")])])
    study = STUDY.format(
        **{"method": method, "ipc": IPC, "sets": SETS, "steps": STEPS, "net": LABELLER},
        teachers=", ".join(f'{{net = "{net}", epochs = {EPOCHS}}}' for net in nets),
        ours=", ".join(f"{key} = {json.dumps(value)}" for key, value in one.OURS.items()),
        paths=json.dumps([str(path.resolve()) for path in paths]),
    )
    (folder / "study.toml").write_text(study, "utf-8")
    decoct = [sys.executable, "-m", "decoct", "run", str(folder / "study.toml"), "--out", str(folder / "run")]
    subprocess.run([*decoct, "--workers", "1"], check=True, stdout=subprocess.DEVNULL)
    rows = pq.read_table(folder / "run" / "results.parquet").to_pylist()
    path = ROWS / f"{method}.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    known["sets"] = {protocol: beside(rows, protocol) for protocol in ("erm", "single_teacher")}
    known["ours"] = one.OURS
    path.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    print(f"{method}: {known['sets']}", flush=True)


def beside(rows: Sequence[Mapping[str, Any]], protocol: str) -> dict[str, Any]:
    """Accuracies of both under a protocol, in percent, their difference with its interval, and the word."""
    mine, theirs = (
        {row["condense_replicate"]: row["accuracy"] for row in rows if row["protocol"] == protocol and which(row)}
        for which in (lambda row: row["method"] != "theirs", lambda row: row["method"] == "theirs")
    )
    apart = compare(crossed({(r, 0): mine[r] - theirs[r] for r in sorted(mine)}), MARGIN)
    means = {who: 100 * t_interval(list(some.values())).mean for who, some in (("ours", mine), ("theirs", theirs))}
    numbers = means | {"difference": 100 * apart.mean, "lo": 100 * apart.lo, "hi": 100 * apart.hi}
    return {"n": len(mine), "word": WORDS[apart.verdict]} | {name: round(value, 2) for name, value in numbers.items()}


def table() -> str:
    """The page."""
    from originals.beside import AFTER, ROUNDING

    known = [json.loads((ROWS / f"{method}.json").read_text("utf-8")) for method in METHODS if has(method)]
    text = HEAD.format(rounding=ROUNDING, sets=SETS, ipc=IPC, steps=STEPS, margin=100 * MARGIN)
    head = ["method", "program", "setting", *(f"after {n}" for n in AFTER), "says"]
    lines = ["\n## Step by step\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in known:
        at = {each["after"]: max(each["loss"], each["gradient"], each["images"]) for each in row["at"]}
        facts = [
            f"{name}: {value}" if isinstance(value, int) else f"{name}: {value:.2g}"
            for name, value in row["facts"].items()
            if told(name, value)
        ]
        says = ". ".join(part for part in (row["word"], row["why"], "; ".join(facts)) if part)
        cells = [row["method"], f"{row['repository']}, `{row['program']}`", row["setting"]]
        cells += [f"{at[n]:.0e}" if n in at else "" for n in AFTER]
        lines.append(f"| {' | '.join([*cells, says])} |")
    head = ["method", "protocol", "n", "ours, %", "theirs, %", "difference, points", "word"]
    lines += ["\n## Five sets of each\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in known:
        for protocol, s in row.get("sets", {}).items():
            apart = f"{s['difference']:+.1f} [{s['lo']:+.1f}, {s['hi']:+.1f}]".replace("-", "−")
            cells = [row["method"], protocol, str(s["n"]), f"{s['ours']:.1f}", f"{s['theirs']:.1f}", apart, s["word"]]
            lines.append(f"| {' | '.join(cells)} |")
    return text + "\n".join(lines) + "\n"


def told(name: str, value: Any) -> bool:
    """Whether a fact is for the page; the others, such as those of each iteration, are in the file."""
    return isinstance(value, int | float) and not re.search(r" after \d+$", name)


def has(method: str) -> bool:
    """Whether anything is known of a method."""
    return (ROWS / f"{method}.json").is_file()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--trees", type=Path, help="folder of the authors' repositories")
    arguments.add_argument("--only", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD")
    arguments.add_argument("--sets", action="store_true", help="sets with draws of their own, instead of step by step")
    arguments.add_argument("--out", type=Path, default=Path("runs/side_by_side"), help="where sets and students stay")
    options = arguments.parse_args()
    for method in options.only if options.trees else ():
        if options.sets:
            sets(method, options.trees, options.out)
        else:
            step_by_step(method, options.trees)
    (DOCS / "originals.md").write_text(table(), "utf-8")


if __name__ == "__main__":
    main()
