"""DiffFit's parameters by name, the losses against closed forms, and the loop."""

import math
from dataclasses import replace
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs, Kept
from decoct.methods.generative._shared.finetune import FineTune, denoising_loss, diff_fit, fine_tuned, per_epoch
from decoct.nets.diffusion import DiffusionModel

BETAS = torch.linspace(1e-3, 0.2, 50, dtype=torch.float64)
ALPHAS = (1 - BETAS).cumprod(0)


def model_of(net, latent, prediction="epsilon"):
    return DiffusionModel(
        net=net.eval().requires_grad_(False),
        vae=object(),
        alphas=ALPHAS,
        prediction=prediction,
        rows=torch.tensor([1, 0]),
        null=2,
        latent=latent,
        pixels=8,
        shape=(3, 8, 8),
    )


def seeded(make):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        return make()


def dit(layers=3, head=4, classes=2):
    make = diffusers.DiTTransformer2DModel
    shape = {
        "num_attention_heads": 2,
        "attention_head_dim": head,
        "in_channels": 4,
        "out_channels": 8,
        "sample_size": 4,
    }
    return seeded(
        lambda: make(**shape, num_layers=layers, norm_num_groups=4, patch_size=2, num_embeds_ada_norm=classes)
    )


def unet():
    return seeded(
        lambda: diffusers.UNet2DModel(
            sample_size=4,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(4, 4),
            layers_per_block=1,
            norm_num_groups=2,
            attention_head_dim=4,
            num_class_embeds=3,
        )
    )


def latents(n=12, views=1):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, views, 4, 4, 4)).astype(np.float32), np.arange(n) % 2


def inputs(**rest):
    return Inputs(data=SimpleNamespace(), budget=None, **({"seed": 5} | rest))


def tuned(model, steps=4, extra=lambda clean, real, place: clean.new_zeros(()), state=None, ema=0.5, **rest):
    how = FineTune(lr=1e-3, batch=4, steps=steps, ema=ema, dropout=0.1)
    return fine_tuned(inputs(**rest), "tune", model, how, (0, 1), latents, extra, state or {})


def named_in_a_dit(name):
    """As the paper has it, in diffusers' words."""
    last = name.rpartition(".")[2]
    return last in ("bias", "gamma") or "class_embedder" in name


def named_in_a_unet(name):
    norm = ".norm" in name or "group_norm" in name or name.startswith("conv_norm_out")
    return name.endswith(".bias") or norm or name == "class_embedding.weight"


@pytest.mark.parametrize(("make", "named"), [(dit, named_in_a_dit), (unet, named_in_a_unet)])
def test_exactly_the_named_parameters_move(make, named):
    model = model_of(make(), (4, 4, 4))
    before = {key: value.clone() for key, value in model.net.state_dict().items()}
    after, _ = tuned(model, steps=12)
    for name, value in after.net.named_parameters():
        was = before.get(name, torch.ones_like(value))  # scale factors are new
        assert torch.equal(value, was) != named(name), name
    assert all(torch.equal(value, before[key]) for key, value in model.net.state_dict().items())
    assert not any(p.requires_grad for p in after.net.parameters())


def test_as_many_numbers_learn_as_in_the_authors_program():
    net = dit(28, head=16, classes=10)
    first, *rest = (block.norm1.emb for block in net.transformer_blocks)
    for embedder in rest:  # a published DiT has one, which the files of diffusers repeat
        embedder.load_state_dict(first.state_dict())
    _, learning = diff_fit(model_of(net, (4, 4, 4)))
    assert sum(value.numel() for value in learning.values()) == 16_672  # counted in theirs, for a DiT of these sizes


def test_an_adaptive_norms_linear_layer_is_frozen_and_a_norms_weight_is_not():
    _, of_dit = diff_fit(model_of(dit(), (4, 4, 4)))
    assert "transformer_blocks.0.norm1.linear.weight" not in of_dit
    assert "transformer_blocks.0.norm1.linear.bias" in of_dit
    _, of_unet = diff_fit(model_of(unet(), (4, 4, 4)))
    assert "conv_norm_out.weight" in of_unet and "conv_in.weight" not in of_unet


