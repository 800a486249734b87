"""Trajectory matching: the parts that MTT and its successors share, from an expert's weights to the learnt images.

The gradient through N steps of gradient descent is exact, in the memory of one. A step is
θ_{n+1} = θ_n − α ∇_θ L_n(θ_n; u),  u being what is learnt: images, labels. With λ_n the gradient of a function of θ_N
by θ_n, and g_n = ∇_θ L_n(θ_n; u), the chain rule gives

    λ_n = λ_{n+1} − α ∇_θ ⟨g_n, λ_{n+1}⟩
    d/du = −α Σ_n ∇_u ⟨g_n, λ_{n+1}⟩
    d/dα = −Σ_n ⟨g_n, λ_{n+1}⟩

so that the weights θ_0 … θ_N are all that must be kept: the graph of a step is built when its turn comes, from the last
to the first, and dropped again (checkpointing at every step; Chen et al., 2016, arXiv:1604.06174).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Generator, Tensor

from decoct.core.bounds import TIMES
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Condenser, Draft, Inputs, Need
from decoct.core.seeds import seed
from decoct.data.augment import dsa
from decoct.data.send import send
from decoct.methods.matching._shared.footprint import held, pixels, weights
from decoct.methods.matching._shared.synthetic import Synthetic
from decoct.needs.trajectory import Experts, Trajectories
from decoct.nets import zoo
from decoct.nets.precision import Precision
from decoct.training.learn import learn

Split = Callable[[Tensor], dict[str, Tensor]]  # a vector [P] -> views of it by name
Loss = Callable[[int, dict[str, Tensor], Sequence[Tensor]], Tensor]  # (n, parameters, what is learnt) -> a scalar
REMEDY = "lower lr_img, lr_lr or lr_teacher"


@dataclass(frozen=True)
class Gradients:
    """Gradients of a function of θ_N.

    Attributes:
        learnt: by each tensor that is learnt, of its shape.
        rate: by α, a scalar.
        start: [P] by the weights of the first step that was gone through: θ_0, if none was left out.
    """

    learnt: tuple[Tensor, ...]
    rate: Tensor
    start: Tensor


def descend(loss: Loss, split: Split, start: Tensor, rate: Tensor, learnt: Sequence[Tensor], steps: int) -> Tensor:
    """The weights θ_0 … θ_N, [N + 1, P], without a graph.

    Args:
        loss: L_n; differentiable twice in the parameters and once more in what is learnt.
        split: how a vector becomes parameters.
        start: θ_0, [P].
        rate: α, a scalar.
        learnt: tensors u.
        steps: N.
    """
    path = start.new_empty((steps + 1, len(start)))
    path[0] = start
    fixed, rate = [each.detach() for each in learnt], rate.detach()
    for n in range(steps):
        parameters = _leaves(split(path[n]))
        gradient = torch.autograd.grad(loss(n, parameters, fixed), list(parameters.values()))
        path[n + 1] = torch.addcmul(path[n], _joined(gradient), rate, value=-1)
    return path


def pull_back(
    loss: Loss,
    split: Split,
    path: Tensor,
    rate: Tensor,
    learnt: Sequence[Tensor],
    end: Tensor,
    truncate: int | None = None,
) -> Gradients:
    """Gradients of a function of θ_N, given its gradient by θ_N.

    Args:
        loss: as ``descend`` took it; it must draw nothing.
        split: likewise.
        path: [N + 1, P] that ``descend`` gave.
        rate: α, a scalar.
        learnt: tensors u.
        end: [P] gradient by θ_N.
        truncate: how many of the last steps are gone through; None for all: the exact gradient.
    """
    steps, rate = len(path) - 1, rate.detach()
    by_learnt = [torch.zeros_like(each, requires_grad=False) for each in learnt]
    by_rate, back = torch.zeros_like(rate), end
    for n in reversed(range(max(0, steps - (truncate or steps)), steps)):
        parameters = _leaves(split(path[n]))
        sources = [*parameters.values(), *(each.detach().requires_grad_() for each in learnt)]
        value = loss(n, parameters, sources[len(parameters) :])
        gradient = torch.autograd.grad(value, sources[: len(parameters)], create_graph=True)
        by_rate -= torch.dot(_joined([each.detach() for each in gradient]), back)
        second = torch.autograd.grad(
            gradient, sources, list(split(back).values()), allow_unused=True, materialize_grads=True
        )
        for total, part in zip(by_learnt, second[len(parameters) :], strict=True):
            total.addcmul_(part, rate, value=-1)
        back = torch.addcmul(back, _joined(second[: len(parameters)]), rate, value=-1)
    return Gradients(tuple(by_learnt), by_rate, back)


def _leaves(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


@dataclass(frozen=True)
class Inner:
    """An inner loop before it is run: whose weights it starts from, and what each step sees.

    Attributes:
        expert: number of the trajectory.
        epoch: t, where on it the student starts.
        rows: of the set, of each step; None for all.
        augmentations: of each step; None for none.
    """

    expert: int
    epoch: int
    rows: tuple[Tensor | None, ...]
    augmentations: tuple[dsa.Drawn | None, ...]

    @classmethod
    def draw(cls, rng: Generator, spec: "TrajectoryMatching", t: int, experts: int, images: int, data: Any) -> Self:
        """Draw all of it: shuffled passes over the set, of which each step sees the next; a transform a step, with
        parameters of its own for every image.

        Args:
            rng: on the CPU.
            spec: the method, with its numbers by IPC.
            t: iteration.
            experts: trajectories to choose from.
            images: in the set.
            data: the ``Dataset``, of which size and mirroring are asked.
        """
        batch = spec.batch_syn or images
        expert = int(torch.randint(experts, (), generator=rng))
        epoch = int(torch.randint(*spec.span(t), (), generator=rng))
        rows: list[Tensor | None] = []
        drawn: list[dsa.Drawn | None] = []
        ahead: list[Tensor] = []
        for _ in range(spec.syn_steps or 1):
            if batch < images and not ahead:
                ahead = list(torch.randperm(images, generator=rng).split(batch))
            rows.append(ahead.pop() if batch < images else None)  # a short batch comes first, as in the authors' code
            count = images if rows[-1] is None else len(rows[-1])
            drawn.append(dsa.draw(count, data.size, data.flip, rng) if spec.dsa else None)
        return cls(expert, epoch, tuple(rows), tuple(drawn))

    def loss(self, experts: Experts, n: int, parameters: dict[str, Tensor], learnt: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy of a step: of labels [n] int64, or of the softmax of learnt logits [n, classes]."""
        images, labels = learnt
        if (rows := self.rows[n]) is not None:
            rows = send(rows, images)
            images, labels = images[rows], labels[rows]
        if (drawn := self.augmentations[n]) is not None:
            images = dsa.apply(images, drawn)
        target = labels.softmax(1) if labels.is_floating_point() else labels
        return F.cross_entropy(experts.logits(parameters, images), target)


