"""DM: learnt images with the same mean embedding in random nets as the real images of their class."""

from collections.abc import Callable, Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from decoct.core.interfaces import Draft, Inputs
from decoct.data.augment import dsa
from decoct.methods.matching._shared.footprint import held, passing, pixels, weights
from decoct.methods.matching._shared.synthetic import (
    BLOCK,
    Init,
    InRandomNets,
    RealBatches,
    Synthetic,
    fresh_net,
    shared_draws,
)
from decoct.nets.features import classifier
from decoct.nets.precision import within
from decoct.training.learn import learn


class DM(InRandomNets):
    """Distribution matching (Zhao and Bilen, 2023, arXiv:2110.04181).

    At each iteration, in a net with fresh random weights, L = Σ_c ‖mean ψ(A_c(real_c)) − mean ψ(A_c(learnt_c))‖², ψ
    what goes into the classifier, A_c one transform of differentiable Siamese augmentation with one set of parameters
    for all images of class c, real and learnt. Pixels, normalised and not clipped, follow SGD with momentum.

    The authors' accuracies are those of the images after ``iterations``, as here; the file that they save comes from
    one iteration more. Where the net has batch norm they embed all classes in one batch; here such nets are refused.

    Attributes:
        iterations: updates of the images.
        lr: of SGD, on normalised pixels; the authors take 10 for CIFAR-10 from 100 images per class on.
        init: "real" images, random and none twice, or "noise".
    """

    quick = {"net": "convnet2_w32", "iterations": 10, "batch": 32}
    iterations: int = Field(20_000, ge=1)
    lr: float = Field(1.0, gt=0)
    init: Init = "real"

    def memory(self, shape: tuple[int, int, int], classes: int, ipc: int) -> int:
        """A net; learnt images with gradient and momentum; a class's real ones, raw, normalised and augmented; and the
        larger of what a group of classes' learnt images leave for the backward pass, and a block of real ones."""
        group, net = min(classes, max(1, BLOCK // ipc)) * ipc, (self.net, shape, classes)
        passes = max(group * held(*net), min(BLOCK, self.batch) * passing(*net))
        return weights(*net) + pixels(shape, 3 * classes * ipc + 3 * self.batch) + passes

    def __call__(self, inputs: Inputs) -> Draft:
        """All classes at every iteration; classes share a forward pass as far as a block holds them."""
        named = self.at(inputs.data.size).net
        synthetic = Synthetic.start(inputs, self.name, self.init)
        real = RealBatches.of(inputs, self.name, self.batch)
        optimiser = torch.optim.SGD([synthetic.images], self.lr, self.momentum)
        classes = len(real.members)
        together = max(1, BLOCK // synthetic.ipc)

        def step(t: int) -> Tensor:
            net = within(headless(fresh_net(inputs, self.name, named, t)).requires_grad_(False), self.precision)
            draws = shared_draws(inputs, self.name, t, classes)
            targets = [mean_embedding(net, dsa.apply(x, a)) for x, a in zip(real.at(t), draws, strict=True)]
            optimiser.zero_grad(set_to_none=True)
            total = targets[0].new_zeros(())
            for first in range(0, classes, together):
                group = range(first, min(first + together, classes))
                made = net(torch.cat([dsa.apply(synthetic.of_class(c), draws[c]) for c in group]))
                loss = embedding_distance([targets[c] for c in group], made, [synthetic.numbers[c] for c in group])
                loss.backward()
                total += loss.detach()
            optimiser.step()
            return total

        trace = learn(inputs, self.name, optimiser, step, self.iterations, {"images": synthetic.images})
        return synthetic.draft(trace)


def headless(net: nn.Module) -> nn.Module:
    """The net, changed so that it gives what its classifier would see."""
    head = classifier(net)
    path = next(path for path, module in net.named_modules() if module is head)
    parent, _, last = path.rpartition(".")
    setattr(net.get_submodule(parent), last, nn.Identity())
    return net


@torch.no_grad()
def mean_embedding(net: Callable[[Tensor], Tensor], images: Tensor, block: int = BLOCK) -> Tensor:
    """Mean over [n, C, S, S] images of what a headless net gives, [d], block by block."""
    return torch.stack([net(part).sum(0) for part in images.split(block)]).sum(0) / len(images)


def embedding_distance(real: Sequence[Tensor], made: Tensor, numbers: Sequence[int]) -> Tensor:
    """Σ_c ‖r_c − mean_i m_ci‖².

    Args:
        real: mean of the real images of each class, [d].
        made: [n, d] of learnt images, class after class.
        numbers: of each class.
    """
    if len(set(numbers)) == 1:  # in one sum, which is faster
        means = made.unflatten(0, (len(numbers), -1)).mean(1)
    else:
        means = torch.stack([own.mean(0) for own in made.split(list(numbers))])
    apart: Tensor = torch.stack(list(real)) - means
    return apart.square().sum()
