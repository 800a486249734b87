"""The whole of ``examples/imagenet1k.toml`` on a stand-in: 1,000 class folders of generated JPEGs, to the page.

python benchmarks/rehearsal.py
python benchmarks/rehearsal.py --keep runs/rehearsal    # leaves pictures, nets and runs; a second start goes on

What is rehearsed is the example itself, with its data, methods, protocols and teachers, cut down where it would take
days: IPC 1, one set per method, few iterations and steps, and nets and a generator with weights of no training instead
of the hub's. It proves layouts, class order, heads that are cut, shards, memory, and the page at 1,000 classes; its
accuracies prove nothing.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from decoct.nets import weights, zoo
from decoct.nets.features import classifier, penultimate
from decoct.nets.imagenet_classes import english, wnids
from decoct.nets.layout import as_input, laid_out
from decoct.nets.renormalise import IMAGENET
from decoct.study.cell import hardware
from decoct.study.memory import keep_memory
from yardstick import table

EXAMPLE = Path(__file__).parents[1] / "examples" / "imagenet1k.toml"
SIDE = 224
TARGET = 30 * 60  # seconds on two cores
RANKER = "shufflenet_v2_x0_5"  # that scores crops for RDED, EDC and FADRM, and images for DELT; a quick one
CUT: dict[str, dict[str, Any]] = {  # what is cut of each method; 80 to 100 images at once in DenseNet-121 take 14 GB
    "sre2l": {"iterations": 1},
    "cda": {"iterations": 1},
    "rded": {"candidates": 4, "crops": 1, "teacher": RANKER},
    "edc": {"iterations": 1, "block": 40, "ranker": RANKER},
    "fadrm": {"iterations": 1, "block": 40, "ranker": RANKER},
    "delt": {"iterations": 1, "ranker": RANKER},
    "mgd3": {"steps": 2, "guidance": 1.0},
}


def pictures(root: Path, train: int) -> None:
    """``root/{train,val}/WNID/*.JPEG``: every class has a pattern of its own, every picture noise of its own."""
    if (root / "done").is_file():
        return
    for number, wnid in enumerate(wnids()):
        rng = np.random.default_rng(number)
        pattern = rng.uniform(0, 255, (6, 6, 3))
        for split, count in (("train", train), ("val", 1)):
            folder = root / split / wnid
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                noisy = np.clip(pattern + rng.normal(0, 25, pattern.shape), 0, 255).astype(np.uint8)
                size = (SIDE + 16 * int(rng.integers(0, 4)), SIDE)
                name = f"{wnid}_{i}" if split == "train" else f"ILSVRC2012_val_{number + 1:08d}"
                Image.fromarray(noisy).resize(size, Image.Resampling.BICUBIC).save(folder / f"{name}.JPEG")
    (root / "done").touch()


def teachers(root: Path, folder: Path, nets: list[str], workers: int) -> list[dict[str, Any]]:
    """Nets with random weights and a head of class means, so that they know the patterns; as checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{net}.safetensors" for net in nets]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, begin) as pool:
        todo = [(root, file) for file in reversed(files) if not file.is_file()]  # the slowest one is near the end
        list(pool.map(teacher, *zip(*todo, strict=True)) if todo else ())
    return [{"net": net, "checkpoint": str(file)} for net, file in zip(nets, files, strict=True)]


def begin() -> None:
    """As any worker of decoct's."""
    keep_memory()
    torch.set_num_threads(1)


def teacher(root: Path, file: Path) -> None:
    """One of them, from the first picture of each class."""
    firsts = [sorted((root / "train" / wnid).glob("*.JPEG"))[0] for wnid in wnids()]
    seen = np.stack([np.asarray(Image.open(f).crop((0, 0, SIDE, SIDE))).transpose(2, 0, 1) for f in firsts])
    weights.write(file, knowing(file.stem, seen), wnids(), IMAGENET)


def knowing(name: str, seen: np.ndarray) -> torch.nn.Module:
    """A net whose logits are −‖f − μ_c‖² / 2 up to what all have in common, f its features, μ_c those of class c."""
    net = laid_out(zoo.build(name, 3, len(seen), SIDE, 0))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in IMAGENET)
    with torch.no_grad():
        net.train()  # batch norms learn the moments that an inversion matches
        for rows in np.array_split(seen[:: len(seen) // 64], 2):
            net(as_input((torch.from_numpy(rows).float() / 255 - mean) / std, net))
        net.eval()
        features = penultimate(net, seen, IMAGENET.mean, IMAGENET.std, "cpu")
        scale = features.std()
        head = classifier(net)
        head.weight.copy_(features / scale)
        if head.bias is not None:
            head.bias.copy_(-features.square().sum(1) / (2 * scale))
    return net


def generator(folder: Path, names: Sequence[str]) -> Path:
    """A DiT of these classes and a decoder of 256 px in diffusers' layout, tiny and untrained."""
    import diffusers

    if not (folder / "generator.json").is_file():
        torch.default_generator.manual_seed(0)
        model = diffusers.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            norm_num_groups=4,
            sample_size=32,
            patch_size=4,
            num_embeds_ada_norm=len(names),
        )
        model.save_pretrained(folder / "transformer", safe_serialization=True)
        decoder = diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(4,) * 4,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=256,
        )
        decoder.save_pretrained(folder / "vae", safe_serialization=True)
        diffusers.DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear").save_pretrained(folder / "scheduler")
        (folder / "generator.json").write_text(json.dumps({"class_names": list(names)}), "utf-8")
    return folder


def cut(table: dict[str, Any], root: Path, work: Path, workers: int) -> dict[str, Any]:
    """The example on the stand-in, with less of everything."""
    made = generator(work / "generator", wnids())
    methods: list[Any] = []
    for entry in table["condensers"]:
        entry = {"name": entry} if isinstance(entry, str) else dict(entry)
        entry |= CUT.get(entry["name"], {})
        entry |= {"shards": 2} if "shards" in entry else {}
        entry |= {"generator": str(made)} if entry["name"] == "mgd3" else {}
        methods.append(entry)
    return table | {
        "data": table["data"] | {"path": str(root)},
        "budgets": [{"ipc": 1}],
        "replicates": {"condense": 1, "train": 1},
        "condensers": methods,
        "protocols": [{"name": name, "steps": 1} for name in table["protocols"]],
        "teachers": teachers(root, work / "nets", [one["net"] for one in table["teachers"]], workers),
        "metrics": {"draws": 2, "resamples": 2},
    }


def toml(value: Any) -> str:
    """A value of TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@contextmanager
def watched(peaks: list[int]) -> Iterator[None]:
    """The most bytes that this process's children held together goes to ``peaks``."""
    done, most = threading.Event(), 0

    def look() -> None:
        nonlocal most
        while not done.wait(0.5):
            held = 0
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    held += process.memory_info().rss
            most = max(most, held)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        peaks.append(most)


def step(name: str, store: Path, *words: object) -> list[str]:
    """Run decoct; a row of what it took."""
    peaks: list[int] = []
    start = time.perf_counter()
    environment = os.environ | {"DECOCT_STORE": str(store)}
    with watched(peaks):
        command = [sys.executable, "-m", "decoct", *map(str, words)]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    row = [name, f"{time.perf_counter() - start:.0f}", f"{peaks[0] / 1e9:.2f}"]
    print(*row, file=sys.stderr, flush=True)
    return row


def kinds(run: Path) -> list[list[str]]:
    """Jobs by kind: how many, what they took on the clock and of processors, the most memory of one."""
    found: dict[str, list[dict[str, Any]]] = {}
    for job in json.loads((run / "run.json").read_text("utf-8"))["jobs"]:
        cell = run / "store" / job["kind"] / job["key"][:2] / job["key"]
        found.setdefault(job["kind"], []).append(json.loads((cell / "measured.json").read_text("utf-8")))
    return [
        [
            kind,
            f"{len(costs)}",
            f"{sum(cost['seconds'] for cost in costs):.0f}",
            f"{sum(cost['cpu_seconds'] for cost in costs):.0f}",
            f"{max(cost['peak_memory'] for cost in costs) / 1e9:.2f}",
        ]
        for kind, costs in found.items()
    ]


def known(run: Path) -> list[list[str]]:
    """What each teacher gets right of val."""
    rows = []
    for file in sorted(run.glob("store/teacher/*/*/teacher.json")):
        facts = json.loads(file.read_text("utf-8"))
        rows.append([facts["net"], f"{100 * facts['val_accuracy']:.1f}"])
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keep", type=Path, help="folder of the pictures, nets and runs")
    arguments.add_argument(
        "--train", type=int, default=5, help="pictures of each class; one of them is held out as val"
    )
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = (options.keep or Path(folder)).absolute()
        rehearse(work, options)


