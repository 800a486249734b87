"""Students on learnt images as their method leaves them, and on the same images as pictures of 8 bits.

Pixels that a method learns may be darker than black or lighter than white, which no file of pictures holds. What are
they worth within the range? Every set of a run that is not of 8 bits is exported, read again and trained on by the same
students, which start alike and see the same batches; differences are paired over sets, and so is that to another method
of the run. Besides stands how many of the images the protocol's teachers take for their class, whole and unmixed.

    python benchmarks/as_pictures.py examples/fashion_mnist.toml runs/fashion_mnist --beside herding
    python benchmarks/as_pictures.py --table runs/as_pictures/rows.csv           # once more, of its rows
"""

import argparse
import csv
import warnings
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from decoct import load_data, load_set, relabel
from decoct.api import Compute
from decoct.core.cells import store_of
from decoct.core.condensed import Condensed
from decoct.core.interfaces import TrainProtocol
from decoct.data.dataset import Dataset
from decoct.report.read.manifest import Manifest
from decoct.report.stats.intervals import t_interval
from decoct.report.write import write_report
from decoct.study.run import run
from decoct.study.study import Study
from decoct.training.recipe import Storing
from early_teachers import said
from yardstick import keep, table

SEEN = ("seen_as_made", "seen_as_pictures")  # percent of the images that teachers take for their class
COLUMNS = (
    "method",
    "budget",
    "protocol",
    "student",
    "set",
    "as_made",
    "as_pictures",
    "outside",
    *SEEN,
    "beside",
    "reached",
)
PICTURES = "as_pictures"  # label of the exported sets in a study of their own


