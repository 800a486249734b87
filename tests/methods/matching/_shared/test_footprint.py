"""Bytes of a net that can be counted by hand, and against what it takes."""

import pytest
import torch
import torch.nn.functional as F

from decoct.methods.matching._shared import footprint
from decoct.nets import zoo


def test_a_convnet_without_a_graph_passes_the_two_sides_of_its_first_norm():
    assert footprint.passing("convnet3", (1, 28, 28), 10) == 4 * 2 * 128 * 32 * 32  # padded to 32


def test_weights_and_pixels_are_counted():
    expected = 32 * 9 + 32 + 2 * 32 + 2 * (32 * 32 * 9 + 32 + 2 * 32) + 5 * 32 + 5
    assert footprint.weights("convnet3_w32", (1, 8, 8), 5) == 4 * expected
    assert footprint.pixels((3, 4, 4), 7) == 4 * 3 * 4 * 4 * 7


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(("name", "shape"), [("convnet3_w32", (1, 28, 28)), ("resnet18_in", (3, 16, 16))])
def test_what_a_backward_pass_needs_is_what_it_takes_an_image(twice, name, shape):
    """Measured as the growth from 8 to 24 images, so that what does not depend on them cancels."""
    net = zoo.build(name, shape[0], 10, shape[1], 0).eval()
    weights = list(net.parameters())

    def peak(images):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as seen:
            x = torch.zeros(images, *shape, requires_grad=True)
            loss = F.cross_entropy(net(x), torch.zeros(images, dtype=torch.long))
            if twice:
                gradients = torch.autograd.grad(loss, weights, create_graph=True)
                loss = sum(g.square().sum() for g in gradients)
            torch.autograd.grad(loss, x)
        level = most = 0
        events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
        for event in sorted(events, key=lambda event: event.start_ns()):
            level += event.nbytes()
            most = max(most, level)
        return most

    peak(8)
    measured = (peak(24) - peak(8)) / 16
    estimate = footprint.held(name, shape, 10, twice=twice)
    assert measured / 2 < estimate < 2 * measured
