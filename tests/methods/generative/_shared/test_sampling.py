"""Sampling against diffusers' scheduler, step by step, and the hook that guides it."""

import diffusers
import numpy as np
import pytest
import torch
from torch import Generator

from decoct.core.errors import DecoctError, UsageError
from decoct.methods.generative._shared.sampling import Guide, Schedule, draw, sample
from decoct.nets.diffusion import Predicted

NAMES = ("ankle", "bag", "coat")


def scheduler(variance="fixed_small", clip=False, steps=10):
    made = diffusers.DDPMScheduler(
        num_train_timesteps=200,
        beta_schedule="linear",
        beta_start=1e-4,
        beta_end=0.05,
        variance_type=variance,
        clip_sample=clip,
        timestep_spacing="linspace",
    )
    made.set_timesteps(steps)
    return made


def alphas():
    return scheduler().alphas_cumprod.double()


class Said:
    """A model whose predictions are given: ε = .3 x + .1 w + .01 t."""

    latent, vae, device = (2, 3, 3), object(), torch.device("cpu")

    def __init__(self, fraction=None, breaks=None):
        self.alphas, self.fraction, self.breaks = alphas(), fraction, breaks

    def predict(self, x, t, labels, guidance):
        noise = 0.3 * x + 0.1 * guidance + 0.01 * t
        if self.breaks == t:
            noise[1] = torch.nan
        return Predicted(noise, self.fraction)

    def denoised(self, x, noise, t):
        share = float(self.alphas[t])
        return (x - (1 - share) ** 0.5 * noise) / share**0.5


def rngs(seeds=(1, 2, 3)):
    return [Generator().manual_seed(s) for s in seeds]


@pytest.mark.parametrize("steps", [2, 10, 37, 200])
def test_the_steps_are_those_of_diffusers(steps):
    taken = Schedule.respaced(alphas(), steps)
    assert list(reversed(taken.steps)) == scheduler(steps=steps).timesteps.tolist()
    assert taken.steps[0] == 0 and taken.steps[-1] == 199


@pytest.mark.parametrize("learnt", [False, True])
def test_a_step_is_that_of_diffusers(learnt):
    rng = Generator().manual_seed(0)
    theirs, schedule = scheduler("learned_range" if learnt else "fixed_small"), Schedule.respaced(alphas(), 10)
    for i, t in enumerate(reversed(theirs.timesteps.tolist())):
        x, noise, fraction = (torch.randn(3, 2, 4, 4, generator=rng, dtype=torch.float64) for _ in range(3))
        fraction = fraction.sigmoid() if learnt else None
        said = torch.cat([noise, 2 * fraction - 1], 1) if learnt else noise
        expected = theirs.step(said, t, x, generator=Generator().manual_seed(7)).prev_sample
        clean = (x - (1 - schedule.alphas[i]) ** 0.5 * noise) / schedule.alphas[i] ** 0.5
        found = schedule.mean(i, x, clean)
        if i:
            z = torch.randn(x.shape, generator=Generator().manual_seed(7), dtype=torch.float64)
            found = found + schedule.deviation(i, fraction, x) * z
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5), t


def test_the_loop_is_the_step_repeated_and_each_image_has_noise_of_its_own():
    model, schedule, labels = Said(), Schedule.respaced(alphas(), 10), torch.tensor([0, 1, 2])
    start = draw(rngs(), model)
    found = sample(model, schedule, labels, start, rngs(), class_names=NAMES, guidance=2.0)
    x, noises = start, rngs()
    for i in reversed(range(10)):
        noise = 0.3 * x + 0.2 + 0.01 * schedule.steps[i]
        x = schedule.mean(i, x, model.denoised(x, noise, schedule.steps[i]))
        if i:
            z = torch.stack([torch.randn(2, 3, 3, generator=each) for each in noises])
            x = x + schedule.deviation(i, None, x) * z
    assert torch.allclose(found, x, atol=1e-5)
    alone = sample(model, schedule, labels[1:2], start[1:2], rngs()[1:2], class_names=NAMES, guidance=2.0)
    assert torch.allclose(alone, found[1:2])


