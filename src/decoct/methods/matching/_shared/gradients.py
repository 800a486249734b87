"""Gradient matching: the distance of gradients, and the loops of DC and its successors."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn

from decoct.core.interfaces import Draft, Inputs
from decoct.core.seeds import seed
from decoct.data.augment import dsa
from decoct.data.send import send
from decoct.methods.matching._shared.footprint import held, pixels, weights
from decoct.methods.matching._shared.synthetic import (
    BLOCK,
    Init,
    InRandomNets,
    RealBatches,
    Synthetic,
    fresh_net,
    shared_draws,
)
from decoct.nets.precision import within
from decoct.training.learn import learn, numbered

EPSILON = 1e-6  # beside the product of two norms
LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}  # by images per class


class GradientMatching(InRandomNets):
    """Learnt images on which a net has the gradients that real images give it, along its training on the learnt ones.

    Each iteration starts a net with fresh random weights. It takes ``outer`` updates of the images, each by SGD with
    momentum on  Σ_c D(∇ℓ(real_c), ∇ℓ(learnt_c)),  ℓ the mean cross-entropy and D the sum, over the weights of layers
    and their outputs, of 1 − cosine; between two updates the net trains for ``inner`` epochs on the learnt images.
    Pixels are normalised and not clipped.

    Attributes:
        siamese: whether both sides of the matching go through one transform, and the net's training is augmented.
        iterations: nets that are started.
        outer: updates of the images in each; None for as many as there are images per class, as the authors have at 1,
            10, 20, 30, 40 and 50, the only numbers that their program takes.
        inner: epochs between two updates; None for the authors' 50, 25, 20, 15 and 10 from 10 images per class to 50,
            and 500 / ipc where they have none. At 1 there is one update a net, and no epoch.
        lr: of the images' SGD, on normalised pixels.
        lr_net: of the net's SGD, which has no momentum.
        batch_net: learnt images in a step of the net.
        init: where the images start: Gaussian "noise", or "real" images, random and none twice.
    """

    siamese: ClassVar[bool] = False
    quick = {"net": "convnet2_w32", "iterations": 2, "inner": 2, "batch": 32}
    iterations: int = Field(1000, ge=1)
    outer: int | None = Field(None, ge=1)
    inner: int | None = Field(None, ge=0)
    lr: float = Field(0.1, gt=0)
    lr_net: float = Field(0.01, gt=0)
    batch_net: int = Field(256, ge=1)
    init: Init

    def loops(self, ipc: int) -> tuple[int, int]:
        """Updates of the images with one net, and its epochs between two of them."""
        outer, inner = LOOPS.get(ipc, (ipc, max(1, round(500 / ipc))))
        return self.outer or outer, inner if self.inner is None else self.inner

    def memory(self, shape: tuple[int, int, int], classes: int, ipc: int) -> int:
        """A net with three gradients of its size; learnt images with gradient and momentum; a class's real ones, raw,
        normalised and augmented; and the largest of what is held to differentiate a class's learnt images twice, a
        block of real ones once, and a batch of the net's training."""
        net = self.net, shape, classes
        once = max(min(BLOCK, self.batch), min(self.batch_net, classes * ipc)) * held(*net)
        passes = max(once, ipc * held(*net, twice=True))
        return 4 * weights(*net) + pixels(shape, 3 * classes * ipc + 3 * self.batch) + passes

    def __call__(self, inputs: Inputs) -> Draft:
        """All classes at every update, one after the other."""
        named = self.at(inputs.data.size).net
        synthetic = Synthetic.start(inputs, self.name, self.init)
        real = RealBatches.of(inputs, self.name, self.batch)
        optimiser = torch.optim.SGD([synthetic.images], self.lr, self.momentum)
        outer, inner = self.loops(synthetic.ipc)
        classes, net = len(real.members), fresh_net(inputs, self.name, named, 0)
        parameters: list[Tensor] = list(net.parameters())

        def step(t: int) -> Tensor:
            if t % outer == 0:
                with torch.no_grad():
                    torch._foreach_copy_(parameters, list(fresh_net(inputs, self.name, named, t).parameters()))
            draws: list[dsa.Drawn] | None = shared_draws(inputs, self.name, t, classes) if self.siamese else None
            gradients, total = [], synthetic.images.new_zeros(())
            for c, images in enumerate(real.at(t)):
                drawn = draws[c] if draws else None
                seen = dsa.apply(images, drawn) if drawn else images
                label, made = inputs.wanted()[c], synthetic.of_class(c)
                target = class_gradient(net, seen, label, block=BLOCK, precision=self.precision)
                loss, gradient = matching_gradient(net, made, label, target, drawn, self.precision)
                gradients.append(gradient)
                total += loss
            synthetic.images.grad = torch.cat(gradients)
            optimiser.step()
            if t % outer < outer - 1:
                rng = Generator().manual_seed(seed(inputs.seed, self.name, "inner", t))
                made = synthetic.images.detach()
                for _ in range(inner):  # plain SGD, each epoch in an order of its own
                    for rows in send(torch.randperm(len(made), generator=rng), made).split(self.batch_net):
                        x = made[rows]
                        if self.siamese:  # a transform a batch, with parameters of its own for every image
                            x = dsa.apply(x, dsa.draw(len(x), x.shape[-1], inputs.data.flip, rng))
                        loss = F.cross_entropy(within(net, self.precision)(x), synthetic.labels[rows])
                        slopes = torch.autograd.grad(loss, parameters)
                        with torch.no_grad():
                            torch._foreach_sub_(parameters, slopes, alpha=self.lr_net)
            return total

        steps = self.iterations * outer
        tensors = {"images": synthetic.images, **numbered(parameters, "net")}
        trace = learn(inputs, self.name, optimiser, step, steps, tensors, "lower lr or lr_net")
        return synthetic.draft(trace)


