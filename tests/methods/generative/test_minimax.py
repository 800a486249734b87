"""Minimax: its two terms against a rewrite with lists, its memories, its phases."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.methods.generative._shared.finetune import diff_fit
from decoct.methods.generative.minimax import Memories, Minimax


def test_the_terms_are_the_papers(generator):
    """A rewrite with one list a class, as many batches as overflow the memories."""
    model, size, rng = generator("dit"), 5, torch.Generator().manual_seed(0)
    memories, real, made = Memories(3, size, model, (0.002, 0.008)), {}, {}
    for _ in range(9):
        clean, latents = (torch.randn(8, 4, 4, 4, generator=rng) for _ in range(2))
        clean.requires_grad_()
        places = torch.randint(3, (8,), generator=rng)
        expected, classes = torch.tensor(0.0), set(places.tolist())
        for c in classes:
            mine = [z.flatten() for z, p in zip(clean, places.tolist(), strict=True) if p == c]
            if made.get(c):
                near = min(F.cosine_similarity(a, b, dim=0) for a in mine for b in real[c])
                alike = max(F.cosine_similarity(a, b, dim=0) for a in mine for b in made[c])
                expected = expected + (0.002 * (1 - near) + 0.008 * alike) / len(classes)
            own = [z.flatten() for z, p in zip(latents, places.tolist(), strict=True) if p == c]
            real[c] = (real.get(c, []) + own)[-size:]
            made[c] = (made.get(c, []) + [z.detach() for z in mine])[-size:]
        found = memories(clean, latents, places)
        assert found.item() == pytest.approx(expected.item(), abs=1e-7)
        if found.requires_grad:
            assert torch.allclose(*(torch.autograd.grad(loss, clean)[0] for loss in (found, expected)), atol=1e-8)


def test_a_batch_larger_than_the_memory_leaves_its_last(generator):
    model = generator("dit")
    memories, latents = Memories(1, 3, model, (1, 1)), torch.arange(5.0).view(5, 1, 1, 1).expand(5, 4, 4, 4)
    memories(latents, latents, torch.zeros(5, dtype=torch.int64))
    assert sorted(memories.real[0, :, 0].tolist()) == [2, 3, 4]


def test_each_phase_has_a_fine_tuning_of_its_own_from_the_same_generator(supplied):
    method = Minimax(steps=4, iterations=3, phase=2)
    inputs = supplied(method, 2)
    (model,) = inputs.generators.values()
    sampling = method.at(8).made(inputs, model)
    assert sampling.phases == [(0, 1), (2,)] and sampling.trained == 6
    assert [b.classes for b in sampling.blocks([])] == [(0, 0, 1, 1), (2, 2)]
    first = sampling.tuned((0, 1))
    second = sampling.tuned((2,))
    name = next(iter(diff_fit(model)[1]))
    weights = [dict(m.net.named_parameters())[name] for m in (first, second, model)]
    assert len({tuple(w.flatten().tolist()) for w in weights}) == 3
    draft = method(inputs)
    assert draft.steps == 6 and draft.notes.keys() == {"loss_first", "loss_last"}


@pytest.mark.parametrize(
    ("fields", "steps"),
    [({}, 120), ({"iterations": 7}, 7), ({"iterations": None, "epochs": 2}, 30), ({"tuning_batch": 500}, 8)],
)
def test_steps_are_whole_epochs_up_to_the_checkpoint(fields, steps, supplied):
    method = Minimax(steps=4, **fields)
    inputs = supplied(method, 2)
    assert method.at(8).made(inputs, *inputs.generators.values()).trained == steps


@pytest.mark.parametrize("flip", [False, True])
def test_mirrored_images_take_part_where_the_data_allow_it(flip, toy, supplied):
    method = Minimax()
    inputs = supplied(method, 2, box=toy(flip=flip))
    (model,) = inputs.generators.values()
    latents, places = method.at(8).made(inputs, model).views((0, 1, 2))
    images = torch.from_numpy(inputs.data.train.images)
    assert latents.shape == (120, 1 + flip, 4, 4, 4) and np.array_equal(places, inputs.data.train.labels)
    with torch.no_grad():
        assert np.allclose(latents[:, 0], model.encode(images), atol=1e-4)
        if flip:
            assert np.allclose(latents[:, 1], model.encode(images.flip(-1)), atol=1e-4)


def test_the_diversity_term_moves_predictions_apart(generator):
    """One step along its gradient lowers the largest cosine with what was predicted."""
    model, rng = generator("dit"), torch.Generator().manual_seed(1)
    memories = Memories(1, 4, model, (0.0, 1.0))
    zeros = torch.zeros(2, dtype=torch.int64)
    memories(torch.randn(2, 4, 4, 4, generator=rng), torch.randn(2, 4, 4, 4, generator=rng), zeros)
    kept = [memories.made.clone(), memories.real.clone(), memories.seen.clone()]
    clean = torch.randn(2, 4, 4, 4, generator=rng, requires_grad=True)

    def loss(z):
        for memory, value in zip((memories.made, memories.real, memories.seen), kept, strict=True):
            memory.copy_(value)
        return memories(z, clean.detach(), zeros)

    value = loss(clean)
    (gradient,) = torch.autograd.grad(value, clean)
    assert loss(clean.detach() - gradient) < value


def test_defaults_are_the_papers():
    spec = Minimax()
    assert (spec.lr, spec.tuning_batch, spec.epochs, spec.iterations, spec.ema) == (1e-3, 8, 8, 12_000, 0.9999)
    assert (spec.representativeness, spec.diversity, spec.remembered, spec.phase) == (0.002, 0.008, 64, 10)