def test_noise_at_the_least_noisy_step_has_a_deviation_for_guides_but_is_not_added():
    schedule = Schedule.respaced(alphas(), 10)
    sigma = schedule.deviation(0, None, torch.zeros(1))
    assert float(sigma) == pytest.approx(float(schedule.deviation(1, None, torch.zeros(1))))
    first = [sample(Said(), schedule, torch.tensor([0]), torch.ones(1, 2, 3, 3), rngs([s]), class_names=NAMES, first=1)
             for s in (1, 2)]  # fmt: skip
    assert torch.equal(*first)


def test_what_a_guide_adds_is_added_where_it_is_active():
    seen = []

    class Push(Guide):
        def active(self, share):
            return share >= 0.7

        def __call__(self, step):
            seen.append(step)
            return torch.full_like(step.latents, 0.25)

    model, schedule, start = Said(), Schedule.respaced(alphas(), 10), torch.zeros(2, 2, 3, 3)
    options = {"class_names": NAMES, "guidance": 3.0}
    labels = torch.tensor([0, 1])
    sample(model, schedule, labels, start, rngs()[:2], guide=Push(), **options)
    assert [step.number for step in seen] == [9, 8, 7]
    step = seen[0]
    assert step.alpha == schedule.alphas[9] and torch.equal(step.latents, start)
    assert torch.allclose(step.noise, torch.full_like(start, 0.3 + 0.01 * 199))
    assert torch.allclose(step.clean, model.denoised(start, step.noise, 199))
    plain = schedule.mean(9, start, step.clean) + schedule.deviation(9, None, start) * draw(rngs()[:2], model)
    assert torch.allclose(seen[1].latents, plain + 0.25, atol=1e-5)


def test_a_guide_that_differentiates_gets_a_graph_and_others_do_not():
    class Look(Guide):
        def active(self, share):
            return True

        def __call__(self, step):
            assert step.latents.requires_grad == self.differentiates
            if self.differentiates:
                (gradient,) = torch.autograd.grad(step.clean.sum(), step.latents)
                share = step.alpha
                assert torch.allclose(gradient, torch.full_like(gradient, (1 - (1 - share) ** 0.5 * 0.3) / share**0.5))
            return torch.zeros_like(step.latents)

    class Differentiating(Look):
        differentiates = True

    schedule = Schedule.respaced(alphas(), 4)
    for guide in (Look(), Differentiating()):
        found = sample(Said(), schedule, torch.tensor([0]), torch.ones(1, 2, 3, 3), rngs([1]), class_names=NAMES,
                       guide=guide)  # fmt: skip
        assert not found.requires_grad


def test_latents_that_are_not_finite_are_told_with_the_step_and_the_class():
    schedule = Schedule.respaced(alphas(), 10)
    model = Said(breaks=schedule.steps[6])
    with pytest.raises(DecoctError, match=r"class 'coat' are not finite after step 4 of 10: lower guidance"):
        sample(model, schedule, torch.tensor([1, 2]), torch.ones(2, 2, 3, 3), rngs()[:2], class_names=NAMES)


@pytest.mark.parametrize("steps", [1, 201])
def test_a_number_of_steps_that_there_is_not_is_refused(steps):
    with pytest.raises(UsageError, match=f"{steps} sampling steps of a generator that has 200: take 2 to 200"):
        Schedule.respaced(alphas(), steps)


def test_alphas_follow_from_betas_of_consecutive_steps_that_are_kept():
    schedule = Schedule.respaced(alphas(), 10)
    betas = [1 - here / before for here, before in zip(schedule.alphas, (1.0, *schedule.alphas), strict=False)]
    assert np.allclose(np.cumprod(1 - np.array(betas)), schedule.alphas)
