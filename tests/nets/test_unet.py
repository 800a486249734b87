"""The U-Net on pixels: every size that halves evenly, a null class, its own seed."""

import pytest
import torch

from decoct.nets.unet import resolutions, unet


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        (8, [8, 4]),
        (12, [12, 6]),
        (16, [16, 8]),
        (28, [28, 14, 7]),
        (32, [32, 16, 8]),
        (48, [48, 24, 12, 6]),
        (64, [64, 32, 16, 8]),
        (15, [15]),
    ],
)
def test_images_are_halved_while_that_goes_evenly(size, sides):
    assert resolutions(size) == sides


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (15, 1), (16, 3), (28, 1), (32, 3), (64, 3)])
def test_it_gives_what_it_takes_at_every_size(size, channels):
    net = unet(channels, 4, size, width=8, seed=0)
    x = torch.randn(2, channels, size, size)
    with torch.no_grad():
        said = net(x, timestep=torch.tensor([0, 999]), class_labels=torch.tensor([0, 4]), return_dict=False)[0]
    assert said.shape == x.shape and said.isfinite().all()


def test_classes_and_steps_matter():
    net, x = unet(1, 3, 8, width=8, seed=0).eval(), torch.randn(1, 1, 8, 8)

    def say(t, label):
        with torch.no_grad():
            return net(x, timestep=torch.tensor([t]), class_labels=torch.tensor([label]), return_dict=False)[0]

    assert not say(5, 0).equal(say(5, 3)) and not say(5, 0).equal(say(500, 0))


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (unet(1, 3, 8, width=8, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.random.get_rng_state().equal(before)
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)
