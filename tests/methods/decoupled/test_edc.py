"""EDC: half of the matching on the statistics of the images' classes, from real images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.v2 import functional as tv

from decoct.core.errors import DecoctError
from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import ranked_crops
from decoct.methods.decoupled.edc import EDC
from decoct.needs.statistics import LayerStatistics
from decoct.needs.teacher import Teacher
from decoct.nets import zoo
from decoct.nets.moments import layers

KINDS = nn.Conv2d | nn.BatchNorm2d


def bright(box):
    """Classes that differ, so that their statistics do."""
    images = box.data.train.images
    images[:] = images // 4 + 60 * box.data.train.labels.astype(np.uint8)[:, None, None, None]
    return box


def by_class(box, net, layer_moments, variance):
    """Of the whole split, with batch norms' own; of each class, or the mean over what each of its images has."""
    found = []
    with torch.no_grad():
        for c in range(3):
            images = box.normalised(box.data.train.images[box.data.train.labels == c])
            parts = layer_moments(net, images, KINDS)[1]
            if variance == "within_image":
                each = [layer_moments(net, image[None], KINDS)[1] for image in images]
                parts = [
                    [torch.stack(s).mean(0) for s in zip(*layer, strict=True)] for layer in zip(*each, strict=True)
                ]
            found.append(parts)
        whole = layer_moments(net, box.normalised(box.data.train.images), KINDS)[1]
    whole[1] = [net[1].running_mean, net[1].running_var]
    return whole, found


@pytest.mark.parametrize("variance", ["class", "within_image"])
def test_a_block_is_the_papers_loop(toy, rewrite, layer_moments, apart, variance):
    box, how = bright(toy(others=("other",))), {"r": 0.5, "share": 0.3, "variance": variance}
    nets, method = [box.teacher, box.others["other"]], EDC(iterations=6, nets=("teacher", "other"), **how)
    spec, labels, averages = method.at(8), torch.tensor([0, 0, 1, 1, 2, 2]), {}
    known = [by_class(box, net, layer_moments, variance) for net in nets]

    def loss(seen, t, active):
        net = t % 2
        logits, found = layer_moments(nets[net], seen, KINDS)
        whole, classes = known[net]
        averaged, of_labels = [], []
        for layer, parts in enumerate(found):
            averaged.append([])
            of_labels.append([sum(classes[c][layer][i] for c in labels) / 6 for i in range(len(parts))])
            for i, s in enumerate(parts):
                before = averages.get((net, layer, i), s.detach())
                averages[net, layer, i] = now = 0.8 * before + 0.2 * s.detach()
                averaged[-1].append(now + s - s.detach())
        r = 0.7 * apart(averaged, whole) + 0.3 * apart(averaged, of_labels)
        return F.cross_entropy(logits, labels) + 0.5 * r

    draft = method(box.supplied(method, 2))
    expected = rewrite(box, spec, box.normalised(draft.initial), loss, name=(0, 0))
    assert np.abs(draft.images.astype(int) - expected).max() <= 1


def test_means_and_variances_of_a_class_are_not_swapped(toy):
    """A block that has the very statistics of its class is at no distance from them."""
    box = bright(toy(per_class=4))
    method = EDC(iterations=1, nets=("teacher",), share=1.0, scale=(1, 1), block=4)
    given = box.supplied(method, 4)
    found = given.statistics["teacher"].by_class["0"]
    assert all(abs(found.patch_mean[c].mean() - found.mean[c].mean()) < 0.05 for c in range(3))
    assert (found.patch_variance > 0).all() and (found.patch_mean[:, 0] < 0).any()
    draft = method(given)  # the start is all images of each class, seen whole, at the first iteration
    assert draft.notes["bn_loss_first"] == pytest.approx(0, abs=0.01)
    other = method.model_copy(update={"share": 0.0})
    assert other(given).notes["bn_loss_first"] > 1


def test_starts_are_real_images_of_the_class_each_once(toy):
    box = toy()
    method = EDC(iterations=1, nets=("teacher",))
    draft = method(box.supplied(method, 5))
    rows = {image.tobytes(): int(c) for image, c in zip(box.data.train.images, box.data.train.labels, strict=True)}
    assert [rows[image.tobytes()] for image in draft.initial] == draft.labels.tolist()
    assert len({image.tobytes() for image in draft.initial}) == 15


def test_at_factor_two_starts_are_mosaics_of_the_easiest_crops(toy):
    box = toy()
    method = EDC(iterations=1, nets=("teacher",), factor=2)
    given, pixels = box.supplied(method, 2), Pixels.of(box.data, "cpu")
    initial = method(given).initial
    for c in range(3):
        rows, boxes, _ = ranked_crops(given, box.teacher, pixels, c, 8, names=("edc", "start"), factor=2)
        for j in range(2):
            for k, (y, x) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
                image = torch.from_numpy(box.data.train.images[rows[k * 2 + j]]).float()
                tile = tv.resized_crop(image, *boxes[k * 2 + j].tolist(), [4, 4], antialias=True)
                assert np.abs(initial[2 * c + j, :, y : y + 4, x : x + 4] - tile.numpy()).max() <= 1.01


def test_presets_are_the_authors():
    def values(name, size):
        spec = EDC(preset=name).at(size)
        own = spec.lr, spec.jitter
        assert own == (0.05, 0)
        return spec.iterations, spec.r, spec.block, spec.scale, spec.decay, spec.factor, spec.tile, len(spec.nets)

    assert values(None, 224) == values("imagenet1k", 224) == (1000, 0.1, 20, (0.5, 1.0), 0.8, 2, 16, 5)
    assert values("imagenet10", 224) == (50, 0.01, 100, (0.5, 1.0), 0.0, 2, 16, 3)
    assert values("tiny", 64) == (2000, 0.01, 25, (0.5, 1.0), 0.8, 1, 4, 4)
    assert values("cifar100", 32) == (2000, 0.01, 25, (0.5, 1.0), 0.8, 1, 4, 7)
    assert values("cifar10", 32) == (75, 0.01, 10, (0.08, 1.0), 0.8, 1, 4, 7)
    assert values(None, 32)[:7] == values("cifar100", 32)[:7]
    assert (EDC(decay=0.3).at(64).decay, EDC().share, EDC().variance) == (0.3, 0.5, "class")
    large = EDC().at(224).nets
    assert large == (
        *("resnet18.tv_in1k", "mobilenet_v2.tv_in1k", "efficientnet_b0.ra_in1k", "shufflenet_v2_x0_5.tv_in1k"),
        "alexnet.tv_in1k",
    )


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "tiny"])
def test_nets_of_the_presets_take_the_images_of_theirs(name):
    size = 64 if name == "tiny" else 32
    for net in EDC(preset=name).at(size).nets:
        zoo.check_fits(net, size)
        assert layers(zoo.build(net, 3, 10, size, 0))


def test_it_needs_its_nets_their_statistics_and_a_ranker_where_starts_are_mosaics():
    plain = EDC(nets=("resnet18",), ranker="alexnet", factor=1, tile=4)
    assert plain.needs() == (Teacher(net="resnet18"), LayerStatistics(net="resnet18", tile=4))
    assert Teacher(net="alexnet") in plain.model_copy(update={"factor": 2}).needs()


def test_statistics_over_tiles_of_another_side_are_refused(toy):
    box, method = toy(), EDC(iterations=1, nets=("teacher",))
    with pytest.raises(DecoctError, match="tiles of 4 px are no target for tiles of 2 px"):
        method.model_copy(update={"tile": 2})(box.supplied(method, 2))
