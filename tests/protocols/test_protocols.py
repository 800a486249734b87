"""Every number of the protocols, against the tables they come from."""

import pytest

from decoct.core.errors import UsageError
from decoct.core.kinds import Task
from decoct.core.spec import names, parse
from decoct.engine.recipe import Recipe
from decoct.engine.train import schedule

SMALL = [8, 28, 32, 64]
LARGE = [128, 224]


def recipe(name, images=100, size=28, flip=False, ceiling=False, classes=10, **fields) -> Recipe:
    return parse("protocol", {"name": name, **fields}).recipe(Task(images, classes, size, flip, ceiling))


def test_these_are_all():
    assert set(names("protocol")) == {"erm", "single_teacher", "multi_teacher", "dc"}


@pytest.mark.parametrize("size", SMALL + LARGE)
@pytest.mark.parametrize("name", ["erm", "single_teacher", "multi_teacher"])
def test_what_the_three_share(name, size):
    made = recipe(name, size=size, flip=True)
    assert (made.optimiser, made.lr, made.weight_decay, made.decay_all) == ("adamw", 1e-3, 0.01, False)
    assert made.flip
    assert not recipe(name, size=size, flip=False).flip
    assert made.steps == 300 * -(-100 // made.batch)
    assert recipe(name, size=size, ceiling=True).steps == 20 * -(-100 // made.batch)
    assert recipe(name, size=size, steps=500).steps == 500
    assert recipe(name, size=size, epochs=1000).steps == 1000 * -(-100 // made.batch)


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize("name", ["erm", "single_teacher", "multi_teacher"])
def test_small_images_have_one_batch_rule_and_one_augmentation(name, size):
    assert [recipe(name, images=n, size=size).batch for n in (10, 100, 500, 2000)] == [10, 16, 62, 128]
    made = recipe(name, size=size)
    crops = {8: (1, None), 28: (4, None), 32: (4, None), 64: (0, (0.25, 1.0))}
    assert (made.pad, made.scale) == crops[size]


@pytest.mark.parametrize("size", SMALL + LARGE)
def test_erm_is_plain(size):
    made = recipe("erm", size=size)
    assert (made.loss, made.schedule, made.cutmix, made.ema) == ("ce", "cosine", 0.0, None)
    assert schedule(made, 0) == 1.0
    assert schedule(made, made.steps // 2) == pytest.approx(0.5)
    assert schedule(made, made.steps) == pytest.approx(0.0, abs=1e-12)
    assert parse("protocol", "erm").label_teachers(size) == ()


@pytest.mark.parametrize("size", SMALL + LARGE)
def test_single_teacher_is_kl_at_20_with_cutmix_from_28_px(size):
    made = recipe("single_teacher", size=size)
    assert (made.loss, made.temperature, made.schedule, made.ema) == ("kl", 20.0, "half_cosine", None)
    assert made.cutmix == (1.0 if size >= 28 else 0.0)
    assert parse("protocol", "single_teacher").label_teachers(size) == ("teacher",)
    assert parse("protocol", {"name": "single_teacher", "teacher": "resnet10t"}).label_teachers(size) == ("resnet10t",)


@pytest.mark.parametrize("size", SMALL + LARGE)
def test_multi_teacher_is_mse_with_a_little_ce_and_an_average_of_weights(size):
    made = recipe("multi_teacher", size=size)
    assert (made.loss, made.ce_weight, made.schedule, made.ema) == ("mse_ce", 0.025, "half_cosine", 0.99)
    assert made.cutmix == (1.0 if size >= 28 else 0.0)
    committee = {
        8: {"convnet3_bn", "resnet10t", "test_resnet"},
        28: {"convnet3_bn", "resnet10t", "test_resnet"},
        32: {"convnet3_bn", "resnet10t", "resnet18"},
        64: {"convnet3_bn", "resnet10t", "resnet18"},
        128: {"resnet18", "mobilenetv2_100", "shufflenet_v2_x0_5", "densenet121"},
        224: {"resnet18", "mobilenetv2_100", "shufflenet_v2_x0_5", "densenet121"},
    }
    spec = parse("protocol", "multi_teacher")
    assert set(spec.label_teachers(size)) == committee[size]
    assert len(spec.label_teachers(size)) == len(committee[size])
    named = parse("protocol", {"name": "multi_teacher", "teachers": ["resnet18", "convnet3_bn"]})
    assert named.label_teachers(size) == ("resnet18", "convnet3_bn")


def test_the_half_stretched_cosine_ends_at_half_the_rate():
    for name in ("single_teacher", "multi_teacher"):
        made = recipe(name)
        assert schedule(made, 0) == 1.0
        assert schedule(made, made.steps) == pytest.approx(0.5)


@pytest.mark.parametrize("size", LARGE)
def test_large_images_have_the_papers_batches_and_crops(size):
    assert recipe("erm", images=5000, size=size).batch == 128
    assert recipe("multi_teacher", images=5000, size=size).batch == 100
    # single_teacher: 100 up to ten images a class on average, 200 above
    assert recipe("single_teacher", images=10_000, classes=1000, size=size).batch == 100
    assert recipe("single_teacher", images=10_001, classes=1000, size=size).batch == 200
    assert recipe("single_teacher", images=50, size=size).batch == 50
    assert [recipe(name, size=size).scale for name in ("erm", "single_teacher", "multi_teacher")] == [
        (0.08, 1.0),
        (0.08, 1.0),
        (0.5, 1.0),
    ]
    assert all(recipe(name, size=size).pad == 0 for name in names("protocol"))


@pytest.mark.parametrize("name", ["single_teacher", "multi_teacher"])
def test_cutmix_can_be_set_at_every_size(name):
    assert recipe(name, size=8, cutmix=0.5).cutmix == 0.5
    assert recipe(name, size=224, cutmix=0.0).cutmix == 0.0


@pytest.mark.parametrize("size", SMALL + LARGE)
def test_dc_has_the_same_numbers_everywhere(size):
    made = recipe("dc", images=500, size=size, flip=True)
    assert (made.optimiser, made.lr, made.momentum, made.weight_decay, made.decay_all) == ("sgd", 0.01, 0.9, 5e-4, True)
    assert (made.pad, made.scale, made.flip, made.cutmix, made.loss, made.ema) == (0, None, False, 0.0, "ce", None)
    assert (made.batch, made.steps) == (256, 300 * 2)
    # once, after epoch E/2 + 1 = 151
    assert made.drop_at == 151 * 2
    assert [schedule(made, step) for step in (0, 301, 302, 599)] == [1.0, 1.0, 0.1, 0.1]
    assert parse("protocol", "dc").label_teachers(size) == ()


def test_dc_on_few_images_and_as_the_ceiling():
    assert recipe("dc", images=10).batch == 10
    assert recipe("dc", images=10).steps == 300
    assert recipe("dc", images=5000, ceiling=True).steps == 20 * 20
    assert recipe("dc", images=5000, ceiling=True).drop_at == 11 * 20


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("erm", {"epochs": 0}),
        ("erm", {"steps": 0}),
        ("erm", {"batch": 1}),
        ("erm", {"lr": 0}),
        ("single_teacher", {"temperature": 0}),
        ("single_teacher", {"cutmix": -1}),
        ("multi_teacher", {"teachers": []}),
        ("multi_teacher", {"ema": 1}),
        ("dc", {"epochs": 0}),
        ("dc", {"momentum": 1}),
        ("dc", {"lr": float("inf")}),
    ],
)
def test_values_that_mean_nothing_are_refused(name, fields):
    with pytest.raises(UsageError, match=next(iter(fields))):
        recipe(name, **fields)
