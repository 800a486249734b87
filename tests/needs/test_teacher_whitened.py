"""Teachers, students and learnt sets of whitened data: who sees what."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from decoct.core.errors import DecoctError
from decoct.core.record import write_json
from decoct.data.augment import dsa
from decoct.data.dataset import load_data
from decoct.data.pixels import Pixels
from decoct.needs.teacher import TEACHER, WEIGHTS, Teach, load_labeller, load_teacher, teach, training_set
from decoct.nets import weights, zoo
from decoct.nets.renormalise import Normalisation, bare
from decoct.training.batches import Batches
from decoct.training.evaluate import correct
from decoct.training.recipe import Recipe
from decoct.training.views import render

NET = "convnet1_w8"
HARD = Recipe(steps=1, batch=8, optimiser="sgd", lr=0.1, weight_decay=0.0, schedule="cosine", dsa=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_data("digits", tmp_path_factory.mktemp("data"), zca=True)


@pytest.fixture(scope="module")
def cell(data, tmp_path_factory):
    """A stored teacher, as ``Teacher.make`` leaves it."""
    folder = tmp_path_factory.mktemp("teacher")
    net, facts = teach(Teach(net=NET, epochs=20), data, seed=0)
    takes = Normalisation.of(**facts["input"])
    weights.write(folder / WEIGHTS, bare(net), facts["class_names"], takes, facts["zca"])
    write_json(folder / TEACHER, facts)
    return folder


def test_a_teacher_takes_normalised_images_and_its_net_sees_whitened_ones(data, cell):
    given, seen = Pixels.of(data, "cpu"), Pixels.seen(data, "cpu")
    images = given.load(np.array(data.val.images))
    teacher = load_teacher(cell, data, "cpu")
    inner = zoo.build(NET, 1, 10, 8, 0).eval()
    inner.load_state_dict(weights.read(cell / WEIGHTS).state)
    with torch.no_grad():
        logits, expected = teacher(given.normalise(images)), inner(seen.normalise(images))
        torch.testing.assert_close(load_labeller(cell, data, "cpu")(seen.normalise(images)), expected)
        wrong = inner(given.normalise(images))
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)
    right = (logits.argmax(1).numpy() == data.val.labels).mean()
    assert right > 0.7 and right > (wrong.argmax(1).numpy() == data.val.labels).mean() + 0.1
    assert np.array_equal(correct(inner, data.val, data, "cpu"), expected.argmax(1).numpy() == data.val.labels)


def test_batches_are_whitened_before_they_are_augmented(data):
    """Zeros that come in from outside are the mean image, and a mirror image is one of what was whitened."""
    batches = Batches(training_set(data), HARD, seed=0)
    view = batches.draws([torch.arange(8)])
    seen = Pixels.seen(data, "cpu")
    whitened = seen.normalise(seen.load(np.array(data.train.images[:8])))
    torch.testing.assert_close(render(batches.images, view), dsa.apply(whitened, view.siamese[0]))


def test_a_teacher_of_other_whitened_data_is_refused(data, cell):
    spec = Teach(net=NET, checkpoint=str(cell / WEIGHTS))
    _, facts = teach(spec, data, seed=0)
    assert facts["zca"] == data.digest and facts["val_accuracy"] > 0.7
    for other in (replace(data, digest="other"), replace(data, whitening=None)):
        with pytest.raises(DecoctError, match="by the ZCA whitening of other data than digits\nload it for the data"):
            teach(spec, other, seed=0)


def test_weights_of_images_that_are_not_whitened_take_normalised_ones_and_label_none(data, tmp_path):
    net = zoo.build(NET, 1, 10, 8, 1).eval()
    weights.write(tmp_path / "w.safetensors", net, data.class_names, Normalisation.of(data.mean, data.std))
    found, facts = teach(Teach(net=NET, checkpoint=str(tmp_path / "w.safetensors")), data, seed=0)
    assert "zca" not in facts
    given = Pixels.of(data, "cpu")
    x = given.normalise(given.load(np.array(data.val.images[:5])))
    with torch.no_grad():
        torch.testing.assert_close(found(x), net(x))
    weights.write(tmp_path / WEIGHTS, bare(found), data.class_names, Normalisation.of(data.mean, data.std))
    write_json(tmp_path / TEACHER, facts)
    with pytest.raises(DecoctError, match="cannot label the whitened images of digits"):
        load_labeller(tmp_path, data, "cpu")
