"""Is it batch norm that misreads learnt images? Students before and after its statistics are taken anew from real ones.

Batch norm keeps the mean and the spread of the images that it was trained on, and a test image is judged by them. Every
student of a run that has batch norm and hard labels is trained once more on its set, as in the run, and is tested with
the statistics of its set and with those of real training images, which need no labels. Its weights are the same.

    python benchmarks/batch_norm.py runs/cross_architecture --budget ipc=1
    python benchmarks/batch_norm.py --table runs/batch_norm/rows.csv    # once more, of its rows
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import update_bn

from decoct import load_data
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Task
from decoct.core.record import CELL, read_json
from decoct.core.spec import parse
from decoct.data.dataset import Dataset
from decoct.needs.teacher import training_set
from decoct.nets.layout import has_batch_norm
from decoct.nets.student import Student
from decoct.report.read.manifest import Job, Manifest
from decoct.report.stats.intervals import t_interval
from decoct.training.evaluate import correct
from decoct.training.loop import train
from early_teachers import said
from yardstick import keep, table

BATCH = 500
COLUMNS = ("method", "budget", "protocol", "student", "set", "own", "real")


def tested(manifest: Manifest, job: Job, made: Path, data: Dataset, real: torch.Tensor) -> tuple[float, float] | None:
    """Percent that a student of a run reaches with its own statistics and with those of real images.

    Args:
        manifest: of the run.
        job: the student.
        made: folder of its set.
        data: the data set.
        real: [N, C, H, W] images under the data's normalisation.

    Returns:
        None for a student without batch norm.
    """
    keyed = read_json(manifest.cell(job) / CELL)["keyed"]
    net = Student.of(keyed["student"]).build(data.shape[0], len(data.class_names), data.size, keyed["seed"])
    if not has_batch_norm(net):
        return None
    condensed, spec = Condensed.load(made), keyed["spec"]
    protocol = parse("protocol", {"name": spec["name"], **spec["fields"]})
    train(
        net,
        training_set(data, condensed.materialise(data.train.images)),
        protocol.recipe(Task.of(data, condensed, True)),
        seed=keyed["seed"],
    )
    own = correct(net, data.test, data, "cpu").mean()
    update_bn(real.split(BATCH), net)
    net.eval()
    return 100 * float(own), 100 * float(correct(net, data.test, data, "cpu").mean())


def some(data: Dataset, images: int) -> torch.Tensor:
    """So many random training images [N, C, H, W], under the data's normalisation."""
    picks = np.sort(np.random.default_rng(0).permutation(len(data.train))[:images])
    mean, std = (torch.tensor(value).view(-1, 1, 1) for value in (data.mean, data.std))
    return (torch.from_numpy(np.asarray(data.train.images[picks])) / 255 - mean) / std


def rows(manifest: Manifest, budget: str, images: int) -> list[dict[str, object]]:
    """One a student, of the sets of one budget under labels of classes alone."""
    data = load_data(manifest.study["data"])
    real, made = some(data, images), []
    sets = {job.key: job for job in manifest.finished("condense")}
    for job in manifest.finished("train"):
        if job.labels["budget"] != budget or job.inputs.keys() != {"condensed"}:
            continue
        found = tested(manifest, job, manifest.cell(sets[job.inputs["condensed"]]), data, real)
        if found is not None:
            names = "method", "budget", "protocol", "student", "condense_replicate"
            made.append(dict(zip(COLUMNS, (*(job.labels[name] for name in names), *found), strict=True)))
    return made


def line(place: tuple[str, ...], own: list[dict[str, str]]) -> list[str]:
    """Of the table: the sets of one method with one student."""
    before, after = ([float(row[word]) for row in own] for word in ("own", "real"))
    apart = t_interval([b - a for a, b in zip(before, after, strict=True)])
    return [*place, said(t_interval(before)), said(t_interval(after)), said(apart, "+"), str(len(own))]


def main() -> None:
    """Train, write the rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run")
    parser.add_argument("--budget", default="ipc=1", help="of its sets")
    parser.add_argument("--images", type=int, default=5000, help="real ones that statistics are taken from")
    parser.add_argument("--out", type=Path, default=Path("runs/batch_norm"))
    parser.add_argument("--table", type=Path, metavar="ROWS", help="print the table of these rows, and train nothing")
    asked = parser.parse_args()
    if asked.table is None and asked.run is None:
        parser.error("name the folder of a run, or --table with rows")
    path = asked.table or asked.out / "rows.csv"
    if asked.table is None:
        torch.set_num_threads(1)  # as the students of a run
        made = rows(Manifest.read(asked.run), asked.budget, asked.images)
        if not made:
            raise SystemExit(f"{asked.run} has no student with batch norm and hard labels at {asked.budget}")
        keep(path, COLUMNS, made)
    groups: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            groups[row["student"], row["method"]].append(row)
    head = ["student", "method", "of its set, %", "of real images, %", "real − own", "n"]
    print(table(head, [line(place, own) for place, own in sorted(groups.items())]))


if __name__ == "__main__":
    main()
