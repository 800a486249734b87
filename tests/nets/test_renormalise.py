"""The map in front of a net is exact: pixels under either normalisation give the net the same input."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from decoct.core.errors import DecoctError
from decoct.nets import zoo
from decoct.nets.features import classifier, penultimate
from decoct.nets.renormalise import IMAGENET, Normalisation, Renormalised, bare, renormalised

statistics = st.lists(st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.5)), min_size=3, max_size=3)


def normalised(pixels, by):
    mean, std = (torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1) for values in by)
    return ((pixels.double() - mean) / std).float()


@given(data=statistics, own=statistics, seed=st.integers(0, 2**31), grey=st.booleans())
def test_the_net_gets_what_it_expects(data, own, seed, grey):
    data = Normalisation.of(*zip(*(data[:1] if grey else data), strict=True))
    own = Normalisation.of(*zip(*own, strict=True))
    pixels = torch.rand(2, len(data.mean), 4, 4, generator=torch.Generator().manual_seed(seed))
    got = Renormalised(nn.Identity(), data, own)(normalised(pixels, data))
    expected = normalised(pixels.expand(2, 3, 4, 4), own)  # a grey image is one with equal channels
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_one_normalisation_leaves_the_net_alone():
    net = zoo.build("convnet2_bn_w8", 3, 2, 8, 0)
    assert renormalised(net, IMAGENET, Normalisation.of(*map(list, IMAGENET))) is net
    assert bare(net) is net
    wrapped = renormalised(net, Normalisation((0.5,) * 3, (0.5,) * 3), IMAGENET)
    assert bare(wrapped) is net


@pytest.mark.parametrize("name", ["test_resnet", "convnet2_bn_w8"])
def test_features_and_classifier_are_found_behind_it(name):
    net = zoo.build(name, 3, 2, 8, 0).eval()
    data = Normalisation((0.3, 0.4, 0.5), (0.2, 0.2, 0.3))
    wrapped = renormalised(net, data, IMAGENET)
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8), dtype=np.uint8)
    assert classifier(wrapped) is classifier(net)
    expected = penultimate(net, images, *IMAGENET)
    torch.testing.assert_close(penultimate(wrapped, images, *data), expected, rtol=1e-4, atol=1e-4)
    again = copy.deepcopy(wrapped)
    assert all(torch.equal(a, b) for a, b in zip(again.buffers(), wrapped.buffers(), strict=True))


def test_its_constants_are_no_weights():
    net = zoo.build("convnet2_bn_w8", 3, 2, 8, 0)
    wrapped = renormalised(net, Normalisation((0.5,) * 3, (0.5,) * 3), IMAGENET)
    assert set(wrapped.state_dict()) == {f"net.{name}" for name in net.state_dict()}
    assert len(list(wrapped.parameters())) == len(list(net.parameters()))


def test_colour_does_not_fit_a_grey_net():
    with pytest.raises(DecoctError, match=r"takes 1 channel.* have 3"):
        Renormalised(nn.Identity(), IMAGENET, Normalisation((0.5,), (0.5,)))


@pytest.mark.parametrize(("mean", "std"), [([], []), ([0.5], [0.5, 0.5]), ([0.5], [0.0]), ([0.5], [float("nan")])])
def test_what_is_no_normalisation(mean, std):
    with pytest.raises(ValueError, match="mean and deviation"):
        Normalisation.of(mean, std)
