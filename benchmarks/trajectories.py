"""MTT and DATM on Fashion-MNIST beside random sets: ConvNet-3 of width 32, ten experts of 20 epochs, IPC 1 and 10.

Three sets of each method, one student of each under the dc recipe with DSA; DATM with its own soft labels and with
hard ones. The settings are for experts of 20 epochs and two cores: found on val, on a seed that is not among the three.
Sets, experts and students lie in the store and resume from there, rows in docs/results (delete them to start anew).
The table at the end has means over sets and, for what is paired, differences to random with 95 % t intervals;
``--table`` prints what there is so far, ``--experts`` trains the experts alone.

    python benchmarks/trajectories.py --experts --workers 2
    python benchmarks/trajectories.py --workers 2
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from decoct import api
from decoct.core.budget import Budget
from decoct.core.interfaces import Condenser
from decoct.core.record import MEASURED, read_cost, read_json
from decoct.core.spec import parse
from decoct.data.dataset import load_data
from decoct.needs.trajectory import Trajectories
from decoct.protocols.dc import DC
from decoct.report.stats.intervals import t_interval
from decoct.study.execute import execute
from decoct.study.work.students import RESULT
from decoct.study.workers.executors import process_pool

ROWS = Path(__file__).parents[1] / "docs" / "results" / "trajectories.jsonl"
NET, SEEDS, STUDENTS = "convnet3_w32", 3, 1
NEED = Trajectories(net=NET, epochs=20, experts=10)
SHARED = {"net": NET, "epochs": NEED.epochs, "experts": NEED.experts, "expert_epochs": 2}
RATES = {
    1: {"lr_img": 100.0, "lr_lr": 1e-5, "lr_teacher": 0.03},
    10: {"lr_img": 1000.0, "lr_lr": 1e-5, "lr_teacher": 0.02},
}
SETTINGS: dict[tuple[str, int], dict[str, Any]] = {
    ("mtt", 1): RATES[1] | {"iterations": 300, "syn_steps": 20, "max_start_epoch": 5},
    ("mtt", 10): RATES[10] | {"iterations": 60, "syn_steps": 20, "max_start_epoch": 10},
    ("datm", 1): RATES[1] | {"iterations": 300, "syn_steps": 20, "max_start_epoch": 4, "threshold": 1.1},
    ("datm", 10): RATES[10]
    | {"iterations": 60, "syn_steps": 20, "threshold": 1.1}
    | {"first_max_start_epoch": 5, "max_start_epoch": 10, "growth": 30},
}
HARD, OWN = ("dc-dsa", DC(dsa=True)), ("dc-dsa-own", DC(dsa=True, own_labels=True))


def method_of(name: str, ipc: int) -> Condenser:
    """The spec of a method at an IPC."""
    fields = {} if name == "random" else SHARED | SETTINGS[name, ipc]
    method: Condenser = parse("condenser", {"name": name, **fields})
    return method


def expert(where: Path | None, run: int) -> None:
    """Train one expert, if the store lacks it."""
    compute = api.Compute(store=where)
    planner = compute.planner(load_data("fashion_mnist"))
    execute(compute.cells().root, list(planner.supply(NEED).values())[run])


def one(where: Path | None, out: Path, name: str, ipc: int, replicate: int) -> None:
    """Make one set and train its students; a row for each that was not there."""
    compute = api.Compute(store=where)
    planner = compute.planner(load_data("fashion_mnist"))
    method = method_of(name, ipc)
    made = planner.condense(name, method, Budget(ipc=ipc), replicate)
    protocols = (HARD, OWN) if name == "datm" else (HARD,)
    students = [
        (protocol[0], train, planner.train(protocol, NET, made, replicate, train))
        for protocol in protocols
        for train in range(STUDENTS)
    ]
    store = compute.do(planner)
    cost = read_cost(store.path("condense", made.key) / MEASURED)
    steps = getattr(method, "iterations", 0)
    with out.open("a") as file:
        for label, train, job in students:
            who = {
                "method": name,
                "ipc": ipc,
                "iterations": steps,
                "set": replicate,
                "protocol": label,
                "student": train,
            }
            accuracy = read_json(store.path("train", job.key) / RESULT)["accuracy"]
            file.write(json.dumps(who | {"accuracy": accuracy, "minutes": round(cost.seconds / 60, 2)}) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: accuracy, and the paired difference to random, with 95 % t intervals over sets."""
    head = ("method", "labels", "IPC", "iterations", "minutes a set", "accuracy, %", "95 %", "− random", "95 %")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for ipc in (1, 10):
        random = means(rows, "random", ipc, HARD[0], 0)
        for name in ("random", "mtt", "datm"):
            for label in (HARD[0], OWN[0]):
                for steps in sorted({r["iterations"] for r in rows if (r["method"], r["ipc"]) == (name, ipc)}):
                    mine = means(rows, name, ipc, label, steps)
                    if not mine:
                        continue
                    minutes = [
                        r["minutes"] for r in rows if (r["method"], r["ipc"], r["iterations"]) == (name, ipc, steps)
                    ]
                    own = "own" if label == OWN[0] else "hard"
                    paired = [mine[s] - random[s] for s in mine if s in random] if name != "random" else []
                    cells = [name, own, ipc, steps or "", f"{np.mean(minutes):.1f}", *told(list(mine.values()))]
                    cells += told(paired, sign="+") if paired else ["", ""]
                    lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def means(rows: list[dict[str, Any]], name: str, ipc: int, label: str, steps: int) -> dict[int, float]:
    """Mean accuracy over the students of each set, in percent."""
    wanted = {"method": name, "ipc": ipc, "protocol": label, "iterations": steps}
    mine = [r for r in rows if all(r[key] == value for key, value in wanted.items())]
    return {
        s: 100 * float(np.mean([r["accuracy"] for r in mine if r["set"] == s]))
        for s in sorted({r["set"] for r in mine})
    }


def told(values: list[float], sign: str = "") -> list[str]:
    """Mean and interval, which needs two values."""
    found = t_interval(values)
    return [f"{found.mean:{sign}.1f}", f"[{found.lo:{sign}.1f}, {found.hi:{sign}.1f}]" if found.n > 1 else ""]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=ROWS)
    arguments.add_argument("--store", type=Path, help="folder of the cells; the user's cache if left out")
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--methods", nargs="+", default=["random", "mtt", "datm"])
    arguments.add_argument("--experts", action="store_true", help="train the experts and nothing else")
    arguments.add_argument("--table", action="store_true", help="compute nothing")
    options = arguments.parse_args()
    if options.table:
        print(table(read(options.out)))
        return
    with process_pool(options.workers) as pool:
        for future in [pool.submit(expert, options.store, run) for run in range(NEED.experts)]:
            future.result()
        if options.experts:
            return
        done = {(r["method"], r["ipc"], r["iterations"], r["set"]) for r in read(options.out)}
        todo = [(name, ipc, s) for s in range(SEEDS) for ipc in (1, 10) for name in options.methods]
        futures = []
        for name, ipc, s in todo:
            if (name, ipc, getattr(method_of(name, ipc), "iterations", 0), s) not in done:
                futures.append(pool.submit(one, options.store, options.out, name, ipc, s))
        for future in futures:
            future.result()
    print(table(read(options.out)))


def read(out: Path) -> list[dict[str, Any]]:
    """The rows so far."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []


if __name__ == "__main__":
    main()