def matched(
    experts: Experts,
    inner: Inner,
    reach: int,
    images: Tensor,
    labels: Tensor,
    rate: Tensor,
    truncate: int | None = None,
) -> tuple[Tensor, Gradients]:
    """‖θ_N − θ*_{t+M}‖² / ‖θ*_t − θ*_{t+M}‖² of a student that starts at θ*_t, and its gradients.

    Args:
        experts: the trajectories θ*.
        inner: the N steps of the student.
        reach: M, epochs that the student is to go as far as.
        images: [n, C, S, S] normalised.
        labels: [n] int64, or [n, classes] logits, which are learnt.
        rate: the student's step size, a scalar.
        truncate: how many of the last steps the gradient goes through; None for all.

    Returns:
        A scalar without a graph, and the gradients by images, by labels where they are learnt, and by the rate.
    """
    device = str(images.device)
    start, target = (experts.weights(inner.expert, epoch, device) for epoch in (inner.epoch, inner.epoch + reach))
    soft = labels.is_floating_point()

    def loss(n: int, parameters: dict[str, Tensor], learnt: Any) -> Tensor:
        return inner.loss(experts, n, parameters, (learnt[0], learnt[1] if soft else labels))

    learnt = [images, labels] if soft else [images]
    path = descend(loss, experts.parameters, start, rate, learnt, len(inner.rows))
    off, apart = path[-1] - target, (start - target).square().sum()
    slopes = pull_back(loss, experts.parameters, path, rate, learnt, 2 * off / apart, truncate)
    return off.square().sum() / apart, slopes


