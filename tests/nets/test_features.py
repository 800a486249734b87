"""Features and logits against a net that is run by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import zoo
from decoct.nets.features import classifier, entering, logits, penultimate, penultimate_blocks

MEAN, STD = (0.2, 0.5, 0.7), (0.1, 0.3, 0.6)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5))
        self.head = nn.Linear(4 * 36, 5)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def images():
    return torch.randint(0, 256, (11, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def by_hand(net, images):
    x = (images.double() / 255 - torch.tensor(MEAN).double().view(3, 1, 1)) / torch.tensor(STD).double().view(3, 1, 1)
    with torch.no_grad():
        features = net.eval().body(x.float())
        return features, net.head(features)


@pytest.mark.parametrize("batch", [1, 4, 512])
def test_features_and_logits_are_those_of_the_net_in_eval_mode(net, images, batch):
    features, out = penultimate(net, images, MEAN, STD, batch=batch), logits(net, images, MEAN, STD, batch=batch)
    expected, scores = by_hand(net, images)
    assert features.dtype == out.dtype == torch.float32
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out, scores, rtol=1e-4, atol=1e-5)


def test_memory_maps_and_float_images_give_the_same(net, images, tmp_path):
    np.save(tmp_path / "images.npy", images.numpy())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    expected = penultimate(net, images, MEAN, STD)
    torch.testing.assert_close(penultimate(net, mapped, np.array(MEAN), torch.tensor(STD)), expected)
    torch.testing.assert_close(penultimate(net, images.numpy() / np.float32(255), MEAN, STD), expected)


def test_the_net_is_left_as_it_was(net, images):
    net.train()
    net.body[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    penultimate(net, images, MEAN, STD)
    assert net.training and net.head.training and not net.body[1].training
    assert not net.head._forward_pre_hooks
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_progress_counts_images(net, images):
    seen = []
    logits(net, images, MEAN, STD, batch=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 11), (8, 11), (11, 11)]


def test_timm_says_which_layer_is_the_classifier(net):
    net.get_classifier = lambda: net.head
    net.later = nn.Linear(5, 5)
    assert classifier(net) is net.head
    net.get_classifier = nn.Identity
    assert classifier(net) is net.later


def test_nets_without_a_linear_classifier_are_refused(net, images):
    with pytest.raises(DecoctError, match="Sequential has no linear classifier"):
        penultimate(net.body, images, MEAN, STD)
    with pytest.raises(DecoctError, match="gets nothing"):
        net.unused = nn.Linear(1, 1)
        penultimate(net, images, MEAN, STD)
    with pytest.raises(DecoctError, match=r"gets \[11, 3, 8, 8\]"):
        penultimate(nn.Sequential(nn.Linear(8, 2)), images, MEAN, STD)
    assert not net.head._forward_pre_hooks and not net.unused._forward_pre_hooks


def test_no_images_is_a_clear_error(net, images):
    with pytest.raises(DecoctError, match="no images"):
        logits(net, images[:0], MEAN, STD)


def test_what_goes_into_a_child_and_what_follows_is_not_run():
    torch.manual_seed(0)
    net, ran = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)), []
    net[-1].register_forward_hook(lambda *_: ran.append(1))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(entering(net, x, -1), net[:3](x)) and torch.equal(entering(net, x, -3), net[:1](x))
    assert not ran and not any(module._forward_pre_hooks for module in net)
    with pytest.raises(UsageError, match=r"Sequential has 4 children, none at layer -5: raise layer"):
        entering(net, x, -5)


def test_at_child_minus_4_a_resnet_gives_what_layer2_gives():
    net, x, seen = zoo.build("resnet18_in", 3, 5, 64, 0).eval(), torch.randn(2, 3, 64, 64), []
    net.layer2.register_forward_hook(lambda m, a, out: seen.append(out))
    with torch.no_grad():
        assert torch.equal(entering(net, x, -4), seen[0])


def test_blocks_are_the_rows_one_after_the_other_and_a_reader_that_stops_leaves_no_hook(net, images):
    whole = penultimate(net, images, MEAN, STD, batch=4)
    blocks = list(penultimate_blocks(net, images, MEAN, STD, batch=4))
    assert [len(block) for block in blocks] == [4, 4, 3] and torch.equal(torch.cat(blocks), whole)
    net.train()
    reader = penultimate_blocks(net, images, MEAN, STD, batch=4)
    next(reader)
    reader.close()
    assert not net.head._forward_pre_hooks and net.training
