"""What a teacher's training is worth to its students: random images, labelled by teachers that stopped early.

    python benchmarks/early_teachers.py --net convnet3_bn --out runs/early_teachers
    python benchmarks/early_teachers.py --table runs/early_teachers/rows.csv         # once more, of its rows

Fashion-MNIST, random sets at one and ten images a class, ``single_teacher``. A teacher ends at the first look at val
with the accuracy that is asked for, or after all of its ten epochs. Teacher r of every row starts alike and sees the
same batches, at the same rates: those of a row are those of the last, earlier. It labels set r, so intervals are over
sets and teachers together, and differences are paired.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

from decoct.core.record import read_json
from decoct.needs.teacher import TEACHER, Teach
from decoct.report.read.manifest import Manifest
from decoct.report.stats.intervals import Interval, t_interval
from decoct.report.write import write_report
from decoct.study.run import run
from decoct.study.study import Study
from decoct.training.recipe import epoch_steps
from yardstick import table

STOPS = (0.7, 0.8, 0.85, 0.88, 0.9)  # accuracies on val
DATA, NET, STUDENT, IPCS, SETS = "fashion_mnist", "convnet3_bn", "convnet3_w32", (1, 10), 5
COLUMNS = ("net", "stops_at", "set", "epochs", "val_accuracy", "budget", "accuracy")  # of the rows; in percent
HEAD = ("stops at", "epochs", "accuracy on val, %")


class Row(NamedTuple):
    """Teachers that stopped at one accuracy.

    Attributes:
        val: accuracy of each on val, in percent.
        epochs: that each took.
        students: accuracies in percent, by budget, a set each.
    """

    val: list[float]
    epochs: list[float]
    students: dict[str, list[float]]


def study(stop: float | None, net: str, sets: int) -> Study:
    """Random sets under teachers that stop there; a teacher for each set."""
    return Study.from_dict(
        {
            "name": f"early_teachers_{stop or 'end'}",
            "data": {"name": DATA},
            "students": [STUDENT],
            "precision": "bfloat16",
            "budgets": [{"ipc": ipc} for ipc in IPCS],
            "replicates": {"condense": sets, "teacher": sets},
            "ceiling": False,
            "metrics": {"names": []},
            "condensers": ["random"],
            "protocols": [{"name": "single_teacher", "teacher": net}],
            "teachers": [{"net": net, "stop_at": stop}],
        }
    )


def made(stop: float | None, net: str, sets: int, out: Path, store: Path | None, workers: int) -> Row:
    """Run what is missing of one row.

    Raises:
        SystemExit: a job failed.
    """
    folder = out / f"{stop or 'end'}"
    if failures := run(study(stop, net, sets), folder, workers=workers, store=store or out / "store"):
        raise SystemExit("\n".join(failures.values()))
    write_report(folder)
    manifest = Manifest.read(folder)
    facts = [read_json(manifest.cell(job) / TEACHER) for job in manifest.finished("teacher")]
    epoch = epoch_steps(manifest.data["images"]["train"], Teach(net=net).batch)
    students: dict[str, list[float]] = {}
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: int(row["condense_replicate"])):
            students.setdefault(row["budget"], []).append(100 * float(row["accuracy"]))
    return Row([100 * each["val_accuracy"] for each in facts], [each["steps"] / epoch for each in facts], students)


def write(net: str, rows: dict[float | None, Row], path: Path) -> None:
    """One line for each student."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for stop, row in rows.items():
            for budget, own in row.students.items():
                for number, (epochs, val, accuracy) in enumerate(zip(row.epochs, row.val, own, strict=True)):
                    writer.writerow((net, stop or "end", number, epochs, val, budget, accuracy))


def read(path: Path) -> tuple[str, dict[float | None, Row]]:
    """The net, and the rows by the accuracy at which it stops."""
    rows: dict[float | None, Row] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            row = rows.setdefault(None if line["stops_at"] == "end" else float(line["stops_at"]), Row([], [], {}))
            row.students.setdefault(line["budget"], []).append(float(line["accuracy"]))
            if len(row.val) == int(line["set"]):  # its first budget
                row.val.append(float(line["val_accuracy"]))
                row.epochs.append(float(line["epochs"]))
    return line["net"], rows


def cells(rows: dict[float | None, Row]) -> list[list[str]]:
    """Of the table: a line for each accuracy."""
    end, lines = rows[None], []
    for stop, row in rows.items():
        low, high = min(row.epochs), max(row.epochs)
        took = f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"
        line = [f"{100 * stop:.0f} %" if stop else "the end", took, said(t_interval(row.val))]
        for budget, own in row.students.items():
            apart = [a - b for a, b in zip(own, end.students[budget], strict=True)]
            line += [said(t_interval(own)), said(t_interval(apart), "+") if stop else ""]
        lines.append(line)
    return lines


def said(found: Interval, sign: str = "") -> str:
    """A mean with its interval."""
    return f"{found.mean:{sign}.1f} [{found.lo:{sign}.1f}, {found.hi:{sign}.1f}]".replace("-", "−")


def main() -> None:
    """Run what is missing, write the rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/early_teachers"))
    parser.add_argument("--store", type=Path, help="folder of the cells, which other studies may share")
    parser.add_argument("--table", type=Path, metavar="ROWS", help="print the table of these rows, and run nothing")
    parser.add_argument("--net", default=NET, help="of the teachers")
    parser.add_argument(
        "--stops", type=float, nargs="*", default=STOPS, help="accuracies on val; the end comes besides"
    )
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if asked.table is None:
        stops = (*asked.stops, None)  # None for the end
        rows = {stop: made(stop, asked.net, asked.sets, asked.out, asked.store, asked.workers) for stop in stops}
        write(asked.net, rows, asked.out / "rows.csv")
    net, rows = read(asked.table or asked.out / "rows.csv")
    budgets = [budget.replace("ipc=", "IPC ") for budget in rows[None].students]
    print(f"Teachers are {net}; n = {len(rows[None].val)} sets, a teacher and a student each.\n")
    print(table([*HEAD, *(cell for budget in budgets for cell in (f"{budget}, %", "− the end"))], cells(rows)))


if __name__ == "__main__":
    main()
