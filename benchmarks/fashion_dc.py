"""Fashion-MNIST under the dc recipe (ConvNet-3, width 128), beside the published accuracies.

Five random sets × five nets, and five nets on the one herding and the one k-center set, for IPC 10 and 50.
Resumes from its own lines; prints the table at the end.

    python benchmarks/fashion_dc.py --out fashion_dc.jsonl --workers 2
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from decoct.condensers.coresets.herding import Herding
from decoct.condensers.coresets.k_center import KCenter
from decoct.condensers.coresets.random import Random
from decoct.core.budget import Budget
from decoct.core.kinds import Inputs, Task
from decoct.core.seeds import seed
from decoct.data.dataset import Dataset, load_data
from decoct.engine.evaluate import correct
from decoct.engine.teachers import Teach, teach
from decoct.engine.train import TrainingSet, train
from decoct.nets import zoo
from decoct.nets.features import penultimate
from decoct.protocols.dc import DC
from decoct.run.executors import keep_memory, process_pool

PUBLISHED = {"random": {10: 73.8, 50: 82.5}, "herding": {10: 71.1, 50: 71.9}, "k_center": {10: 54.7, 50: 68.3}}
PRECISION = "bfloat16"


def selections(data: Dataset, folder: Path) -> dict[str, dict[int, np.ndarray]]:
    """Herding and k-center picks from the teacher's features, made once."""
    file = folder.with_suffix(".picks.json")
    if not file.is_file():
        keep_memory()
        net, facts = teach(Teach(net="convnet3_bn"), data, seed=seed(0, "teacher"), precision=PRECISION, compiled=True)
        print(f"teacher convnet3_bn: {facts['val_accuracy']:.4f} on val", flush=True)
        features = penultimate(net, data.train.images, data.mean, data.std, device="cpu").numpy()
        made: dict[str, dict[int, list[int]]] = {}
        for method in (Herding(), KCenter()):
            (need,) = method.needs()
            for ipc in (10, 50):
                draft = method(Inputs(data, Budget(ipc=ipc), features={need: features}))
                made.setdefault(method.name, {})[ipc] = draft.indices.tolist()
        file.write_text(json.dumps(made))
    stored = json.loads(file.read_text())
    return {name: {int(ipc): np.array(p) for ipc, p in sets.items()} for name, sets in stored.items()}


def one(out: Path, method: str, ipc: int, replicate: int, net: int, picks: np.ndarray | None) -> None:
    """Train one net on one set; the test images are seen once, at the end."""
    keep_memory()
    torch.set_num_threads(1)
    data = load_data("fashion_mnist")
    if picks is None:
        picks = Random()(Inputs(data, Budget(ipc=ipc), seed(0, "random", replicate))).indices
    labels = data.train.labels[picks]
    images = torch.from_numpy(data.train.images[np.sort(picks)])
    labels = torch.from_numpy(data.train.labels[np.sort(picks)])
    start = seed(0, "net", replicate, net)
    student = zoo.build("convnet3", 1, 10, 28, start)
    recipe = DC().recipe(Task(len(picks), 10, 28, data.flip))
    whole = TrainingSet(images, labels, data.mean, data.std)
    done = train(student, whole, recipe, seed=start, precision=PRECISION, compiled=True)
    accuracy = float(correct(student, data.test, data, "cpu").mean())
    row = {"method": method, "ipc": ipc, "set": replicate, "net": net, "accuracy": accuracy, "steps": done.steps}
    with out.open("a") as file:
        file.write(json.dumps(row) + "\n")


def table(rows: list[dict]) -> str:
    """Markdown: mean and sample deviation over sets (mean of their nets), beside the published number."""
    lines = ["| method | IPC | sets × nets | accuracy, % | sd over sets | sd over nets | published, % | difference |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for method, published in PUBLISHED.items():
        for ipc, theirs in published.items():
            mine = [r for r in rows if r["method"] == method and r["ipc"] == ipc]
            sets = sorted({r["set"] for r in mine})
            if not sets:
                continue
            values = [np.array([100 * r["accuracy"] for r in mine if r["set"] == s]) for s in sets]
            means = np.array([v.mean() for v in values])
            between = f"{means.std(ddof=1):.2f}" if len(sets) > 1 else "–"
            within = np.mean([v.std(ddof=1) for v in values])
            shape = f"{len(sets)} × {len(mine) // len(sets)}"
            gap = means.mean() - theirs
            lines.append(
                f"| {method} | {ipc} | {shape} | {means.mean():.1f} | {between} | {within:.2f} | {theirs} | {gap:+.1f} |"
            )
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("fashion_dc.jsonl"))
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    done = {(r["method"], r["ipc"], r["set"], r["net"]) for r in read(options.out)}
    data = load_data("fashion_mnist")
    todo = [("random", ipc, s, n, None) for ipc in (10, 50) for s in range(5) for n in range(5)]
    with process_pool(options.workers) as pool:
        futures = [pool.submit(one, options.out, *task) for task in todo if task[:4] not in done]
        chosen = pool.submit(selections, data, options.out).result()
        todo = [(m, ipc, 0, n, picks) for m, sets in chosen.items() for ipc, picks in sets.items() for n in range(5)]
        futures += [pool.submit(one, options.out, *task) for task in todo if task[:4] not in done]
        for future in futures:
            future.result()
    print(table(read(options.out)))


def read(out: Path) -> list[dict]:
    """The rows so far."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []


if __name__ == "__main__":
    main()
