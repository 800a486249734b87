"""Embeddings against their definitions, one image at a time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decoct.methods.matching import dm as matching
from decoct.nets import zoo
from decoct.nets.convnet import ConvNet
from decoct.nets.features import classifier


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def net(size=8):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        return ConvNet(1, 3, size, width=4, depth=2).double()


@pytest.mark.parametrize("name", ["convnet3_w32", "resnet18_in", "test_resnet"])
def test_a_headless_net_gives_what_the_classifier_saw(name):
    built = zoo.build(name, 1, 5, 16, 0).eval()
    x, seen = drawn(3, 1, 16, 16, dtype=torch.float32), []
    classifier(built).register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    built(x)
    assert torch.equal(matching.headless(built)(x), seen[0])


@pytest.mark.parametrize("block", [1, 3, 7])
def test_the_mean_embedding_does_not_hang_on_the_block(block):
    headless, images = matching.headless(net()), drawn(7, 1, 8, 8)
    expected = torch.stack([headless(x[None])[0] for x in images]).mean(0)
    assert torch.allclose(matching.mean_embedding(headless, images, block), expected)


@given(numbers=st.lists(st.integers(1, 4), min_size=1, max_size=3), d=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_the_embedding_distance_is_the_sum_of_squares_between_means(numbers, d, seed):
    real, made = drawn(len(numbers), d, seed=seed), drawn(sum(numbers), d, seed=seed + 1)
    total, first = 0.0, 0
    for c, n in enumerate(numbers):
        for k in range(d):
            total += (float(real[c, k]) - sum(float(made[first + i, k]) for i in range(n)) / n) ** 2
        first += n
    assert float(matching.embedding_distance(list(real), made, numbers)) == pytest.approx(total, rel=1e-9)
