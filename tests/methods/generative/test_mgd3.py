"""MGD³: what the guidance adds, where it stops, and where the modes come from."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from decoct.core.errors import DecoctError
from decoct.core.seeds import seed
from decoct.methods.generative._shared.generative import batches
from decoct.methods.generative._shared.sampling import Schedule, Step
from decoct.methods.generative.mgd3 import MGD3, ModeGuidance


def recorded(monkeypatch):
    """Steps at which the guide was asked, with what it gave."""
    asked, call = [], ModeGuidance.__call__

    def record(self, step):
        asked.append((step, call(self, step), self.modes))
        return asked[-1][1]

    monkeypatch.setattr(ModeGuidance, "__call__", record)
    return asked


def test_guidance_moves_the_next_latents_to_the_mode_by_the_formulas_amount():
    rng = torch.Generator().manual_seed(0)
    x, clean, mode, sigma = (torch.randn(2, 4, 4, 4, generator=rng) for _ in range(4))
    sigma = sigma.exp()
    found = ModeGuidance(mode, 0.1, 0.5)(Step(40, 0.3, x, x, clean, sigma))
    assert torch.allclose(found, -0.1 * (clean - mode) * sigma)


def test_every_image_is_drawn_to_its_own_mode_in_the_noisier_half_alone(supplied, monkeypatch):
    asked, method = recorded(monkeypatch), MGD3(steps=10)
    inputs = supplied(method, 2)
    method(inputs)
    assert [step.number for step, _, _ in asked] == [9, 8, 7, 6]
    (model,) = inputs.generators.values()
    times = Schedule.respaced(model.alphas, 10).steps
    for step, added, modes_ in asked:
        clean = model.denoised(step.latents, step.noise, times[step.number])  # under classifier-free guidance
        assert torch.allclose(added, -0.1 * (clean - modes_) * step.sigma)
    with torch.no_grad():
        for c in range(3):
            own = torch.from_numpy(inputs.data.train.images[inputs.data.train.labels == c])
            flat = model.encode(own).flatten(1).numpy()
            means = KMeans(2, n_init=1, random_state=seed(inputs.seed, "mgd3", "modes", c) % 2**32).fit(flat)
            assert np.allclose(asked[0][2][2 * c : 2 * c + 2].flatten(1), means.cluster_centers_, atol=1e-4)


def test_the_modes_of_a_class_hang_on_the_seed_and_the_class(supplied):
    latents = np.random.default_rng(0).normal(size=(60, 64)).astype(np.float32)

    def found(root, c):
        method = MGD3().at(8)
        inputs = supplied(method, 5, seed=root)
        return method.made(inputs, *inputs.generators.values()).found_in(latents, 5, c)

    assert np.array_equal(found(1, 0), found(1, 0))
    assert not np.array_equal(found(1, 0), found(2, 0)) and not np.array_equal(found(1, 0), found(1, 1))


def test_the_predicted_x0_comes_nearer_to_the_mode(supplied):
    far = {}
    for scale in (0.0, 0.1, 0.5):
        method = MGD3(steps=10, scale=scale)
        inputs = supplied(method, 2, "unet")
        made = method.at(8).made(inputs, *inputs.generators.values())
        (block,) = batches(inputs, 50)
        latents, centres = made(block)["images"], made.centres(block)
        far[scale] = float((latents - centres).square().mean())
    assert far[0.5] < far[0.1] < far[0.0]


def test_guidance_that_ends_at_the_first_step_is_plain_sampling(supplied):
    plain, same = MGD3(steps=6, scale=0.0), MGD3(steps=6, stop=1.0)
    assert np.array_equal(plain(supplied(plain)).images, same(supplied(same)).images)
    guided = MGD3(steps=6)
    assert not np.array_equal(plain(supplied(plain)).images, guided(supplied(guided)).images)


def test_of_fifty_steps_the_noisier_24_are_guided():
    guide = ModeGuidance(torch.zeros(1), 0.1, MGD3().stop)
    assert [i for i in range(50) if guide.active(i / 50)] == list(range(26, 50))


def test_the_null_class_is_the_models_own(supplied):
    method = MGD3(steps=4)
    inputs = supplied(method, 1)
    (model,) = inputs.generators.values()
    seen, forward = [], type(model.net).forward

    def look(net, *args, class_labels, **options):
        seen.append(class_labels.tolist())
        return forward(net, *args, class_labels=class_labels, **options)

    model.net.forward = look.__get__(model.net)
    method(inputs)
    assert len(seen) == 4 and all(labels == [4, 0, 2, 5, 5, 5] for labels in seen)
    seen.clear()
    unguided = MGD3(steps=4, guidance=1.0)
    unguided(supplied(unguided, 1))
    method(inputs)
    assert len(seen) == 4


def test_guidance_is_between_the_null_class_and_the_class(generator):
    model, x = generator("dit"), torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    labels, t = torch.tensor([0, 1, 2]), torch.full((3,), 40)
    with torch.no_grad():
        said = model.predict(x, 40, labels, 4.0)
        given, fraction = model.raw(x, t, model.rows[labels])
        free, _ = model.raw(x, t, torch.full((3,), 5))
    assert torch.allclose(said.noise, free + 4 * (given - free), atol=1e-5)
    assert torch.allclose(said.fraction, fraction, atol=1e-6)
    assert not torch.allclose(given, free)


def test_fewer_images_in_a_class_than_modes_are_told(supplied):
    method = MGD3()
    with pytest.raises(DecoctError, match=r"class 'a' has 40 training images, fewer than ipc=41"):
        method(supplied(method, 41))


def test_a_schedule_of_fifty_steps_is_the_papers():
    schedule = Schedule.respaced(torch.linspace(1e-4, 0.02, 1000).mul(-1).add(1).cumprod(0).double(), 50)
    assert schedule.steps[:3] == (0, 20, 41) and schedule.steps[-1] == 999
