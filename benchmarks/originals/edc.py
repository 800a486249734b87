"""EDC's recovery for CIFAR-10; its constants of CIFAR are those of Fashion-MNIST here."""

from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled.edc import EDC
from decoct.needs.statistics import Statistics
from originals import _hooks as hooks
from originals.beside import AFTER, Agreement, Step, compare, doubled, first_apart, in_turn, watched
from originals.data import double, fashion, inputs, normalised, teacher
from originals.trees import recorded, replaced

REPOSITORY = "shaoshitong/EDC"
PROGRAM = "Branch_CIFAR_10/recover/recover.py"
SETTING = (
    "Fashion-MNIST, convnet3_bn_w32 and test_resnet in turn, a block of one image of each class, RandomResizedCrop "
    "(.08, 1) and mirror, tiles of 4 px, targets of 5,000 images"
)
OURS = {"name": "edc", "preset": "cifar10", "nets": list(hooks.NETS), "variance": "within_image"}
HOW = {
    **{"batch_size": 10, "lr": 0.05, "r_loss": 0.01, "first_multiplier": 10.0, "training_momentum": 0.8},
    **{"drop_rate": 0.0, "flatness": False, "flatness_weight": 1.0, "ema_alpha": 0.99, "category_aware": "global"},
    **{"store_best_images": True, "initial_img_dir": "", "train_data_path": "", "rank": 0, "world_size": 1},
    **{"dist_backend": "", "dist_url": "", "aux_teacher": hooks.NETS},
}


def agree(tree: Path) -> Agreement:
    """Both from the images and with the crops that decoct draws, on the targets that decoct collected."""
    steps = max(AFTER) + 1
    spec = EDC(preset="cifar10", nets=hooks.NETS, iterations=steps, variance="within_image")
    nets = {name: teacher(name) for name in hooks.NETS}
    targets = {name: hooks.in_double(hooks.statistics(name)) for name in nets}
    with doubled():
        twins = {name: double(net) for name, net in nets.items()}
        with recorded(Views, "draw") as views, watched(shape=fashion().shape) as ours, hooks.decoct_in_double():
            spec(replace(inputs(twins), statistics=targets))
        both: dict[bool, list[Step]] = {}
        for mend in (True, False):
            folder = written(targets, twins)
            start = in_turn(ours[0].images.flatten(0, 1))
            with watched(shape=fashion().shape) as both[mend]:
                run(tree, list(twins.values()), folder, start, hooks.crops_of(views[0]), steps, 1, mend=mend)
    facts = {
        "as it is, first apart after": first_apart(ours, both[False]),
        "as it is, loss after 0, relative": compare(ours, both[False], (0,))[0].loss,
        **collections(tree),
    }
    why = (
        "averages of statistics start at 0 in its code, which asks whether they are an int and makes them a float: "
        "that is mended here; as it is, it parts at once"
    )
    return Agreement(compare(ours, both[True]), why, facts)


