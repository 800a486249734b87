"""DATM's distillation of decoct's experts, from the choice of images that they are right about to the last update."""

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import random_rows
from decoct.methods.matching.datm import DATM
from decoct.protocols.dc import DC
from originals import experts
from originals.beside import AFTER, Agreement, compare
from originals.data import fashion, inputs

REPOSITORY = "NUS-HPC-AI-Lab/DATM"
PROGRAM = "distill/DATM.py"
SETTING = "Fashion-MNIST, 2 experts of 6 epochs, convnet3_w16, IPC 2, 6 steps of 10 images"
OURS: dict[str, Any] = {
    **{"name": "datm", **experts.EXPERTS, "iterations": 100, "syn_steps": 10, "first_max_start_epoch": 2},
    **{"max_start_epoch": 4, "growth": 50, "lr_img": 100.0, "lr_lr": 1e-5, "lr_teacher": 0.03, "threshold": 1.1},
}
SEEN = 512  # images of each class that the choice is made among; decoct's is the same among all


def agree(tree: Path) -> Agreement:
    """Both among the same real images, with the experts, start epochs, batches and transforms that decoct draws."""
    fields = {**OURS, "iterations": max(AFTER) + 41, "syn_steps": 6, "batch_syn": 10, "threshold": 0.98}
    spec = DATM(**{name: value for name, value in fields.items() if name != "name"})
    ours, draws = experts.ours(spec, 2)
    taken = [t for t, step in enumerate(ours.images) if step.loss <= fields["threshold"]]
    moved = experts.Learnt(*([of[t] for t in taken] for of in (ours.images, ours.rates, ours.logits)))
    theirs = experts.theirs(tree / PROGRAM, tree, spec, 2, draws, pairs=candidates(), **settings(spec, 2))
    at = compare(moved.images, theirs.images)
    facts = {"updates": len(moved.images), "theirs": len(theirs.images), "skipped": len(ours.images) - len(taken)}
    how = DC(dsa=True, own_rate=True, own_labels=True, batch=8, epochs=19)
    learnt = ours.rates[-1], ours.logits[-1]
    student = experts.evaluated(tree / PROGRAM, tree, how, *learnt, **settings(spec, 2)["stubs"])
    return Agreement(at, facts=facts | experts.apart(moved, theirs, at) | student)


def make(tree: Path, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Ten images of each class; their classes, since soft labels would need another protocol."""
    spec = DATM(**{name: value for name, value in OURS.items() if name != "name"})
    return experts.made(tree / PROGRAM, tree, spec, 10, seed, **settings(spec, 10))


def settings(spec: DATM, ipc: int) -> dict[str, Any]:
    """What DATM's program takes beyond MTT's, and a module that it imports."""
    full = spec.for_ipc(ipc)
    config: Any = ModuleType("utils.cfg")
    config.CFG = SimpleNamespace(Initialize_Label_With_Another_Model=False)
    bounds = {"min_start_epoch": full.min_start_epoch, "current_max_start_epoch": full.first_max_start_epoch}
    return {
        **{"lr_y": full.lr_y, "Momentum_y": full.momentum_y, "threshold": full.threshold, **bounds},
        **{"Sequential_Generation": True, "expansion_end_epoch": full.growth, "Label_Model_Timestamp": -1},
        **{"pix_init": "samples_predicted_correctly", "load_all": False, "parall_eva": True, "device": [0]},
        **{"skip_first_eva": True, "project": "", "dsa": True, "stubs": {"utils.cfg": config}},
    }


def candidates() -> list[tuple[Tensor, int]]:
    """Images of each class in the order in which decoct looks at them, and their classes."""
    data = fashion()
    pairs = list[tuple[Tensor, int]]()
    with experts.in_double():
        scale = Pixels.seen(data, "cpu")
        for c in range(10):
            rows = random_rows(inputs({}, 2), "datm", c, SEEN)
            pairs += [(image, c) for image in scale.normalise(scale.load(np.array(data.train.images[rows])))]
    return pairs
