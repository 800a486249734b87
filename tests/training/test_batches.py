"""The stream of batches: its order, its labels, and that nothing but the seed decides what is drawn."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.core.seeds import seed as derive
from decoct.nets.compiled import RanEager
from decoct.training import batches as module
from decoct.training.batches import Batches, Committee, TrainingSet, by_batch, order
from decoct.training.recipe import Recipe, epoch_steps
from decoct.training.views import Draws, View, render

HARD = Recipe(steps=45, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")
SOFT = replace(HARD, loss="kl", temperature=4.0)


@pytest.fixture
def views(monkeypatch):
    """Every view that is rendered from now on, one by one."""
    seen = []

    def spy(images, view, pad=0):
        seen.extend(view.split())
        return render(images, view, pad)

    monkeypatch.setattr(module, "render", spy)
    return seen


def numbered(small_set, n=20, **rest):
    """A set whose labels are row numbers, to tell which images a batch holds."""
    return replace(small_set(n=n, **rest), labels=torch.arange(n))


# Order


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 99))
def test_an_epoch_is_a_permutation_but_for_a_last_batch_of_one(images, batch, seed):
    epochs = order(images, batch, seed)
    generator = torch.Generator().manual_seed(derive(seed, "order"))
    for _ in range(3):
        drawn = torch.randperm(images, generator=generator).tolist()
        chunks = [drawn[i : i + batch] for i in range(0, images, batch)]
        if batch > 1 and len(chunks) > 1 and len(chunks[-1]) == 1:
            chunks.pop()
        assert [rows.tolist() for rows in islice(epochs, len(chunks))] == chunks
        assert len(chunks) == epoch_steps(images, batch) or batch == 1


def test_an_epoch_keeps_its_last_batch_of_one_where_that_is_asked():
    assert [len(rows) for rows in islice(order(9, 4, 0, drop_single=False), 6)] == [4, 4, 1, 4, 4, 1]
    assert [len(rows) for rows in islice(order(9, 4, 0), 4)] == [4, 4, 4, 4]


@pytest.mark.parametrize("steps", [1, 31, 32, 33, 45])
def test_the_stream_has_as_many_batches_as_steps_in_that_order(small_set, steps):
    batches = list(Batches(numbered(small_set), replace(HARD, steps=steps), seed=3))
    assert [len(batch.labels) for batch in batches] == [len(rows) for rows in islice(order(20, 8, 3), steps)]
    assert [b.labels.tolist() for b in batches] == [rows.tolist() for rows in islice(order(20, 8, 3), steps)]


KINDS = [{}, {"pad": 1, "flip": True, "cutmix": 1.0}, {"scale": (0.3, 1.0), "mixup": 0.8}, {"shuffle": 2, "flip": True}]


@pytest.mark.parametrize("kind", KINDS)
def test_two_methods_sets_of_one_size_get_the_same_draws(small_set, views, kind):
    """Whatever the pixels, labels, classes and the number type; another seed gives others."""
    drawn = []
    for seed, data in (
        (0, small_set()),
        (0, small_set(seed=1, classes=9)),
        (0, floats(small_set(seed=2))),
        (1, small_set()),
    ):
        batches = list(Batches(data, replace(HARD, **kind), seed=seed))
        assert len(batches) == len(views) == 45
        drawn.append([str(view) for view in views])
        views.clear()
    assert drawn[0] == drawn[1] == drawn[2] != drawn[3]


def floats(data):
    return replace(data, images=data.images / 255)


def test_floats_are_the_bytes_they_equal(small_set):
    recipe = replace(HARD, pad=1, flip=True, cutmix=1.0)
    for one, other in zip(
        Batches(small_set(), recipe, seed=0), Batches(floats(small_set()), recipe, seed=0), strict=True
    ):
        torch.testing.assert_close(one.images, other.images, atol=1e-5, rtol=0)


# Images


def test_crops_are_windows_of_the_image_in_a_black_border(small_set):
    data = numbered(small_set, n=6)
    framed = (torch.nn.functional.pad(data.images.float() / 255, [1] * 4) - 0.4) / 0.3
    used = set()
    for batch in Batches(data, replace(HARD, pad=1, flip=True, steps=20, batch=6), seed=0):
        for image, row in zip(batch.images, batch.labels.tolist(), strict=True):
            crops = {
                (i, j, k): framed[row][:, i : i + 4, j : j + 4] for i in range(3) for j in range(3) for k in (0, 1)
            }
            found = [
                key for key, crop in crops.items() if torch.allclose(image, crop.flip(2) if key[2] else crop, atol=1e-5)
            ]
            assert len(found) == 1
            used.add(found[0])
    assert len(used) == 18


def test_a_resized_crop_of_the_whole_area_is_the_image_or_its_mirror(small_set):
    """No box of the full area with another ratio fits, so every draw falls back to the image."""
    data = numbered(small_set, n=4, size=6)
    images = (data.images.float() / 255 - 0.4) / 0.3
    mirrored = 0
    for batch in Batches(data, replace(HARD, scale=(1.0, 1.0), flip=True, steps=20, batch=4), seed=0):
        for image, real in zip(batch.images, images[batch.labels], strict=True):
            flipped = torch.allclose(image, real.flip(2), atol=1e-4)
            mirrored += flipped
            assert flipped or torch.allclose(image, real, atol=1e-4)
    assert 20 < mirrored < 60


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_sample_weights_travel_with_their_images_relative_to_their_mean(small_set, kind, scale):
    """What is mixed in has its own; the size of all of them says nothing."""
    data = numbered(small_set, weights=torch.arange(20).float() * scale)
    for batch in Batches(data, replace(HARD, **kind), seed=0):
        torch.testing.assert_close(batch.weights, batch.labels / 9.5)
        if "cutmix" in kind or "mixup" in kind:
            torch.testing.assert_close(batch.mixed.weights, batch.mixed.labels / 9.5)


def test_images_without_weights_have_none(small_set):
    for batch in islice(Batches(small_set(), replace(HARD, cutmix=1.0), seed=0), 3):
        assert batch.weights is None and batch.mixed.weights is None


def test_cutmix_mixes_hard_labels_by_the_area_that_each_image_has(small_set):
    """Each image has a value of its own, so every pixel says which image it came from."""
    values = torch.arange(16, dtype=torch.uint8)
    data = TrainingSet(values.view(-1, 1, 1, 1).expand(-1, 1, 12, 12), values.long(), (0.0,), (1 / 255,))
    shares = []
    for batch in Batches(data, replace(HARD, cutmix=1.0), seed=0):
        partners, share, _ = batch.mixed
        shares.append(share)
        assert sorted(partners.tolist()) == sorted(batch.labels.tolist())
        for image, own, partner in zip(batch.images, batch.labels, partners, strict=True):
            pixels = image.round().long()
            assert ((pixels == own) | (pixels == partner)).all()
            assert partner == own or float((pixels == own).float().mean()) == pytest.approx(share)
    assert len(set(shares)) > 20


def test_mixup_mixes_hard_labels_as_it_mixes_pixels(small_set):
    data = numbered(small_set, n=16)
    images = (data.images / 255 - 0.4) / 0.3
    for batch in Batches(data, replace(HARD, mixup=0.8), seed=0):
        partners, share, _ = batch.mixed
        torch.testing.assert_close(batch.images, share * images[batch.labels] + (1 - share) * images[partners])


def test_a_batch_of_one_and_an_unmixed_recipe_mix_nothing(small_set):
    assert all(batch.mixed is None for batch in Batches(small_set(), HARD, seed=0))
    batches = Batches(small_set(n=9), replace(HARD, cutmix=1.0, batch=4, drop_single=False), seed=0)
    assert [batch.mixed is None for batch in islice(batches, 6)] == [False, False, True] * 2


# Teachers


def test_a_committee_s_label_is_the_mean_of_its_logits(linear):
    x = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    nets = [linear(seed=s).eval() for s in range(3)]
    torch.testing.assert_close(Committee(nets)(x), sum(net(x) for net in nets).detach() / 3)
    assert not Committee(nets)(x).requires_grad


@pytest.mark.parametrize("fails", [False, True])
def test_a_committee_is_compiled_net_by_net_or_goes_on_without(linear, compiler, fails):
    tried = compiler(fails)
    nets, x = [linear(seed=s).eval() for s in range(2)], torch.randn(6, 1, 4, 4)
    ours = Committee(nets, Machine(compiled=True))
    with pytest.warns(RanEager, match="labelling goes on without torch.compile") if fails else nullcontext():
        made = [ours.label(x, [4, 2]) for _ in range(3)]
    assert all(torch.equal(each, Committee(nets)(x)) for each in made)
    assert len(tried) == (2 if fails else 1)  # nets that are alike share a graph
    assert torch.equal(ours.label(x, [4, 2], halves=True), Committee(nets).label(x, [4, 2], halves=True))
    assert len(tried) == (2 if fails else 1)  # what normalises by its batch is left as it is


def test_a_teacher_whose_logits_are_not_finite_is_told_of_when_asked(small_set, linear):
    broken = linear(seed=1).eval()
    batches = Batches(small_set(), SOFT, seed=0, teachers=[broken])
    next(batches)
    batches.check()
    broken[1].weight.data[0, 0] = torch.inf
    assert all(batch.teacher is not None for batch in batches)
    with pytest.raises(DecoctError, match=r"teacher.* not finite"):
        batches.check()


def judge(net, seed=1):
    """A teacher with statistics of its own, so that eval mode differs from train mode."""
    generator = torch.Generator().manual_seed(seed)
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.copy_(torch.rand(norm.num_features, generator=generator))
        norm.running_var.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
    return net.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_the_teachers_label_the_very_batch_that_the_student_sees(small_set, normal_net, kind):
    """Made several batches ahead, the labels equal those of each mixed, cropped batch alone."""
    teachers = [judge(normal_net(seed=s), s) for s in (1, 2)]
    batches = list(Batches(small_set(size=8), replace(SOFT, **kind), seed=0, teachers=teachers))
    assert module.AHEAD < 45 * 8
    for batch in batches:
        with torch.no_grad():
            alone = (teachers[0](batch.images) + teachers[1](batch.images)) / 2
        torch.testing.assert_close(batch.teacher, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("ahead", [1, 20, 4096])
@pytest.mark.parametrize("kind", [{}, {"cutmix": 1.0}, {"mixup": 0.8}, {"dsa": True}, {"hard": 0.5}, {"halves": True}])
def test_how_far_ahead_batches_are_made_changes_nothing(small_set, normal_net, monkeypatch, ahead, kind):
    def made():
        return list(Batches(small_set(size=8), replace(SOFT, **kind), seed=0, teachers=[judge(normal_net(seed=1))]))

    usual = made()
    monkeypatch.setattr(module, "AHEAD", ahead)
    for one, other in zip(usual, made(), strict=True):
        assert torch.equal(one.labels, other.labels)
        torch.testing.assert_close(one.images, other.images)
        torch.testing.assert_close(one.teacher, other.teacher, atol=1e-5, rtol=1e-4)


def test_bfloat16_is_for_the_teachers_inside_alone(small_set, normal_net):
    teacher = judge(normal_net(seed=1))
    exact, rough = (
        next(Batches(small_set(size=8), SOFT, seed=0, teachers=[teacher], machine=Machine(precision=precision)))
        for precision in ("float32", "bfloat16")
    )
    assert torch.equal(exact.images, rough.images) and rough.teacher.dtype == torch.float32
    assert not torch.equal(exact.teacher, rough.teacher)
    torch.testing.assert_close(exact.teacher, rough.teacher, atol=0.05, rtol=0.05)


def test_in_hard_steps_and_only_there_nobody_labels(small_set, linear):
    teacher, looked = linear(seed=1), []
    teacher.register_forward_pre_hook(lambda _, args: looked.append(len(args[0])))
    recipe = replace(SOFT, hard=0.5, cutmix=1.0)
    batches = list(Batches(small_set(n=16), recipe, seed=0, teachers=[teacher]))
    assert [batch.teacher is not None for batch in batches] == [recipe.soft_at(step) for step in range(45)]
    assert [batch.teacher is None for batch in batches].count(True) == 23
    assert sum(looked) == 8 * 22
    assert all(batch.mixed is not None for batch in batches)
    looked.clear()
    assert all(batch.teacher is None for batch in Batches(small_set(), HARD, seed=0, teachers=[teacher])) and not looked


# Halves of batches


def by_hand(make, halves):
    """What nets fresh from ``make`` give for each half by its own statistics."""
    with torch.no_grad():
        return torch.cat([sum(net.train()(half) for net in make()) / len(make()) for half in halves])


@pytest.mark.parametrize("sizes", [(8, 8, 4), (7, 2)])
def test_teachers_label_each_half_of_each_batch_by_its_own_statistics_and_learn_nothing(normal_net, sizes):
    def make():
        return [judge(normal_net(seed=s), s) for s in (1, 2)]

    teachers = make()
    before = [{name: value.clone() for name, value in net.state_dict().items()} for net in teachers]
    x = torch.randn(sum(sizes), 1, 8, 8, generator=torch.Generator().manual_seed(0))
    halves = [half for part in x.split(sizes) for half in part.chunk(2)]
    made = Committee(teachers).label(x, sizes, halves=True)
    torch.testing.assert_close(made, by_hand(make, halves))
    assert (made - Committee(teachers).label(x, sizes)).abs().max() > 0.1
    for net, state in zip(teachers, before, strict=True):
        assert not any(part.training for part in net.modules())
        assert net.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_the_stream_s_teachers_label_in_halves_if_the_recipe_says_so(small_set, normal_net):
    recipe = replace(SOFT, halves=True, pad=1, cutmix=1.0, steps=35)
    for batch in Batches(small_set(size=8), recipe, seed=0, teachers=[judge(normal_net(seed=1))]):
        alone = by_hand(lambda: [judge(normal_net(seed=1))], batch.images.chunk(2))
        torch.testing.assert_close(batch.teacher, alone, atol=1e-5, rtol=1e-4)


def test_a_teacher_that_fails_in_between_gets_its_statistics_back(normal_net):
    net = judge(normal_net(seed=1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(RuntimeError, match="too hot"), by_batch([net]):
        raise RuntimeError("too hot")
    assert not net.training
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())


def test_norms_that_average_over_all_batches_or_keep_nothing_are_left_as_they_are():
    norms = nn.Sequential(nn.BatchNorm1d(3, momentum=None), nn.BatchNorm1d(3, track_running_stats=False)).eval()
    before = {name: value.clone() for name, value in norms.state_dict().items()}
    with by_batch([norms]), torch.no_grad():
        out = norms(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 4 + 2)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    assert norms[1].running_mean is None
    assert all(torch.equal(norms.state_dict()[name], value) for name, value in before.items())


# Stored labels


@dataclass
class Stored:
    """Labels of the steps: the step's number, and perhaps the views of one seed, made in advance."""

    parts: list | None = None
    asked: list = field(default_factory=list)

    def views(self, first, last, seed):
        return None if self.parts is None else View.join(self.parts[first:last])

    def logits(self, first, last, seed, view):
        self.asked.append((first, last, seed))
        return torch.cat([torch.full((size, 3), float(s)) for s, size in enumerate(view.sizes, first)])


