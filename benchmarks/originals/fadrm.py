"""FADRM's recovery at two sizes with two nets in turn; its constants of ImageNet are those of Fashion-MNIST here."""

from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision import transforms

from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import cut
from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled.fadrm import FADRM, resize
from originals.beside import AFTER, Agreement, compare, seen_as, watched
from originals.data import double, fashion, in_double, inputs, teacher
from originals.trees import on_cpu, program, recorded, replaced

REPOSITORY = "Jiacheng8/FADRM"
PROGRAM = "recover/recover.py"
SETTING = (
    "Fashion-MNIST, test_resnet at 25 and 28 px in turn, a block of one image a class, four stages of 26 iterations"
)
NET, IPC, STAGES = "convnet3_bn_w32", 10, 4
OURS: dict[str, Any] = {"name": "fadrm", "preset": "cifar100", "nets": [NET], "ranker": NET, "iterations": 300}
HOW = Namespace(
    **{"batch_size": 10, "ncls": 10, "lr": 0.25, "jitter": 4, "r_bn": 0.01, "first_bn_multiplier": 10.0, "alpha": 0.5},
    **{"initialisation_method": "Patches", "patch_diff": "medium", "store_best_images": True},
    apply_data_augmentation=True,
)


def agree(tree: Path) -> Agreement:
    """Both from decoct's patches and with the crops, mirrors and rolls that it draws, over three changes of stage."""
    iterations, nets = 26 * STAGES, {"a": teacher("test_resnet"), "b": rolled(teacher("test_resnet"))}
    spec = FADRM(preset="cifar100", nets=("a", "b"), ranker="a", iterations=iterations, shrink=25 / 28)
    with in_double(), recorded(Views, "draw") as views, recorded(FADRM, "crops") as crops, watched() as ours:
        given = inputs({name: double(net) for name, net in nets.items()})
        spec(given)
        patches = torch.cat([cut(given, Pixels.of(fashion(), "cpu"), of_class, 0, 1) for of_class in crops])
    parts = ([view.boxes for view in views], [view.mirrored for view in views], [view.rolls for view in views])
    with in_double(), watched() as theirs, seen_as(Views(*(torch.cat(part) for part in parts))):
        run(tree, [double(net) for net in nets.values()], patches, [25, 28, 25, 28], iterations // STAGES)
    assert max(AFTER) < iterations
    return Agreement(compare(ours, theirs))


def make(tree: Path, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Ten images of each class, from decoct's patches, since the authors' are a download."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    given, scale = inputs({NET: teacher(NET)}, IPC, seed), Pixels.of(fashion(), "cpu")
    spec = FADRM(**{name: value for name, value in OURS.items() if name != "name"}).at(fashion().size)
    crops = [spec.crops(given, scale, c, IPC) for c in range(10)]
    sets = []
    for number in range(IPC):
        patches = torch.cat([cut(given, scale, of_class, number, IPC) for of_class in crops if of_class])
        sets.append(run(tree, [teacher(NET)], patches, [28] * STAGES, OURS["iterations"] // STAGES))
    return np.concatenate(sets), np.tile(np.arange(10), IPC)


def rolled(net: nn.Module) -> nn.Module:
    """Another net that knows the same: its first convolution sees images turned upside down."""
    turned = double(net).float()
    first = next(m for m in turned.modules() if isinstance(m, nn.Conv2d))
    first.weight.data = first.weight.data.flip(2)
    return turned


def run(tree: Path, nets: Sequence[nn.Module], patches: Tensor, sizes: list[int], each: int) -> NDArray[np.uint8]:
    """One image of each class by the authors' program, uint8 [10, 1, 28, 28]."""
    scale, made, crop = Pixels.of(fashion(), "cpu"), [], transforms.RandomResizedCrop
    how = Namespace(
        **vars(HOW), input_size=fashion().size, input_size_lis=sizes, optimization_budgets=[each] * len(sizes)
    )
    how.teacher_model_list = [str(number) for number in range(len(nets))]

    def start(*_: Any) -> tuple[Tensor, Tensor]:
        return resize(patches[None], sizes[0])[0].detach().clone().requires_grad_(), patches

    def save(how: Any, images: Tensor, *_: Any) -> None:
        made.append((images.numpy() * 255).astype(np.uint8))

    stubs = {name: ModuleType(name) for name in ("cv2", "models")}
    with on_cpu(), program(tree / PROGRAM, **stubs) as theirs, redirect_stdout(StringIO()):
        hooks = [
            [theirs.utils_re.BNFeatureHook(m) for m in net.modules() if isinstance(m, nn.BatchNorm2d)] for net in nets
        ]
        ours = {
            "load_recover_model": lambda *_: (list(nets), hooks, []),
            "initialize_patch_data": start,
            "clip": lambda x, how: x.clamp(scale.low, scale.high),
            "denormalize": lambda x, how: ((x * scale.std + scale.mean) / 255).clamp(0, 1),
        }
        vars(theirs)["ipc_id"] = 0  # which its main sets
        sized = replaced(transforms, RandomResizedCrop=lambda size: crop(size, antialias=True))
        with sized, replaced(theirs.utils_re, **ours), replaced(theirs, save_images=save):
            theirs.get_images(how, None, "cpu", 0, False)
        for hook in (hook for some in hooks for hook in some):
            hook.close()
    return made[0]