def make(tree: Path, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ten images of each class in batches of ten, on targets that the program collected, 75 iterations."""
    hooks.reseed(seed)
    nets = [teacher(name) for name in hooks.NETS]
    made = run(tree, nets, collected(tree), sample, None, 75, 10, mend=False)
    return hooks.levels(made), np.repeat(np.arange(10), 10)


def sample(label: int) -> Tensor:
    """A random train image of a class, mirrored by a coin."""
    train = fashion().train
    row = np.random.choice(np.flatnonzero(train.labels == label))
    image = normalised(torch.from_numpy(np.array(train.images[row])))
    return image.flip(-1) if torch.rand(()) < 0.5 else image


def run(
    tree: Path,
    nets: list[nn.Module],
    folder: Path,
    start: Callable[[int], Tensor],
    view: Callable[[Tensor], Tensor] | None,
    iterations: int,
    ipc: int,
    *,
    mend: bool,
) -> list[Tensor]:
    """The images of a set by the authors' program; ``view`` replaces its crops."""
    made: list[Tensor] = []
    how = Namespace(**HOW, iteration=iterations, ipc_number=ipc, statistic_path=str(folder))
    judges = [deepcopy(net) for net in nets]  # hooks stay on them
    with ExitStack() as stack:
        theirs = stack.enter_context(hooks.opened(tree / PROGRAM))
        crop, size = theirs.transforms.RandomResizedCrop, fashion().size
        ours: dict[str, Any] = {"PreImgPathCache": lambda *_, **__: SimpleNamespace(random_img_sample=start)}
        if view is not None:
            ours["ApplyTransformToPair"] = lambda _: lambda images, other: (view(images), other)
        stack.enter_context(hooks.one_process(theirs, made, mend=mend, double=view is not None))
        stack.enter_context(replaced(theirs, **ours))
        stack.enter_context(replaced(theirs.transforms, RandomResizedCrop=lambda _, scale: crop(size, scale=scale)))
        theirs.main_worker(0, 1, how, judges, judges[0], list(range(ipc)))
    return made


def named(net: nn.Module, name: str) -> Callable[[str], str]:
    """How the program calls the layers of a net."""
    return lambda path: f"{type(net).__name__}_{name}={path}"


def written(targets: dict[str, Statistics], nets: dict[str, nn.Module]) -> Path:
    """A folder of targets as the program reads them: of a class, the variance within an image."""
    folder = Path(mkdtemp())
    for name, net in nets.items():
        call = named(net, name)
        for path, parts in targets[name].within.items():
            convolution = parts.patch_mean is not None
            for c in range(10):
                hooks.store(folder, "ConvFeatureHook" if convolution else "BNFeatureHook", call(path), parts, c)
            if convolution:
                hooks.store(folder, "ConvFeatureHook", call(path), targets[name].whole[path])
    return folder


@cache
def collected(tree: Path) -> Path:
    """A folder of targets that the program collected over our crops."""
    folder = Path(mkdtemp())
    with hooks.opened(tree / PROGRAM) as theirs, hooks.on_cpu(), torch.no_grad():
        for name in hooks.NETS:
            net = deepcopy(teacher(name))
            seen = []
            for path, module in net.named_modules():
                if isinstance(module, nn.BatchNorm2d | nn.Conv2d):
                    convolution = isinstance(module, nn.Conv2d)
                    kind = theirs.ConvFeatureHook if convolution else theirs.BNFeatureHook
                    many = {"data_number": hooks.IMAGES} if convolution else {}
                    seen.append(kind(module, save_path=str(folder), name=named(net, name)(path), gpu=0, **many))
                    seen[-1].set_hook(pre=True)
            for x, labels in hooks.batches():
                for hook in seen:
                    hook.set_label(labels)
                net(x)
            for hook in seen:
                hook.save()
    return folder


def collections(tree: Path) -> dict[str, float]:
    """How far its targets and ours are apart, over the same crops."""
    folder, between = collected(tree), []
    pairs: dict[str, tuple[list[Any], list[Any]]] = {
        key: ([], []) for key in ("means", "variances", "class means", "class variances")
    }
    swapped = {"running_patch_mean": "running_patch_var", "running_patch_var": "running_patch_mean"}
    for name in hooks.NETS:
        net, ours = teacher(name), hooks.statistics(name)
        for path, inside in ours.within.items():
            convolution, call = inside.patch_mean is not None, named(net, name)(path)
            kind = folder / ("ConvFeatureHook" if convolution else "BNFeatureHook")
            files: list[Any] = [(np.load(kind / f"class_{c}" / call / "running.npz"), inside, c) for c in range(10)]
            files += [(np.load(kind / call / "running.npz"), ours.whole[path], None)] if convolution else []
            for file, parts, c in files:
                for key in file:
                    mine = getattr(parts, hooks.PARTS[key.removeprefix("running_")])
                    group = ("" if c is None else "class ") + ("variances" if "var" in key else "means")
                    theirs = file[key if c is None else swapped.get(key, key)]  # it swaps those of classes
                    pairs[group][0].append(theirs)
                    pairs[group][1].append(mine if c is None else mine[c])
            between.append(float(inside.variance.sum() / ours.by_class[path].variance.sum()))
    shares = {f"targets apart, {key}": hooks.apart(*pair) for key, pair in pairs.items()}
    between.sort()
    return shares | {"variance within an image over that of a class, median of layers": between[len(between) // 2]}
