"""Stored soft labels on Fashion-MNIST at IPC 50: bytes, and what they cost in accuracy. An hour on two cores.

Runs ``examples/stored_labels.toml`` (started again, it resumes) and compares each way to store labels with labels made
online, paired over five random sets. Target: 8 bits with one view in 20 take at most 1/20 of the bytes of half
precision for every view, N · E · C · 2, and the loss of accuracy lies within the interval.

    python benchmarks/labels.py --workers 2
"""

import argparse
from pathlib import Path

from decoct.core.interfaces import silent
from decoct.report.read.manifest import Manifest
from decoct.report.stats.intervals import t_interval
from decoct.study.memory import keep_memory
from decoct.study.run import run
from decoct.study.study import Study
from yardstick import table

STUDY = Path(__file__).parents[1] / "examples" / "stored_labels.toml"
IMAGES, EPOCHS, CLASSES = 500, 300, 10


def points(interval) -> str:
    """A mean with its interval, in points."""
    return f"{100 * interval.mean:.2f} [{100 * interval.lo:.2f}, {100 * interval.hi:.2f}]"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=Path("stored_labels"))
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    keep_memory()
    failures = run(Study.from_toml(STUDY), options.out, workers=options.workers, progress=silent)
    assert not failures, failures
    manifest, found = Manifest.read(options.out), {}
    for job in manifest.finished("train"):
        found.setdefault(job.labels["protocol"], {})[job.labels["condense_replicate"]] = manifest.load(
            job, "result.json"
        )
    fkd, online, rows = IMAGES * EPOCHS * CLASSES * 2, found["online"], []
    for protocol, results in found.items():
        nbytes = max(result["label_bytes"] for result in results.values()) - online[0]["label_bytes"]
        loss = t_interval([results[r]["accuracy"] - online[r]["accuracy"] for r in sorted(online)])
        rows.append(
            [
                protocol,
                f"{nbytes:,}",
                f"1/{fkd / nbytes:.1f}" if nbytes else "none stored",
                points(t_interval([result["accuracy"] for result in results.values()])),
                "" if protocol == "online" else points(loss),
                len(results),
            ]
        )
    print(f"Half precision for every view, N · E · C · 2: {fkd:,} bytes. ConvNet-3, width 32, single_teacher.\n")
    head = ["labels", "bytes of labels and views, at most", "of that", "accuracy, %", "minus online, points", "sets"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
