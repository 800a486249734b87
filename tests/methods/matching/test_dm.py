"""DM against a rewrite of its loop, on sets that are all there is, and where it must refuse."""

import numpy as np
import pytest
import torch
from torch import Generator

from decoct.core.errors import DecoctError, UsageError
from decoct.core.seeds import seed
from decoct.data.augment import dsa
from decoct.methods.matching.dm import DM
from decoct.nets import zoo

NET = "convnet2_w32"


def small(**fields):
    return DM(**{"net": NET, "iterations": 4, "batch": 16} | fields)


@pytest.mark.parametrize(("flip", "ipc"), [(True, 2), (False, 30)])  # classes share a forward pass, or have one each
def test_an_iteration_is_the_papers(flip, ipc, toy):
    box = toy(flip=flip)
    draft = small().__call__(box.inputs(ipc, seed=3))
    x = box.normalised(draft.initial).requires_grad_()
    sgd, losses = torch.optim.SGD([x], 1.0, momentum=0.5), []
    for t in range(4):
        net = zoo.build(NET, 1, 3, 8, seed(3, "dm", "net", t))
        rng = np.random.default_rng(seed(3, "dm", "real", t))
        draws = Generator().manual_seed(seed(3, "dm", "augmentation", t))
        loss = 0.0
        for c in range(3):
            members = np.flatnonzero(box.data.train.labels == c)
            real = box.normalised(box.data.train.images[members[rng.choice(40, 16, replace=False)]])
            drawn = dsa.draw(1, 8, flip, draws, siamese=True)
            of_real, of_made = (net.features(dsa.apply(i, drawn)) for i in (real, x[c * ipc : (c + 1) * ipc]))
            loss = loss + ((of_real.mean(0).detach() - of_made.mean(0)) ** 2).sum()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    assert draft.images == pytest.approx((x * 0.25 + 0.5).detach().numpy(), abs=1e-4)
    assert draft.notes["loss_first"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert draft.steps == 4 and draft.images.dtype == np.float32


def test_the_loss_is_0_where_both_sets_are_one(toy):
    """Real and learnt images are all images of the class, so a transform that only one side saw would show."""
    draft = small(iterations=12, batch=40)(toy(flip=True).inputs(40))
    assert draft.notes["loss_first"] < 1e-8
    assert draft.images == pytest.approx(draft.initial / 255, abs=1e-4)


def test_the_loss_falls(patterns):
    notes = small(iterations=40, init="noise")(patterns.inputs(2)).notes
    assert notes["loss_last"] < 0.7 * notes["loss_first"]


def test_images_are_not_clipped(toy):
    images = small(init="noise")(toy().inputs(2)).images
    assert images.min() < 0 and images.max() > 1


class KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_construction_ends_with_the_same_bytes(after, toy, kept):
    box, whole = toy(), small(iterations=6)(toy().inputs(2))

    def progress(done, total):
        if done > after:
            raise KilledError

    with pytest.raises(KilledError):
        small(iterations=6)(box.inputs(2, kept=kept, progress=progress))
    assert len(kept.found["learning"]["trace"]) == after
    again = small(iterations=6)(box.inputs(2, kept=kept))
    assert again.images.tobytes() == whole.images.tobytes()
    assert again.notes == whole.notes


def test_a_loss_that_is_not_finite_names_the_step_and_the_last_that_was(toy, kept):
    with pytest.raises(DecoctError, match=r"dm: .*step \d of 9 .*\d.*: lower lr"):
        small(iterations=9, lr=1e38)(toy().inputs(2, kept=kept))
    assert all(np.isfinite(value).all() for value in kept.found.get("learning", {}).values())


def test_a_batch_larger_than_the_class_is_all_of_it(toy):
    whole, larger = (small(batch=batch)(toy().inputs(2)) for batch in (40, 41))
    assert larger.images.tobytes() == whole.images.tobytes()
    assert small(batch=39)(toy().inputs(2)).images.tobytes() != whole.images.tobytes()


@pytest.mark.parametrize("init", ["real", "noise"])
def test_more_images_than_the_class_has_are_refused(init, toy):
    with pytest.raises(DecoctError, match="class 'a' has 10 training images, fewer than ipc=11: lower --ipc"):
        small(batch=5, init=init)(toy(per_class=10).inputs(11))


@pytest.mark.parametrize(
    ("net", "size", "message"),
    [
        ("convnet3", 7, "7 px is less than 8"),
        ("convnet3", 8, "take convnet2"),
        ("convnet3_bn", 8, "batch norm"),
        ("convnot3", 8, "unknown net"),
    ],
)
def test_a_net_that_does_not_fit_is_refused_before_anything_runs(net, size, message, toy):
    with pytest.raises(UsageError, match=message):
        DM(net=net).at(size)


@pytest.mark.parametrize(("shape", "batch", "ipc"), [((1, 16, 16), 40, 3), ((3, 32, 32), 8, 10)])
def test_the_memory_estimate_is_within_a_factor_of_2(shape, batch, ipc, toy, peak):
    box, method = toy(shape[1], shape[0]), DM(iterations=2, batch=batch)
    seen = peak(lambda: method(box.inputs(ipc)))
    assert seen / 2 < method.at(shape[1]).memory(shape, 3, ipc) < 2 * seen
