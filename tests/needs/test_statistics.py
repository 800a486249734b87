"""Statistics of layers against one computation over the whole split and over each class; what is stored comes back."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.transforms.v2 import functional as tv

from decoct.core.errors import DecoctError, UsageError
from decoct.core.needs import Plan
from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Alignment
from decoct.needs.statistics import FILE, LayerStatistics, Statistics, collect, draw_views
from decoct.nets.moments import Moments, flatten, running

MEAN, STD, CLASSES = (0.4, 0.6), (0.2, 0.3), ("a", "b", "c", "none")
PIXELS = Pixels.of(SimpleNamespace(mean=MEAN, std=STD), "cpu")


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        made = nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1, stride=2),
            nn.BatchNorm2d(3),
            nn.ReLU(inplace=True),
            nn.Conv2d(3, 4, 1),
            nn.BatchNorm2d(4),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 4),
        )
        made[1].running_mean.normal_()
        made[4].running_var.uniform_(0.5, 2)
    return made.eval()


@pytest.fixture(scope="module")
def split():
    """33 images of 20 px in three classes of a fourth that has none; read-only, as a memory map is."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (33, 2, 20, 20), dtype=np.uint8), rng.integers(0, 3, 33)
    images[labels == 1] //= 2
    for array in (images, labels):
        array.flags.writeable = False
    return Split(images, labels)


@pytest.fixture(scope="module")
def found(net, split):
    return collect(net, split, CLASSES, PIXELS, batch=10)


def naive(net, images):
    """[mean, variance, patch mean, patch variance] of every layer's input by name, all images at once."""
    mean, std = (torch.tensor(value).double().view(-1, 1, 1) for value in (MEAN, STD))
    x, parts = (torch.from_numpy(np.array(images)).double() / 255 - mean) / std, {}
    for name, module in net.double().named_children():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            parts[name] = [x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)]
        if isinstance(module, nn.Conv2d):
            side = -(-x.shape[-1] // 16)
            large = F.interpolate(x, (16 * side, 16 * side), mode="bilinear")
            places = [
                (slice(16 * i, 16 * i + 16), slice(16 * j, 16 * j + 16)) for i in range(side) for j in range(side)
            ]
            parts[name] += [torch.stack([large[..., y, x].mean() for y, x in places])]
            parts[name] += [torch.stack([large[..., y, x].var(correction=0) for y, x in places])]
        with torch.no_grad():
            x = module(x)
    net.float()
    return parts


def close(moments, parts):
    assert list(moments) == list(parts)
    for name, theirs in parts.items():
        ours = moments[name].parts()
        assert [part.dtype for part in ours] == [torch.float32] * len(theirs)
        torch.testing.assert_close(ours, [part.float() for part in theirs], rtol=1e-4, atol=1e-5)


def test_statistics_of_the_whole_split(found, net, split):
    close(found.whole, naive(net, split.images))
    assert [len(found.whole[name].parts()) for name in "0134"] == [4, 2, 4, 2]
    assert [len(found.whole[name].patch_mean) for name in "03"] == [4, 1]


@pytest.mark.parametrize("c", [0, 1, 2])
def test_statistics_of_each_class(found, net, split, c):
    theirs = naive(net, split.images[split.labels == c])
    close({name: Moments(*(part[c] for part in m.parts())) for name, m in found.by_class.items()}, theirs)


def test_variances_within_an_image_are_their_mean_over_the_class(found, net, split):
    """The statistics of one image at a time, averaged: what EDC's code takes for the variance of a class."""
    each = [naive(net, image[None]) for image in split.images[split.labels == 1]]
    for name, moments in found.within.items():
        for i, part in enumerate(moments.parts()):
            expected = torch.stack([parts[name][i] for parts in each]).mean(0)
            torch.testing.assert_close(part[1], expected.float(), rtol=1e-4, atol=1e-5)
        assert (moments.variance[1] < found.by_class[name].variance[1]).any()


@pytest.mark.parametrize(("size", "flip"), [(20, False), (20, True), (64, True)])
def test_views_are_the_crops_and_mirrors_that_teachers_are_trained_on(net, size, flip):
    """Padded crops with a black border below 64 px, resized ones from there, of each image by itself."""
    rng = np.random.default_rng(1)
    split = Split(rng.integers(0, 256, (7, 2, size, size), dtype=np.uint8), np.zeros(7, np.int64))
    views = draw_views(7, size, flip, 3)
    found = collect(net, split, CLASSES, PIXELS, views=views, batch=3)
    seen = []
    for i, image in enumerate(torch.from_numpy(split.images)):
        if size == 20:
            assert views.boxes is None and 0 <= views.corners.min() <= views.corners.max() <= 8
            top, left = (views.corners[i] - 4).tolist()
            part = tv.crop(image, top, left, size, size)
        else:
            part = tv.resized_crop(image, *views.boxes[i].tolist(), [size, size], antialias=True)
        seen.append(part.flip(2) if flip and views.mirrored[i] else part)
    close({"0": found.whole["0"]}, {"0": naive(net, torch.stack(seen).numpy())["0"]})
    assert (views.mirrored is not None) == flip
    other = draw_views(7, size, flip, 4)
    drawn = [view.corners if view.boxes is None else view.boxes for view in (views, other)]
    assert not torch.equal(*drawn)


def test_tiles_of_another_side_are_no_targets(net, split, found):
    four = collect(net, split, CLASSES, PIXELS, tile=4)
    assert [len(four.targets(net, 4)[name].patch_mean) for name in "03"] == [25, 9]  # maps of 20 and 10 px
    for made, tile in ((four, 16), (found, 4)):
        with pytest.raises(DecoctError, match=rf"tiles of {made.tile} px .* LayerStatistics\(tile={tile}\)"):
            made.targets(net, tile)


def test_a_tile_that_is_larger_than_the_images_is_refused_before_anything_runs():
    plan = Plan(SimpleNamespace(size=8, digest="d", flip=False))
    (part,) = LayerStatistics(net="resnet10t", tile=8).parts(plan)
    (other,) = LayerStatistics(net="resnet10t", tile=4).parts(plan)
    assert part.name != other.name and part.spec.identity() != other.spec.identity()
    usual = LayerStatistics(net="resnet10t")
    assert usual.parts(plan) == LayerStatistics(net="resnet10t", tile=4).parts(plan)
    assert [usual.tile_at(size) for size in (8, 64, 65, 224)] == [4, 4, 16, 16]
    with pytest.raises(UsageError, match="tiles of 9 px, but images have 8 px a side: lower tile"):
        LayerStatistics(net="resnet10t", tile=9).parts(plan)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        LayerStatistics(tile=0)


def test_a_class_without_images_has_the_statistics_of_all(found):
    for name, moments in found.by_class.items():
        for part, whole in zip(moments.parts(), found.whole[name].parts(), strict=True):
            assert len(part) == 4 and torch.equal(part[3], whole)


@pytest.mark.parametrize("batch", [1, 33, 100])
def test_batches_make_no_difference(found, net, split, batch):
    calls = []
    other = collect(net, split, CLASSES, PIXELS, batch=batch, progress=lambda *done: calls.append(done))
    for kind in ("whole", "by_class"):
        ours, theirs = flatten(getattr(found, kind)), flatten(getattr(other, kind))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert calls == [(min(at + batch, 33), 33) for at in range(0, 33, batch)]


def test_the_net_is_left_as_it_was(net, split):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    collect(net, split, CLASSES, PIXELS)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_targets_are_the_running_statistics_of_norms_and_the_split_s_of_convolutions(found, net):
    targets = found.targets(net, 16)
    assert list(targets) == ["0", "1", "3", "4"]
    assert targets["1"].mean is net[1].running_mean and targets["4"].variance is net[4].running_var
    assert targets["0"] is found.whole["0"] and targets["3"] is found.whole["3"]


def test_a_net_of_convolutions_alone_has_targets(split):
    plain = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(1200, 4)).eval()
    targets = collect(plain, split, CLASSES, PIXELS).targets(plain, 16)
    assert list(targets) == ["0"] and len(targets["0"].parts()) == 4


