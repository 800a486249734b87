"""What the three ImageNet examples would take on one GPU that is not here: their plans, counted by ``counter``.

Jobs run without values, on data of the right shape: files with holes, of as many images as a data set has. Every method
that makes sets is counted in float32 and in bfloat16. Not in it: disks, decoding, copies to the GPU, what starts and
stops; what computes with features in the machine's memory, which is coresets and all of the measures but their nets.

    python benchmarks/examples.py --for h100            # all three
    python benchmarks/examples.py imagenette --keep runs/examples
"""

import argparse
import tempfile
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from counter import Counting
from decoct.core.record import write_json
from decoct.core.spec import parse
from decoct.data import cache
from decoct.data.dataset import Dataset, open_dataset, parse_source
from decoct.data.imagenet.imagenet import FASTAI, ILSVRC
from decoct.nets import weights, zoo
from decoct.nets.imagenet_classes import wnids
from decoct.nets.renormalise import IMAGENET
from decoct.report import wording
from decoct.study import cell
from decoct.study.estimate import plan, probe
from decoct.study.estimate.estimates import Estimate
from decoct.study.jobs import Job
from decoct.study.study import Study
from rehearsal import generator
from roofline import Gpu, gpu
from shapes import DEVICE
from spread import spread
from yardstick import table, written

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ("imagenette", "imagenet100", "imagenet1k")
SIDE = 224  # pixels
HELD = 0.1  # of train is val, as by the sources
HALF = ", bfloat16"  # behind the name of a method
ANCHORS: dict[str, tuple[float, dict[str, Any]]] = {  # seconds per image of ImageNet-1K on one RTX 4090, as published
    "SRe2L (abstract of RDED)": (2.2, {"name": "sre2l"}),
    "CDA (its paper)": (2.1, {"name": "cda"}),
    "RDED (its abstract)": (0.042, {"name": "rded"}),
    "CV-DD (its paper)": (8.2, {"name": "cv_dd"}),
    "EDC (paper of FADRM)": (4.99, {"name": "edc"}),
    "FADRM, in half precision (its paper)": (0.47, {"name": "fadrm", "precision": "bfloat16"}),
    "FADRM+, in half precision (its paper)": (
        1.09,
        {"name": "fadrm", "preset": "imagenet1k_plus", "precision": "bfloat16"},
    ),
}
ANCHORED, SHARDS = "rtx4090", 32
GPUS = (1, 8, 64)  # for how long a study takes on so many


def data(name: str, root: Path) -> Dataset:
    """A data set of a source's shape, that nobody looks at."""
    source = parse_source({"name": name, "path": "/data"})
    classes = getattr(type(source), "wnids", wnids)()
    train, test = source.expected.get(FASTAI) or source.expected[ILSVRC]
    sizes = {"train": train - round(HELD * train), "val": round(HELD * train), "test": test}
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for split, size in sizes.items():
        labels = np.sort(np.arange(size) % len(classes))
        counts[split] = np.bincount(labels).tolist()
        np.save(folder / f"{split}.labels.npy", labels)
        np.lib.format.open_memmap(folder / f"{split}.images.npy", "w+", np.uint8, (size, 3, SIDE, SIDE)).flush()
    facts: dict[str, Any] = {"format": cache.FORMAT, "name": name, "digest": f"the shape of {name}", "skipped": []}
    facts |= {"class_names": list(classes), "shape": [3, SIDE, SIDE], "counts": counts, "flip": True}
    write_json(folder / cache.FACTS, facts | {"mean": list(IMAGENET.mean), "std": list(IMAGENET.std)})
    write_json(folder / cache.FILES, dict.fromkeys(sizes))
    return open_dataset(folder)


def checkpoint(net: str, root: Path) -> str:
    """A net of ImageNet-1K's classes."""
    file = root / "nets" / f"{net}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        weights.write(file, zoo.build(net, 3, len(wnids()), SIDE, 0), wnids(), IMAGENET)
    return str(file)


def study(name: str, root: Path) -> Study:
    """The example, with weights that are here, and every method that has a precision in bfloat16 too."""
    said = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))
    said["teachers"] = [{"net": one["net"], "checkpoint": checkpoint(one["net"], root)} for one in said["teachers"]]
    methods = [{"name": one} if isinstance(one, str) else one for one in said["condensers"]]
    methods = [
        one | ({"generator": str(generator(root / "generator", wnids()))} if one["name"] == "mgd3" else {})
        for one in methods
    ]
    halves = [
        one | {"precision": "bfloat16", "label": one.get("label", one["name"]) + HALF}
        for one in methods
        if "precision" in type(parse("condenser", {"name": one["name"]})).model_fields
    ]
    said["condensers"] = [*methods, *halves]
    return Study.from_dict(said)


def planned(name: str, root: Path, target: Gpu) -> str:
    """A section of the results."""
    asked, start = study(name, root), time.perf_counter()
    with mock.patch.object(plan, "process_pool", lambda *_: Counting(target)):
        found = plan.make_plan(asked, data(name, root / "data"), device=DEVICE).probed(progress=told)
    took = (time.perf_counter() - start) / 60
    write_json(root / f"{name}.json", found.to_json() | {"hardware": target.name})
    shown = table(["", "jobs", "each, IPC 10", "each, IPC 50", "hours", "hours in bfloat16"], rows(found))
    said = [f"## {name}.toml\n", shown, "", f"Counted in {took:.0f} minutes.", *found.troubles]
    return "\n".join([*said, "", table(["GPUs", "hours", "in which a GPU computes"], spreads(found))])