def matched(net: nn.Module) -> list[Tensor]:
    """The parameters whose gradients are matched: those of two or more dimensions, the weights of layers."""
    return [p for p in net.parameters() if p.ndim >= 2]


def class_gradient(
    net: nn.Module, images: Tensor, label: int, *, block: int | None = None, precision: str = "float32"
) -> list[Tensor]:
    """∇ of the mean cross-entropy of [n, C, S, S] images of one class in the net's weights, without a graph.

    Args:
        net: whose images do not see each other.
        images: normalised.
        label: their class.
        block: images at a time; None for all at once.
        precision: of the forward pass.
    """
    weights = matched(net)
    total = [torch.zeros_like(weight) for weight in weights]
    for part in images.split(block or len(images)):
        logits = within(net, precision)(part)
        loss = F.cross_entropy(logits, part.new_full((len(part),), label, dtype=torch.long), reduction="sum")
        torch._foreach_add_(total, torch.autograd.grad(loss / len(images), weights))
    return total


def gradient_distance(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Σ over layers and their outputs o of  1 − ⟨r_o, m_o⟩ / (‖r_o‖ ‖m_o‖ + 10⁻⁶)  (Zhao et al., 2021, eq. 7).

    Args:
        real: gradients of the weights, [out, …] each.
        made: likewise; differentiable.
    """
    total = made[0].new_zeros(())
    for r, m in zip(real, made, strict=True):
        r, m = r.flatten(1), m.flatten(1)
        total = total + (1 - (r * m).sum(1) / (r.norm(dim=1) * m.norm(dim=1) + EPSILON)).sum()
    return total


def matching_gradient(
    net: nn.Module,
    images: Tensor,
    label: int,
    real: Sequence[Tensor],
    drawn: dsa.Drawn | None,
    precision: str = "float32",
) -> tuple[Tensor, Tensor]:
    """Distance of the gradient on learnt images of one class to the real one, and its gradient in the pixels.

    Args:
        net: at its present weights.
        images: [n, C, S, S].
        label: their class.
        real: gradients of ``matched(net)`` on real images.
        drawn: the augmentation that the real images went through.
        precision: of the forward pass.

    Returns:
        A scalar without a graph, and [n, C, S, S].
    """
    leaf = images.detach().requires_grad_()
    seen = leaf if drawn is None else dsa.apply(leaf, drawn)
    loss = F.cross_entropy(within(net, precision)(seen), seen.new_full((len(seen),), label, dtype=torch.long))
    made = torch.autograd.grad(loss, matched(net), create_graph=True)
    distance = gradient_distance(real, made)
    (gradient,) = torch.autograd.grad(distance, leaf)
    return distance.detach(), gradient
