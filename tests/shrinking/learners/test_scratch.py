"""A student from scratch learns its rows alone, from the seed alone, and remembers nothing."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.core.errors import DecoctError, UsageError
from decoct.core.seeds import seed as derive
from decoct.nets import zoo
from decoct.shrinking.learners.net import training_set
from decoct.shrinking.learners.scratch import Scratch
from decoct.shrinking.made import Made
from decoct.shrinking.pool import Pool, open_pool

SHORT = Scratch("convnet1_w8", epochs=2, least=1)
ROWS, HELD = np.arange(0, 240, 2), np.arange(299, 240, -1)


def test_probabilities_are_those_of_a_loop_in_plain_torch(pool: Pool) -> None:
    found = SHORT.probabilities(pool, ROWS, HELD, seed=3)

    seed, x = derive(3, "student"), pool.images[ROWS].astype(np.float64) / 255
    mean, std = x.mean(), x.std()

    def seen(rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(((pool.images[rows] / 255 - mean) / std).astype(np.float32))

    net = zoo.build("convnet1_w8", 1, 10, 8, seed)
    groups = [{"params": [p for p in net.parameters() if p.ndim >= 2], "weight_decay": 0.01}]
    groups += [{"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 4)
    order = torch.Generator().manual_seed(derive(seed, "order"))
    y = torch.from_numpy(pool.labels)
    for _ in range(2):
        for batch in torch.randperm(120, generator=order).split(64):
            loss = F.cross_entropy(net(seen(ROWS[batch.numpy()])), y[ROWS[batch.numpy()]])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        expected = net.eval()(seen(HELD)).softmax(1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_equal_calls_give_equal_bytes_and_seeds_differ(pool: Pool) -> None:
    again = pickle.loads(pickle.dumps(SHORT))
    one, two = (each.probabilities(open_pool(pool.folder), ROWS, HELD, seed=0) for each in (SHORT, again))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - SHORT.probabilities(pool, ROWS, HELD, seed=1)).max() > 0.01
    assert SHORT.stochastic


def test_all_rows_are_read_from_the_file_and_give_what_copies_give(pool: Pool) -> None:
    every = np.arange(len(pool))
    mapped, copied = training_set(pool, every), training_set(replace(pool, images=np.array(pool.images)), every)
    assert torch.equal(mapped.images, copied.images)
    shuffled = training_set(pool, every[::-1])
    assert torch.equal(shuffled.images, copied.images.flip(0))
    assert shuffled.mean == mapped.mean == pytest.approx([pool.images.mean() / 255])
    assert mapped.std == pytest.approx([pool.images.std() / 255])


def test_images_that_were_made_are_learnt_as_the_same_rows_would_be(pool: Pool) -> None:
    made = Made(np.array(pool.images[ROWS]), pool.labels[ROWS], 0.0)
    found = SHORT.probabilities(pool, made, HELD, seed=3)
    np.testing.assert_array_equal(found, SHORT.probabilities(pool, ROWS, HELD, seed=3))


def test_it_learns(pool: Pool) -> None:
    said = Scratch("convnet1_w16", least=60).probabilities(pool, ROWS, HELD, seed=0)
    assert (said.argmax(1) == pool.labels[HELD]).mean() > 0.7  # chance is 0.1


def test_steps_do_not_fall_below_the_least_and_never_fall_with_more_images() -> None:
    learner = Scratch("convnet1", epochs=10, batch=64, least=200)
    assert learner.steps(2) == learner.steps(1000) == 200
    assert learner.steps(3000) == 10 * 47
    steps = [learner.steps(n) for n in range(2, 4000, 7)]
    assert steps == sorted(steps)
    assert learner.work(6000) > 1.9 * learner.work(3000) > 1.9 * learner.work(1000) > 0


def test_material_is_of_the_training_that_gives_the_probabilities(pool: Pool) -> None:
    material = SHORT.material(pool, ROWS, seed=3)
    (trace,) = material.traces.runs
    assert material.features.shape == (120, 8 * 4 * 4)
    assert trace.epochs == 2 and trace.margin.shape == (2, 120)
    said = SHORT.probabilities(pool, ROWS, ROWS, seed=3)
    np.testing.assert_allclose(trace.probability[-1], said[np.arange(120), pool.labels[ROWS]], atol=1e-6)
    assert material.seconds > 0


def test_augmented_images_are_mirrored_only_where_the_data_allow_it(pool: Pool) -> None:
    learner = replace(SHORT, augment=True)
    plain, crops = SHORT.recipe(pool, 100, False), learner.recipe(pool, 100, False)
    assert (plain.pad, plain.flip) == (0, False)
    assert (crops.pad, crops.flip) == (1, False)
    assert learner.recipe(replace(pool, facts={"flip": True}), 100, False).flip


def test_the_device_is_no_part_of_what_decides() -> None:
    assert replace(SHORT, device="cuda").config() == SHORT.config()
    assert replace(SHORT, lr=0.02).config() != SHORT.config()


def test_what_fails_is_said_in_a_line(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(DecoctError, match=r"convnet1_w8, from scratch cannot be trained on 1 image"):
        SHORT.probabilities(pool, ROWS[:1], HELD, seed=0)
    file = tmp_path / "weights.pt"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match="is to start from fresh weights: leave @FILE out"):
        Scratch(f"convnet1_w8@{file}")
    with pytest.raises(DecoctError, match="convnet9"):
        Scratch("convnet9").probabilities(pool, ROWS, HELD, seed=0)
