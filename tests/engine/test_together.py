"""Students trained together against each trained alone, in double precision, where nothing but rounding may differ."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError
from decoct.engine.batches import Batches
from decoct.engine.objective import objective
from decoct.engine.recipe import Recipe
from decoct.engine.together import Pupil, abreast, cannot, objectives, train_together
from decoct.engine.train import Trained, train
from decoct.nets import zoo
from decoct.nets.convnet import ConvNet

ADAM = Recipe(steps=12, batch=8, optimiser="adamw", lr=1e-2, weight_decay=0.1, schedule="cosine", pad=1, flip=True)
SGD = Recipe(
    steps=12,
    batch=8,
    optimiser="sgd",
    lr=0.05,
    momentum=0.9,
    weight_decay=0.01,
    decay_all=True,
    schedule="multistep",
    milestones=(7,),
    restart=True,
)
SOFT = replace(ADAM, loss="kl", temperature=4.0, schedule="half_cosine", cutmix=1.0, ema=0.9)
RECIPES = {
    "adam": ADAM,
    "sgd": SGD,
    "dsa": replace(SGD, dsa=True, flip=True),
    "cutmix": replace(ADAM, cutmix=1.0, smoothing=0.1),
    "mixup, boxes": replace(SGD, mixup=1.0, pad=0, scale=(0.3, 1.0), jitter=0.4, lighting=0.1),
    "average": replace(ADAM, ema=0.8),
    "kl": SOFT,
    "kl, in halves, hard in between": replace(SOFT, halves=True, hard=0.5),
    "mse": replace(SOFT, loss="mse_ce", ce_weight=0.3),
}


class Grouped(nn.Sequential):
    """A net with group norm, an inner module and a scalar of its own."""

    def __init__(self):
        block = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU())
        super().__init__(block, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(32, 3))
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return self.scale * super().forward(x)


NETS = {
    "batch": lambda: ConvNet(1, 3, 8, width=8, depth=2, norm="batch"),
    "instance": lambda: ConvNet(1, 3, 8, width=8, depth=2),
    "group": Grouped,
}


def made(norm, seed):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(seed)
        return NETS[norm]().double()


@pytest.fixture
def sets(toy):
    """Sets of double precision; the second one has weights."""

    def make(count, n=21):
        plain = [
            toy(n, size=8, seed=seed, weights=torch.arange(n).float() + 1 if seed == 1 else None)
            for seed in range(count)
        ]
        return [replace(data, images=data.images.double() / 255) for data in plain]

    return make


def teachers_for(recipe):
    return [] if recipe.loss == "ce" else [made("batch", 9).eval()]


def together(norm, data, recipe, first=0):
    nets = [made(norm, first + k) for k in range(len(data))]
    pupils = [Pupil(net, own, first + k) for k, (net, own) in enumerate(zip(nets, data, strict=True))]
    return nets, train_together(pupils, recipe, teachers=teachers_for(recipe))


def assert_alike(net, other, atol=1e-6, rtol=1e-6):
    """Equal weights, statistics and logits; a bias in front of a norm has no gradient but rounding."""
    for (name, ours), theirs in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=rtol, msg=lambda said, name=name: f"{name}: {said}")


@pytest.mark.parametrize("norm", NETS)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_each_is_the_student_trained_alone(sets, norm, recipe):
    data = sets(3)
    nets, found = together(norm, data, recipe)
    for k, (net, done) in enumerate(zip(nets, found, strict=True)):
        alone = made(norm, k)
        expected = train(alone, data[k], recipe, seed=k, teachers=teachers_for(recipe))
        assert_alike(net, alone)
        assert (done.steps, done.images_seen) == (expected.steps, expected.images_seen)
        assert done.loss == pytest.approx(expected.loss, rel=1e-6)
        assert not net.training
    assert not torch.allclose(
        nets[0].state_dict()["0.0.weight" if norm == "group" else "features.0.weight"],
        nets[2].state_dict()["0.0.weight" if norm == "group" else "features.0.weight"],
        atol=0.01,
    )


def test_after_many_steps_they_still_agree(sets):
    recipe, data = replace(SGD, steps=120, milestones=(80,), ema=0.99), sets(2)
    nets, _ = together("batch", data, recipe)
    for k, net in enumerate(nets):
        alone = made("batch", k)
        train(alone, data[k], recipe, seed=k)
        assert_alike(net, alone, atol=1e-5, rtol=1e-4)


def test_in_single_precision_losses_and_logits_agree(toy):
    data, recipe = [toy(20, size=8, seed=k) for k in range(2)], replace(ADAM, cutmix=1.0)
    nets = [made("instance", k).float() for k in range(2)]
    found = train_together([Pupil(net, own, 5) for net, own in zip(nets, data, strict=True)], recipe)
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for k, net in enumerate(nets):
        alone = made("instance", k).float()
        assert found[k].loss == pytest.approx(train(alone, data[k], recipe, seed=5).loss, rel=1e-4)
        torch.testing.assert_close(net(x), alone(x), atol=1e-4, rtol=1e-3)


def test_bfloat16_is_that_of_the_single_loop_within_its_rounding(toy):
    data, nets, alone = toy(20, size=8), [made("instance", k).float() for k in (0, 1)], made("instance", 1).float()
    found = train_together([Pupil(net, data, 5) for net in nets], ADAM, precision="bfloat16")
    expected = train(alone, data, ADAM, seed=5, precision="bfloat16")
    assert found[1].loss == pytest.approx(expected.loss, abs=0.05)
    assert all(p.dtype == torch.float32 for p in nets[1].parameters())


def test_seeds_decide_the_draws_alone(sets):
    data = sets(1) * 3
    nets = [made("instance", 0) for _ in range(3)]
    train_together([Pupil(net, own, seed) for net, own, seed in zip(nets, data, (4, 4, 5), strict=True)], ADAM)
    first, again, other = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    torch.testing.assert_close(first, again, atol=1e-9, rtol=1e-9)
    assert (first - other).abs().max() > 1e-3


def test_one_that_diverges_fails_alone_with_the_words_of_the_single_loop(sets):
    data = sets(3)
    data[1] = replace(data[1], images=data[1].images * 1e200, weights=None)
    nets, found = together("instance", data, SGD)
    with pytest.raises(DecoctError) as error:
        train(made("instance", 1), data[1], SGD, seed=1)
    assert isinstance(found[1], DecoctError) and str(found[1]) == str(error.value)
    for k in (0, 2):
        alone = made("instance", k)
        train(alone, data[k], SGD, seed=k)
        assert isinstance(found[k], Trained)
        assert_alike(nets[k], alone)


def test_where_all_diverge_the_rest_of_the_steps_is_not_taken(sets):
    data = [replace(own, images=own.images * 1e200, weights=None) for own in sets(2)]
    told = []
    pupils = [Pupil(made("instance", k), own, k) for k, own in enumerate(data)]
    found = train_together(pupils, replace(SGD, steps=120), progress=lambda done, total: told.append(done))
    assert [str(error) for error in found] == ["the training loss is not finite at step 1 of 120: lower lr"] * 2
    assert told == []


def test_sets_of_other_sizes_and_soft_labels_of_nobody_are_refused(sets):
    with pytest.raises(DecoctError, match="as many images"):
        together("instance", [*sets(1), *sets(1, n=20)], ADAM)
    pupils = [Pupil(made("instance", 0), own, 0) for own in sets(2)]
    with pytest.raises(DecoctError, match="'kl' needs at least one label teacher"):
        train_together(pupils, SOFT)


def test_the_loss_of_several_is_that_of_each(sets):
    data, recipe = sets(2), replace(SOFT, mixup=0.7, cutmix=0.0)
    streams = [[*Batches(own, recipe, seed=k, teachers=teachers_for(recipe))] for k, own in enumerate(data)]
    generator = torch.Generator().manual_seed(0)
    for both, *single in zip(abreast([iter(stream) for stream in streams]), *streams, strict=True):
        logits = torch.randn(2, len(both), 3, generator=generator, dtype=torch.float64)
        for kind in (recipe, replace(recipe, loss="mse_ce", ce_weight=0.5), replace(recipe, loss="ce")):
            said = None if kind.loss == "ce" else both.teacher
            found = objectives(logits, both.labels, both.weights, said, kind, both.mixed)
            for k, one in enumerate(single):
                teacher = None if kind.loss == "ce" else one.teacher
                expected = objective(logits[k], one.labels, one.weights, teacher, kind, one.mixed)
                torch.testing.assert_close(found[k], expected, atol=1e-12, rtol=1e-6)


# What cannot be batched


class Drops(ConvNet):
    """Draws in training."""

    def __init__(self):
        super().__init__(1, 3, 8, width=8, depth=1)
        self.features.append(nn.Dropout(0.5))


class Looks(ConvNet):
    """Does what the data tell it to."""

    def __init__(self):
        super().__init__(1, 3, 8, width=8, depth=1)

    def forward(self, x):
        return super().forward(x) * (2 if float(x.detach().sum()) > 0 else 1)


class Counts(ConvNet):
    """Puts another tensor in the place of its buffer, which is lost where the net is called as a function."""

    def __init__(self):
        super().__init__(1, 3, 8, width=8, depth=1)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen = self.seen + len(x)
        return super().forward(x)


@pytest.mark.parametrize(
    ("net", "said"), [(Drops, "random"), (Looks, "cannot batch it"), (Counts, "computes something else")]
)
def test_nets_that_cannot_be_batched_say_why(net, said):
    student = net()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    assert said in cannot(student, (1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


@pytest.mark.parametrize("name", ["convnet3_w8", "convnet3_bn_w8", "resnet_ap10", "test_efficientnet"])
def test_nets_of_all_families_can(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cannot(zoo.build(name, 3, 10, 32, seed=0), (3, 32, 32)) is None