def test_scale_factors_sit_in_the_first_half_of_the_blocks_and_change_nothing_at_first():
    model = model_of(dit(4), (4, 4, 4))
    copy, learning = diff_fit(model)
    scaled = {name.removesuffix(".gamma") for name in learning if name.endswith("gamma")}
    parts = ("attn1", "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "ff")
    assert scaled == {f"transformer_blocks.{i}.{part}" for i in (0, 1) for part in parts}
    x, t = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 30])
    assert torch.equal(copy.raw(x, t, torch.tensor([0, 1]))[0], model.raw(x, t, torch.tensor([0, 1]))[0])
    with torch.no_grad():
        learning["transformer_blocks.0.ff.gamma"].mul_(2)
    assert not torch.equal(copy.raw(x, t, torch.tensor([0, 1]))[0], model.raw(x, t, torch.tensor([0, 1]))[0])


def test_equal_copies_of_the_embedding_become_one():
    net = dit(3)
    same = replace(model_of(net, (4, 4, 4)))
    _, apart = diff_fit(same)
    for block in net.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(net.transformer_blocks[0].norm1.emb.state_dict())
    copy, together = diff_fit(same)
    assert sum("class_embedder" in name for name in apart) == 3
    assert sum("class_embedder" in name for name in together) == 1
    assert copy.net.transformer_blocks[2].norm1.emb is copy.net.transformer_blocks[0].norm1.emb
    assert net.transformer_blocks[2].norm1.emb is not net.transformer_blocks[0].norm1.emb


class Linear(nn.Module):
    """ε̂ = .5 x, and a fraction of .25 or none."""

    def __init__(self, learnt):
        super().__init__()
        self.learnt, self.weight = learnt, nn.Parameter(torch.tensor(0.5))

    def forward(self, x, timestep, class_labels, return_dict):
        out = self.weight * x
        return (torch.cat([out, torch.full_like(x, -0.5)], 1) if self.learnt else out,)


@pytest.mark.parametrize("learnt", [False, True])
def test_the_loss_is_the_closed_form(learnt):
    model = replace(model_of(Linear(learnt), (1, 1, 1)), alphas=ALPHAS)
    z, noise = torch.tensor([0.7, -0.4, 1.1]).view(3, 1, 1, 1), torch.tensor([0.2, 1.5, -0.6]).view(3, 1, 1, 1)
    t = torch.tensor([7, 1, 49])
    loss, clean = denoising_loss(model, z, noise, t, torch.zeros(3, dtype=torch.int64))
    total = 0.0
    for i, step in enumerate(t.tolist()):
        here, before, beta = float(ALPHAS[step]), float(ALPHAS[step - 1]), float(BETAS[step])
        x = here**0.5 * float(z[i]) + (1 - here) ** 0.5 * float(noise[i])
        said = 0.5 * x
        x0 = (x - (1 - here) ** 0.5 * said) / here**0.5
        assert float(clean[i]) == pytest.approx(x0, rel=1e-4)
        total += (said - float(noise[i])) ** 2
        if learnt:

            def mean(start, x=x, here=here, before=before, beta=beta):
                of_x = (1 - beta) ** 0.5 * (1 - before) / (1 - here) * x
                return before**0.5 * beta / (1 - here) * start + of_x

            q = torch.distributions.Normal(mean(float(z[i])), (beta * (1 - before) / (1 - here)) ** 0.5)
            log_variance = 0.25 * math.log(beta) + 0.75 * math.log(beta * (1 - before) / (1 - here))
            p = torch.distributions.Normal(mean(x0), math.exp(log_variance / 2))
            total += float(torch.distributions.kl_divergence(q, p)) / math.log(2)
    assert float(loss) == pytest.approx(total / 3, rel=1e-4)


def test_the_mean_gets_no_gradient_of_the_variational_term():
    found = []
    for learnt in (False, True):
        model = replace(model_of(Linear(learnt), (1, 1, 1)))
        model.net.weight.requires_grad_(True)
        z = torch.full((2, 1, 1, 1), 0.3)
        loss, _ = denoising_loss(model, z, z + 1, torch.tensor([0, 20]), torch.zeros(2, dtype=torch.int64))
        assert loss.isfinite()
        found.append(torch.autograd.grad(loss, model.net.weight)[0])
    assert torch.allclose(*found)


def test_the_average_of_the_weights_is_what_comes_back():
    real = model_of(dit(1), (4, 4, 4))
    key = "proj_out_2.bias"
    none, _ = tuned(real, steps=3, ema=0.0)
    slow, _ = tuned(real, steps=3, ema=0.75)
    one, _ = tuned(real, steps=1, ema=0.0)
    two, _ = tuned(real, steps=2, ema=0.0)
    start, w1, w2, w3 = (dict(m.net.named_parameters())[key] for m in (real, one, two, none))
    expected = start
    for w in (w1, w2, w3):
        expected = 0.75 * expected + 0.25 * w
    assert torch.allclose(dict(slow.net.named_parameters())[key], expected, atol=1e-7)


