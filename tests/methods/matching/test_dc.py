"""DC and DSA against a rewrite of their loops, on sets that are all there is, and where they must refuse."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from decoct.core.errors import DecoctError, UsageError
from decoct.core.seeds import seed
from decoct.data.augment import dsa
from decoct.methods.matching.dc import DC
from decoct.methods.matching.dsa import DSA
from decoct.nets import zoo

NET = "convnet2_w32"
SMALL = {"net": NET, "iterations": 2, "outer": 3, "inner": 2, "batch": 16, "batch_net": 4}


def rows_apart(real, made):
    """Σ over output rows of 1 − cosine, row by row; biases and the norms' parameters do not count."""
    total = 0.0
    for r, m in zip(real, made, strict=True):
        if r.ndim >= 2:
            for o in range(len(r)):
                total = total + 1 - (r[o] * m[o]).sum() / (r[o].norm() * m[o].norm() + 1e-6)
    return total


def rewrite(method, box, start, ipc, root):
    """The papers' loops, whole tensors of gradients at a time."""
    x, name, aug = start.clone().requires_grad_(), method.name, isinstance(method, DSA)
    sgd, labels, losses = torch.optim.SGD([x], method.lr, momentum=0.5), torch.arange(3).repeat_interleave(ipc), []
    for t in range(method.iterations * method.outer):
        if t % method.outer == 0:
            net = zoo.build(NET, 1, 3, 16, seed(root, name, "net", t))
            inner = torch.optim.SGD(net.parameters(), method.lr_net)
        rng = np.random.default_rng(seed(root, name, "real", t))
        draws = Generator().manual_seed(seed(root, name, "augmentation", t))
        loss = 0.0
        for c in range(3):
            members = np.flatnonzero(box.data.train.labels == c)
            real = box.normalised(box.data.train.images[members[rng.choice(40, 16, replace=False)]])
            made = x[c * ipc : (c + 1) * ipc]
            if aug:
                drawn = dsa.draw(1, 16, box.data.flip, draws, siamese=True)
                real, made = dsa.apply(real, drawn), dsa.apply(made, drawn)
            found = [
                torch.autograd.grad(F.cross_entropy(net(i), torch.full((len(i),), c)), net.parameters(), create_graph=g)
                for i, g in ((real, False), (made, True))
            ]
            loss = loss + rows_apart(*found)
        sgd.zero_grad()
        (x.grad,) = torch.autograd.grad(loss, [x])
        sgd.step()
        losses.append(loss.item())
        if t % method.outer == method.outer - 1:
            continue
        shuffle = Generator().manual_seed(seed(root, name, "inner", t))
        for _ in range(method.inner):
            for rows in torch.randperm(len(x), generator=shuffle).split(4):
                seen = x[rows].detach()
                if aug:
                    seen = dsa.apply(seen, dsa.draw(len(rows), 16, box.data.flip, shuffle))
                inner.zero_grad()
                F.cross_entropy(net(seen), labels[rows]).backward()
                inner.step()
    return (x * 0.25 + 0.5).detach().numpy(), losses


