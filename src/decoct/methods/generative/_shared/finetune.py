"""Fine-tuning a diffusion model on latents: which parameters learn, the losses of denoising, and the loop."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from decoct.core.interfaces import Inputs
from decoct.core.seeds import seed
from decoct.data.send import send
from decoct.nets.diffusion import DiffusionModel
from decoct.training.learn import STATE, learn

TRACE = "trace"
NORMS = (nn.LayerNorm, nn.GroupNorm)

Terms = Callable[[Tensor, Tensor, Tensor], Tensor]  # x̂₀, latents, places of classes (on the host) -> a loss to add


@dataclass(frozen=True)
class FineTune:
    """How a diffusion model is fine-tuned: AdamW at a constant rate, without decay.

    Attributes:
        lr: learning rate.
        batch: latents per step.
        steps: how many.
        ema: decay of the average of the weights, which is what is sampled.
        dropout: share of labels that become "no class", where the model has one.
    """

    lr: float
    batch: int
    steps: int
    ema: float
    dropout: float


def diff_fit(model: DiffusionModel) -> tuple[DiffusionModel, dict[str, nn.Parameter]]:
    """A copy of the model, and those of its parameters that learn (DiffFit: Xie et al., 2023, arXiv:2304.06648).

    All biases, the weights of normalisation layers, the embedding of classes, and scale factors γ that are put on the
    first half of a transformer's blocks, 1 at first: on queries, keys and values, on the attention's output, and on
    what it and the feed-forward add to the stream. Nothing else: the linear layer of an adaptive norm is no norm. A
    U-Net has no such blocks and gets no scale factors.

    diffusers gives every block a copy of the embedding of step and class; equal copies become one again, as in DiT.

    Args:
        model: stays as it is.
    """
    net = copy.deepcopy(model.net).requires_grad_(False)
    blocks = list(getattr(net, "transformer_blocks", ()))
    for block in blocks[1:]:
        if _alike(block.norm1.emb, blocks[0].norm1.emb):
            block.norm1.emb = blocks[0].norm1.emb
    for block in blocks[: (len(blocks) + 1) // 2]:
        attention = block.attn1
        for module in (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0], attention, block.ff):
            _scaled(module, _outputs(module))
    learning = {}
    for path, module in net.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            embeds = isinstance(module, nn.Embedding) and "class_embed" in path
            if name in ("bias", "gamma") or embeds or (isinstance(module, NORMS) and name == "weight"):
                learning[f"{path}.{name}"] = parameter.requires_grad_()
    return replace(model, net=net), learning


def _alike(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def _outputs(module: nn.Module) -> int:
    """Features of what a module gives: those of the last linear layer in it."""
    return [part.out_features for part in module.modules() if isinstance(part, nn.Linear)][-1]


def _scaled(module: nn.Module, features: int) -> None:
    """Multiply what a module gives by a parameter ``gamma`` of ones."""
    like = next(module.parameters())
    module.register_parameter("gamma", nn.Parameter(torch.ones(features, device=like.device, dtype=like.dtype)))
    module.register_forward_hook(lambda own, given, out: out * own.gamma)


def denoising_loss(
    model: DiffusionModel, latents: Tensor, noise: Tensor, t: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean of ‖ε − ε̂‖² over all numbers, with the variational term where the variance is learnt; and x̂₀.

    That term (Nichol and Dhariwal, 2021, arXiv:2102.09672) is KL(q(x_{t−1} | x_t, x₀) ‖ p) in bits, the mean of p
    without a gradient; at t = 0, where they take a likelihood of 8-bit pixels, q has the variance of t = 1.

    Args:
        model: whose net learns.
        latents: [B, c, h, w] x₀.
        noise: ε.
        t: [B] steps of the training's schedule.
        labels: [B] classes of the net's own.
    """
    noisy = model.noisy(latents, noise, t)
    said, fraction = model.raw(noisy, t, labels)
    alphas = model.there[0]
    here = alphas[t].view(-1, 1, 1, 1)
    clean = (noisy - (1 - here).sqrt().to(said.dtype) * said) / here.sqrt().to(said.dtype)
    loss = (noise - said).square().mean()
    if fraction is not None:
        later = t.clamp(min=1)
        before = torch.where(t > 0, alphas[later - 1], 1.0).view(-1, 1, 1, 1)
        beta = 1 - here / before
        one = alphas[later].view(-1, 1, 1, 1), alphas[later - 1].view(-1, 1, 1, 1)
        least = ((1 - one[0] / one[1]) * (1 - one[1]) / (1 - one[0])).log()  # log β̃
        apart = (before.sqrt() * beta / (1 - here)).to(said.dtype) * (latents - clean.detach())
        true, learnt = least.to(said.dtype), fraction * beta.log() + (1 - fraction) * least
        divergence = -1 + learnt - true + (true - learnt).exp() + apart.square() * (-learnt).exp()
        loss = loss + 0.5 * divergence.mean().to(loss.dtype) / math.log(2)
    return loss, clean


