"""A conditional diffusion model as methods use it: its predictions, and the images behind its latents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.core.errors import UsageError
from decoct.nets.precision import within
from decoct.nets.text import Text


class Predicted(NamedTuple):
    """A model's prediction for noisy latents.

    Attributes:
        noise: [B, c, h, w] ε, with classifier-free guidance.
        fraction: [B, c, h, w] of a learnt variance, 0 for the least and 1 for the most; None where it is fixed.
    """

    noise: Tensor
    fraction: Tensor | None


@dataclass(frozen=True, eq=False)
class DiffusionModel:
    """A frozen noise predictor in eval mode, its decoder, and the translation of classes and pixels to its own.

    Attributes:
        net: ``DiTTransformer2DModel`` or ``UNet2DModel`` of diffusers, conditioned on a class, or
            ``UNet2DConditionModel``, on text.
        vae: ``AutoencoderKL``; None where the latents are the pixels, from −1 to 1.
        alphas: [T] ᾱ_t, the share of the signal's variance after t + 1 steps of noise, float64 on the CPU.
        prediction: what the net gives: ε, v = √ᾱ ε − √(1 − ᾱ) x₀, or x₀.
        rows: [K] the net's class for each class of the data.
        null: the net's class for "no class"; None where it has none, so that nothing can be guided.
        latent: (c, h, w) of a latent.
        pixels: height and width of the images that the model makes.
        shape: (C, S, S) of the data's images.
        facts: the record of where it came from.
        precision: of the forward passes; what they give is float32.
        guided: channels of a latent that classifier-free guidance acts on, from the first; None for all.
        text: the encoder of prompts; None where classes are the condition.
        scheduler: diffusers' own, which samples a model that is told by text.
        prompts: [n, tokens, width] what the net is told instead of its classes; see ``prompted``.
    """

    net: nn.Module
    vae: Any
    alphas: Tensor
    prediction: Literal["epsilon", "v_prediction", "sample"]
    rows: Tensor
    null: int | None
    latent: tuple[int, int, int]
    pixels: int
    shape: tuple[int, int, int]
    facts: dict[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    guided: int | None = None
    text: Text | None = None
    scheduler: Any = None
    prompts: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where the net is."""
        return next(self.net.parameters()).device

    @cached_property
    def there(self) -> tuple[Tensor, Tensor]:
        """ᾱ and the rows on the net's device, sent there once; use it when the net has its final device."""
        return self.alphas.to(self.device), self.rows.to(self.device)

    @cached_property
    def _scaling(self) -> float:
        return float(self.vae.config.scaling_factor) if self.vae is not None else 1.0

    def noisy(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """√ᾱ_t z + √(1 − ᾱ_t) ε for latents and noise [B, c, h, w] and steps [B]."""
        share = self.there[0][t].view(-1, 1, 1, 1)
        return torch.addcmul(share.sqrt().to(latents.dtype) * latents, (1 - share).sqrt().to(latents.dtype), noise)

    def denoised(self, latents: Tensor, noise: Tensor, t: int) -> Tensor:
        """x̂₀ = (x_t − √(1 − ᾱ_t) ε) / √ᾱ_t, clipped to the range of pixels where latents are pixels."""
        share = float(self.alphas[t])
        clean: Tensor = (latents - (1 - share) ** 0.5 * noise) / share**0.5
        return clean if self.vae is not None else clean.clamp(-1, 1)

    def raw(self, latents: Tensor, t: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """ε and the fraction of a learnt variance, for steps [B] and classes [B] of the net's own."""
        told = {"class_labels": labels} if self.prompts is None else {"encoder_hidden_states": self.prompts[labels]}
        out = self._run(lambda z: self.net(z, timestep=t, return_dict=False, **told)[0], latents)
        channels, fraction = self.latent[0], None
        if out.shape[1] == 2 * channels:
            out, learnt = out.split(channels, 1)
            fraction = (learnt + 1) / 2
        if self.prediction != "epsilon":
            share = self.there[0][t].view(-1, 1, 1, 1)
            signal, rest = share.sqrt().to(out.dtype), (1 - share).sqrt().to(out.dtype)
            out = (
                signal * out + rest * latents if self.prediction == "v_prediction" else (latents - signal * out) / rest
            )
        return out, fraction

    def predict(self, latents: Tensor, t: int, labels: Tensor, guidance: float = 1.0) -> Predicted:
        """ε̂ = ε(∅) + w (ε(y) − ε(∅)) of a batch, both in one forward pass.

        Classifier-free guidance (Ho and Salimans, 2022, arXiv:2207.12598). Channels that are not ``guided`` are those
        given the class alone, as DiT's own code has its fourth one. The null class is the model's, whatever the number
        of classes.

        Args:
            latents: [B, c, h, w] x_t.
            t: step of the training's schedule.
            labels: [B] classes of the data.
            guidance: w; 1 for none.

        Raises:
            UsageError: guidance of a model that has no null class.
        """
        own = self.there[1][labels]
        if guidance == 1:
            noise, fraction = self.raw(latents, self._steps(t, latents), own)
            return Predicted(noise, fraction)
        if self.null is None:
            raise UsageError("this generator has no class for 'no class', so it cannot be guided: guidance = 1")
        both, classes = torch.cat([latents, latents]), torch.cat([own, torch.full_like(own, self.null)])
        noise, fraction = self.raw(both, self._steps(t, both), classes)
        conditional, without = noise.chunk(2)
        guided = without + guidance * (conditional - without)
        if self.guided is not None:
            guided = torch.cat([guided[:, : self.guided], conditional[:, self.guided :]], 1)
        return Predicted(guided, None if fraction is None else fraction.chunk(2)[0])

    def prompted(self, prompts: Mapping[int, str], against: str) -> Self:
        """The same model told a prompt for each of some classes of the data, and another one for "no class".

        Args:
            prompts: by class.
            against: the negative prompt, which classifier-free guidance leads away from.

        Raises:
            UsageError: it is not told by text.
        """
        if self.text is None:
            raise UsageError("this generator is conditioned on classes and has no encoder of prompts")
        rows = torch.zeros(max(prompts) + 1, dtype=torch.long)
        rows[list(prompts)] = torch.arange(len(prompts))
        told = self.text([*prompts.values(), against]).to(self.device)
        return replace(self, prompts=told, rows=rows, null=len(prompts))

    def encode(self, images: Tensor) -> Tensor:
        """Latents [B, c, h, w] of images [B, C, S, S] from 0 to 255: the mean of the encoder's Gaussian."""
        x = images.to(self.device).float() / 127.5 - 1
        if x.shape[-1] != self.pixels:
            x = F.interpolate(x, (self.pixels, self.pixels), mode="bicubic", antialias=True).clamp(-1, 1)
        if self.vae is None:
            return x
        x = x.expand(-1, self.vae.config.in_channels, -1, -1)  # grey images become three channels
        return self._run(lambda x: self.vae.encode(x).latent_dist.mode(), x) * self._scaling

    def decode(self, latents: Tensor) -> Tensor:
        """Images [B, C, S, S] on the scale 0 to 255, not rounded or clipped, of latents; differentiable."""
        x: Tensor = latents
        if self.vae is not None:
            x = self._run(lambda z: self.vae.decode(z).sample, latents / self._scaling)
            if self.shape[0] == 1:
                x = x.mean(1, keepdim=True)
        if x.shape[-1] != self.shape[-1]:
            x = F.interpolate(x, self.shape[1:], mode="bicubic", antialias=True)
        return (x + 1) * 127.5

    def _run(self, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        return within(forward, self.precision)(x)

    def _steps(self, t: int, latents: Tensor) -> Tensor:
        return torch.full((len(latents),), t, device=latents.device)
