"""How bfloat16 changes the sets of seven methods: examples/precision.toml with more and more sets, and a table.

    python benchmarks/precision.py --out runs/precision                # 5, 10, 15, 20 sets; ends where all is decided
    python benchmarks/precision.py --out runs/precision --sets 10      # at most so many

Differences and words are those of the page of the run: a method in bfloat16 minus the same in float32, its control. It
ends early where the page calls all of them the same. Pixels are of 255, losses of the last iterations, seconds the
processor's; all are means over the sets, and those of float32 stand in brackets. The accuracy is that of float32.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from decoct.core.condensed import Condensed
from decoct.core.record import read_json
from decoct.report.read.manifest import Manifest
from decoct.report.sections.evidence import controls
from decoct.report.summary import Summary
from decoct.report.write import write_report
from decoct.study.run import run
from decoct.study.study import Study
from decoct.study.work.sets import FACTS
from yardstick import table

STUDY = Path(__file__).parents[1] / "examples" / "precision.toml"
STEP, MOST = 5, 20  # sets that are added, and sets at most
HEAD = ["method", "sets", "accuracy, %", "bfloat16 − float32", "word", "pixels: mean, largest", "losses", "seconds"]


def measured(out: Path, most: int, workers: int) -> Summary:
    """Run the study with more and more sets, until every difference is *same* or there are ``most``."""
    study = Study.from_toml(STUDY)
    for sets in range(min(STEP, most), most + 1, STEP):
        more = study.replicates.model_copy(update={"condense": sets})
        failures = run(study.model_copy(update={"replicates": more}), out, workers=workers)
        if failures:
            raise SystemExit("\n".join(failures.values()))
        summary = write_report(out)
        if all(c.comparison.verdict == "same" for c in summary.found(controls.find)):
            break
    return summary


def pairs(manifest: Manifest, method: str, control: str) -> Iterator[tuple[Path, Path]]:
    """Cells of the sets of a method and of its control, replicate by replicate."""
    made = {
        (job.labels["method"], job.labels["condense_replicate"]): manifest.cell(job)
        for job in manifest.finished("condense")
    }
    for (label, replicate), cell in sorted(made.items()):
        if label == method and (control, replicate) in made:
            yield cell, made[control, replicate]


def levels(cell: Path) -> np.ndarray[Any, Any]:
    """[n, C, S, S] on the scale 0 to 255."""
    images = Condensed.load(cell).images
    assert images is not None
    return images.astype(np.float64) * (1 if images.dtype == np.uint8 else 255)


def apart(pair: tuple[Path, Path]) -> tuple[float, float]:
    """Mean and largest distance of the pixels of two sets."""
    distance = np.abs(levels(pair[0]) - levels(pair[1]))
    return float(distance.mean()), float(distance.max())


def noted(cell: Path) -> dict[str, float]:
    """The losses of the last iterations, without their ending."""
    notes = read_json(cell / FACTS)["notes"]
    return {name.removesuffix("_last"): value for name, value in notes.items() if name.endswith("_last")}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/precision"))
    parser.add_argument("--sets", type=int, default=MOST)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    summary = measured(args.out, args.sets, args.workers)
    manifest, rows = summary.run, []
    accuracy = {each.method: each.interval.mean for each in summary.accuracies}
    seconds = {job.key: manifest.cost(job).cpu_seconds for job in manifest.finished("condense")}
    for each in summary.found(controls.find):
        both = list(pairs(manifest, each.method, each.control))
        mean, largest = np.mean([apart(pair) for pair in both], axis=0)[0], max(apart(pair)[1] for pair in both)
        half, plain = ([noted(pair[i]) for pair in both] for i in range(2))
        losses = [
            f"{name} {np.mean([x[name] for x in half]):.4g} ({np.mean([x[name] for x in plain]):.4g})"
            for name in plain[0]
        ]
        took = [np.mean([seconds[pair[i].name] for pair in both]) for i in range(2)]
        c = each.comparison
        rows.append(
            [
                f"`{each.control}`",
                f"{c.n}",
                f"{100 * accuracy[each.control]:.1f}",
                f"{100 * c.mean:+.2f} [{100 * c.lo:.2f}, {100 * c.hi:.2f}]".replace("-", "−"),
                c.verdict if c.verdict == c.alone else f"{c.verdict}; alone {c.alone}",
                f"{mean:.1f}, {largest:.0f}",
                ", ".join(losses) or "–",
                f"{took[0]:.1f} ({took[1]:.1f})",
            ]
        )
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
