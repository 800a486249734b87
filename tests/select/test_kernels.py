"""What every greedy kernel owes, on inputs that nobody chose: each pick is the best of the rows left."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from decoct import select
from decoct.select import linear, location, rows


def herding(features, picked):
    target = (len(picked) + 1) * features.mean(0) - features[picked].sum(0)
    return -np.linalg.norm(target - features, axis=1)


def k_center(features, picked):
    if not picked:
        return -np.linalg.norm(features - features.mean(0), axis=1)
    return np.linalg.norm(features[:, None] - features[picked][None], axis=2).min(1)


def cosine(features):
    length = np.sqrt((features**2).sum(1, keepdims=True))
    unit = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
    return 1 + unit @ unit.T


def euclidean(features):
    squared = ((features[:, None] - features[None]) ** 2).sum(2)
    return squared.max() - squared


def facility(similar):
    def value(features, picked):
        s = similar(features)
        covered = s[:, picked].max(1, initial=0.0)
        return np.maximum(s, covered[:, None]).sum(0)

    return value


def graph_cut(features, picked, lam=0.7):
    s = cosine(features)
    sets = [[*picked, i] for i in range(len(features))]
    return np.array([lam * s[:, chosen].sum() - s[np.ix_(chosen, chosen)].sum() for chosen in sets])


KERNELS = {
    "herding": (select.herding, herding),
    "k_center": (select.k_center, k_center),
    "facility_location": (select.facility_location, facility(cosine)),
    "facility_location_euclidean": (
        lambda features, n: select.facility_location(features, n, similarity="euclidean"),
        facility(euclidean),
    ),
    "graph_cut": (lambda features, n: select.graph_cut(features, n, lam=0.7), graph_cut),
}
ALL = pytest.mark.parametrize(("kernel", "value"), KERNELS.values(), ids=KERNELS)
EACH = pytest.mark.parametrize("kernel", [kernel for kernel, _ in KERNELS.values()], ids=KERNELS)


@st.composite
def arrays(draw, dtypes=(np.float32, np.float64)):
    """Features [N, d]: plain, copied, on a grid, with zeros, far from the origin, uneven."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, columns = draw(st.integers(1, 30)), draw(st.integers(1, 8))
    made = rng.normal(size=(size, columns))
    kind = draw(st.sampled_from(["plain", "copies", "grid", "zeros", "far", "uneven"]))
    if kind == "copies":
        made = made[rng.integers(0, size, size)]
    elif kind == "grid":
        made = rng.integers(-2, 3, (size, columns)).astype(float)
    elif kind == "zeros":
        made[rng.random(size) < 0.3] = 0
    elif kind == "far":
        made += 1e3
    elif kind == "uneven":
        made *= 10.0 ** rng.integers(-3, 4, (size, 1))
    return made.astype(draw(st.sampled_from(dtypes)))


