"""A net that is fine-tuned starts from its weights, sees what they expect, and leaves frozen layers as they are."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from decoct.core.errors import DecoctError
from decoct.nets import zoo
from decoct.nets.started import inner
from decoct.shrinking.learners.fine_tune import FineTune
from decoct.shrinking.learners.net import training_set
from decoct.shrinking.pool import Pool

ROWS, HELD = np.arange(0, 240, 4), np.arange(299, 270, -1)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of timm's test_resnet with a head of seven classes."""
    file = tmp_path / "weights.safetensors"
    save_file(dict(zoo.build("test_resnet", 3, 7, 32, seed=11).state_dict()), file)
    return file


@pytest.fixture
def tuned(weights: Path) -> FineTune:
    return FineTune(f"timm:test_resnet@{weights}", epochs=1, least=3, batch=16)


def test_it_starts_from_the_weights_under_a_fresh_head(tuned: FineTune, coloured: Pool) -> None:
    net = inner(tuned.build(coloured, training_set(coloured, ROWS), seed=1))
    expected = zoo.build("test_resnet", 3, 7, 32, seed=11).state_dict()
    for name, value in net.state_dict().items():
        if not name.startswith("fc."):
            torch.testing.assert_close(value, expected[name], rtol=0, atol=0)
    assert net.get_submodule("fc").out_features == 10
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_equal_calls_give_equal_bytes_and_seeds_differ(tuned: FineTune, coloured: Pool) -> None:
    again = pickle.loads(pickle.dumps(tuned))
    one, two = (each.probabilities(coloured, ROWS, HELD, seed=0) for each in (tuned, again))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (29, 10)
    np.testing.assert_allclose(one.sum(1), 1, atol=1e-5)
    assert np.abs(one - tuned.probabilities(coloured, ROWS, HELD, seed=1)).max() > 1e-4


def test_grey_images_are_seen_in_three_channels(tuned: FineTune, pool: Pool, coloured: Pool) -> None:
    grey, colour = (tuned.probabilities(images, ROWS, HELD, seed=0) for images in (pool, coloured))
    np.testing.assert_allclose(grey, colour, atol=1e-5)


def test_its_material_has_the_features_behind_the_head(tuned: FineTune, coloured: Pool) -> None:
    material = tuned.material(coloured, ROWS, seed=0)
    assert material.features.shape[0] == 60
    assert material.traces.runs[0].probability.shape == (1, 60)


def test_what_decides_is_the_content_of_the_file(tuned: FineTune, weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    assert replace(tuned, student=f"test_resnet@{copy}").config() == tuned.config()
    save_file(dict(zoo.build("test_resnet", 3, 7, 32, seed=12).state_dict()), copy)
    assert replace(tuned, student=f"test_resnet@{copy}").config() != tuned.config()
    assert tuned.title.startswith("test_resnet@") and tuned.title.endswith(", fine-tuned")


def test_weights_that_nobody_has_are_an_error_at_once(pool: Pool) -> None:
    with pytest.raises(DecoctError, match="nobody has pretrained convnet1_w8"):
        FineTune("convnet1_w8").config()
    with pytest.raises(DecoctError, match="nobody has pretrained convnet1_w8"):
        FineTune("convnet1_w8").probabilities(pool, ROWS, HELD, seed=0)


def test_a_callable_brings_its_own_weights(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def make(classes, channels, size):\n"
        "    net = nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, 5), nn.ReLU(), nn.Linear(5, classes))\n"
        "    nn.init.constant_(net[1].weight, 0.25)\n"
        "    return net\n"
    )
    monkeypatch.chdir(tmp_path)
    learner = FineTune("mine:make", epochs=1, least=2, freeze=1)
    data = training_set(pool, ROWS)
    net = learner.build(pool, data, seed=0)
    assert (inner(net).get_submodule("1").weight == 0.25).all()
    seen = torch.from_numpy((pool.images[HELD] / 255 - data.mean[0]) / data.std[0]).float()
    np.testing.assert_allclose(net(seen).detach(), inner(net)(seen).detach(), atol=1e-5)
    monkeypatch.chdir("/")  # as in a worker
    assert learner.probabilities(pool, ROWS, HELD, seed=0).shape == (29, 10)
