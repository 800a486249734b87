"""The layout follows the norm, and changes nothing but speed."""

import pytest
import torch

from decoct.nets.convnet import ConvNet
from decoct.nets.layout import as_input, has_batch_norm, laid_out, layout


@pytest.mark.parametrize(("norm", "expected"), [("batch", torch.channels_last), ("instance", torch.contiguous_format)])
def test_channels_last_is_for_batch_norm(norm, expected):
    net = ConvNet(3, 4, 8, width=8, depth=2, norm=norm)
    images = as_input(torch.randn(2, 3, 8, 8), laid_out(net))
    assert has_batch_norm(net) == (norm == "batch")
    assert layout(net) == expected
    assert images.is_contiguous(memory_format=expected)
    assert net.features[4].weight.is_contiguous(memory_format=expected)


def test_a_net_gives_the_same_logits_in_either_layout():
    net = ConvNet(3, 4, 8, width=8, depth=2, norm="batch").eval()
    images = torch.randn(5, 3, 8, 8)
    before = net(images)
    torch.testing.assert_close(laid_out(net)(as_input(images, net)), before, rtol=1e-4, atol=1e-5)