@ALL
@given(features=arrays(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_each_pick_is_the_best_of_the_rows_left(kernel, value, features, data):
    n = data.draw(st.integers(1, len(features)))
    picks = kernel(features, n).tolist()
    assert len(set(picks)) == n
    wide, tolerance = features.astype(np.float64), 1e-9 if features.dtype == np.float64 else 1e-5
    for t, pick in enumerate(picks):
        left = np.setdiff1d(np.arange(len(features)), picks[:t])
        values = value(wide, picks[:t])[left]
        best, slack = values.max(), tolerance * np.abs(values).max() + 1e-12
        mine = values[left == pick][0]
        assert mine >= best - slack
        if (np.sort(values)[:-1] < best - slack).all():
            assert pick == left[values.argmax()]
        alike = (features[left] == features[pick]).all(1)
        assert pick == left[alike][0]  # of equal rows the first


@ALL
@given(features=arrays((np.float16, np.float32, np.float64)), data=st.data())
@settings(max_examples=80, deadline=None)
def test_the_order_of_rows_decides_nothing_but_ties(kernel, value, features, data):
    n, order = data.draw(st.integers(1, len(features))), np.array(data.draw(st.permutations(range(len(features)))))
    picks, others = kernel(features, n).numpy(), order[kernel(features[order], n).numpy()]
    apart = np.flatnonzero((features[picks] != features[others]).any(1))
    if len(apart):  # what follows a tie follows from it
        t = apart[0]
        values = value(features.astype(np.longdouble), picks[:t].tolist())
        assert abs(values[picks[t]] - values[others[t]]) <= 1e-11 * np.abs(values).max()


ANTIPODES = torch.randn(256, 16, generator=torch.Generator().manual_seed(0))
ANTIPODES = torch.cat([ANTIPODES, -ANTIPODES])[torch.randperm(512, generator=torch.Generator().manual_seed(1))]
CORNERS = torch.cartesian_prod(*[torch.tensor([-1.0, 1])] * 9)[
    torch.randperm(512, generator=torch.Generator().manual_seed(2))
]


@ALL
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("features", [ANTIPODES, CORNERS], ids=["antipodes", "corners"])
def test_where_all_rows_tie_the_first_is_picked(kernel, value, dtype, features, monkeypatch):
    """Each row has its opposite, so Σ cos is 0 for every row; corners of a cube are also equally far from the mean."""
    features, found, blocks, threads = features.to(dtype), [], rows.Rows.blocks, torch.get_num_threads()
    first = value(features.double().numpy(), [])
    try:
        for numbers in (2**17, 16, 100, 1000):
            monkeypatch.setattr(rows.Rows, "blocks", lambda self, _=0, numbers=numbers: blocks(self, numbers))
            for number in (1, 2):
                torch.set_num_threads(number)
                found.append(kernel(features, 12).tolist())
    finally:
        torch.set_num_threads(threads)
    assert all(picks == found[0] for picks in found)
    assert found[0][0] == np.flatnonzero(first >= first.max() - 1e-9)[0]


@pytest.mark.parametrize("lam", [0.0, 1.0, 1e6])
def test_no_weight_of_graph_cut_lets_rounding_decide_a_tie(lam):
    assert select.graph_cut(ANTIPODES.double(), 1, lam=lam).tolist() == [0]


@pytest.mark.parametrize("kernel", [*(k for k, _ in KERNELS.values()), select.k_medoids], ids=[*KERNELS, "k_medoids"])
@given(features=arrays(), power=st.integers(-30, 30))
@example(features=np.random.default_rng(0).normal(1000, 1, (30, 8)).astype(np.float32), power=-10)
@settings(max_examples=40, deadline=None)
def test_a_power_of_two_on_the_features_changes_no_pick(kernel, features, power):
    n = 2 * len(features) // 3 or 1
    assert kernel(features * features.dtype.type(2.0**power), n).tolist() == kernel(features, n).tolist()


@EACH
@given(features=arrays())
@settings(max_examples=15, deadline=None)
def test_fewer_picks_are_the_first_of_more(kernel, features):
    whole = kernel(features, len(features)).tolist()
    for n in {1, len(features) // 2 or 1, len(features)}:
        assert kernel(features, n).tolist() == whole[:n]


# Far from the origin: after four picks rows 2 and 11 gain the same but for 1e-19 by cosine.
TIED = np.float32([
    [1000.12573, 999.8679], [1000.64044, 1000.1049], [999.46436, 1000.3616], [1001.304, 1000.9471],
    [999.29626, 998.73456], [999.3767, 1000.0413], [997.675, 999.7812], [998.7541, 999.26776],
    [999.45575, 999.6837], [1000.4116, 1001.04254], [999.87146, 1001.36646], [999.3348, 1000.3515],
])  # fmt: skip


@EACH
@given(features=arrays(), block=st.sampled_from([1, 7, 64]), limit=st.sampled_from([0, 300]))
@example(features=TIED, block=1, limit=0)
@settings(max_examples=25, deadline=None)
def test_blocks_change_no_pick(kernel, features, block, limit):
    usual = kernel(features, len(features)).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", block)
        patch.setattr(rows, "LIMIT", limit)
        patch.setattr(location, "LIMIT", limit)
        patch.setattr(rows.Rows, "blocks", small_blocks(rows.Rows.blocks, block))
        assert kernel(features, len(features)).tolist() == usual


def small_blocks(blocks, block):
    return lambda self, numbers=block: blocks(self, block)


@EACH
@pytest.mark.parametrize("shape", [(700, 16), (1500, 40)])
def test_threads_and_foresight_change_no_pick(kernel, shape, monkeypatch):
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(kernel(features, 90).tolist())
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr(linear, "REST", 10**6)
    assert found[0] == found[1] == kernel(features, 90).tolist()


@EACH
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_changes_no_pick(kernel):
    features = torch.randn((700, 16), generator=torch.Generator().manual_seed(0))
    assert kernel(features.cuda(), 90).tolist() == kernel(features, 90).tolist()


@EACH
def test_most_of_many_rows_are_picked_as_well(kernel):
    features = torch.randn((400, 12), generator=torch.Generator().manual_seed(0))
    assert sorted(kernel(features, 400).tolist()) == list(range(400))


@EACH
@pytest.mark.parametrize("value", [0.0, 1.0, 1e4])
def test_constant_features_are_picked_in_order(kernel, value):
    assert kernel(np.full((6, 3), value), 6).tolist() == [0, 1, 2, 3, 4, 5]


@EACH
def test_a_single_row_is_picked(kernel):
    assert kernel(np.array([[2.0, 3.0]]), 1).tolist() == [0]


@pytest.mark.parametrize("kernel", [KERNELS[k][0] for k in KERNELS if "cut" not in k and k != "facility_location"])
def test_a_mean_far_from_the_origin_changes_no_pick(kernel):
    features = torch.randint(-100, 100, (60, 8), generator=torch.Generator().manual_seed(1)).float()
    assert kernel(features + 4096.0, 20).tolist() == kernel(features, 20).tolist()


@EACH
def test_read_only_memory_map_and_half_precision_are_welcome(kernel, tmp_path):
    features = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float16)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    before = mapped.tobytes()
    assert kernel(mapped, 9).tolist() == kernel(features.astype(np.float32), 9).tolist()
    assert mapped.tobytes() == before


@EACH
def test_half_precision_does_not_overflow_on_the_way(kernel):
    features = np.random.default_rng(0).normal(size=(30, 4)) * 2e4
    half = features.clip(-6e4, 6e4).astype(np.float16)
    assert kernel(half, 9).tolist() == kernel(half.astype(np.float64), 9).tolist()


@EACH
def test_a_pick_can_index_what_has_a_gradient(kernel):
    features = torch.randn((9, 4), generator=torch.Generator().manual_seed(0), requires_grad=True)
    features[kernel(features, 3)].sum().backward()
    assert int((features.grad.abs().sum(1) > 0).sum()) == 3


@EACH
@pytest.mark.parametrize(
    ("features", "n", "message"),
    [
        (np.array([[0.0], [np.nan]]), 1, "not finite"),
        (np.array([[0.0], [np.inf]]), 1, "not finite"),
        (np.array([[0.0], [1e30]], np.float32), 1, "too large to be squared"),
        (np.array([[0.0], [np.inf]], np.float16), 1, "not finite"),
        (np.zeros((3, 2)), 4, "cannot pick 4 of 3"),
        (np.zeros((3, 2)), 0, "cannot pick 0"),
        (np.zeros(3), 1, r"\[N, d\]"),
        (np.zeros((3, 0)), 1, r"\[N, d\]"),
    ],
)
def test_bad_input_is_refused(kernel, features, n, message):
    with pytest.raises(ValueError, match=message):
        kernel(features, n)
