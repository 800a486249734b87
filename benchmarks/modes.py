"""MGD³ against plain sampling of one generator at equal IPC: coverage and recall of its sets, seed by seed.

Both start from the same noise; plain is ``scale = 0``. Values are means over classes against val, in the features of
the teacher and of a net that takes no part in making sets, or of others. Differences are paired by seed, with 95 % t
intervals over seeds. Generator, nets, sets and readings lie in the store and resume from there, rows in a file (delete
it to start anew); ``--table`` prints what there is so far.

    python benchmarks/modes.py --seeds 10
    python benchmarks/modes.py --seeds 10 --guidance 4 --rows modes_guidance.jsonl
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from decoct import api
from decoct.needs.generator import TeachGenerator
from decoct.report.stats.intervals import t_interval
from decoct.study.memory import keep_memory
from yardstick import table

ROWS = Path(__file__).parents[1] / "docs" / "results" / "modes.jsonl"
VALUES = ("coverage", "recall")
SETTING = ("data", "ipc", "guidance", "steps", "scale", "seed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion_mnist")
    parser.add_argument("--store", type=Path, help="default: the user's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="of the generator's training; as many as usual by default")
    parser.add_argument("--ipc", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.0, help="4 is the paper's, for a large model")
    parser.add_argument("--extractors", nargs="+", default=["teacher", "held_out"])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--scale", type=float, default=0.1, help="λ")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--table", action="store_true", help="print the table alone")
    asked = parser.parse_args()
    if not asked.table:
        keep_memory()
        for row in missing(asked, read(asked.rows)):
            asked.rows.parent.mkdir(parents=True, exist_ok=True)
            with asked.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps({name: row[name] for name in SETTING}), flush=True)
    print(compared(asked, read(asked.rows)))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def missing(asked: argparse.Namespace, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row for each set that has none yet: its setting, its readings, what it took."""
    known = {tuple(row[name] for name in SETTING) for row in rows}
    compute = api.Compute(threads=asked.threads, store=asked.store)
    data = api.load_data(asked.data)
    sampling = {"guidance": asked.guidance, "steps": asked.steps}
    for seed in range(asked.seeds):
        for ipc in asked.ipc:
            for scale in (0.0, asked.scale):
                if (data.name, ipc, asked.guidance, asked.steps, scale, seed) in known:
                    continue
                made = api.condense(
                    "mgd3",
                    data,
                    ipc=ipc,
                    seed=seed,
                    scale=scale,
                    compute=compute,
                    generators=[TeachGenerator(epochs=asked.epochs)],
                    **sampling,
                )
                found = api.measure(
                    made, data, metrics=["prdc"], extractors=asked.extractors, draws=0, resamples=0, compute=compute
                )
                readings = [
                    [eye_of(one["extractor"], found, asked.extractors), one["reference"], one["metric"], one["value"]]
                    for one in found
                    if one["scope"] == "per_class" and one["metric"] in VALUES
                ]
                yield {"data": data.name, "ipc": ipc, **sampling, "scale": scale, "seed": seed, "readings": readings}


def eye_of(net: str, found: list[dict[str, Any]], words: list[str]) -> str:
    """The word for an extractor, with the net that it stands for: readings come in the order of the words."""
    order = list(dict.fromkeys(one["extractor"] for one in found))
    word = words[order.index(net)] if len(order) == len(words) else net
    return net if word == net else f"{word} ({net})"


def compared(asked: argparse.Namespace, rows: list[dict[str, Any]]) -> str:
    """The table: a row for each IPC, extractor, split and value."""
    values: dict[tuple[Any, ...], dict[tuple[float, int], float]] = {}
    for row in rows:
        if (row["guidance"], row["steps"], row["data"]) == (asked.guidance, asked.steps, asked.data):
            for eye, split, metric, value in row["readings"]:
                if value is not None:
                    values.setdefault((row["ipc"], eye, split, metric), {})[row["scale"], row["seed"]] = value
    lines = []
    for (ipc, eye, split, metric), found in sorted(values.items()):
        seeds = sorted(s for scale, s in found if scale == asked.scale and (0.0, s) in found)
        if len(seeds) < 2:
            continue
        plain, guided = ([found[scale, s] for s in seeds] for scale in (0.0, asked.scale))
        means = [f"{sum(some) / len(some):.4f}" for some in (plain, guided)]
        apart = t_interval([b - a for a, b in zip(plain, guided, strict=True)])
        more = "yes" if apart.lo > 0 else "no" if apart.hi >= 0 else "fewer"
        cells = [f"{apart.mean:+.4f}", f"{apart.lo:+.4f} to {apart.hi:+.4f}", more]
        lines.append([ipc, eye, split, metric, *means, *cells, len(seeds)])
    said = f"{asked.data}, guidance {asked.guidance:g}, {asked.steps} steps, λ = {asked.scale:g}.\n\n"
    head = ["IPC", "features", "against", "value", "plain", "MGD³", "difference", "95 % interval", "more", "seeds"]
    return said + table(head, lines)


if __name__ == "__main__":
    main()
