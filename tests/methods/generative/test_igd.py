"""IGD: its gradient against finite differences, its pace, and who keeps away from whom."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.data.pixels import Pixels
from decoct.methods.generative._shared.influence import Surrogate
from decoct.methods.generative._shared.sampling import Schedule, Step
from decoct.methods.generative.igd import IGD, InfluenceGuidance, rms
from decoct.needs.trajectory import Trajectories

QUICK = IGD(steps=4, epochs=1, low=0.25, real=5, net="convnet2_w32")


@pytest.fixture
def guided(supplied):
    """A guide of three classes in double precision, with its model."""

    def make(kind="dit", **fields):
        spec = IGD(epochs=1, net="convnet2_w4", **fields).at(8)
        inputs = supplied(spec, 1, kind)
        (model,) = inputs.generators.values()
        model.net.double()
        if model.vae is not None:
            model.vae.double()
        experts = inputs.trajectories[spec.training()]
        experts.net.double()
        pixels = Pixels.of(inputs.data, "cpu")
        pixels = Pixels(pixels.mean.double(), pixels.std.double())
        weights = [experts.weights(0, epoch).double() for epoch in (0, 1)]
        rng = torch.Generator().manual_seed(0)
        targets = torch.randn(3, 2, experts.size, generator=rng, dtype=torch.float64)
        labels = torch.tensor([0, 1, 2])
        return model, InfluenceGuidance(
            spec, model, Surrogate(experts, pixels, "cpu"), weights, targets, labels, [[], [], []]
        )

    return make


def seen(model, x, t, guidance=4.0):
    """The step of a guide that differentiates."""
    x = x.detach().requires_grad_()
    said = model.predict(x, t, torch.tensor([0, 1, 2]), guidance)
    clean, alpha = model.denoised(x, said.noise, t), float(model.alphas[t])
    return Step(2, alpha, x, said.noise, clean, torch.ones_like(x))


def start(model):
    return torch.randn(3, *model.latent, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 0.3


@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_the_gradient_through_decoder_and_generator_is_that_of_finite_differences(kind, guided):
    model, guide = guided(kind)
    x, t = start(model), 2
    step = seen(model, x, t)
    (gradient,) = torch.autograd.grad(guide.distances(step.clean).sum(), step.latents)
    rng = torch.Generator().manual_seed(5)
    for _ in range(3):
        direction = torch.randn(x.shape, generator=rng, dtype=torch.float64)
        eps = 1e-5
        up, down = (guide.distances(seen(model, x + s * eps * direction, t).clean) for s in (1, -1))
        numeric = ((up - down) / (2 * eps)).flatten()
        assert numeric.tolist() == pytest.approx((gradient * direction).flatten(1).sum(1).tolist(), rel=2e-3, abs=1e-7)


def test_the_distance_is_the_mean_over_checkpoints_of_one_minus_the_cosine(guided):
    model, guide = guided()
    step = seen(model, start(model), 30)
    images = model.decode(step.clean).detach()
    expected = []
    for c in range(3):
        cosines = []
        for k, theta in enumerate(guide.weights):
            parameters = {n: p.clone().requires_grad_() for n, p in guide.surrogate.experts.parameters(theta).items()}
            logits = guide.surrogate.experts.logits(parameters, guide.surrogate.pixels.normalise(images[c : c + 1]))
            parts = torch.autograd.grad(F.cross_entropy(logits, torch.tensor([c])), list(parameters.values()))
            mine = torch.cat([part.flatten() for part in parts])
            cosines.append(float(F.cosine_similarity(mine, guide.targets[c, k], dim=0)))
        expected.append(1 - np.mean(cosines))
    assert guide.distances(step.clean).tolist() == pytest.approx(expected, rel=1e-5)


def test_the_push_has_the_pace_of_the_paper_and_lowers_the_distance(guided):
    model, guide = guided(influence=5.0)
    x, t = start(model), 2
    step = seen(model, x, t)
    push = guide(step).detach()
    expected = 5 * 0.0015 * rms(step.noise.detach()) * (1 - step.alpha) ** 0.5
    assert torch.allclose(rms(push), expected, rtol=1e-4)
    small = push * 1e-3
    assert (guide.distances(seen(model, x + small, t).clean) < guide.distances(seen(model, x, t).clean)).all()


def test_the_deviation_is_minus_gamma_times_the_gradient_of_the_cosine_with_the_nearest(guided):
    model, guide = guided(influence=0.0, deviation=120.0)
    rng = torch.Generator().manual_seed(7)
    others = [[torch.randn(model.latent, generator=rng, dtype=torch.float64) for _ in range(n)] for n in (0, 1, 3)]
    guide = replace(guide, others=others)
    step = seen(model, start(model), 30)
    push, x = guide(step), step.latents.detach().clone().requires_grad_()
    assert torch.equal(push[0], torch.zeros_like(push[0]))
    for c in (1, 2):
        cosines = torch.stack([F.cosine_similarity(x[c].flatten(), m.flatten(), dim=0) for m in others[c]])
        (gradient,) = torch.autograd.grad(cosines.max(), x)
        assert torch.allclose(push[c], -120 * 64 / 4096 * gradient[c], atol=1e-9)  # 4 · 4 · 4 numbers
    away = F.cosine_similarity((x[1] + 1e-3 * push[1]).flatten(), others[1][0].flatten(), dim=0)
    assert away < F.cosine_similarity(x[1].flatten(), others[1][0].flatten(), dim=0)


def test_of_fifty_steps_those_from_30_to_45_are_guided():
    guide = InfluenceGuidance(IGD(), *[None] * 6)
    assert [i for i in range(50) if guide.active(i / 50)] == list(range(30, 46))
    assert guide.differentiates


def test_an_image_sees_those_of_its_class_before_it_up_to_what_is_remembered(supplied, monkeypatch):
    method, asked = QUICK.model_copy(update={"remembered": 2, "batch": 2}), []
    call = InfluenceGuidance.__call__

    def record(self, step):
        asked.append((self.labels.tolist(), [list(others) for others in self.others]))
        return call(self, step)

    monkeypatch.setattr(InfluenceGuidance, "__call__", record)
    inputs = supplied(method, 4)
    (model,) = inputs.generators.values()
    draft = method(inputs)
    rounds = [asked[at] for at in range(0, len(asked), len(asked) // 8)]
    assert [labels for labels, _ in rounds] == [[0, 1]] * 4 + [[2]] * 4
    assert [len(others[0]) for _, others in rounds] == [0, 1, 2, 2] * 2
    with torch.no_grad():
        for c, (_, others) in ((0, rounds[3]), (2, rounds[7])):
            shown = model.decode(torch.stack(others[0])).round().clamp(0, 255).numpy()
            assert np.abs(shown - draft.images[4 * c + 1 : 4 * c + 3]).max() <= 1


def test_without_guidance_it_is_plain_sampling(supplied):
    off = QUICK.model_copy(update={"influence": 0.0, "deviation": 0.0})
    inputs = supplied(off, 2)
    found = off(inputs).images
    sampling = off.at(8).made(inputs, *inputs.generators.values())
    (first, second) = sampling.blocks([])
    plain = [sampling.pixels(sampling.sampled(block)) for block in (first, second)]
    assert np.array_equal(found, np.stack(plain, 1).reshape(6, 1, 8, 8))
    assert not np.array_equal(found, QUICK(supplied(QUICK, 2)).images)


def test_it_needs_the_surrogates_training():
    assert IGD().at(8).needs()[1] == Trajectories(net="convnet2", epochs=50, experts=1, dsa=False)
    assert IGD().at(224).needs()[1].net == "convnet6" and IGD(net="resnet18_in").at(8).needs()[1].net == "resnet18_in"


def test_defaults_are_the_papers():
    spec = IGD()
    assert (spec.influence, spec.deviation, spec.low, spec.high) == (5, 120, 0.6, 0.9)
    assert (spec.real, spec.similarity, spec.remembered, spec.epochs) == (200, 0.7, 64, 50)
    assert len(Schedule.respaced(torch.linspace(0.99, 0.1, 1000), spec.steps)) == 50
