"""Train on the pictures that ``decoct shrink`` kept, and test on others, without decoct.

    python check_shrink.py SMALL TEST [PX]

Both are class folders; students see pictures at PX, 32 where it is left out. Prints the accuracy of each of five
students, at the last step, and their mean.
"""

import math
import sys

import torch
from torch import nn
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

WIDTH, EPOCHS, LEAST, BATCH, RATE = 16, 10, 200, 64, 0.01  # as `decoct shrink` takes them on a CPU

SIZE = int(sys.argv[3]) if len(sys.argv) > 3 else 32
BLOCKS = max(2, round(math.log2(SIZE)) - 2)  # so that the last one sees a few pixels


def read(folder: str) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Pictures over white, the centre square, SIZE px: [N, 3, S, S] from 0 to 1, and labels."""
    look = v2.Compose([v2.Resize(SIZE), v2.CenterCrop(SIZE), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    data = ImageFolder(folder, look, loader=over_white)
    images, labels = zip(*data, strict=True)
    return torch.stack(images), torch.tensor(labels), data.classes


def over_white(path: str):
    """A picture in colour."""
    from PIL import Image

    picture = Image.open(path).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def student(classes: int) -> nn.Module:
    """A ConvNet; three blocks at 28 and 32 px."""
    blocks = [
        layer
        for inputs in (3, *[WIDTH] * (BLOCKS - 1))
        for layer in (
            nn.Conv2d(inputs, WIDTH, 3, padding=1),
            nn.GroupNorm(WIDTH, WIDTH),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )
    ]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(WIDTH * (SIZE >> BLOCKS) ** 2, classes))


def main() -> None:
    """Five students."""
    images, labels, classes = read(sys.argv[1])
    test, truth, others = read(sys.argv[2])
    assert classes == others, "the two folders have other classes"
    mean, std = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    images, test = (images - mean) / std, (test - mean) / std
    steps = max(EPOCHS * -(-len(images) // BATCH), LEAST)
    accuracies = []
    for seed in range(5):
        torch.manual_seed(seed)
        net = student(len(classes))
        learn = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
        slower = torch.optim.lr_scheduler.CosineAnnealingLR(learn, steps)
        order = torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            if len(order) < min(BATCH, len(images)):
                order = torch.cat([order, torch.randperm(len(images))])
            batch, order = order[:BATCH], order[BATCH:]
            loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
            learn.zero_grad()
            loss.backward()
            learn.step()
            slower.step()
        with torch.no_grad():
            right = torch.cat([net(part).argmax(1) for part in test.split(1000)]) == truth
        accuracies.append(100 * right.float().mean().item())
        print(f"seed {seed}: {accuracies[-1]:.1f} %", flush=True)
    print(f"{len(images)} images: {sum(accuracies) / 5:.1f} % on {len(test)} others")


if __name__ == "__main__":
    main()
