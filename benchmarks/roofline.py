"""What ``decoct plan --for`` says of nets on GPUs, beside throughputs that others measured there.

Published are timm's tables (``results/benchmark-{train,infer}-amp-nhwc-*.csv`` in huggingface/pytorch-image-models):
images a second under mixed precision, channels last, one step after the other, nothing loaded. Here the same step is
traced with shapes alone, in bfloat16. The part of the roof that ``decoct.run.planning.roofline`` takes to be reached is
fitted to the trainings on the RTX 3090; the other rows say how far that carries.

    python benchmarks/roofline.py
"""

import argparse
from statistics import median

import numpy as np
import timm
import torch
import torch.nn.functional as F

from decoct.run.planning.roofline import GPUS, REACHED, Roofline
from yardstick import table

Published = dict[str, tuple[float, int]]  # net -> images a second, batch

TRAINED: Published = {  # RTX 3090, torch 1.12
    "resnet18": (3481.78, 512),
    "resnet34": (2036.51, 512),
    "resnet50": (1218.01, 512),
    "resnet101": (747.89, 256),
    "mobilenetv2_100": (2313.10, 512),
    "mobilenetv3_small_050": (11290.99, 512),
    "mobilenetv3_large_100": (2732.43, 512),
    "efficientnet_b0": (1751.72, 512),
    "efficientnet_lite0": (2079.28, 512),
    "densenet121": (913.65, 256),
    "convnext_tiny": (819.24, 256),
    "vit_tiny_patch16_224": (2299.56, 512),
    "vit_small_patch16_224": (1057.92, 384),
    "vgg11": (954.03, 512),
}
USED_3090: Published = {  # RTX 3090, torch 2.4
    "resnet18": (11188.75, 1024),
    "resnet34": (6529.57, 1024),
    "mobilenetv2_100": (9887.57, 1024),
    "mobilenetv3_small_050": (57072.67, 1024),
    "mobilenetv3_large_100": (13556.89, 1024),
    "efficientnet_b0": (8241.40, 1024),
    "efficientnet_lite0": (9657.18, 1024),
    "vit_tiny_patch16_224": (10405.73, 1024),
    "vit_small_patch16_224": (4616.60, 1024),
}
USED_4090: Published = {  # RTX 4090, torch 2.4
    "resnet18": (18247.43, 512),
    "resnet34": (11246.05, 512),
    "resnet50": (5088.39, 512),
    "resnet101": (3320.94, 512),
    "mobilenetv2_100": (11768.03, 512),
    "mobilenetv3_small_050": (91713.66, 512),
    "mobilenetv3_large_100": (16891.88, 512),
    "efficientnet_b0": (9831.68, 512),
    "efficientnet_lite0": (11509.61, 512),
    "densenet121": (3896.08, 512),
    "convnext_tiny": (4844.53, 512),
    "vit_tiny_patch16_224": (17589.76, 512),
    "vit_small_patch16_224": (7695.68, 512),
    "vgg11": (4978.90, 512),
}
PARTS = (
    ("training, RTX 3090", "rtx3090", TRAINED, True),
    ("inference, RTX 3090", "rtx3090", USED_3090, False),
    ("inference, RTX 4090", "rtx4090", USED_4090, False),
    ("training, A100 80 GB", "a100_80gb", {"resnet50": (2600.0, 512)}, True),
)


def traced(name: str, batch: int, gpu: str, training: bool) -> float:
    """Images a second by the roofline, of one step on tensors that have shapes alone."""
    with torch.device("meta"):
        net = timm.create_model(name).bfloat16().train(training)
        images, labels = torch.empty(batch, 3, 224, 224, dtype=torch.bfloat16), torch.empty(batch, dtype=torch.int64)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    with Roofline(GPUS[gpu]) as roof, torch.set_grad_enabled(training):
        logits = net(images)
        if training:
            F.cross_entropy(logits, labels).backward()
            optimiser.step()
    return batch / roof.seconds


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows, summary = [], []
    for title, gpu, published, training in PARTS:
        ratios = []
        for name, (speed, batch) in published.items():
            said = traced(name, batch, gpu, training)
            ratios.append(said / speed)
            rows.append([title, name, f"{speed:,.0f}", f"{said:,.0f}", f"{said / speed:.2f}"])
        summary.append([title, f"{len(ratios)}", *(f"{value:.2f}" for value in spread(ratios))])
    print(f"Reached of the roof: {REACHED}.\n")
    print(table(["", "net", "published, images/s", "said, images/s", "said / published"], rows))
    print()
    print(table(["said / published", "nets", "median", "lowest", "highest"], summary))


def spread(ratios: list[float]) -> tuple[float, float, float]:
    """Median, lowest, highest."""
    return median(ratios), float(np.min(ratios)), float(np.max(ratios))


if __name__ == "__main__":
    main()
