"""Removing near-copies and mislabelled images, against removing as many at random: three studies and their tables.

    python benchmarks/cleaning.py --out runs/cleaning                # or some of the three: copies symmetric confusing

Each study has 5,000 train images of Fashion-MNIST, a fifth of them faulty (examples/plugins/dirty_fashion.py), and
keeps four fifths, or another share (``--keep``). Of a pair of copies one may go: found is the share of pairs that lost
an image, right the share of what went that this accounts for. Of wrong labels, found is the share of them that went,
right their share of what went. Ten students each, of as many steps, trained as in examples/pruning_*.toml; differences
to random removal are those of the page of the run.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.api import load_data
from decoct.core.condensed import Condensed
from decoct.core.record import read_json
from decoct.report import wording
from decoct.report.summary import Summary
from decoct.report.write import write_report
from decoct.study.run import run
from decoct.study.study import Study
from decoct.study.work.sets import FACTS
from yardstick import table

PLUGIN = str(Path(__file__).parents[1] / "examples" / "plugins" / "dirty_fashion.py")
NET, LITE = {"net": "convnet3_bn_w16", "epochs": 5}, "timm:tf_efficientnet_lite0"
RANDOM: dict[str, Any] = {"name": "random", "pooled": True}
COPIES: list[dict[str, Any]] = [
    RANDOM,
    {"name": "deduplicate", "label": "deduplicate, pixels", "extractor": "pixels"},
    {"name": "deduplicate", "label": "deduplicate, a net taught on the data", "extractor": NET["net"]},
    {"name": "deduplicate", "label": "deduplicate, EfficientNet-Lite0", "extractor": LITE},
    {"name": "semdedup", "label": "semdedup, pixels", "extractor": "pixels"},
]
LABELS: list[dict[str, Any]] = [
    RANDOM,
    {"name": "confident"} | NET,
    {"name": "confident", "label": "confident, in each class", "pooled": False} | NET,
    {"name": "aum", "keep": "easy", "pooled": True} | NET,
    {"name": "aum", "label": "aum, in each class", "keep": "easy", "pooled": False} | NET,
]
FAULTS = {"copies": COPIES, "symmetric": LABELS, "confusing": LABELS}
HEAD = ["removed by", "found", "right", "accuracy, %", "− random", "word", "found by kind; noted"]


def study(fault: str, students: int, steps: int, keep: float) -> Study:
    """One study: what is kept of the images, a share of them, and all of them for as many steps."""
    return Study.from_dict(
        {
            "name": f"cleaning_{fault}",
            "data": {"name": "dirty_fashion", "fault": fault},
            "plugins": [PLUGIN],
            "students": ["convnet3_w16"],
            "budgets": [{"fraction": keep}],
            "replicates": {"condense": students},
            "condensers": FAULTS[fault],
            "protocols": [{"name": "erm", "steps": steps, "lr": 0.01, "augment": False}],
            "extractors": [{"name": LITE, "size": 64}],
            "teachers": [NET],
            "metrics": {"names": []},
            "same_steps": True,
        }
    )


def by_kind(kept: NDArray[np.int64], files: Sequence[str]) -> dict[str, float]:
    """Share of the pairs that lost an image, by kind of copy."""
    gone = {files[i].partition("-")[0] for i in np.setdiff1d(np.arange(len(files)), kept)}
    pairs = [tuple(file.split("-")) for file in files if "-" in file and "-was-" not in file]
    return {
        kind: float(np.mean([of in gone for of, k in pairs if k == kind])) for kind in sorted({k for _, k in pairs})
    }


def found(kept: NDArray[np.int64], files: Sequence[str], fault: str) -> tuple[float, float]:
    """Share of the faults that went, and of what went that was a fault."""
    gone = np.setdiff1d(np.arange(len(files)), kept)
    if fault != "copies":
        wrong = {i for i, file in enumerate(files) if "-was-" in file}
        hits = len(wrong & set(gone.tolist()))
        return hits / len(wrong), hits / len(gone)
    pairs = {file.partition("-")[0] for file in files if "-" in file}
    hits = len(pairs & {files[i].partition("-")[0] for i in gone})
    return hits / len(pairs), hits / len(gone)


def rows(summary: Summary, files: Sequence[str], fault: str) -> Iterator[list[str]]:
    """A row for each method, and one for the whole train split."""
    (setting,) = summary.settings
    sets: dict[str, list[Path]] = {}
    for job in summary.run.finished("condense"):
        sets.setdefault(str(job.labels["method"]), []).append(summary.run.cell(job))
    for method in summary.methods:
        cells = sets[method]
        seen = [found(indices(cell), files, fault) for cell in cells]
        a, v = summary.accuracy(method, setting), summary.verdict(method, setting)
        c = v.random if v else None
        kinds = [by_kind(indices(cell), files) for cell in cells]
        notes = {kind: f"{np.mean([each[kind] for each in kinds]):.0%}" for kind in kinds[0]}
        notes |= {name: f"{value:.3g}" for name, value in read_json(cells[0] / FACTS)["notes"].items()}
        yield [
            f"`{method}`" if method in ("random", "confident", "aum") else method,
            *(f"{np.mean(each):.0%}" for each in zip(*seen, strict=True)),
            wording.accuracy(a.interval) if a else "",
            wording.difference(c) if c and c.n else "",
            c.verdict if c and c.n else "",
            ", ".join(f"{name} {value}" for name, value in notes.items()),
        ]
    (full,) = summary.ceiling.values()
    yield ["nothing: all 5,000", "", "", wording.accuracy(full.interval), "", "", ""]


def indices(cell: Path) -> NDArray[np.int64]:
    """What a set picked."""
    picked = Condensed.load(cell).indices
    assert picked is not None
    return picked


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", default=list(FAULTS), help="of the train images; default: all")
    parser.add_argument("--out", type=Path, default=Path("runs/cleaning"))
    parser.add_argument("--keep", type=float, default=0.8, help="share of the images")
    parser.add_argument("--students", type=int, default=10)
    parser.add_argument("--steps", type=int, default=150)
    args = parser.parse_args()
    for fault in args.faults:
        out = args.out / fault
        failures = run(study(fault, args.students, args.steps, args.keep), out)
        if failures:
            raise SystemExit("\n".join(failures.values()))
        data = load_data({"name": "dirty_fashion", "fault": fault}, plugins=[PLUGIN])
        if len(args.faults) > 1:
            print(f"## {fault}\n")
        print(f"{table(HEAD, list(rows(write_report(out), data.train.files or (), fault)))}\n")


if __name__ == "__main__":
    main()