class TrajectoryMatching(Condenser):
    """A method that learns images on which a student follows an expert's path; a subclass names its paper.

    Draws of iteration t derive from the seed and t alone. Memory is that of one inner step's graph, of the N + 1
    weights of the student, and of what is learnt.

    Attributes:
        net: of the experts and the students; "convnet" is the ConvNet that fits the images.
        experts: trainings on the train split to choose from.
        epochs: of each.
        dsa: differentiable Siamese augmentation of the experts' batches and the students'.
        iterations: updates of the images.
        syn_steps: N, steps of the student; None for the authors' number by IPC, as of all fields that may be None.
        expert_epochs: M, epochs of the expert that those steps are to match.
        max_start_epoch: students start below this epoch of the expert.
        batch_syn: images per step of the student; None for the whole set where the authors say nothing.
        lr_img: of the images, normalised.
        lr_lr: of the student's step size.
        lr_teacher: the step size at first.
        momentum: of SGD on images and step size.
        truncate: the gradient goes through so many of the last steps; None for all.
        precision: of the students' forward passes; weights, images, gradients and the distance stay in float32.
    """

    family = "distillation"
    even = True
    usual: ClassVar[Mapping[int, Mapping[str, Any]]] = {}  # by the largest IPC that it is for, ascending
    starting: ClassVar[frozenset[str]] = frozenset({"max_start_epoch"})  # fields that are start epochs

    net: str = "convnet"
    experts: int = Field(100, ge=1, le=TIMES)
    epochs: int = Field(50, ge=1)
    dsa: bool = True
    iterations: int = Field(5000, ge=1)
    syn_steps: int | None = Field(None, ge=1)
    expert_epochs: int = Field(2, ge=1)
    max_start_epoch: int | None = Field(None, ge=1)
    batch_syn: int | None = Field(None, ge=1)
    lr_img: float | None = Field(None, gt=0)
    lr_lr: float | None = Field(None, ge=0)
    lr_teacher: float | None = Field(None, gt=0)
    momentum: float = Field(0.5, ge=0, lt=1)
    truncate: int | None = Field(None, ge=1)
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _within_the_trajectory(self) -> Self:
        last = (self.max_start_epoch or 1) + self.expert_epochs
        if last > self.epochs:
            said = f"max_start_epoch + expert_epochs is {last}, but the experts have {self.epochs} epochs"
            raise PydanticCustomError("trajectory", "{said}: raise epochs, or lower the others", {"said": said})
        return self

    def for_ipc(self, ipc: int) -> Self:
        """The same with every None filled in that the authors have a number for; epochs within the experts'."""
        known = next((fields for most, fields in self.usual.items() if ipc <= most), None)
        fields = dict(known if known is not None else self.usual[max(self.usual)])
        for name in self.starting & fields.keys():
            fields[name] = min(fields[name], self.epochs - self.expert_epochs)
        return self.model_copy(update={name: value for name, value in fields.items() if getattr(self, name) is None})

    def at(self, size: int) -> Self:
        """The same with the net of the resolution."""
        return self.model_copy(update={"net": zoo.resolve(self.net, size)})

    def needs(self) -> tuple[Need, ...]:
        """The experts."""
        return (self.need,)

    @property
    def need(self) -> Trajectories:
        """The experts."""
        return Trajectories(net=self.net, epochs=self.epochs, experts=self.experts, dsa=self.dsa)

    def memory(self, shape: tuple[int, int, int], classes: int, ipc: int) -> int:
        """One step's graph of the gradient of a batch, differentiated again; the student's weights; what is learnt."""
        spec = self.for_ipc(ipc)
        batch, net = min(spec.batch_syn or ipc * classes, ipc * classes), (self.net, shape, classes)
        path = ((spec.syn_steps or 0) + 1 + 8) * weights(*net)
        return batch * held(*net, twice=True) + path + pixels(shape, 6 * ipc * classes)

    def start(self, inputs: Inputs, experts: Experts, ipc: int) -> tuple[Synthetic, Tensor]:
        """What is learnt at first: the images; and labels [n], or logits [n, classes] where they are learnt."""
        raise DecoctError(f"{self.name} does not say where it starts: define start(self, inputs, experts, ipc)")

    def span(self, t: int) -> tuple[int, int]:
        """The first start epoch at an iteration and the one after the last."""
        assert self.max_start_epoch is not None
        return 0, self.max_start_epoch

    def groups(self, images: Tensor, rate: Tensor, labels: Tensor) -> list[dict[str, Any]]:
        """What SGD updates, with what rate and momentum."""
        momentum = {"momentum": self.momentum}
        return [{"params": [images], "lr": self.lr_img, **momentum}, {"params": [rate], "lr": self.lr_lr, **momentum}]

    def takes(self, loss: Tensor) -> Tensor | None:
        """Whether the update of an iteration with such a loss is made, a bool on its device; None for always."""
        return None

    def __call__(self, inputs: Inputs) -> Draft:
        """All classes together: every step of a student sees them. The numbers by IPC that were used are recorded."""
        ipc, experts = inputs.ipc(self.name), inputs.trajectories[self.need]
        spec = self.for_ipc(ipc)
        made, labels = spec.start(inputs, experts, ipc)
        experts = replace(experts, precision=self.precision)
        soft = labels.is_floating_point()
        rate = torch.tensor(spec.lr_teacher, device=inputs.device, requires_grad=True)
        learnt = [made.images, *([labels] if soft else []), rate]
        tensors = {"images": made.images, "rate": rate} | ({"labels": labels} if soft else {})
        optimiser = torch.optim.SGD(spec.groups(made.images, rate, labels))
        broken = torch.zeros(self.iterations, dtype=torch.bool, device=inputs.device)

        def step(t: int) -> Tensor:
            rng = Generator().manual_seed(seed(inputs.seed, self.name, t))
            inner = Inner.draw(rng, spec, t, len(experts), len(labels), inputs.data)
            loss, slopes = matched(experts, inner, self.expert_epochs, made.images, labels, rate, self.truncate)
            gradients = [*slopes.learnt, slopes.rate]
            finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).all()
            broken[t] = loss.isfinite() & ~finite
            for tensor, gradient in zip(learnt, gradients, strict=True):
                tensor.grad = gradient
            step_where(optimiser, self.takes(loss))
            return loss

        def look(trace: Tensor) -> None:
            if broken.any():
                t = int(broken.nonzero()[0])
                raise DecoctError(
                    f"{self.name}: the meta-gradient is not finite at step {t + 1} of {self.iterations} "
                    f"(the loss was {float(trace[t]):.4g}): {REMEDY}"
                )

        trace = learn(inputs, self.name, optimiser, step, self.iterations, tensors, REMEDY, look=look)
        own, learnt_rate = labels.detach().softmax(1).cpu().numpy() if soft else None, float(rate.detach())
        if learnt_rate <= 0:
            raise DecoctError(f"{self.name}: the learnt rate is {learnt_rate:.4g} at the end: {REMEDY}")
        draft = made.draft(trace, soft_labels=own, rate=learnt_rate, step_size=learnt_rate)
        used = {n: float(value) for n, value in spec if getattr(self, n) is None and isinstance(value, int | float)}
        return replace(draft, notes={**draft.notes, **used})


def step_where(optimiser: torch.optim.SGD, taken: Tensor | None) -> None:
    """Step where a bool on the device says so, without asking it; else parameters and momenta stay as they are."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    if taken is None:
        optimiser.step()
        return
    momenta = [optimiser.state[p].get("momentum_buffer") for p in parameters]
    before = [p.detach().clone() for p in parameters]
    kept = [torch.zeros_like(p) if m is None else m.clone() for p, m in zip(parameters, momenta, strict=True)]
    optimiser.step()
    with torch.no_grad():
        for p, old, old_momentum in zip(parameters, before, kept, strict=True):
            p.copy_(torch.where(taken, p, old))
            if (momentum := optimiser.state[p].get("momentum_buffer")) is not None:
                momentum.copy_(torch.where(taken, momentum, old_momentum))