def fine_tuned(
    inputs: Inputs,
    name: str,
    model: DiffusionModel,
    how: FineTune,
    classes: tuple[int, ...],
    data: Callable[[], tuple[NDArray[np.float32], NDArray[np.int64]]],
    extra: Terms,
    state: Mapping[str, Tensor],
) -> tuple[DiffusionModel, Tensor]:
    """A copy of the model that has learnt from latents, with the average of its weights.

    Draws of step t derive from t: which latents, their view, ε, the steps, and which labels are dropped; so a training
    that was killed continues from what was kept, and a finished one is not made again. Memory is that of training
    with one batch, and three more copies of what learns; latents may lie in a memory map.

    Args:
        inputs: as the runner gave them: what is kept, and who is told of the progress.
        name: of the method.
        model: stays as it is.
        how: numbers of the training.
        classes: of the data.
        data: gives [n, V, c, h, w] V views of n images, and [n] the place of each one's class in ``classes``.
        extra: a loss to add.
        state: tensors that it changes, to be kept.

    Returns:
        The model, and [steps] losses.

    Raises:
        DecoctError: a loss or a parameter is not finite.
    """
    tuned, learning = diff_fit(model)
    finished = f"tuned-{classes[0]}"
    learning_state = f"{finished}-{STATE}"
    done = inputs.kept.load(finished)
    if done is None:
        latents, places = data()
        average = {key: value.detach().clone() for key, value in learning.items()}
        averages: list[Tensor] = list(average.values())
        weights: list[Tensor] = list(learning.values())
        optimiser = torch.optim.AdamW(weights, how.lr, weight_decay=0.0)
        own = model.there[1][torch.tensor(classes, device=model.device)]
        draws = inputs.seed, name, classes[0]

        @lru_cache(1)
        def order(epoch: int) -> NDArray[np.int64]:
            return np.random.default_rng(seed(*draws, "epoch", epoch)).permutation(len(latents))

        def step(t: int) -> Tensor:
            epoch, place = divmod(t, per_epoch(len(latents), how.batch))
            rows = order(epoch)[place * how.batch : (place + 1) * how.batch]
            rng = Generator().manual_seed(seed(*draws, "step", t))
            views = torch.randint(latents.shape[1], (len(rows),), generator=rng).numpy()
            noise = send(torch.randn(len(rows), *model.latent, generator=rng), model.device)
            times = send(torch.randint(len(model.alphas), (len(rows),), generator=rng), model.device)
            dropped = send(torch.rand(len(rows), generator=rng) < how.dropout, model.device)
            real = send(torch.from_numpy(np.array(latents[rows, views])), model.device)
            of = torch.from_numpy(places[rows])
            labels = own[send(of, model.device)]
            labels = labels if model.null is None else torch.where(dropped, model.null, labels)
            loss, clean = denoising_loss(tuned, real, noise, times, labels)
            loss = loss + extra(clean, real, of)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                torch._foreach_lerp_(averages, weights, 1 - how.ema)
            return loss.detach()

        tensors = {f"average.{key}": value for key, value in average.items()} | dict(learning) | dict(state)
        trace = learn(inputs, name, optimiser, step, how.steps, tensors, state=learning_state)
        done = {key: value.cpu().numpy() for key, value in average.items()} | {TRACE: trace.numpy()}
        inputs.kept.save(finished, done)
    inputs.kept.drop(learning_state)
    with torch.no_grad():
        for key, parameter in learning.items():
            parameter.copy_(torch.from_numpy(np.array(done[key])))
    tuned.net.requires_grad_(False)
    return tuned, torch.from_numpy(np.array(done[TRACE]))


def per_epoch(count: int, batch: int) -> int:
    """Whole batches of an epoch; one smaller batch where there is not even one."""
    return max(1, count // batch)