def exported(manifest: Manifest, out: Path) -> dict[tuple[str, str], list[tuple[Path, Path, float]]]:
    """By method and budget, for each set: its cell, a folder of pictures, percent of its pixels that these cut off."""
    found: dict[tuple[str, str], list[tuple[Path, Path, float]]] = defaultdict(list)
    for job in manifest.finished("condense"):
        method, budget, number = (job.labels[word] for word in ("method", "budget", "condense_replicate"))
        cell = manifest.cell(job)
        made = Condensed.load(cell)
        if made.images is None or made.images.dtype.kind == "u":
            continue
        folder = out / method / budget / str(number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that floats are quantised
            made.export(folder)
        outside = 100 * float(((made.images < 0) | (made.images > 1)).mean())
        found[method, budget].append((cell, folder, outside))
    return found


def trained(
    asked: Study,
    manifest: Manifest,
    method: str,
    budget: str,
    folders: list[Path],
    out: Path,
    workers: int,
    measure: bool,
) -> Path:
    """Rows of the students of a method's sets at one budget, as made and as pictures; beside them the run's tables,
    with the study's metrics if asked for.

    Raises:
        SystemExit: a job failed.
    """
    fields = asked.model_dump(mode="json")
    own = [each for each in fields["condensers"] if method == (each if isinstance(each, str) else label(each))]
    external = {"label": PICTURES, "paths": [str(folder.absolute()) for folder in folders]}
    budgets = [each for each, known in zip(fields["budgets"], asked.budgets, strict=True) if str(known) == budget]
    rest = {"name": PICTURES, "ceiling": False} | ({} if measure else {"metrics": {"names": []}})
    study = Study.from_dict(fields | rest | {"condensers": own, "external": [external], "budgets": budgets})
    folder = out / f"{method}_{budget}"
    if failures := run(study, folder, workers=workers, store=store_of(manifest.folder, manifest.store)):
        raise SystemExit("\n".join(failures.values()))
    write_report(folder)
    return folder / "results.csv"


def label(entry: dict[str, str]) -> str:
    """Of a method in a study."""
    return entry.get("label", entry["name"])


def seen(path: Path, data: Dataset, protocol: TrainProtocol, study: Study, compute: Compute) -> float | str:
    """Percent of a set's images that the teachers of a protocol take for their class; empty where it has none."""
    if not protocol.label_teachers(data.size):
        return ""
    table, per = protocol.config(), Storing(per="image")
    labels = relabel(path, data, protocol=table, storing=per, compute=compute, teachers=study.teachings())
    return 100 * float((labels.arrays["values"].argmax(1) == load_set(path, data).labels).mean())


def reached(folder: Path, method: str) -> dict[tuple[str, ...], float]:
    """Percent that students of a run's method reach, by protocol, student, budget and number of the set.

    Raises:
        SystemExit: the run has none.
    """
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        own = [row for row in csv.DictReader(file) if row["method"] == method and row["train_replicate"] == "0"]
    if not own:
        raise SystemExit(f"{folder} has no students of '{method}': name one of its methods with --beside")
    places = "protocol", "student", "budget", "condense_replicate"
    return {tuple(row[word] for word in places): 100 * float(row["accuracy"]) for row in own}


def rows(
    study: Study, manifest: Manifest, out: Path, beside: str, workers: int, measure: bool
) -> list[dict[str, object]]:
    """One for each pair of students."""
    made, data, recipes = [], load_data(study.data), study.recipes()
    others = reached(manifest.folder, beside)
    compute = Compute(store=store_of(manifest.folder, manifest.store), precision=study.precision)
    for (method, budget), sets in exported(manifest, out / "sets").items():
        found: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
        path = trained(study, manifest, method, budget, [folder for _, folder, _ in sets], out, workers, measure)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["train_replicate"] == "0":
                    place = row["protocol"], row["student"], row["condense_replicate"]
                    found[place][row["method"]] = 100 * float(row["accuracy"])
        for (protocol, student, number), pair in sorted(found.items()):
            *paths, outside = sets[int(number)]
            cells = method, budget, protocol, student, number, pair[method], pair[PICTURES], outside
            judged = (seen(path, data, recipes[protocol], study, compute) for path in paths)
            other = others[protocol, student, budget, number]
            made.append(dict(zip(COLUMNS, (*cells, *judged, beside, other), strict=True)))
    return made


def main() -> None:
    """Run what is missing, write the rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", help="file of a study")
    parser.add_argument("run", type=Path, nargs="?", help="folder of its run")
    parser.add_argument("--out", type=Path, default=Path("runs/as_pictures"))
    parser.add_argument(
        "--beside", default="random", metavar="METHOD", help="of the run, that pictures are held against"
    )
    parser.add_argument("--measure", action="store_true", help="with the study's metrics: tables/ of their run")
    parser.add_argument("--table", type=Path, metavar="ROWS", help="print the table of these rows, and run nothing")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if asked.table is None and asked.run is None:
        parser.error("name a study and the folder of its run, or --table with rows")
    path = asked.table or asked.out / "rows.csv"
    if asked.table is None:
        study = Study.from_toml(asked.study)
        if study.replicates.teacher > 1:
            raise SystemExit("all sets need one teacher (replicates.teacher = 1): it is asked what it takes them for")
        made = rows(study, Manifest.read(asked.run), asked.out, asked.beside, asked.workers, asked.measure)
        keep(path, COLUMNS, made)
    groups: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        every = list(csv.DictReader(file))
    several = len({row["student"] for row in every}) > 1
    for row in every:
        setting = f"{row['protocol']}, {row['student']}" if several else row["protocol"]
        groups[row["method"], setting, row["budget"]].append(row)
    head = ["method", "protocol", "size", "pixels outside, %", "seen as their class, made → pictures, %"]
    head += ["as made, %", "as pictures, %", "pictures − made", f"pictures − {every[0]['beside']}", "n"]
    lines = [line(place, own) for place, own in groups.items()]
    if not any(each[4] for each in lines):  # no protocol has teachers
        head, lines = [*head[:4], *head[5:]], [[*each[:4], *each[5:]] for each in lines]
    print(table(head, lines))


def line(place: tuple[str, ...], own: list[dict[str, str]]) -> list[str]:
    """Of the table: one method in one setting."""
    method, setting, budget = place
    words = "as_made", PICTURES, "outside", "reached"
    made, pictures, outside, other = ([float(row[word]) for row in own] for word in words)
    intervals = [said(t_interval(made)), said(t_interval(pictures))]
    for before in (made, other):
        intervals.append(said(t_interval([a - b for a, b in zip(pictures, before, strict=True)]), "+"))
    taken = " → ".join(f"{fmean(float(row[word]) for row in own):.0f}" for word in SEEN if own[0][word])
    size = budget.replace("ipc=", "IPC ")
    return [method, setting, size, f"{fmean(outside):.0f}", taken, *intervals, str(len(own))]


if __name__ == "__main__":
    main()
