"""What is sent to a device arrives, and the host goes on where it may."""

import pytest
import torch

from decoct.data.send import ahead, send
from devices.elsewhere import elsewhere


@pytest.mark.parametrize(("device", "goes_on"), [("cpu", False), ("mps", False), ("cuda", True), ("cuda:1", True)])
def test_the_host_goes_on_but_where_torch_may_read_later(device, goes_on):
    assert ahead(device) is ahead(torch.device(device)) is goes_on


def test_what_is_sent_arrives_unchanged_without_a_wait():
    x = torch.arange(6, dtype=torch.int16).view(2, 3)
    assert send(x, "cpu") is x
    with elsewhere() as device:
        there = send(x, "meta")
        again = send(x, there)
        assert sum(device.sent.values()) == 2 and not device.uploads and not device.waits
        assert there.dtype == x.dtype and torch.equal(there.cpu(), x) and torch.equal(again.cpu(), x)