class Memory(Kept):
    def __init__(self):
        self.found = {}

    def load(self, name):
        return self.found.get(name)

    def save(self, name, arrays):
        self.found[name] = {key: np.array(value) for key, value in arrays.items()}

    def due(self):
        return True

    def drop(self, name):
        self.found.pop(name, None)


def test_a_killed_training_goes_on_to_equal_weights_and_a_finished_one_is_not_made_again():
    model, state = model_of(dit(1), (4, 4, 4)), {"sum": torch.zeros(1)}

    def extra(clean, real, place):
        state["sum"] += real.sum()
        return 0.01 * state["sum"].abs().sum() * clean.square().mean()

    whole, trace = tuned(model, 6, extra, state)
    kept, told = Memory(), []

    def kill(done, total):
        told.append(done)
        if len(told) == 4:
            raise KeyboardInterrupt

    state["sum"].zero_()
    with pytest.raises(KeyboardInterrupt):
        tuned(model, 6, extra, state, kept=kept, progress=kill)
    state["sum"].fill_(99)  # another process: what is kept counts
    again, traced = tuned(model, 6, extra, state, kept=kept)
    assert torch.equal(trace, traced)
    names = dict(whole.net.named_parameters())
    assert all(torch.equal(value, names[key]) for key, value in again.net.named_parameters())
    assert set(kept.found) == {"tuned-0"}

    def never(*_):
        raise AssertionError

    third, _ = tuned(model, 6, never, state, kept=kept)
    assert all(torch.equal(value, names[key]) for key, value in third.net.named_parameters())


def test_labels_are_dropped_by_the_share_asked_for_and_are_the_nets_own(monkeypatch):
    model, seen = model_of(dit(1), (4, 4, 4)), []
    raw = DiffusionModel.raw
    monkeypatch.setattr(DiffusionModel, "raw", lambda self, x, t, y: (seen.append(y.tolist()), raw(self, x, t, y))[1])
    how = FineTune(lr=1e-9, batch=12, steps=60, ema=0.9, dropout=0.25)
    places = []

    def extra(clean, real, place):
        places.append(place.tolist())
        return clean.new_zeros(())

    fine_tuned(inputs(), "tune", model, how, (0, 1), latents, extra, {})
    labels = np.array(seen).ravel()
    assert abs((labels == 2).mean() - 0.25) < 0.06
    kept = labels != 2
    assert (labels[kept] == 1 - np.array(places).ravel()[kept]).all()  # rows are [1, 0]


def test_another_seed_gives_other_rows_noise_and_steps_and_the_same_seed_the_same(monkeypatch):
    model, seen = model_of(dit(1), (4, 4, 4)), []
    raw = DiffusionModel.raw

    def look(self, x, t, labels):
        seen[-1]["steps"] += t.tolist()
        return raw(self, x, t, labels)

    def extra(clean, real, place):
        seen[-1]["rows"] += real.flatten().tolist()
        return clean.new_zeros(())

    monkeypatch.setattr(DiffusionModel, "raw", look)
    for root in (1, 1, 2):
        seen.append({"steps": [], "rows": []})
        tuned(model, 6, extra, seed=root)
    first, again, other = seen
    assert first == again
    assert all(first[what] != other[what] for what in first)


def test_a_loss_that_is_not_finite_is_told_and_what_was_kept_stays():
    kept, calls = Memory(), []

    def extra(clean, real, place):
        calls.append(None)
        return clean.new_tensor(float("nan") if len(calls) == 3 else 0.0)

    with pytest.raises(DecoctError, match=r"tune: the loss is not finite at step 3 of 5 \(it was .* the step before\)"):
        tuned(model_of(dit(1), (4, 4, 4)), 5, extra, kept=kept)
    assert len(kept.found["tuned-0-learning"]["trace"]) == 2


@pytest.mark.parametrize(("count", "batch", "expected"), [(10, 4, 2), (3, 4, 1), (8, 4, 2)])
def test_an_epoch_has_whole_batches_alone(count, batch, expected):
    assert per_epoch(count, batch) == expected