def test_a_batch_norm_that_keeps_no_statistics_is_refused(found):
    with pytest.raises(DecoctError, match="no batch norm"):
        found.targets(nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), 16)


def test_what_was_collected_can_be_matched_and_differentiated(found, net, split):
    """Of the whole split as one group, the distance from its own statistics is none, but for running ones."""
    x = PIXELS.normalise(PIXELS.load(np.array(split.images))).requires_grad_()

    def apart(alignment):
        with alignment.watching():
            return alignment.judge(x)[1].sum()

    assert apart(Alignment(net, 1, {name: found.whole[name] for name in "03"})).item() < 1e-3
    labels = torch.from_numpy(np.array(split.labels))[None]
    by_class, targets = found.by_class, found.targets(net, 16)
    alignment = Alignment(net, 1, targets, by_class=by_class, labels=labels, decay=0.8)
    (gradient,) = torch.autograd.grad(apart(alignment), x)
    assert gradient.isfinite().all() and gradient.any()


def test_what_is_saved_is_loaded_bit_for_bit(found, net, tmp_path):
    found.save(tmp_path)
    loaded = Statistics.load(tmp_path, "cpu")
    assert loaded.tile == 16
    for kind in ("whole", "by_class", "within"):
        ours, theirs = flatten(getattr(found, kind)), flatten(getattr(loaded, kind))
        assert set(ours) == set(theirs)
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert list(loaded.targets(net, 16)) == ["0", "1", "3", "4"]  # the order of layers is the net's, not the file's


def test_saving_twice_gives_the_same_bytes(found, tmp_path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found.save(tmp_path / name)
        contents.append((tmp_path / name / FILE).read_bytes())
    assert contents[0] == contents[1]


def test_running_statistics_are_saved_as_they_are(net, tmp_path):
    one = running(net)
    Statistics(one, {}, {}, 4).save(tmp_path)
    loaded = Statistics.load(tmp_path, "cpu")
    assert torch.equal(loaded.whole["1"].mean, net[1].running_mean) and not loaded.by_class


def damage(path, how):
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no tile":
        save_file({name: value for name, value in load_file(path).items() if name != "tile"}, path)
    else:
        tensors = load_file(path)
        save_file(tensors | {how: torch.zeros(1)}, path)


@pytest.mark.parametrize(
    "how", ["missing", "cut", "empty", "no tile", "whole/0:strange", "whole/new:variance", "strange/0:mean"]
)
def test_a_damaged_file_is_refused(found, tmp_path, how):
    found.save(tmp_path)
    damage(tmp_path / FILE, how)
    with pytest.raises(DecoctError, match=r"damaged.*remove that folder"):
        Statistics.load(tmp_path, "cpu")
