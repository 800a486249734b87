"""Where learnt images start, and what they end as."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs, Kept
from decoct.methods.matching._shared.synthetic import Synthetic, check_enough, in_data_scale
from decoct.training.learn import ends


class Rows(SimpleNamespace):
    def __len__(self):
        return len(self.labels)


def inputs(ipc=2, seed=5, per_class=6, kept=None, **rest):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), per_class))
    images = rng.integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8)
    data = SimpleNamespace(
        train=Rows(images=images, labels=labels),
        class_names=("a", "b", "c"),
        mean=(0.4,),
        std=(0.2,),
        flip=False,
        whitening=None,
        shape=(1, 4, 4),
        size=4,
    )
    return Inputs(data, Budget(ipc=ipc), seed, kept=kept or Kept(), **rest)


def test_real_starts_are_images_of_their_class_each_once():
    given = inputs(ipc=6)
    made = Synthetic.start(given, "method", "real")
    for c in range(3):
        mine = {image.tobytes() for image in given.data.train.images[given.data.train.labels == c]}
        assert {image.tobytes() for image in made.initial[6 * c : 6 * c + 6]} == mine
    assert made.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    expected = (torch.from_numpy(made.initial) / 255 - 0.4) / 0.2
    assert torch.allclose(made.images, expected, atol=1e-5) and made.images.is_leaf and made.images.requires_grad
    assert torch.equal(made.of_class(1), made.images[6:12])


@pytest.mark.parametrize("init", ["real", "noise"])
def test_starts_hang_on_the_seed_and_the_method(init):
    def start(seed, name):
        return Synthetic.start(inputs(seed=seed), name, init).images.detach()

    assert torch.equal(start(0, "a"), start(0, "a"))
    assert not torch.equal(start(0, "a"), start(1, "a")) and not torch.equal(start(0, "a"), start(0, "b"))


def test_noise_is_standard_normal_behind_the_normalisation():
    noise = Synthetic.start(inputs(ipc=500, per_class=500), "method", "noise").images.detach()
    assert abs(float(noise.mean())) < 0.03 and abs(float(noise.std()) - 1) < 0.03


def test_a_draft_is_in_the_scale_of_the_data_and_not_clipped():
    made = Synthetic.start(inputs(), "method", "real")
    assert np.allclose(made.draft(torch.zeros(0)).images, made.initial / 255, atol=1e-6)
    with torch.no_grad():
        made.images[0] = 100.0
        made.images[1] = -100.0
    draft = made.draft(torch.arange(30.0), share=0.5)
    assert np.allclose(draft.images[0], 100 * 0.2 + 0.4) and np.allclose(draft.images[1], -100 * 0.2 + 0.4)
    assert draft.notes == {"loss_first": 4.5, "loss_last": 24.5, "share": 0.5} and draft.steps == 30
    assert in_data_scale(made.images.detach(), made.scale).dtype == np.float32
    assert ends(torch.zeros(0)) == {}


def test_too_few_images_are_told_with_what_to_do():
    check_enough(inputs(), "method", 6, "do this")
    with pytest.raises(DecoctError, match="class 'a' has 6 images, but method takes 7 of each class: do this"):
        check_enough(inputs(), "method", 7, "do this")