def rows(found: plan.Plan) -> list[list[str]]:
    """Work by what it is for, each of a size, and in hours."""
    each = {key: group.each for group in found.groups for key in group.keys}
    jobs = [job for job in found.jobs.values() if job.key in each]
    methods = list(dict.fromkeys(str(job.labels["method"]) for job in jobs if job.kind == "condense"))
    plain = [job for job in jobs if not str(job.labels.get("method", "")).endswith(HALF)]
    sums = [0.0, 0.0]

    def row(what: str, some: Iterable[Job], half: Iterable[Job] | None = None, part: str = "seconds") -> list[str]:
        both = [list(some), list(some if half is None else half)]
        totals = [sum(getattr(each[job.key], part) or 0.0 for job in own) for own in both]
        for i, total in enumerate(totals):
            sums[i] += total
        of_one = [one(both[0], f"ipc={ipc}", each, part) for ipc in (10, 50)]
        hours = [f"{total / 3600:,.1f}" for total in totals]
        return [what, f"{len(both[0]):,}", *of_one, hours[0], "" if half is None else hours[1]]

    def of(kind: str, **labels: str) -> list[Job]:
        return [job for job in plain if job.kind == kind and labels.items() <= job.labels.items()]

    def sets(method: str) -> list[Job]:
        return [job for job in jobs if job.kind in ("condense", "shard") and job.labels.get("method") == method]

    made = [row(kind, of(kind)) for kind in ("teacher", "features", "statistics")]
    for method in methods:
        if method + HALF in methods:
            made.append(row(f"sets of `{method}`", sets(method), sets(method + HALF)))
    for protocol in dict.fromkeys(str(job.labels["protocol"]) for job in of("train")):
        made.append(row(f"students under `{protocol}`", of("train", protocol=protocol)))
    made += [row("their evaluations", of("train"), part="overhead"), row("nets of measures", of("measure"))]
    made += [row("nets of references", of("reference"))]
    return [*made, ["all", "", "", "", *(f"{total / 3600:,.0f}" for total in sums)]]


def spreads(found: plan.Plan) -> list[list[str]]:
    """What the study takes on so many GPUs, without methods in bfloat16."""
    each = {
        key: (group.each.seconds or 0.0) + (group.each.overhead or 0.0) for group in found.groups for key in group.keys
    }
    jobs = [job for job in found.jobs.values() if job.key in each]
    jobs = [job for job in jobs if not str(job.labels.get("method", "")).endswith(HALF)]
    took = {gpus: spread(jobs, each, gpus) for gpus in GPUS}
    return [[str(gpus), f"{made.seconds / 3600:,.1f}", f"{made.busy:.0%}"] for gpus, made in took.items()]


def one(jobs: list[Job], budget: str, each: dict[str, Estimate], part: str) -> str:
    """What one set, student or measurement of a budget takes; a set takes what all its shards do."""
    own = [job for job in jobs if job.labels.get("budget") == budget]
    whole = sum(job.kind != "shard" for job in own)
    if not whole:
        return ""
    return wording.seconds(sum(getattr(each[job.key], part) or 0.0 for job in own) / whole)


def anchors(root: Path) -> str:
    """What others measured of a method, beside what is counted of a shard of the same set."""
    nets = ("resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "densenet121", "alexnet")
    nets += ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mobilenetv3_small_050")
    said: dict[str, Any] = {"name": "anchors", "data": {"name": "imagenet1k", "path": "/data"}, "protocols": ["erm"]}
    said |= {"students": ["resnet18"], "budgets": [{"ipc": 10}], "replicates": {"condense": 1, "train": 1}}
    said["teachers"] = [{"net": net, "checkpoint": checkpoint(net, root)} for net in nets]
    said["condensers"] = [one | {"label": what, "shards": SHARDS} for what, (_, one) in ANCHORS.items()]
    jobs = plan.make_plan(Study.from_dict(said), data("imagenet1k", root / "data"), device=DEVICE).jobs
    counting, found = Counting(gpu(ANCHORED)), []
    with tempfile.TemporaryDirectory() as folder:
        for what, (published, _) in ANCHORS.items():
            job = next(job for job in jobs.values() if job.kind == "shard" and job.labels["method"] == what)
            took = counting.submit(probe.probe, folder, None, job, jobs, DEVICE, 0.0).result()
            first, last = job.keyed.get("numbers", (0, 10))
            counted = took.seconds / ((last - first) * len(job.keyed["classes"]))
            found.append([what, f"{published:g} s", f"{counted:.2g} s", f"{published / counted:.2f}"])
    heads = ["an image of ImageNet-1K, on one RTX 4090", "published", "counted", "published / counted"]
    return f"## Anchors\n\n{table(heads, found)}"


def told(done: int, total: int) -> None:
    """How far the probes are."""
    print(f"{time.strftime('%H:%M:%S')} {done} of {total}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", choices=[*NAMES, []], default=[], metavar="NAME")
    arguments.add_argument("--for", dest="target", default="h100")
    arguments.add_argument("--page", type=Path, help="put the tables in place of those of this page")
    arguments.add_argument("--keep", type=Path, help="folder of data, nets and plans")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = (options.keep or Path(folder)).absolute()
        sections = list[str]()
        for name in [*(options.names or NAMES), "anchors"]:
            sections.append(anchors(root) if name == "anchors" else planned(name, root, gpu(options.target)))
            print(sections[-1], "\n", flush=True)
    found = f"Counted on {cell.hardware('cpu')}, torch {torch.__version__}, for one {gpu(options.target).name}."
    if options.page:
        written(options.page, "\n\n".join([*sections, found]))


if __name__ == "__main__":
    main()
