"""CV-DD's recovery by a pair of nets, with all its views, from noise: its patches are a download."""

import random
from argparse import Namespace
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled.cv_dd import CVDD
from originals.beside import AFTER, Agreement, compare, doubled, seen_as, watched
from originals.data import double, fashion, inputs, teacher
from originals.trees import DoneError, on_cpu, program, recorded, replaced

REPOSITORY = "Jiacheng8/CV-DD"
PROGRAM = "recover/recover.py"
SETTING = "Fashion-MNIST, convnet3_bn_w32 (prior 56.4) and convnet3_bn_w16 (52.5), a block of one image of each class"
PRIORS = {"convnet3_bn_w32": 56.4, "convnet3_bn_w16": 52.5}
OURS = {"name": "cv_dd", "preset": "cifar10", "nets": list(PRIORS), "priors": list(PRIORS.values()), "iterations": 300}
HOW = Namespace(
    **{"dataset_name": "cifar10", "ncls": 10, "batch_size": 10, "input_size": 28, "jitter": 4, "model_pool_dir": ""},
    **{"model_setting": 4, "model_choice": list(PRIORS), "selected_size": 2, "pretrained_model_type": "offline"},
    **{"voter_type": "prior", "model_prior_weight_dict": PRIORS, "weight_temperature": 5, "patch_diff": "medium"},
    **{"lr": 0.25, "r_bn": 0.01, "first_bn_multiplier": 10.0, "initialisation_method": "Patches"},
    **{"apply_data_augmentation": True, "store_best_images": True},
)


def agree(tree: Path) -> Agreement:
    """Both from the noise, boxes, mirrors and rolls that decoct draws."""
    steps = max(AFTER) + 1
    nets = {net: double(teacher(net)) for net in PRIORS}
    spec = CVDD.again({**OURS, "iterations": steps, "ranker": next(iter(PRIORS))})
    noise = replaced(CVDD, crops=lambda *_: None)
    with noise, doubled(), recorded(Views, "draw") as views, watched(shape=fashion().shape) as ours:
        spec(inputs(nets))
    with doubled(), watched(shape=fashion().shape) as theirs, seen_as(views[0]):
        run(tree, nets, ours[0].images[0], steps)
    return Agreement(compare(ours, theirs))


def run(tree: Path, nets: dict[str, nn.Module], start: Tensor, iterations: int) -> None:
    """One image of each class by the authors' program, up to where it saves them."""
    scale = Pixels.of(fashion(), "cpu")

    def save(*_: Any) -> None:
        raise DoneError

    ours = {  # in place of what reads files, and of loops over three channels
        "load_model": lambda name, _: nets[name],
        "initialize_patch_data": lambda *_: start.clone().requires_grad_(),
        "clip": lambda x, _: x.clamp(scale.low, scale.high),
        "denormalize": lambda x, _: ((x * scale.std + scale.mean) / 255).clamp(0, 1),
    }
    stubs = {name: ModuleType(name) for name in ("cv2", "models", "pandas")}
    how = Namespace(**vars(HOW), iteration=iterations)
    with ExitStack() as stack:
        stack.enter_context(on_cpu())
        theirs = stack.enter_context(program(tree / PROGRAM, **stubs))
        stack.enter_context(replaced(theirs.utils_re, **ours))
        stack.enter_context(replaced(torch, load=lambda path, **_: nets[Path(path).stem].state_dict()))
        stack.enter_context(replaced(random, sample=lambda names, _: names))
        theirs.ipc_id, theirs.save_images = 0, save
        with suppress(DoneError):
            theirs.get_images(how, None, "cpu", 0, False)
