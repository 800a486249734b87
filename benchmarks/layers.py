"""Moments of what goes into every layer of a net at 224 px: ours beside the formulas written plainly.

Plainly, a layer's input is put into float64 and resized to whole tiles as a whole. Both give the same numbers. Beside
them the forward pass alone, which nobody can do without.

    python benchmarks/layers.py --seconds 10
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.nets import zoo
from decoct.nets.layout import as_input, laid_out
from decoct.nets.moments import Sums, layers, on_inputs
from decoct.study.memory import keep_memory
from yardstick import Loop, clock, race, table

NETS = ("resnet18", "mobilenetv2_100", "efficientnet_b0", "shufflenet_v2_x0_5")
CLASSES, SIDE, TILE = 10, 224, 16


class Plain:
    """What ``Sums`` does, without pieces, and with every tile resized and laid out."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, x: Tensor, labels: Tensor, tile: int) -> None:
        """Count in a layer's input [B, C, H, W]."""
        self._add(f"{name}.channel", x.double(), labels)
        if tile:
            sides = [-(-side // TILE) * TILE for side in x.shape[2:]]
            whole = F.interpolate(x, sides, mode="bilinear").double()
            tiles = whole.unfold(2, TILE, TILE).unfold(3, TILE, TILE).permute(0, 2, 3, 1, 4, 5)
            self._add(f"{name}.patch", tiles.flatten(1, 2), labels)

    def _add(self, key: str, parts: Tensor, labels: Tensor) -> None:
        each = parts.flatten(2)
        new = torch.stack([each.sum(2), each.square().sum(2), torch.full(each.shape[:2], each.shape[2])])
        held = self.sums.setdefault(key, new.new_zeros(3, CLASSES, new.shape[2]))
        held.index_add_(1, labels, new)


def loop(net: nn.Module, images: Tensor, labels: Tensor, sums: Callable[[], Sums | Plain] | None) -> Loop:
    """Forward passes, each with the sums of all its layers' inputs, if any."""
    where = layers(net)

    def run(steps: int) -> None:
        with torch.inference_mode():
            for _ in range(steps):
                made = sums() if sums else None

                def see(name: str, x: Tensor, made: Sums | Plain | None = made) -> None:
                    if made is not None:
                        made.add(name, x, labels, TILE * where[name])

                with on_inputs(net, where, see):
                    net(as_input(images, net))

    return run


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=5, help="of one turn")
    arguments.add_argument("--repeats", type=int, default=3, help="turns of each loop")
    arguments.add_argument("--batch", type=int, default=20)
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    images = torch.randn(options.batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(options.batch) % CLASSES
    rows = []
    for name in NETS:
        net = laid_out(zoo.build(name, 3, CLASSES, SIDE, 0).eval())
        ours, plain = loop(net, images, labels, lambda: Sums(CLASSES)), loop(net, images, labels, Plain)
        seen = race(ours, plain, seconds=options.seconds, repeats=options.repeats, warm=1, least=2)
        forward = loop(net, images, labels, None)
        alone = clock(forward, 5) / 5
        each = (1000 / options.batch / rate for rate in (seen.ours, seen.bare))
        spread = f"{seen.ratio:.2f} ({seen.lowest:.2f} to {seen.highest:.2f})"
        rows.append([name, f"{1000 * alone / options.batch:.1f}", *(f"{ms:.1f}" for ms in each), spread])
    print(f"Batches of {options.batch} at {SIDE} px, one thread; milliseconds an image, forward pass included.\n")
    print(table(["net", "forward alone", "ours", "plainly", "plainly / ours"], rows))


if __name__ == "__main__":
    main()
