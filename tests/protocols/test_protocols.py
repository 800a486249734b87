"""Every number of the protocols, against the tables they come from."""

from dataclasses import replace

import pytest

from decoct.core.errors import UsageError
from decoct.core.interfaces import Task
from decoct.core.spec import names, parse
from decoct.nets import zoo
from decoct.protocols.dc import DC
from decoct.training.loop import schedule
from decoct.training.recipe import Recipe

SOFT = ["single_teacher", "multi_teacher"]
SMALL = [8, 28, 32, 64]
LARGE = [128, 224]


def recipe(name, images=100, size=28, flip=False, ceiling=False, classes=10, mosaic=1, **fields) -> Recipe:
    task = Task(images, classes, size, flip, ceiling, mosaic=mosaic)
    return parse("protocol", {"name": name, **fields}).recipe(task)


def test_these_are_all():
    assert set(names("protocol")) == {"erm", "erm_long", "single_teacher", "multi_teacher", "dc", "finetune", "probe"}


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
        8: {"convnet2_bn", "resnet10t", "test_resnet"},
        28: {"convnet3_bn", "resnet10t", "test_resnet"},
        32: {"convnet3_bn", "resnet10t", "test_resnet"},
        64: {"convnet4_bn", "resnet10t", "test_resnet"},
        128: {"resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "densenet121"},
        224: {"resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "densenet121"},
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


# the nets that each paper's relabel script loads on ImageNet-1K, and torchvision's and timm's words for their weights
COMMITTEES = {
    "edc": "resnet18.tv_in1k mobilenet_v2.tv_in1k shufflenet_v2_x0_5.tv_in1k alexnet.tv_in1k",
    "g_vbsm": "resnet18.tv_in1k mobilenet_v2.tv_in1k efficientnet_b0.ra_in1k shufflenet_v2_x0_5.tv_in1k",
    "fadrm": "resnet18.tv_in1k densenet121.tv_in1k shufflenet_v2_x1_0.tv_in1k mobilenet_v2.tv_in1k",
}


@pytest.mark.parametrize(("name", "nets"), COMMITTEES.items())
def test_a_committee_is_named_by_whose_it_is(name, nets):
    spec = parse("protocol", {"name": "multi_teacher", "committee": name})
    assert set(spec.label_teachers(224)) == set(spec.label_teachers(65)) == set(nets.split())
    for net in spec.label_teachers(224):
        zoo.check_name(net)
    with pytest.raises(
        UsageError, match=f"committee = '{name}' is of nets for more than 64 px.*\nname some with teachers"
    ):
        spec.label_teachers(64)
    assert spec.recipe(Task(100, 10, 224, False)) == recipe("multi_teacher", size=224)


def test_a_committee_and_its_teachers_are_not_both_named():
    with pytest.raises(UsageError, match="name a committee or its teachers, not both"):
        recipe("multi_teacher", committee="edc", teachers=["resnet18"])
    with pytest.raises(UsageError, match=r"edc.*g_vbsm.*fadrm"):
        recipe("multi_teacher", committee="cv_dd")


# batches of RDED (single) and EDC (multi) at classes and images a class
BATCHES = [(10, 10, 50, 50), (10, 50, 100, 50), (10, 1, 10, 10), (2, 11, 22, 22), (10, 11, 100, 50)]
BATCHES += [(11, 10, 100, 100), (100, 10, 100, 100), (100, 11, 200, 100), (1000, 10, 100, 100), (1000, 50, 200, 100)]


@pytest.mark.parametrize(("classes", "ipc", "single", "multi"), BATCHES)
@pytest.mark.parametrize("size", LARGE)
def test_large_images_have_the_papers_batches(size, classes, ipc, single, multi):
    names = ("single_teacher", "multi_teacher", "erm")
    made = [recipe(name, images=classes * ipc, classes=classes, size=size) for name in names]
    assert [each.batch for each in made] == [single, multi, min(128, classes * ipc)]


def test_ten_images_of_ten_classes_train_600_steps():
    steps = {name: [recipe(name, images=10 * ipc, size=224).steps for ipc in (10, 50)] for name in SOFT}
    assert steps == {"single_teacher": [600, 1500], "multi_teacher": [600, 3000]}


@pytest.mark.parametrize("size", LARGE)
def test_large_images_have_the_papers_crops(size):
    assert [recipe(name, size=size).scale for name in ("erm", "single_teacher", "multi_teacher")] == [
        (0.08, 1.0),
        (0.08, 1.0),
        (0.5, 1.0),
    ]
    assert all(recipe(name, size=size).pad == 0 for name in names("protocol"))


@pytest.mark.parametrize("name", SOFT)
def test_the_papers_options_are_fields(name):
    line = recipe(name, schedule="half_linear")
    assert [schedule(line, step) for step in (0, line.steps // 2, line.steps)] == [1.0, 0.75, 0.5]
    mse = recipe(name, loss="mse_ce", ce_weight=0.1, ema=0.9, schedule="cosine")
    assert (mse.loss, mse.ce_weight, mse.temperature, mse.ema, mse.schedule) == ("mse_ce", 0.1, 1.0, 0.9, "cosine")
    kl = recipe(name, loss="kl", temperature=4.0, ema=None)
    assert (kl.loss, kl.ce_weight, kl.temperature, kl.ema) == ("kl", 0.0, 4.0, None)
    assert recipe(name, bssl=True).halves and not recipe(name).halves
    mixed = recipe(name, mixup=0.8)
    assert (mixed.mixup, mixed.cutmix) == (0.8, 0.0)


@pytest.mark.parametrize("name", SOFT)
def test_hald_is_soft_hard_soft(name):
    made = recipe(name, hard=0.5, epochs=300)
    first, last = made.hard_steps
    assert (first, last) == (made.steps // 4, 3 * made.steps // 4)  # 75, 150 and 75 of 300 epochs
    assert made.smoothing == 0.8
    assert [made.soft_at(step) for step in (0, first - 1, first, last - 1, last, made.steps - 1)] == [
        *(True, True, False, False, True, True)
    ]
    assert recipe(name).smoothing == 0.0
    assert all(recipe(name).soft_at(step) for step in range(recipe(name).steps))


@pytest.mark.parametrize(("size", "scale"), [(28, None), (64, (0.5, 1.0)), (224, (0.5, 1.0))])
def test_a_mosaic_s_tiles_are_shuffled_and_a_crop_keeps_at_least_the_area_of_two_of_four(size, scale):
    made = recipe("single_teacher", size=size, mosaic=2)
    assert (made.shuffle, made.scale) == (2, scale)
    assert recipe("single_teacher", size=size, mosaic=2, shuffle=1).shuffle == 1
    assert recipe("multi_teacher", size=size, mosaic=2).shuffle == 1
    assert recipe("erm", size=size, mosaic=2).shuffle == 1


@pytest.mark.parametrize("name", ["erm", "erm_long", *SOFT])
def test_every_protocol_but_dc_can_train_on_the_images_as_they_are(name):
    made = recipe(name, size=224, flip=True, augment=False)
    assert made == recipe(name, size=224, flip=True).plain()
    assert (made.scale, made.pad, made.flip, made.cutmix, made.jitter) == (None, 0, False, 0.0, 0.0)


@pytest.mark.parametrize("name", ["erm", "erm_long", *SOFT, "dc"])
def test_equal_steps_at_every_size_is_one_field(name):
    assert {recipe(name, images=n, steps=700).steps for n in (10, 100, 500)} == {700}


HUNDRED = {3000: 2000, 2000: 1300, 1500: 1000, 1000: 600, 500: 300, 300: 200}  # at 100 classes, in its code
# images a class: epochs, as MinimaxDiffusion's table has them
LONG = {1: 3000, 2: 2000, 10: 2000, 11: 1500, 50: 1500, 51: 1000, 200: 1000, 201: 500, 500: 500, 501: 300}


@pytest.mark.parametrize(("ipc", "epochs"), LONG.items())
def test_erm_long_trains_longer_the_fewer_the_images(ipc, epochs):
    made = recipe("erm_long", images=10 * ipc, size=224)
    assert made.steps == epochs * -(-10 * ipc // made.batch)
    hundred = recipe("erm_long", images=100 * ipc, size=224, classes=100)
    assert hundred.steps == HUNDRED[epochs] * -(-100 * ipc // 64)
    for classes, batch in ((20, 64), (200, 128)):  # two thirds are of 100 classes alone
        made = recipe("erm_long", images=classes * ipc, size=224, classes=classes)
        assert made.steps == epochs * -(-classes * ipc // min(batch, classes * ipc))


def test_erm_long_beyond_100_classes_has_another_rate_decay_and_batch():
    made = {classes: recipe("erm_long", images=10 * classes, size=224, classes=classes) for classes in (10, 100, 101)}
    numbers = {classes: (each.lr, each.weight_decay, each.batch) for classes, each in made.items()}
    assert numbers == {10: (0.01, 5e-4, 64), 100: (0.01, 5e-4, 64), 101: (0.1, 1e-4, 128)}
    own = recipe("erm_long", images=2000, classes=200, size=224, lr=0.02, weight_decay=0.0, batch=32)
    assert (own.lr, own.weight_decay, own.batch) == (0.02, 0.0, 32)


def test_erm_long_s_rate_falls_between_epochs():
    made = recipe("erm_long", images=1000, classes=100, size=224)  # 1,300 epochs of 16 batches
    assert (made.steps, made.milestones) == (1300 * 16, (866 * 16, 1083 * 16))
    assert recipe("erm_long", images=1000, steps=100).milestones == (66, 83)


def test_erm_long_is_the_generative_papers_recipe():
    made = recipe("erm_long", images=100, size=224, flip=True)
    assert (made.optimiser, made.lr, made.momentum, made.weight_decay, made.batch) == ("sgd", 0.01, 0.9, 5e-4, 64)
    assert (made.scale, made.flip, made.cutmix, made.jitter, made.lighting) == ((0.5, 1.0), True, 1.0, 0.4, 0.1)
    assert (made.loss, made.ema, made.restart, made.decay_all) == ("ce", None, False, True)
    third, sixth = 1333 * 2, 1666 * 2  # of 2,000 epochs of two batches
    rates = [schedule(made, step) for step in (0, third - 1, third, sixth - 1, sixth, made.steps - 1)]
    assert rates == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04])
    assert recipe("erm_long", ceiling=True, images=1000).steps == 20 * -(-1000 // 64)


@pytest.mark.parametrize("name", ["single_teacher", "multi_teacher"])
def test_cutmix_can_be_set_at_every_size(name):
    assert recipe(name, size=8, cutmix=0.5).cutmix == 0.5
    assert recipe(name, size=224, cutmix=0.0).cutmix == 0.0


@pytest.mark.parametrize("size", SMALL + LARGE)
def test_dc_has_the_same_numbers_everywhere(size):
    made = recipe("dc", images=500, size=size, flip=True)
    assert (made.optimiser, made.lr, made.momentum, made.weight_decay, made.decay_all) == ("sgd", 0.01, 0.9, 5e-4, True)
    assert (made.pad, made.scale, made.flip, made.cutmix, made.loss, made.ema) == (0, None, False, 0.0, "ce", None)
    assert (made.batch, made.steps) == (256, 301 * 2)
    rate, rates = 1.0, []
    for epoch in range(300 + 1):  # as the lineage's code counts, in which E = 300 is 301 passes
        rates += [rate] * 2
        rate *= 0.1 if epoch == 300 // 2 + 1 else 1
    assert [schedule(made, step) for step in range(made.steps)] == rates and made.restart
    assert parse("protocol", "dc").label_teachers(size) == ()


def test_dc_on_few_images_and_as_the_ceiling():
    assert recipe("dc", images=10).batch == 10
    assert recipe("dc", images=10).steps == 301
    assert recipe("dc", images=5000, ceiling=True).steps == 20 * 20
    assert recipe("dc", images=5000, ceiling=True).milestones == (11 * 20,)


def test_dc_with_dsa_runs_longer_and_flips_where_the_data_may():
    made = recipe("dc", images=500, dsa=True, flip=True)
    assert (made.dsa, made.flip, made.steps) == (True, True, 1001 * 2)
    assert not recipe("dc", images=500, dsa=True, flip=False).flip
    assert recipe("dc", images=500, dsa=True, epochs=10).steps == 22


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("erm", {"epochs": 0}),
        ("erm", {"steps": 0}),
        ("erm", {"batch": 1}),
        ("erm", {"lr": 0}),
        ("single_teacher", {"temperature": 0}),
        ("single_teacher", {"cutmix": -1}),
        ("single_teacher", {"hard": 1}),
        ("single_teacher", {"shuffle": 0}),
        ("single_teacher", {"labels": {"prune": 0.5}}),
        ("single_teacher", {"labels": {"bits": 4}}),
        ("erm_long", {"scale": 0}),
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


@pytest.mark.parametrize("name", SOFT)
def test_a_batch_is_mixed_in_one_way(name):
    with pytest.raises(UsageError, match="cutmix or by mixup"):
        recipe(name, mixup=0.8, cutmix=1.0)


def test_dc_learns_from_own_labels_where_it_is_asked_and_the_set_has_some():
    soft, plain = Task(10, 10, 28, flip=False, soft_labels=True), Task(10, 10, 28, flip=False)
    assert DC(own_labels=True).recipe(soft) == replace(DC().recipe(soft), loss="kl") and DC().recipe(soft).loss == "ce"
    assert DC(own_labels=True).recipe(soft).temperature == 1.0
    assert DC(own_labels=True).recipe(plain) == DC().recipe(plain)


def test_dc_starts_at_the_learnt_rate_where_it_is_asked_and_the_set_has_one():
    learnt, plain = Task(10, 10, 28, flip=False, rate=0.03), Task(10, 10, 28, flip=False)
    assert DC(own_rate=True).recipe(learnt) == replace(DC().recipe(plain), lr=0.03)
    assert DC().recipe(learnt) == DC(own_rate=True, lr=0.01).recipe(plain) == DC().recipe(plain)
    assert DC(own_rate=True).identity() != DC().identity()


def test_dc_with_own_labels_has_another_key():
    assert DC(own_labels=True).identity() != DC().identity()
    assert parse("protocol", DC(own_labels=True).config()) == DC(own_labels=True)
