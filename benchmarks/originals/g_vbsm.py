"""G-VBSM's recovery for CIFAR-10; its constants of CIFAR are those of Fashion-MNIST here."""

import random
from argparse import Namespace
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.methods.decoupled._shared.invert import Alignment, Views
from decoct.methods.decoupled.g_vbsm import GVBSM
from decoct.needs.statistics import Statistics
from originals import _hooks as hooks
from originals.beside import AFTER, Agreement, Step, compare, doubled, first_apart, in_turn, watched
from originals.data import double, fashion, inputs, teacher
from originals.trees import recorded, replaced

REPOSITORY = "shaoshitong/G_VBSM_Dataset_Condensation"
PROGRAM = "Branch_CIFAR_10/recover/data_synthesis_with_svd_with_db_with_all_statistic.py"
SETTING = (
    "Fashion-MNIST, convnet3_bn_w32 and test_resnet in turn, a block of ten images of each class, RandomCrop with a "
    "border of 4 px, mirror and rolls up to 32 px, 40 % of convolutions left out, tiles of 4 px, targets of 5,000 "
    "images"
)
OURS = {"name": "g_vbsm", "preset": "cifar10", "nets": list(hooks.NETS), "iterations": 200}
HOW = {
    **{"batch_size": 100, "lr": 0.05, "r_loss": 0.01, "first_multiplier": 10.0, "training_momentum": 0.8},
    **{"drop_rate": 0.4, "jitter": 32, "nuc_norm": 1.0, "tau": 4.0, "store_best_images": True},
    **{"train_data_path": "", "rank": 0, "world_size": 1, "dist_backend": "", "dist_url": ""},
}


def agree(tree: Path) -> Agreement:
    """Both from the noise, with the crops, rolls and dropped layers that decoct draws, on decoct's targets."""
    steps = max(AFTER) + 1
    spec = GVBSM(preset="cifar10", nets=hooks.NETS, iterations=steps)
    nets = {name: teacher(name) for name in hooks.NETS}
    targets = {name: hooks.in_double(hooks.statistics(name)) for name in nets}
    with doubled():
        twins = {name: double(net) for name, net in nets.items()}
        kept: list[Mapping[str, Tensor]] = []
        noting = replaced(Alignment, __init__=_noting(Alignment.__init__, kept))
        with recorded(Views, "draw") as views, watched(shape=fashion().shape) as ours, hooks.decoct_in_double(), noting:
            spec(replace(inputs(twins, ipc=10), statistics=targets))
        order = [_order(net) for net in twins.values()]
        dropped = [1.0 - float(kept[t][path]) for t in range(steps) for path in order[t % len(order)]]
        rolls = views[0].rolls[:, 0].flatten().tolist()
        both: dict[bool, list[Step]] = {}
        for mend in (True, False):
            folder, start = written(targets, twins), in_turn([ours[0].images[0]])
            noise = replaced(torch, randn=lambda *_, start=start, **__: _leaf(start()))
            draws = replaced(random, randint=in_turn(rolls), random=in_turn(dropped))
            with watched(shape=fashion().shape) as both[mend], noise, draws:
                run(tree, list(twins.values()), folder, hooks.crops_of(views[0]), steps, mend=mend)
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
    """Ten images of each class together, on targets that the program collected, 200 iterations."""
    hooks.reseed(seed)
    randn, size = torch.randn, fashion().shape
    noise = lambda shape, **_: _leaf(randn(shape[0], *size))  # noqa: E731
    with replaced(torch, randn=noise):
        nets = [teacher(name) for name in hooks.NETS]
        made = run(tree, nets, collected(tree), None, OURS["iterations"], mend=False)
    return hooks.levels(made), np.repeat(np.arange(10), 10)


def run(
    tree: Path,
    nets: list[nn.Module],
    folder: Path,
    view: Callable[[Tensor], Tensor] | None,
    iterations: int,
    *,
    mend: bool,
) -> list[Tensor]:
    """Ten images of each class by the authors' program; ``view`` replaces its crops."""
    made: list[Tensor] = []
    how = Namespace(**HOW, iteration=iterations, statistic_path=str(folder))
    judges = [deepcopy(net) for net in nets]  # hooks stay on them
    with hooks.opened(tree / PROGRAM) as theirs, hooks.one_process(theirs, made, mend=mend, double=view is not None):
        crop = theirs.transforms.RandomCrop
        sized = {"RandomCrop": lambda _, padding: crop(fashion().size, padding=padding)}
        if view is not None:
            sized = {"Compose": lambda _: view}
        with replaced(theirs.transforms, **sized):
            theirs.main_worker(0, 1, how, judges, judges[-1], list(range(10)))
    return made


def _leaf(start: Tensor) -> Tensor:
    return start.detach().clone().requires_grad_()


def _noting(init: Callable[..., None], kept: list[Mapping[str, Tensor]]) -> Callable[..., None]:
    """``Alignment.__init__`` that leaves behind which layers of the one block count, iteration after iteration."""

    def noted(self: Alignment, *args: Any, **kwargs: Any) -> None:
        said = kwargs["kept"]

        def counts(t: int) -> Mapping[str, Tensor]:
            kept.append(said(t))
            return kept[-1]

        init(self, *args, **kwargs | {"kept": counts})

    return noted


def _order(net: nn.Module) -> list[str]:
    """Convolutions in the order in which an image reaches them, which is that of their draws."""
    seen: list[str] = []
    for path, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, path=path: seen.append(path))
    handles = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        net(torch.zeros(1, *fashion().shape))
    for module in handles:
        module._forward_hooks.clear()
    return seen


def written(targets: dict[str, Statistics], nets: dict[str, nn.Module]) -> Path:
    """A folder of targets as the program reads them."""
    folder = Path(mkdtemp())
    for name, net in nets.items():
        for path, parts in targets[name].whole.items():
            if parts.patch_mean is not None:
                hooks.store(folder, "ConvFeatureHook", f"{type(net).__name__}={path}", parts)
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
                if isinstance(module, nn.Conv2d):
                    call = f"{type(net).__name__}={path}"
                    how = {"save_path": str(folder), "name": call, "gpu": 0, "data_number": hooks.IMAGES}
                    seen.append(theirs.ConvFeatureHook(module, **how))
                    seen[-1].set_hook(pre=True)
            for x, _ in hooks.batches():
                net(x)
            with hooks.redirect_stdout(hooks.io.StringIO()):
                for hook in seen:
                    hook.save()
    return folder


def collections(tree: Path) -> dict[str, float]:
    """How far its targets and ours are apart, over the same crops."""
    pairs: dict[str, tuple[list[Any], list[Any]]] = {key: ([], []) for key in ("means", "variances")}
    for name in hooks.NETS:
        net, ours = teacher(name), hooks.statistics(name)
        for path, parts in ours.whole.items():
            if parts.patch_mean is None:
                continue
            file = np.load(collected(tree) / "ConvFeatureHook" / f"{type(net).__name__}={path}" / "running.npz")
            for key in file:
                theirs, mine = pairs["variances" if "var" in key else "means"]
                theirs.append(file[key])
                mine.append(getattr(parts, hooks.PARTS[key.removeprefix("running_")]))
    return {f"targets apart, {key}": hooks.apart(*pair) for key, pair in pairs.items()}
