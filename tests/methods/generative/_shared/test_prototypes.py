"""D4M's prototypes: online k-means, chunk by chunk."""

import numpy as np
import pytest

from decoct.methods.generative._shared.prototypes import prototypes


def test_each_chunk_moves_the_nearest_centres_to_the_mean_of_all_that_came_to_them():
    rng = np.random.default_rng(0)
    latents = np.concatenate([rng.permutation(np.eye(4) * 9) + rng.normal(size=(4, 4)) for _ in range(5)])
    found = prototypes(latents.astype(np.float32), 4, 4, 7)
    centres, counts = latents[:4].copy(), np.ones(4)  # as many latents as centres: the first chunk is the centres
    for at in range(4, 20, 4):
        some = latents[at : at + 4]
        nearest = ((some[:, None] - centres) ** 2).sum(2).argmin(1)
        for x, c in zip(some, nearest, strict=True):
            counts[c] += 1
            centres[c] += (x - centres[c]) / counts[c]
    order = [((found - centre) ** 2).sum(1).argmin() for centre in centres]
    assert sorted(order) == [0, 1, 2, 3]
    assert found[order] == pytest.approx(centres, abs=1e-4)


def test_a_last_chunk_takes_part_if_it_has_as_many_latents_as_there_are_centres():
    latents = np.random.default_rng(0).normal(size=(25, 2)).astype(np.float32)
    whole, one_over, two_over = (prototypes(latents[:n], 2, 10, 3) for n in (20, 21, 22))
    assert np.array_equal(whole, one_over) and not np.allclose(whole, two_over)
    assert prototypes(latents, 1, 10, 0)[0] == pytest.approx(latents.mean(0), abs=1e-5)


def test_a_class_of_less_than_a_chunk_has_prototypes_too():
    latents = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    found = prototypes(latents, 3, 30, 0)
    assert found[found[:, 0].argsort()] == pytest.approx(latents[latents[:, 0].argsort()])
