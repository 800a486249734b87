"""The gradient through N steps of gradient descent, exactly, in the memory of one step.

A step is  θ_{n+1} = θ_n − α ∇_θ L_n(θ_n; u),  u being what is learnt: images, labels. With λ_n the gradient of a
function of θ_N by θ_n, and g_n = ∇_θ L_n(θ_n; u), the chain rule gives

    λ_n = λ_{n+1} − α ∇_θ ⟨g_n, λ_{n+1}⟩
    d/du = −α Σ_n ∇_u ⟨g_n, λ_{n+1}⟩
    d/dα = −Σ_n ⟨g_n, λ_{n+1}⟩

so that the weights θ_0 … θ_N are all that must be kept: the graph of a step is built when its turn comes, from the last
to the first, and dropped again (checkpointing at every step; Chen et al., 2016, arXiv:1604.06174).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Split = Callable[[Tensor], dict[str, Tensor]]  # a vector [P] -> views of it by name
Loss = Callable[[int, dict[str, Tensor], Sequence[Tensor]], Tensor]  # (n, parameters, what is learnt) -> a scalar


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
    found = [torch.zeros_like(each, requires_grad=False) for each in learnt]
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
        for total, part in zip(found, second[len(parameters) :], strict=True):
            total.addcmul_(part, rate, value=-1)
        back = torch.addcmul(back, _joined(second[: len(parameters)]), rate, value=-1)
    return Gradients(tuple(found), by_rate, back)


def _leaves(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])
