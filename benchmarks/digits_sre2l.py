"""Settings of SRe2L for 8 × 8 digits, compared on val, which is split from train; test is not looked at. Minutes.

Students learn with hard labels and with a teacher's, 500 steps, as in the built-in study, on sets of other seeds.
The first row is the method's preset, which it would take by itself.

    python benchmarks/digits_sre2l.py --sets 1
    python benchmarks/digits_sre2l.py --sets 5 --ipc 1 10 --only 0 6 16
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import decoct
from decoct.core.condensed import Condensed
from decoct.data.dataset import Dataset, load_data
from decoct.nets import zoo
from decoct.report.stats.intervals import t_interval
from decoct.study.work.sets import grid
from yardstick import table

FIRST_SEED = 100  # of the sets: the study takes 0, 1, …
PROTOCOLS = ("erm", "single_teacher")
WHOLE = {"scale": (1.0, 1.0), "jitter": 0}  # no crop, no roll: a digit of 8 px fills its image
SEARCHED: list[dict[str, Any]] = [
    {},
    *({"scale": (least, 1.0), "jitter": jitter} for least, jitter in [(0.5, 0), (0.8, 0), (0.8, 1), (1.0, 1)]),
    *({**WHOLE, "r": r, "lr": lr} for r, lr in product([0.01, 0.1, 1.0, 10.0], [0.05, 0.25])),
    *({"scale": (0.8, 1.0), "jitter": 0, "r": r, "lr": 0.05} for r in (0.1, 1.0)),
    *({**WHOLE, "iterations": n} for n in (250, 500, 2000)),
]


def on_val(condensed: Condensed, data: Dataset, protocol: str) -> float:
    """Accuracy on val of one student: ``train`` evaluates on what it is told to be test, and val stands there."""
    student = partial(zoo.build, zoo.student(data.size), data.shape[0], len(data.class_names), data.size, 0)
    seen = replace(data, test=data.val)
    return decoct.train(condensed, seen, protocol=protocol, student=student, steps=500).mean


def row(fields: dict[str, Any], data: Dataset, ipcs: Sequence[int], sets: int, pictures: Path | None) -> list[str]:
    """What was set, then for each IPC and protocol the mean over sets, in percent, with its interval from two on."""
    cells = []
    for ipc in ipcs:
        made = [decoct.condense("sre2l", data, ipc=ipc, seed=FIRST_SEED + i, **fields) for i in range(sets)]
        if pictures:
            shown = grid(made[0].images, made[0].labels, len(data.class_names))
            shown.resize((8 * shown.width, 8 * shown.height), 0).save(pictures / f"{said(fields)}, IPC {ipc}.png")
        for protocol in PROTOCOLS:
            values = [100 * on_val(each, data, protocol) for each in made]
            interval = t_interval(values)
            ends = f" [{interval.lo:.1f}, {interval.hi:.1f}]" if sets > 1 else ""
            cells.append((fmean(values), f"{fmean(values):.1f}{ends}"))
    return [said(fields), *(text for _, text in cells), f"{fmean(value for value, _ in cells):.1f}"]


def said(fields: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items()) or "preset"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ipc", type=int, nargs="+", default=[10])
    arguments.add_argument("--sets", type=int, default=1, help="of each setting")
    arguments.add_argument("--only", type=int, nargs="*", help="rows of the search, from 0")
    arguments.add_argument("--pictures", type=Path, help="folder for the first set of each")
    options = arguments.parse_args()
    data = load_data("digits")
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    chosen = SEARCHED if options.only is None else [SEARCHED[i] for i in options.only]
    rows = []
    for number, fields in enumerate(chosen):
        rows.append([str(SEARCHED.index(fields)), *row(fields, data, options.ipc, options.sets, options.pictures)])
        print(f"{number + 1} of {len(chosen)}: {rows[-1]}", flush=True)
    heads = [f"{protocol}, IPC {ipc}" for ipc in options.ipc for protocol in PROTOCOLS]
    print(f"\n{len(data.val)} images of val; {options.sets} sets each\n")
    print(table(["row", "set", *(f"{head}, %" for head in heads), "mean, %"], rows))


if __name__ == "__main__":
    main()
