"""MTT: images that take a student in a few steps to where an expert got in epochs of real data."""

from torch import Tensor

from decoct.core.interfaces import Inputs
from decoct.methods.matching._shared.synthetic import Init, Synthetic
from decoct.methods.matching._shared.trajectories import TrajectoryMatching
from decoct.needs.trajectory import Experts


class MTT(TrajectoryMatching):
    """Matching training trajectories (Cazenavette et al., 2022, arXiv:2203.11932).

    A student starts at the weights θ*_t of a random expert after a random epoch t < max_start_epoch and takes N steps
    of gradient descent on the synthetic set, of a step size that is learnt too. What is minimised, by SGD through all
    N steps, is ‖θ_N − θ*_{t+M}‖² / ‖θ*_t − θ*_{t+M}‖². Each step augments by one transform, its parameters drawn for
    every image. The whole set is a step's batch unless ``batch_syn`` says less. The learnt rate travels with the set: a
    student trains at it where its protocol has ``own_rate``.

    Numbers that may be None are for CIFAR-10, by IPC: up to 1, up to 10, and above. The authors list theirs in a
    picture, whose ``lr_img`` at IPC 10 they call a misprint; at 1 and 10 these are those of later work with their code
    (Chen et al., 2024, arXiv:2310.06982), for whitened images (``zca`` of the data); at 50 they are from memory, for
    images that are not whitened. ``momentum``, ``init``, and ``experts`` and ``epochs`` are those of their code and
    command. The authors go through the experts in a random order unless all fit into memory; here each iteration draws
    one.

    Attributes:
        init: "real", random real images of each class; or "noise".
    """

    quick = {"net": "convnet2_w8", "experts": 1, "epochs": 3, "iterations": 3, "syn_steps": 2}
    version = 2
    usual = {
        1: {"syn_steps": 50, "max_start_epoch": 5, "lr_img": 1000.0, "lr_lr": 1e-7, "lr_teacher": 0.01},
        10: {"syn_steps": 30, "max_start_epoch": 15, "lr_img": 1000.0, "lr_lr": 1e-5, "lr_teacher": 0.01},
        50: {"syn_steps": 30, "max_start_epoch": 40, "lr_img": 1000.0, "lr_lr": 1e-5, "lr_teacher": 0.001},
    }

    init: Init = "real"

    def start(self, inputs: Inputs, experts: Experts, ipc: int) -> tuple[Synthetic, Tensor]:
        """Images of each class and their labels, which stay as they are."""
        made = Synthetic.start(inputs, self.name, self.init)
        return made, made.labels
