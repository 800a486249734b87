"""CV-DD: pairs of the pool, their votes, and the weighted loss."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.core.errors import UsageError
from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import Block, cut
from decoct.methods.decoupled.cv_dd import CVDD
from decoct.needs.teacher import Teacher

POOL = ("a", "b", "c", "d", "e")


def juries(method, box, ipc):
    return [method.jury(box.inputs(ipc), Block((0, 1, 2), (i,) * 3)) for i in range(ipc)]


def test_at_ten_images_a_class_every_pair_judges_one(toy):
    method = CVDD(nets=POOL, priors=(5, 4, 3, 2, 1)).at(8)
    assert juries(method, toy(), 10) == list(combinations(POOL, 2))
    assert juries(method, toy(), 3) == [("a", "b"), ("a", "c"), ("a", "d")]


def test_at_one_image_a_class_the_two_best_judge(toy):
    assert juries(CVDD(nets=POOL, priors=(40, 60, 50, 10, 70)).at(8), toy(), 1) == [("b", "e")]
    assert juries(CVDD(nets=POOL).at(8), toy(), 1) == [("a", "b")]
    assert juries(CVDD(nets=POOL, first=("d", "c")).at(8), toy(), 1) == [("d", "c")]


def test_the_authors_code_names_the_first_pair_of_imagenette_and_cifar(toy):
    def first(preset, size):
        return juries(CVDD(preset=preset).at(size), toy(), 1)

    assert first("imagenette", 224) == first("cifar10", 32) == [("mobilenet_v2", "densenet121")]
    assert first("cifar100", 32) == [("shufflenet_v2_x0_5", "mobilenet_v2")]
    assert first("imagenet1k", 224) == [("resnet18.tv_in1k", "shufflenet_v2_x1_0.tv_in1k")]  # 56.4 and 52.5
    assert first("tiny", 64) == [("resnet18", "mobilenet_v2")]  # 46.5 and 44.8
    assert CVDD(preset="cifar10", nets=("a", "b", "c")).at(32).first is None
    with pytest.raises(UsageError, match=r"first = \['a', 'x'\] is no pair of a, b, c"):
        CVDD(nets=("a", "b", "c"), first=("a", "x")).at(8)


def test_at_more_images_than_pairs_the_pair_of_a_number_is_random_and_that_of_all_classes(toy):
    method, box = CVDD(nets=POOL).at(8), toy(per_class=300)
    found = juries(method, box, 200)
    assert found == juries(method, box, 200)
    assert set(found) == set(combinations(POOL, 2)) and max(Counter(found).values()) < 50
    other = box.inputs(200, seed=1)
    assert [method.jury(other, Block((0,), (i,))) for i in range(200)] != found


def test_a_vote_is_the_softmax_of_the_priors_over_five():
    spec, (best, fifty, shuffle, *_) = CVDD().at(224), CVDD().at(224).nets
    assert spec.votes((best, fifty), 0)[best] == pytest.approx(0.94, abs=0.005)
    assert spec.votes((best, shuffle), 0)[best] == pytest.approx(0.69, abs=0.005)
    votes = CVDD(nets=("a", "b"), priors=(30, 20)).at(8).votes(("a", "b"), 7)
    assert votes == pytest.approx({"a": math.exp(2) / (1 + math.exp(2)), "b": 1 / (1 + math.exp(2))})
    assert CVDD(nets=("a", "b")).at(224).votes(("a", "b"), 0) == {"a": 0.5, "b": 0.5}


def test_a_block_is_the_papers_loop(toy, rewrite, layer_moments, apart):
    box = toy(others=("other",))
    nets, labels = [box.teacher, box.others["other"]], torch.arange(3)
    method = CVDD(iterations=6, nets=("teacher", "other"), priors=(50, 46), r=0.2)
    shares = torch.tensor([50 / 5, 46 / 5]).softmax(0)

    def loss(seen, t, active):
        total = 0
        for share, net in zip(shares, nets, strict=True):
            logits, found = layer_moments(net, seen, nn.BatchNorm2d)
            r = apart(found, [(net[1].running_mean, net[1].running_var)])
            total = total + share * (F.cross_entropy(logits, labels) + 0.2 * r)
        return total

    draft = method(box.inputs(1))
    spec = method.at(8)
    given = box.inputs(1), Pixels.of(box.data, "cpu")
    start = torch.cat([cut(*given, spec.crops(*given, c, 1), 0, 1) for c in range(3)])
    assert (box.normalised(draft.initial) - start).abs().max() < 4.1 / 255
    expected = rewrite(box, spec, start, loss, name=(0, 0))
    assert np.abs(draft.images.astype(int) - expected).max() <= 1


def test_images_start_at_crops_around_the_median(toy):
    box = toy()
    easy, starts = [], CVDD(iterations=1, nets=("teacher",))(box.inputs(3)).initial
    with torch.no_grad():
        for c in range(3):
            mine = box.normalised(box.data.train.images[box.data.train.labels == c])
            ranks = box.teacher(mine).softmax(1)[:, c].sort().values
            scores = box.teacher(box.normalised(starts[3 * c : 3 * c + 3])).softmax(1)[:, c]
            easy.append(((scores > ranks[0]) & (scores < ranks[-1] + 0.2)).all())
    assert all(easy) and len(np.unique(starts.reshape(9, -1), axis=0)) == 9


def test_other_priors_than_nets_are_refused_and_those_of_a_preset_are_of_its_nets_alone():
    with pytest.raises(UsageError, match="2 priors for 3 nets: give one for each net"):
        CVDD(nets=("a", "b", "c"), priors=(1, 2)).at(8)
    with pytest.raises(UsageError, match="2 priors for 5 nets"):
        CVDD(priors=(1, 2)).at(224)
    assert CVDD(nets=("a", "b")).at(224).priors is None


def test_presets_are_the_authors():
    def values(spec):
        return spec.lr, spec.iterations, spec.r, spec.jitter, spec.scale, spec.block

    assert values(CVDD().at(224)) == (0.25, 4000, 0.01, 32, (0.08, 1.0), 100)
    assert values(CVDD(preset="tiny").at(64)) == (0.25, 4000, 0.01, 4, (0.08, 1.0), 100)
    assert values(CVDD(preset="cifar10").at(32)) == (0.25, 4000, 0.01, 4, (0.08, 1.0), 10)
    assert CVDD().at(224).priors == (56.4, 42.3, 52.5, 44.2, 40.6)
    pool = ("resnet18", "resnet50", "shufflenet_v2_x1_0", "mobilenet_v2", "densenet121")
    assert CVDD().at(224).nets == tuple(f"{net}.tv_in1k" for net in pool)
    assert CVDD(preset="imagenette").at(224).nets == pool
    assert CVDD(preset="tiny").at(64).nets == ("resnet18", "resnet50", "shufflenet_v2_x0_5", *pool[3:])
    assert (CVDD().at(28).preset, CVDD().at(32).preset) == ("small_cpu", "small")  # DenseNet halves 28 px to nothing


def test_it_needs_its_pool_and_a_ranker_once():
    assert CVDD(nets=("a", "b"), ranker="b").needs() == (Teacher(net="a"), Teacher(net="b"))
    assert CVDD(nets=("a",)).needs() == (Teacher(net="a"), Teacher(net="teacher"))