@pytest.mark.parametrize(("cls", "flip"), [(DC, False), (DSA, True), (DSA, False)])
def test_the_loops_are_the_papers(cls, flip, toy):
    box, ipc, method = toy(16, flip=flip), 2, cls(**SMALL | {"init": "real"})
    draft = method(box.inputs(ipc, seed=5))
    images, losses = rewrite(method, box, box.normalised(draft.initial), ipc, 5)
    assert draft.images == pytest.approx(images, abs=1e-4)
    assert draft.notes["loss_first"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert draft.steps == 6


def test_noise_is_where_dc_starts_and_real_images_where_dsa_does(toy):
    box = toy()
    noise, real = (cls(**SMALL)(box.inputs(2)).initial for cls in (DC, DSA))
    known = {image.tobytes() for image in box.data.train.images}
    assert all(image.tobytes() in known for image in real)
    assert not any(image.tobytes() in known for image in noise)


def gradients_are_equal(cls, toy):
    method = cls(**SMALL | {"batch": 40, "init": "real", "iterations": 1, "outer": 1})
    return method(toy(16, flip=True).inputs(40, seed=1)).notes["loss_first"]


@pytest.mark.parametrize("cls", [DC, DSA])
def test_the_loss_is_0_where_both_sets_are_one(cls, toy):
    """Real and learnt images are all images of the class, so a transform that only one side saw would show."""
    assert gradients_are_equal(cls, toy) < 0.001 * 3 * (3 * 32 + 3)  # of all rows; EPSILON keeps it from 0


def test_another_transform_on_one_side_would_show(toy, monkeypatch):
    rng, plain = Generator().manual_seed(0), dsa.apply

    def unlike(images, drawn):
        return plain(images, dsa.draw(len(images), 16, True, rng))

    monkeypatch.setattr(dsa, "apply", unlike)
    assert gradients_are_equal(DSA, toy) > 1


@pytest.mark.parametrize("cls", [DC, DSA])
def test_the_loss_falls(cls, patterns):
    method = cls(**SMALL | {"iterations": 24, "outer": 1, "inner": 0, "init": "noise", "lr": 1.0})
    notes = method(patterns.inputs(2)).notes
    assert notes["loss_last"] < 0.8 * notes["loss_first"]


@pytest.mark.parametrize(("ipc", "loops"), [(1, (1, 1)), (10, (10, 50)), (20, (20, 25)), (50, (50, 10)), (5, (5, 100))])
def test_loops_are_the_authors_where_they_have_some(ipc, loops):
    assert DC().loops(ipc) == loops
    assert DC(outer=7, inner=0).loops(ipc) == (7, 0)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3, 4])  # with a net in training, and where a fresh one begins
@pytest.mark.parametrize("cls", [DC, DSA])
def test_a_killed_construction_ends_with_the_same_bytes(cls, after, toy, kept):
    box, whole = toy(), cls(**SMALL)(toy().inputs(2))

    def progress(done, total):
        assert total == 6
        if done > after:
            raise KilledError

    with pytest.raises(KilledError):
        cls(**SMALL)(box.inputs(2, kept=kept, progress=progress))
    assert len(kept.found["learning"]["trace"]) == after
    again = cls(**SMALL)(box.inputs(2, kept=kept))
    assert again.images.tobytes() == whole.images.tobytes()
    assert again.notes == whole.notes


def test_numbers_that_are_not_finite_name_the_step_and_the_last_loss(toy, kept):
    with pytest.raises(DecoctError, match=r"dc: .*step \d of 6 .*\d.*: lower lr or lr_net"):
        DC(**SMALL | {"lr_net": 1e30})(toy().inputs(2, kept=kept))
    assert all(np.isfinite(value).all() for value in kept.found.get("learning", {}).values())


def test_a_batch_larger_than_the_class_is_all_of_it(toy):
    whole, larger = (DSA(**SMALL | {"batch": batch})(toy().inputs(2)) for batch in (40, 41))
    assert larger.images.tobytes() == whole.images.tobytes()
    assert DSA(**SMALL | {"batch": 39})(toy().inputs(2)).images.tobytes() != whole.images.tobytes()


@pytest.mark.parametrize(("net", "size", "message"), [("convnet3", 8, "take convnet2"), ("resnet18", 8, "norm")])
def test_a_net_that_does_not_fit_is_refused_before_anything_runs(net, size, message):
    with pytest.raises(UsageError, match=message):
        DC(net=net).at(size)


@pytest.mark.parametrize(("shape", "batch", "ipc"), [((1, 16, 16), 40, 3), ((3, 16, 16), 4, 10)])
def test_the_memory_estimate_is_within_a_factor_of_2(shape, batch, ipc, toy, peak):
    box, method = toy(shape[1], shape[0]), DC(iterations=1, outer=2, inner=1, batch=batch)
    seen = peak(lambda: method(box.inputs(ipc)))
    assert seen / 2 < method.at(shape[1]).memory(shape, 3, ipc) < 2 * seen
