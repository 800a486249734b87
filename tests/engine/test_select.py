"""Every kernel against its own definition, on inputs that nobody chose."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.engine import select

KERNELS = pytest.mark.parametrize("kernel", [select.herding, select.k_center])


def rows_of(rows, columns, seed, duplicates=False):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns))
    return features[rng.integers(0, rows, rows)] if duplicates else features


@given(rows=st.integers(1, 40), columns=st.integers(1, 8), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_each_pick_of_herding_is_the_best_of_the_rows_left(rows, columns, seed, data):
    n = data.draw(st.integers(1, rows))
    features = rows_of(rows, columns, seed)
    picks = select.herding(features, n).tolist()
    for t, pick in enumerate(picks):
        target = (t + 1) * features.mean(0) - features[picks[:t]].sum(0)
        objective = ((target - features) ** 2).sum(1)
        left = [i for i in range(rows) if i not in picks[:t]]
        assert pick in left
        assert objective[pick] == pytest.approx(objective[left].min(), rel=1e-9, abs=1e-12)


@given(rows=st.integers(1, 40), columns=st.integers(1, 8), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_each_pick_of_k_center_is_the_farthest_of_the_rows_left(rows, columns, seed, data):
    n = data.draw(st.integers(1, rows))
    features = rows_of(rows, columns, seed)
    picks = select.k_center(features, n).tolist()
    to_mean = ((features - features.mean(0)) ** 2).sum(1)
    assert to_mean[picks[0]] == pytest.approx(to_mean.min(), rel=1e-9)
    for t in range(1, n):
        nearest = ((features[:, None] - features[picks[:t]][None]) ** 2).sum(2).min(1)
        left = [i for i in range(rows) if i not in picks[:t]]
        assert picks[t] in left
        assert nearest[picks[t]] == pytest.approx(nearest[left].max(), rel=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_k_center_covers_within_twice_the_best_radius(seed):
    features = rows_of(9, 2, seed)
    between = np.linalg.norm(features[:, None] - features[None], axis=2)
    best = min(
        between[:, list(s)].min(1).max() for s in ((a, b, c) for a in range(9) for b in range(a) for c in range(b))
    )
    assert between[:, select.k_center(features, 3).numpy()].min(1).max() <= 2 * best * (1 + 1e-9)


@KERNELS
@given(seed=st.integers(0, 2**32 - 1), offset=st.sampled_from([0.0, 1e4]))
@settings(max_examples=30)
def test_duplicates_are_picked_once_each_and_only_when_nothing_else_is_left(kernel, seed, offset):
    features = torch.tensor(rows_of(20, 3, seed, duplicates=True) + offset, dtype=torch.float32)
    picks = kernel(features, 20).tolist()
    assert sorted(picks) == list(range(20))
    if kernel is select.k_center:
        distinct = len(features.unique(dim=0))
        assert len(features[picks[:distinct]].unique(dim=0)) == distinct


@KERNELS
def test_the_lowest_index_wins_a_tie(kernel):
    assert kernel(np.ones((5, 3)), 5).tolist() == [0, 1, 2, 3, 4]


@KERNELS
def test_fewer_picks_are_a_prefix_of_more(kernel):
    features = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    assert kernel(features, 50)[:10].tolist() == kernel(features, 10).tolist()


@KERNELS
def test_a_mean_far_from_the_origin_changes_no_pick(kernel):
    features = torch.randint(-100, 100, (60, 8), generator=torch.Generator().manual_seed(1)).float()
    assert kernel(features + 1000.0, 20).tolist() == kernel(features, 20).tolist()


@KERNELS
def test_read_only_memory_map_and_half_precision_are_welcome(kernel, tmp_path):
    features = rows_of(30, 4, 0).astype(np.float16)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert kernel(mapped, 9).tolist() == kernel(features.astype(np.float32), 9).tolist()


def test_k_center_starts_where_it_is_told():
    features = np.array([[0.0], [1.0], [2.0], [9.0]])
    assert select.k_center(features, 3, start=0).tolist() == [0, 3, 2]
    with pytest.raises(ValueError, match="start"):
        select.k_center(features, 3, start=4)


@KERNELS
@pytest.mark.parametrize(
    ("features", "n", "message"),
    [
        (np.array([[0.0], [np.nan]]), 1, "not finite"),
        (np.array([[0.0], [np.inf]]), 1, "not finite"),
        (np.zeros((3, 2)), 4, "cannot pick 4 of 3"),
        (np.zeros((3, 2)), 0, "cannot pick 0"),
        (np.zeros(3), 1, r"\[N, d\]"),
    ],
)
def test_bad_input_is_refused(kernel, features, n, message):
    with pytest.raises(ValueError, match=message):
        kernel(features, n)
