"""CAL against the paper's formula, one pair of neighbours at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from decoct.core.budget import Budget
from decoct.methods.coresets.cal import CAL, contrast
from decoct.needs.features import Features
from decoct.needs.teacher import Teacher
from decoct.nets.features import classifier


def rewrite(features, p, k):
    """Scores: mean KL(p_neighbour ‖ p_own) over the k nearest."""
    scores = []
    for i, one in enumerate(features):
        near = sorted((np.linalg.norm(one - other), j) for j, other in enumerate(features) if j != i)[:k]
        scores.append(np.mean([sum(q * np.log(q / own) for q, own in zip(p[j], p[i], strict=True)) for _, j in near]))
    return np.array(scores)


def probabilities(box, features):
    with torch.no_grad():
        return classifier(box.teacher)(torch.from_numpy(features)).softmax(1).numpy().astype(np.float64)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("k", [1, 10])
def test_the_images_that_differ_most_from_their_neighbours_come_first(pooled, k, toy):
    box, method = toy(), CAL(pooled=pooled, neighbours=k)
    inputs = box.supplied(method, 8)
    features = inputs.features[Features()]
    p = probabilities(box, features)
    groups = [np.arange(120)] if pooled else inputs.members()
    expected = np.concatenate([g[np.argsort(-rewrite(features[g], p[g], k))[: 24 if pooled else 8]] for g in groups])
    assert method(inputs).indices.tolist() == expected.tolist()


def test_neighbours_may_be_those_of_another_extractor(toy):
    box, method = toy(others=("other",)), CAL(extractor="other", normalise="unit")
    inputs = box.supplied(method, 8)
    p = probabilities(box, inputs.features[Features()])
    seen = inputs.features[Features(extractor="other")]
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    expected = np.concatenate([g[np.argsort(-rewrite(seen[g], p[g], 10))[:8]] for g in inputs.members()])
    assert method(inputs).indices.tolist() == expected.tolist()


def test_the_divergence_is_of_the_neighbour_from_the_image_itself():
    log_p = torch.tensor([[0.5, 0.5], [1.0, 1e-30]], dtype=torch.float64).log()
    found = contrast(log_p, np.array([[1], [0]]))
    assert found == pytest.approx([np.log(2), 0.5 * np.log(0.5) + 0.5 * np.log(0.5e30)])


def test_the_score_is_the_mean_over_neighbours():
    log_p = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).log_softmax(1)
    one, other = (contrast(log_p, np.array([[j]] * 3))[0] for j in (1, 2))
    assert contrast(log_p, np.array([[1, 2]] * 3))[0] == pytest.approx((one + other) / 2)


def test_an_image_that_has_no_neighbour_or_like_ones_alone_scores_nothing():
    log_p = torch.randn(1, 4, dtype=torch.float64).log_softmax(1).repeat(3, 1)
    assert contrast(log_p, np.empty((3, 0), np.int64)).tolist() == [0, 0, 0]
    assert contrast(log_p, np.array([[1, 2], [0, 2], [0, 1]])).tolist() == [0, 0, 0]


def test_a_class_that_gives_none_is_left_alone(toy):
    box, method = toy(), CAL()
    picks = method(replace(box.supplied(method, 1), budget=Budget(images=2))).indices
    assert box.data.train.labels[picks].tolist() == [0, 1]


def test_needs_follow_the_fields():
    assert CAL().needs() == (Features(), Teacher())
    other = CAL(extractor="resnet18").needs()
    assert other == (Features(extractor="resnet18"), Features(), Teacher())