@pytest.mark.parametrize("hard", [0.0, 0.5])
def test_stored_labels_are_those_of_the_soft_steps_in_turn(small_set, linear, hard):
    teacher, looked = linear(seed=1), []
    teacher.register_forward_pre_hook(lambda *_: looked.append(1))
    stored, recipe = Stored(), replace(SOFT, hard=hard, cutmix=1.0, pad=1)
    batches = list(Batches(small_set(), recipe, seed=4, teachers=[teacher], labels=stored))
    soft = [batch for batch in batches if batch.teacher is not None]
    assert len(soft) == sum(recipe.soft_at(step) for step in range(45))
    assert [float(batch.teacher.unique()) for batch in soft] == list(range(len(soft)))
    assert [step for first, last, _ in stored.asked for step in range(first, last)] == list(range(len(soft)))
    assert {seed for *_, seed in stored.asked} == {4} and not looked
    online = Batches(small_set(), recipe, seed=4, teachers=[teacher])
    for one, other in zip(batches, online, strict=True):  # labels that fit any view leave the draws alone
        assert torch.equal(one.images, other.images)


def test_stored_views_take_the_place_of_draws(small_set):
    data, recipe = numbered(small_set), replace(SOFT, hard=0.5, cutmix=1.0, pad=1, flip=True)
    drawn = Draws(recipe, 4, seed=77)([rows.flip(0) for rows in islice(order(20, 8, 77), 22)])
    batches = Batches(data, recipe, seed=4, labels=Stored(drawn.split()))
    expected = render(batches.images, drawn, 1).split(drawn.sizes)
    soft = [batch for batch in batches if batch.teacher is not None]
    for batch, images, rows in zip(soft, expected, drawn.rows.split(drawn.sizes), strict=True):
        torch.testing.assert_close(batch.images, images)
        assert torch.equal(batch.labels, rows) and len(batch.teacher) == len(rows)


# A stream that goes on


@pytest.mark.parametrize("ahead", [1, 40])
@pytest.mark.parametrize("kind", [*KINDS, {"dsa": True}, {"jitter": 0.4, "lighting": 0.1}, {"hard": 0.5, "pad": 1}])
def test_a_new_stream_goes_on_from_every_seam_of_another(small_set, linear, monkeypatch, ahead, kind):
    monkeypatch.setattr(module, "AHEAD", ahead)
    recipe = replace(SOFT, steps=18, **kind)

    def fresh():
        return Batches(small_set(), recipe, seed=0, teachers=[linear(seed=1)])

    whole, stream, seams = list(fresh()), fresh(), []
    for step in range(1, 18):
        next(stream)
        if stream.at_seam:
            seams.append(step)
            again = fresh()
            again.restore(stream.state())
            for one, other in zip(whole[step:], again, strict=True):
                assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
                assert (one.teacher is None) == (other.teacher is None)
                assert one.teacher is None or torch.equal(one.teacher, other.teacher)
    five = [4, 9, 14] if "hard" in kind else [5, 10, 15]  # no chunk is soft and hard at once
    assert seams == (list(range(1, 18)) if ahead == 1 else five)
