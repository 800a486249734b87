"""Memorisation against double loops, planted copies, closed forms for iid draws."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_equal
from PIL import Image
from scipy.special import betainc

from decoct.core.interfaces import Measured
from decoct.metrics import memorisation as module
from decoct.metrics.memorisation import Memorisation, memorisation, spacings
from decoct.select import nearest

SEEDS = st.integers(0, 2**32 - 1)


def naive(real, condensed, copy=0.1):
    real, condensed = np.asarray(real, float).tolist(), np.asarray(condensed, float).tolist()
    spacing = [
        min((math.dist(a, b) for j, b in enumerate(real) if j != i), default=math.nan) for i, a in enumerate(real)
    ]
    near = [min((math.dist(y, x), i) for i, x in enumerate(real)) for y in condensed]  # the first of equals
    judged = len(real) > 1
    return {
        "nearest_real": np.mean([d for d, _ in near]),
        "authenticity": np.mean([d > spacing[i] for d, i in near]) if judged else math.nan,
        "copies": np.mean([d <= copy * spacing[i] for d, i in near]) if judged else math.nan,
    }


def check(real, condensed, copy=0.1):
    got = memorisation(real, condensed, copy=copy)
    assert got == pytest.approx(naive(real, condensed, copy), rel=1e-6, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 30),
    m=st.integers(1, 20),
    d=st.integers(1, 6),
    copy=st.floats(0, 1),
    offset=st.sampled_from([0.0, 1e3]),
    seed=SEEDS,
)
def test_it_is_what_its_definition_says(n, m, d, copy, offset, seed):
    rng = np.random.default_rng(seed)
    real = (rng.normal(size=(n, d)) + offset).astype(np.float32)
    disturbed = real[rng.integers(0, n, m)] + 0.1 * rng.normal(size=(m, d))
    check(real, np.concatenate([disturbed, rng.normal(size=(m, d)) + offset]), copy)


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 30),
    m=st.integers(1, 20),
    d=st.integers(1, 3),
    copy=st.sampled_from([0.0, 0.5, 1.0]),
    offset=st.sampled_from([0, 1000]),
    seed=SEEDS,
)
def test_ties_and_duplicates_are_decided_exactly(n, m, d, copy, offset, seed):
    rng = np.random.default_rng(seed)
    real, condensed = (rng.integers(0, 6, size=(rows, d)) for rows in (n, m))  # every distance ties with others
    check(2 * real + offset, condensed * 2 + rng.integers(0, 2, (m, d)) + offset, copy)


@pytest.mark.parametrize("block", [1, 2**22])
def test_images_far_closer_to_each_other_than_float32_sees_are_told_apart(block, monkeypatch):
    monkeypatch.setattr(nearest, "BLOCK", block)
    rng = np.random.default_rng(0)
    real = np.concatenate([1.0 + 1e-9 * rng.normal(size=(30, 5)), 1000 * rng.normal(size=(30, 5))])
    condensed = np.concatenate([real[:20] + 1e-11 * rng.normal(size=(20, 5)), 1.0 + 1e-9 * rng.normal(size=(10, 5))])
    check(real, condensed)
    assert memorisation(real, condensed[:20])["copies"] == 1


def test_blocks_and_given_spacings_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    real, condensed = rng.normal(size=(101, 4)), rng.normal(size=(37, 4))
    condensed[::3] = real[:13] + 1e-3
    whole = memorisation(real, condensed)
    assert memorisation(real, condensed, spacing=spacings(real)) == whole
    monkeypatch.setattr(nearest, "BLOCK", 500)
    monkeypatch.setattr(nearest, "CACHED", 10)
    monkeypatch.setattr(nearest, "SMALL", 1)
    assert memorisation(real, condensed) == whole
    check(real, condensed)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_float_type_is_taken_at_its_own_values(dtype):
    generator = torch.Generator().manual_seed(0)
    real, condensed = (torch.randn(40, 6, generator=generator).to(dtype) for _ in range(2))
    check(real.double().numpy(), condensed.double().numpy())
    assert memorisation(real, condensed) == pytest.approx(memorisation(real.double(), condensed.double()))


@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.02])
def test_planted_copies_are_found_and_nothing_else(noise):
    """The nearest other image of 16 normal features is at some 3; noise of 0.02 moves a copy by 0.08."""
    rng = np.random.default_rng(0)
    real, copied = rng.normal(size=(500, 16)), 24
    condensed = rng.normal(size=(96, 16))
    condensed[:copied] = real[rng.permutation(500)[:copied]] + noise * rng.normal(size=(copied, 16))
    got, clean = memorisation(real, condensed), memorisation(real, condensed[copied:])
    assert got["copies"] == copied / 96 and clean["copies"] == 0
    assert got["authenticity"] == pytest.approx(clean["authenticity"] * 72 / 96)
    exact = memorisation(real, condensed, copy=0)["copies"]
    assert exact == (copied / 96 if noise == 0 else 0)


def test_images_that_were_encoded_as_jpeg_are_found():
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, size=(120, 6, 6), dtype=np.uint8)
    images = np.stack([np.asarray(Image.fromarray(i).resize((32, 32), Image.Resampling.BICUBIC)) for i in rough])

    def encoded(image, quality):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    flat = lambda images: np.reshape(images, (len(images), -1)).astype(np.float32)  # noqa: E731
    real, others = flat(images[:80]), images[80:]
    condensed = flat([*(encoded(i, 75) for i in images[:10]), *others])
    assert not (condensed[:10] == real[:10]).all(1).any()
    got = memorisation(real, condensed)
    assert got["copies"] == 10 / 50
    assert memorisation(real, condensed, copy=0)["copies"] == 0


def test_an_exact_copy_of_an_image_with_duplicates_is_a_copy():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(30, 4)).astype(np.float32)
    real[1:3] = real[0]
    assert spacings(real)[:3].tolist() == [0, 0, 0]
    got = memorisation(real, [real[0], real[0], real[5], real[0] + 1e-3])
    assert got["copies"] == 0.75 and got["authenticity"] == 0.25  # a disturbed copy is farther than the duplicate
    same = np.full((5, 3), 0.1)
    assert memorisation(same, same) == {"nearest_real": 0, "authenticity": 0, "copies": 1}


def test_an_image_is_judged_by_its_nearest_original_alone():
    """A lone real image has a spacing of 9.9, within which there is much that is none of its copies."""
    real = np.array([[0.0], [0.1], [10.0]])
    assert memorisation(real, [[1.0]], copy=1) == pytest.approx({"nearest_real": 0.9, "authenticity": 1, "copies": 0})
    assert memorisation(real, [[9.1]], copy=1) == pytest.approx({"nearest_real": 0.9, "authenticity": 0, "copies": 1})


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_iid_draws_are_authentic_unless_they_and_an_image_are_each_others_nearest(d):
    """Of points strewn evenly, two balls of their distance around both hold no third: 1 / (2 − I_¾((d+1)/2, ½)).

    As in Pickard, "Isolated nearest neighbors", Journal of Applied Probability 19, 1982.
    """
    rng, runs = np.random.default_rng(0), 40
    found = []
    for _ in range(runs):
        real = rng.random(size=(1000, d))
        draws = 0.2 + 0.6 * rng.random(size=(100, d))  # away from the border
        found.append(memorisation(real, draws)["authenticity"])
    expected = 1 - 1 / (2 - betainc((d + 1) / 2, 0.5, 0.75))
    assert 1 / 3 - 1e-9 < expected < 1 / 2
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found, ddof=1) / math.sqrt(runs))


def test_what_is_not_defined_is_nan():
    got = memorisation([[0.0, 0.0]], [[3.0, 4.0]])
    assert got.pop("nearest_real") == 5 and all(map(math.isnan, got.values())) and len(got) == 2
    assert spacings([[1.0]]).isnan().all()
    assert memorisation([[0.0], [1.0]], [[0.25]]) == {"nearest_real": 0.25, "authenticity": 0, "copies": 0}


def test_bad_input_is_refused_by_name():
    good = np.zeros((4, 2))
    with pytest.raises(ValueError, match="condensed features hold values that are not finite"):
        memorisation(good, np.full((2, 2), np.inf))
    with pytest.raises(ValueError, match="at least one row"):
        memorisation(good[:0], good)
    with pytest.raises(ValueError, match="2 dimensions, condensed 1"):
        memorisation(good, good[:, :1])
    with pytest.raises(ValueError, match="4 real images need as many spacings"):
        memorisation(good, good, spacing=spacings(good[:3]))
    for copy in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="copy must be between 0 and 1"):
            memorisation(good, good, copy=copy)


def test_the_metric_reads_each_class_and_all_against_train_and_val():
    rng = np.random.default_rng(0)
    real = {"train": rng.normal(size=(60, 3)), "val": rng.normal(size=(40, 3))}
    labels = {"train": np.arange(60) % 2, "val": np.arange(40) % 2}
    measured = Measured(real["train"][:16], labels["train"][:16], real, labels, ("a", "b"), True, np.zeros((16, 2)))
    got = {(r.metric, r.scope, r.reference): r.value for r in Memorisation(copy_within=0.5)(measured)}
    assert {name for name, _, _ in got} == set(Memorisation.higher_is_better) and len(got) == 3 * 2 * 2
    assert got["copies", "pooled", "train"] == got["copies", "per_class", "train"] == 1  # a coreset
    for split in real:
        pooled = memorisation(real[split], measured.condensed, copy=0.5)
        each = [
            memorisation(real[split][labels[split] == c], measured.condensed[measured.labels == c], copy=0.5)
            for c in (0, 1)
        ]
        for name, value in pooled.items():
            assert got[name, "pooled", split] == value
            assert got[name, "per_class", split] == pytest.approx(np.mean([e[name] for e in each]))
    assert_equal(got["nearest_real", "pooled", "train"], 0)


def test_the_spacing_of_real_images_is_computed_once_for_all_sets(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "spacings", lambda real: calls.append(len(real)) or spacings(real))
    rng = np.random.default_rng(1)
    real, labels = {"train": rng.normal(size=(20, 3))}, {"train": np.arange(20) % 2}
    for _ in range(3):
        Memorisation()(Measured(rng.normal(size=(6, 3)), np.arange(6) % 2, real, labels, ("a", "b"), False, np.ones(6)))
    assert sorted(calls) == [10, 10, 20]
