"""Fashion-MNIST under the dc recipe (ConvNet-3, width 128), beside the published accuracies.

Five random sets × five nets, and five nets on the one herding and the one k-center set, for IPC 10 and 50.
Trained in bfloat16 through torch.compile, on the 54,000 images that are left of 60,000 after val. Hours on two cores:
it resumes from its own rows, which are kept in docs/results (delete them to start anew), and prints the table at the
end; ``--table`` prints what there is so far.

    python benchmarks/fashion_dc.py --workers 2
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from decoct import api
from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs, Machine, Task
from decoct.core.seeds import seed
from decoct.data.dataset import Dataset, load_data
from decoct.methods.coresets.random import Random
from decoct.nets import zoo
from decoct.protocols.dc import DC
from decoct.report.stats.intervals import t_interval
from decoct.study.memory import keep_memory
from decoct.study.workers.executors import process_pool
from decoct.training.evaluate import correct
from decoct.training.loop import TrainingSet, train

PUBLISHED = {"random": {10: 73.8, 50: 82.5}, "herding": {10: 71.1, 50: 71.9}, "k_center": {10: 54.7, 50: 68.3}}
PRECISION = "bfloat16"
ROWS = Path(__file__).parents[1] / "docs" / "results" / "fashion_dc.jsonl"


def picks_of(method: str, ipc: int, data: Dataset) -> np.ndarray:
    """Herding's or k-center's picks from the features of the data's own teacher, kept in the store."""
    made = api.condense(method, data, ipc=ipc, compute=api.Compute(precision=PRECISION))
    assert made.indices is not None
    return made.indices


def one(out: Path, method: str, ipc: int, replicate: int, net: int, picks: np.ndarray | None) -> None:
    """Train one net on one set; the test images are seen once, at the end."""
    keep_memory()
    torch.set_num_threads(1)
    data = load_data("fashion_mnist")
    if picks is None:
        picks = Random()(Inputs(data, Budget(ipc=ipc), seed(0, "random", replicate))).indices
    rows = np.sort(picks)
    images, labels = torch.from_numpy(data.train.images[rows]), torch.from_numpy(data.train.labels[rows])
    start = seed(0, "net", replicate, net)
    student = zoo.build("convnet3", 1, 10, 28, start)
    recipe = DC().recipe(Task(len(picks), 10, 28, data.flip))
    whole = TrainingSet(images, labels, data.mean, data.std)
    done = train(student, whole, recipe, seed=start, machine=Machine(precision=PRECISION, compiled=True))
    accuracy = float(correct(student, data.test, data, "cpu").mean())
    row = {"method": method, "ipc": ipc, "set": replicate, "net": net, "accuracy": accuracy, "steps": done.steps}
    with out.open("a") as file:
        file.write(json.dumps(row) + "\n")


def table(rows: list[dict]) -> str:
    """Markdown: mean with 95 % t interval over sets, or over the nets of the one set, beside the published number."""
    head = ("method", "IPC", "nets of each set", "accuracy, %", "95 % interval", "over", "published, %", "difference")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for method, published in PUBLISHED.items():
        for ipc, theirs in published.items():
            mine = [r for r in rows if (r["method"], r["ipc"]) == (method, ipc)]
            sets = [[r["accuracy"] for r in mine if r["set"] == s] for s in sorted({r["set"] for r in mine})]
            if not sets:
                continue
            found = t_interval([float(np.mean(nets)) for nets in sets] if len(sets) > 1 else sets[0])
            mean, lo, hi = (100 * x for x in (found.mean, found.lo, found.hi))
            over = f"{found.n} sets" if len(sets) > 1 else f"{found.n} nets of one set"
            cells = (method, ipc, " + ".join(str(len(nets)) for nets in sets), f"{mean:.1f}", f"[{lo:.1f}, {hi:.1f}]")
            lines.append(f"| {' | '.join(map(str, (*cells, over, theirs, f'{mean - theirs:+.1f}')))} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=ROWS)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--table", action="store_true", help="train nothing")
    options = arguments.parse_args()
    if options.table:
        print(table(read(options.out)))
        return
    done = {(r["method"], r["ipc"], r["set"], r["net"]) for r in read(options.out)}
    data = load_data("fashion_mnist")
    todo = [("random", ipc, s, n, None) for ipc in (10, 50) for s in range(5) for n in range(5)]
    with process_pool(options.workers) as pool:
        futures = [pool.submit(one, options.out, *task) for task in todo if task[:4] not in done]
        for method in ("herding", "k_center"):
            for ipc in (10, 50):
                tasks = [(method, ipc, 0, n) for n in range(5) if (method, ipc, 0, n) not in done]
                picks = picks_of(method, ipc, data) if tasks else None
                futures += [pool.submit(one, options.out, *task, picks) for task in tasks]
        for future in futures:
            future.result()
    print(table(read(options.out)))


def read(out: Path) -> list[dict]:
    """The rows so far."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []


if __name__ == "__main__":
    main()
