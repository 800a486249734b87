"""DC: learnt images on which a net, along its training on them, has the gradients that real images give it."""

from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Generator, Tensor

from decoct.core.kinds import Condenser, Draft, Inputs
from decoct.core.seeds import seed
from decoct.data import dsa
from decoct.engine.footprint import held, pixels, twice_held, weights
from decoct.engine.matching import (
    BLOCK,
    RealBatches,
    check_net,
    class_gradient,
    fit,
    fresh_net,
    matching_gradient,
    shared_draws,
)
from decoct.engine.synthetic import Init, Synthetic, learn, numbered

LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}  # by images a class


class DC(Condenser):
    """Dataset condensation by gradient matching (Zhao, Mopuri and Bilen, 2021, arXiv:2006.05929).

    Each iteration starts a net with fresh random weights. It takes ``outer`` updates of the images, each by SGD with
    momentum on  Σ_c D(∇ℓ(real_c), ∇ℓ(learnt_c)),  ℓ the mean cross-entropy and D the sum, over the weights of layers
    and their outputs, of 1 − cosine; between two updates the net trains for ``inner`` epochs on the learnt images.
    Pixels are normalised and not clipped.

    As in the authors' code, gradients of biases and of the norms' parameters are not matched. The code runs one
    iteration more than it says; its net trains by plain SGD in later versions, as here, and with momentum .5 in
    earlier ones. It fixes batch norm by 16 real images a class; here nets with batch norm are refused.

    Attributes:
        net: without batch norm.
        iterations: nets that are started.
        outer: updates of the images in each; None for the authors' by images a class: 1 at 1, 10 at 10, 50 at 50; they
            have no numbers for others, which get as many as there are images a class.
        inner: epochs between two updates; None for the authors': 50 at 10, 10 at 50; 500 / ipc for others.
        lr: of the images' SGD, on normalised pixels.
        momentum: of the images' SGD.
        lr_net: of the net's SGD.
        batch: real images of each class at an update.
        batch_net: learnt images in a step of the net.
        init: Gaussian "noise", or "real" images, random and none twice.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "distillation"
    even: ClassVar[bool] = True
    siamese: ClassVar[bool] = False  # both sides of the matching, and the net's training, are augmented
    quick: ClassVar[dict[str, Any]] = {"net": "convnet3_w32", "iterations": 2, "inner": 2, "batch": 32}
    net: str = "convnet3"
    iterations: int = Field(1000, ge=1)
    outer: int | None = Field(None, ge=1)
    inner: int | None = Field(None, ge=0)
    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.5, ge=0, lt=1)
    lr_net: float = Field(0.01, gt=0)
    batch: int = Field(256, ge=1)
    batch_net: int = Field(256, ge=1)
    init: Init = "noise"

    def at(self, size: int) -> Self:
        """As it is.

        Raises:
            UsageError: the net cannot take images of this size, or has batch norm.
        """
        check_net(self.name, self.net, size)
        return self

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
        passes = max(once, ipc * twice_held(*net))
        return 4 * weights(*net) + pixels(shape, 3 * classes * ipc + 3 * self.batch) + passes

    def __call__(self, inputs: Inputs) -> Draft:
        """All classes at every update, one after the other."""
        self.at(inputs.data.size)
        synthetic = Synthetic.start(inputs, self.name, self.init)
        real = RealBatches.of(inputs, self.name, self.batch)
        optimiser = torch.optim.SGD([synthetic.images], self.lr, self.momentum)
        outer, inner = self.loops(synthetic.ipc)
        classes, net = len(real.members), fresh_net(inputs, self.name, self.net, 0)
        parameters: list[Tensor] = list(net.parameters())

        def step(t: int) -> Tensor:
            if t % outer == 0:
                with torch.no_grad():
                    torch._foreach_copy_(parameters, list(fresh_net(inputs, self.name, self.net, t).parameters()))
            draws: list[dsa.Drawn] | None = shared_draws(inputs, self.name, t, classes) if self.siamese else None
            gradients, total = [], synthetic.images.new_zeros(())
            for c, images in enumerate(real.at(t)):
                drawn = draws[c] if draws else None
                seen = dsa.apply(images, drawn) if drawn else images
                target = class_gradient(net, seen, inputs.wanted()[c], block=BLOCK)
                loss, gradient = matching_gradient(net, synthetic.of_class(c), inputs.wanted()[c], target, drawn)
                gradients.append(gradient)
                total += loss
            synthetic.images.grad = torch.cat(gradients)
            optimiser.step()
            if t % outer < outer - 1:
                fit(
                    net,
                    synthetic.images.detach(),
                    synthetic.labels,
                    epochs=inner,
                    lr=self.lr_net,
                    batch=self.batch_net,
                    flip=inputs.data.flip,
                    augment=self.siamese,
                    rng=Generator().manual_seed(seed(inputs.seed, self.name, "inner", t)),
                )
            return total

        steps = self.iterations * outer
        tensors = {"images": synthetic.images, **numbered(parameters, "net")}
        trace = learn(inputs, self.name, optimiser, step, steps, tensors, "lower lr or lr_net")
        return synthetic.draft(trace)
