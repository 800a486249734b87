"""A generator trained on a data set, and the share of its images that a held-out teacher classifies as meant.

Trains through the API, or reads the store; samples images of each class by 50 ancestral steps, and asks a teacher of
another kind that takes no part in making sets. Prints JSON, and leaves a picture with a row per class.

    python benchmarks/generator.py --data fashion_mnist --out docs/results
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from decoct import api
from decoct.core.seeds import seed
from decoct.data.dataset import Dataset
from decoct.methods.generative._shared.sampling import Schedule, sample
from decoct.needs.generator import load_generator
from decoct.needs.teacher import load_teacher
from decoct.nets import zoo
from decoct.nets.diffusion import DiffusionModel
from decoct.nets.features import logits
from decoct.study.memory import keep_memory

COLUMNS = 20  # images of a class in the picture


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927)."""
    share, spread = right / of, z * z / of
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return centre - half, centre + half


def images_of(model: DiffusionModel, data: Dataset, each: int, steps: int, guidance: float, batch: int) -> Tensor:
    """[K · each, C, S, S] uint8, class after class."""
    schedule, made = Schedule.respaced(model.alphas, steps), []
    labels = torch.arange(len(data.class_names)).repeat_interleave(each)
    for part in torch.arange(len(labels)).split(batch):
        rngs = [torch.Generator().manual_seed(seed(0, "benchmark", int(i))) for i in part]
        start = torch.stack([torch.randn(model.latent, generator=rng) for rng in rngs])
        own = {"class_names": data.class_names, "guidance": guidance}
        latents = sample(model, schedule, labels[part], start, rngs, **own)
        with torch.no_grad():
            made.append(model.decode(latents).round().clamp(0, 255).to(torch.uint8))
    return torch.cat(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion_mnist")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--images", type=int, default=100, help="of each class")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, nargs="+", default=[2.0])
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path())
    asked = parser.parse_args()
    keep_memory()
    torch.set_num_threads(asked.threads)
    begun = time.time()

    def watch(job: Any) -> Any:
        def told(done: int, total: int) -> None:
            print(f"{time.time() - begun:7.0f} s  {job.kind} {done} / {total}", file=sys.stderr, flush=True)

        return told

    compute = api.Compute(threads=asked.threads, store=asked.store, watch=watch)
    data = api.load_data(asked.data)
    net = zoo.judge(data.size, ())
    judge = api.teach(net, data, compute=compute)
    made = api.teach_generator("own", data, compute=compute, epochs=asked.epochs)
    model, teacher = load_generator(Path(made["folder"]), data, "cpu"), load_teacher(Path(judge["folder"]), data, "cpu")
    labels = torch.arange(len(data.class_names)).repeat_interleave(asked.images)
    asked.out.mkdir(parents=True, exist_ok=True)
    shares = []
    for guidance in asked.guidance:
        start = time.process_time()
        images = images_of(model, data, asked.images, asked.steps, guidance, asked.batch)
        spent = time.process_time() - start
        right = logits(teacher, images.numpy(), data.mean, data.std).argmax(1) == labels
        low, high = wilson(int(right.sum()), len(right))
        by_class = right.view(-1, asked.images).float().mean(1)
        shares.append(
            {
                "guidance": guidance,
                "as_meant": round(float(right.float().mean()), 4),
                "wilson_95": [round(low, 4), round(high, 4)],
                "images": len(right),
                "by_class": {n: round(float(v), 3) for n, v in zip(data.class_names, by_class, strict=True)},
                "sampling_cpu_seconds": round(spent, 1),
            }
        )
        shown = images.view(-1, asked.images, *data.shape)[:, :COLUMNS].permute(0, 3, 1, 4, 2).contiguous()
        rows, side, columns, width, depth = shown.shape
        picture = shown.view(rows * side, columns * width, depth).squeeze(-1).numpy()
        Image.fromarray(picture).save(asked.out / f"generator_{data.name}_{guidance:g}.png")
    facts = {key: made[key] for key in ("steps", "images_seen", "loss", "parameters", "seconds", "cpu_seconds")}
    found = {"data": data.name, **facts, "judge": net, "judge_val_accuracy": judge["val_accuracy"], "shares": shares}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