def rehearse(work: Path, options: argparse.Namespace) -> None:
    """Everything, one after the other."""
    root, store, start = work / "imagenet", work / "store", time.perf_counter()
    pictures(root, options.train)
    whole = cut(tomllib.loads(EXAMPLE.read_text("utf-8")), root, work, options.workers)
    part = whole | {
        "name": "part",
        "data": {"name": "imagenet100", "path": str(root)},
        "condensers": ["random", {"name": "rded", **CUT["rded"]}],
        "protocols": [{"name": "single_teacher", "steps": 1}],
    }
    for name, study in (("whole", whole), ("part", part)):
        (work / f"{name}.toml").write_text("".join(f"{key} = {toml(value)}\n" for key, value in study.items()), "utf-8")
    made = time.perf_counter() - start
    how = ("--workers", options.workers, "--device", "cpu")
    rows = [
        ["pictures, nets and a generator are made", f"{made:.0f}", ""],
        step("decoct prepare imagenet1k", store, "prepare", "imagenet1k", "--from", root, "--workers", options.workers),
        step("decoct plan", store, "plan", work / "whole.toml", *how, "--probe", 0, "--out", work / "whole"),
        step("decoct run", store, "run", work / "whole.toml", *how, "--out", work / "whole"),
        step("decoct report", store, "report", work / "whole"),
        step("decoct prepare imagenet100", store, "prepare", "imagenet100", "--from", root),
        step("decoct run, imagenet100", store, "run", work / "part.toml", *how, "--out", work / "part"),
    ]
    took = time.perf_counter() - start
    page = (work / "whole" / "report.html").stat().st_size / 1e6
    print(f"`python benchmarks/rehearsal.py` on {hardware('cpu')}, {options.workers} workers.\n")
    print(table(["step", "seconds", "peak memory of all its processes, GB"], rows))
    print(f"\n{took / 60:.1f} minutes in all (target: {TARGET // 60}). The page has {page:.1f} MB.\n")
    print(table(["jobs of kind", "jobs", "seconds", "processor seconds", "peak of one, GB"], kinds(work / "whole")))
    for name, classes in (("whole", len(english())), ("part", 100)):
        rows = known(work / name)
        print(f"\nOf {classes} classes ({100 / classes:.1f} % by chance), right on val:\n")
        print(table(["net", "%"], rows))


if __name__ == "__main__":
    main()
