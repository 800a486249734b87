"""DELT's recovery, and its selection of starts; its constants of ImageNet are those of Fashion-MNIST here."""

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision import transforms

from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled.delt import DELT
from originals.beside import AFTER, Agreement, compare, seen_as, watched
from originals.data import double, fashion, in_double, inputs, normalised, teacher
from originals.trees import on_cpu, program, recorded, replaced

REPOSITORY = "VILA-Lab/DELT"
PROGRAM = "recover/recover.py"
SELECTION = "data_selection.py"
SETTING = (
    "Fashion-MNIST, convnet3_bn_w32, a block of ten images of each of three classes, eight rounds of 13 iterations"
)
NET, IPC, ROUNDS, FEW = "convnet3_bn_w32", 10, 8, 3
OURS: dict[str, Any] = {
    **{"name": "delt", "preset": "small", "nets": [NET], "ranker": NET},
    **{"scale": [0.08, 1.0], "iterations": 200},
}
HOW = Namespace(
    **{"dataset": "none", "ipc": IPC, "use_early_late": True, "round_lr_reset": False, "store_best_images": False},
    **{"lr": 0.25, "jitter": 0, "r_bn": 0.01, "first_bn_multiplier": 10.0, "easy2hard_mode": "cosine", "milestone": 1},
)


def agree(tree: Path) -> Agreement:
    """Both from the real images and with the crops and mirrors that decoct takes, over seven changes of round."""
    iterations = ROUNDS * 13
    spec = DELT(preset="imagenet1k", nets=("net",), ranker="net", iterations=iterations)
    with in_double(), recorded(Views, "draw") as views, watched(shape=fashion().shape) as ours:
        spec(inputs({"net": double(teacher(NET))}, IPC, classes=FEW))
    least: list[float] = []
    with in_double(), watched(shape=fashion().shape) as theirs, seen_as(views[0]):
        run(tree, double(teacher(NET)), ours[0].images[0], iterations, least.append)
    low = spec.at(fashion().size).low(torch.arange(iterations))
    assert low is not None
    starts = normalised(torch.as_tensor(fashion().train.images[selected(tree, teacher(NET), FEW).flatten()]))
    same = (ours[0].images[0] - starts).abs().flatten(1).amax(1) < 1e-5
    facts = {
        "starts that its selection picks, as the same image of the set": float(same.double().mean()),
        "least share of a crop, largest difference": float((low.double() - torch.tensor(least)).abs().max()),
    }
    assert max(AFTER) < iterations
    return Agreement(compare(ours, theirs), facts=facts)


def make(tree: Path, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ten images of each class from the images that its selection picks, truncated, without its JPEG."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    rows, scale = selected(tree, teacher(NET)).flatten(), Pixels.of(fashion(), "cpu")
    made = run(tree, teacher(NET), normalised(torch.as_tensor(fashion().train.images[rows])), OURS["iterations"])
    levels = (((made * scale.std + scale.mean) / 255).clamp(0, 1).numpy() * 255).astype(np.uint8)
    return levels, np.repeat(np.arange(10), IPC)


def run(
    tree: Path, net: nn.Module, start: Tensor, iterations: int, saw: Callable[[float], Any] = lambda least: None
) -> Tensor:
    """The images by the authors' program, from ten of each class [n, 1, 28, 28]; ``saw`` is told of crops."""
    scale, size, crop = Pixels.of(fashion(), "cpu"), fashion().size, transforms.RandomResizedCrop
    how = {"input_size": size, "iteration": iterations, "min_iterations": iterations}
    how |= {"round_iterations": iterations // ROUNDS}
    images, labels = start.detach().clone(), torch.arange(len(start) // IPC).repeat_interleave(IPC)
    each = torch.full((len(start) // IPC,), iterations)

    def cropped(size: int, scale: tuple[float, float]) -> Any:
        saw(scale[0])
        return crop(size, scale=scale, antialias=True)

    ours = {"clip": lambda x, **_: x.clamp(scale.low, scale.high), "get_mean_std": lambda how: (None, None)}
    sized = replaced(transforms, RandomResizedCrop=cropped), replaced(torch, float=torch.get_default_dtype())
    with on_cpu(), program(tree / PROGRAM) as theirs, replaced(theirs, **ours), sized[0], sized[1]:
        hooks = [theirs.BNFeatureHook(m) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        theirs.get_images(Namespace(**vars(HOW), **how), images, labels, net, hooks, each, {})
        for hook in hooks:
            hook.close()
    return images.detach()


def selected(tree: Path, net: nn.Module, classes: int = 10) -> NDArray[np.int64]:
    """[classes, IPC] rows of the train split that the authors' selection picks, in its order."""
    train, picked = fashion().train, []

    def batches() -> Any:
        for rows in np.array_split(np.flatnonzero(train.labels < classes), 60):
            paths = [f"{train.labels[row]}/{row}" for row in rows]
            yield normalised(torch.as_tensor(train.images[rows])), torch.as_tensor(train.labels[rows]), paths

    def copy(source: str, _: str) -> None:
        picked.append(int(Path(source).name))

    temporary = tempfile.TemporaryDirectory()
    with temporary as folder, on_cpu(), program(tree / SELECTION) as theirs, redirect_stderr(StringIO()):
        ranking = theirs.rank(Namespace(store_rank_file=False), double(net), list(batches()))
        with replaced(shutil, copy=copy):
            for c in range(classes):
                theirs.store_medium(ranking, str(c), "", folder, IPC)
    return np.array(picked).reshape(classes, IPC)
