"""EDC: half of the matching on the statistics of the images' classes, from real images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.v2 import functional as tv

from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import ranked_crops
from decoct.methods.decoupled.edc import EDC
from decoct.needs.statistics import LayerStatistics
from decoct.needs.teacher import Teacher

KINDS = nn.Conv2d | nn.BatchNorm2d


def bright(box):
    """Classes that differ, so that their statistics do."""
    images = box.data.train.images
    images[:] = images // 4 + 60 * box.data.train.labels.astype(np.uint8)[:, None, None, None]
    return box


def by_class(box, net, layer_moments):
    found = []
    with torch.no_grad():
        for c in range(3):
            found.append(
                layer_moments(net, box.normalised(box.data.train.images[box.data.train.labels == c]), KINDS)[1]
            )
        whole = layer_moments(net, box.normalised(box.data.train.images), KINDS)[1]
    whole[1] = [net[1].running_mean, net[1].running_var]
    return whole, found


def test_a_block_is_the_papers_loop(toy, rewrite, layer_moments, apart):
    box = bright(toy(others=("other",)))
    nets, method = [box.teacher, box.others["other"]], EDC(iterations=6, nets=("teacher", "other"), r=0.5, share=0.3)
    spec, labels, averages = method.at(8), torch.tensor([0, 0, 1, 1, 2, 2]), {}
    known = [by_class(box, net, layer_moments) for net in nets]

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
    assert all(abs(found.patch_mean[c] - found.mean[c].mean()) < 0.05 for c in range(3))
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
    def values(spec):
        return spec.lr, spec.iterations, spec.r, spec.block, spec.jitter, spec.scale, spec.factor

    assert values(EDC().at(224)) == (0.05, 1000, 0.1, 80, 0, (0.5, 1.0), 2)
    assert values(EDC(preset="tiny").at(64)) == (0.05, 2000, 0.01, 100, 0, (0.5, 1.0), 1)
    ten = EDC(preset="imagenet10").at(224)
    assert values(ten) == (0.05, 50, 0.01, 80, 0, (0.5, 1.0), 2) and ten.decay == 0 and ten.nets == EDC().at(224).nets
    assert {EDC(preset=name).at(64).decay for name in EDC.presets if name != "imagenet10"} == {0.8}
    assert (EDC(decay=0.3).at(64).decay, EDC().share) == (0.3, 0.5)
    large = EDC().at(224).nets
    assert large == ("resnet18", "mobilenetv2_100", "efficientnet_b0", "shufflenet_v2_x0_5", "alexnet")


def test_it_needs_its_nets_their_statistics_and_a_ranker_where_starts_are_mosaics():
    plain = EDC(nets=("resnet18",), ranker="alexnet", factor=1)
    assert plain.needs() == (Teacher(net="resnet18"), LayerStatistics(net="resnet18"))
    assert Teacher(net="alexnet") in plain.model_copy(update={"factor": 2}).needs()
