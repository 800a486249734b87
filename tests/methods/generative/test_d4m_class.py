"""D4M given a class: prototypes, and the way back from them."""

import numpy as np
import pytest
import torch

from decoct.core.seeds import seed
from decoct.methods.generative._shared import prototypes as shared
from decoct.methods.generative._shared.generative import batches
from decoct.methods.generative._shared.prototypes import prototypes
from decoct.methods.generative._shared.sampling import Schedule
from decoct.methods.generative.d4m_class import D4MClass


@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_at_strength_0_the_set_is_the_decoded_prototypes(kind, supplied):
    method = D4MClass(strength=0.0)
    inputs = supplied(method, 3, kind)
    draft = method(inputs)
    assert np.array_equal(draft.images, draft.initial)
    (model,) = inputs.generators.values()
    with torch.no_grad():
        for c in range(3):
            latents = model.encode(torch.from_numpy(inputs.data.train.images[inputs.data.train.labels == c]))
            order = np.random.default_rng(seed(inputs.seed, "d4m_class", "prototypes", c, "order")).permutation(40)
            own = prototypes(latents.flatten(1).numpy()[order], 3, 3, seed(inputs.seed, "d4m_class", "prototypes", c))
            expected = model.decode(torch.from_numpy(own).view(3, *latents.shape[1:])).round().clamp(0, 255)
            assert np.abs(draft.images[3 * c : 3 * c + 3] - expected.numpy()).max() <= 1


def test_the_order_of_the_latents_and_the_prototypes_start_hang_on_the_seed(supplied, monkeypatch):
    latents = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
    given = []

    def look(ordered, count, batch, root):
        given.append((ordered.tobytes(), root))
        return prototypes(ordered, count, batch, root)

    monkeypatch.setattr(shared, "prototypes", look)
    for root, c in ((1, 0), (1, 0), (2, 0), (1, 1)):
        method = D4MClass().at(8)
        inputs = supplied(method, 5, seed=root)
        method.made(inputs, *inputs.generators.values()).found_in(latents, 5, c)
    first, again, *others = given
    assert first == again
    for other in others:
        assert other[0] != first[0] and other[1] != first[1]


def test_sampling_starts_from_noised_prototypes_and_takes_a_share_of_the_steps(supplied, monkeypatch):
    method = D4MClass(steps=10, strength=0.7)
    inputs = supplied(method, 1)
    (model,) = inputs.generators.values()
    sampling = method.at(8).made(inputs, model)
    seen, predict = [], type(model).predict

    def look(self, latents, t, labels, guidance):
        seen.append((latents.clone(), t, guidance))
        return predict(self, latents, t, labels, guidance)

    monkeypatch.setattr(type(model), "predict", look)
    (block,) = batches(inputs, 50)
    sampling(block)
    schedule = Schedule.respaced(model.alphas, 10)
    assert [t for _, t, _ in seen] == list(reversed(schedule.steps[:7])) and {w for _, _, w in seen} == {8.0}
    rngs = [torch.Generator().manual_seed(seed(inputs.seed, "d4m_class", c, 0)) for c in range(3)]
    noise = torch.stack([torch.randn(4, 4, 4, generator=rng) for rng in rngs])
    share = schedule.alphas[6]
    expected = share**0.5 * sampling.centres(block) + (1 - share) ** 0.5 * noise
    assert torch.allclose(seen[0][0], expected, atol=1e-5)
