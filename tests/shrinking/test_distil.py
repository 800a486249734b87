import numpy as np
import pytest
from tests.shrinking.pools import make_pool
from tests.shrinking.toy import blobs

from decoct.core.budget import Budget
from decoct.core.errors import UsageError
from decoct.core.interfaces import Inputs
from decoct.data.dataset import Dataset, Split
from decoct.methods.matching import dm
from decoct.shrinking import distil
from decoct.shrinking.choose import quotas
from decoct.shrinking.learners.net import training_set
from decoct.shrinking.made import Made
from decoct.study.execute import threads

TINY = {"net": "convnet2_w8", "iterations": 4, "batch": 9}
NOTHING = (None, None, None)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture
def pool(tmp_path):
    """40 images of class a, 20 of b and 6 of c."""
    images, _ = blobs(66, side=8)
    labels = np.repeat([0, 1, 2], [40, 20, 6])
    return make_pool(tmp_path / "pool", [f"{i}.png" for i in range(66)], labels, ["a", "b", "c"], images=images)


def maker(name="dm", **more):
    return distil.check([{"name": name, **TINY, **more}], *NOTHING)[name]


@pytest.mark.parametrize(
    ("asked", "more", "said"),
    [
        (["mtt"], NOTHING, "dm, dc, dsa, not 'mtt'.*\n.*decoct run"),
        (["dmm"], NOTHING, "Did you mean 'dm'"),
        (["dm", "dm"], NOTHING, "twice"),
        ([{"name": "dm", "iteratons": 3}], NOTHING, "Did you mean 'iterations'"),
        (["dm"], ("probe", None, None), "--student or --protocol scratch|finetune"),
        (["dm"], (None, "clip", None), "--student or --protocol scratch|finetune"),
        (["dm"], (None, None, "kept.csv"), "--keep"),
    ],
)
def test_what_cannot_be_made_is_refused(asked, more, said):
    with pytest.raises(UsageError, match=said):
        distil.check(asked, *more)


def test_without_parameters_methods_are_as_in_their_papers():
    assert distil.check(["dm", "dc"], *NOTHING) == {"dm": dm.DM(), "dc": type(maker("dc"))()}
    assert distil.check([], "probe", "clip", None) == {}


@pytest.mark.parametrize("name", ["dm", "dc", "dsa"])
def test_classes_give_as_many_images_as_where_a_set_is_chosen(pool, name):
    spec = maker(name, iterations=2, **({} if name == "dm" else {"inner": 1, "outer": 2}))
    rows = np.arange(66)
    made = distil.make(spec, pool, rows, 13, 0, "cpu", None)
    assert np.bincount(made.labels).tolist() == quotas([40, 20, 6], 13) and made.images.shape == (13, 3, 8, 8)
    assert made.images.dtype == np.uint8 and made.seconds > 0
    again, other = (distil.make(spec, pool, rows, 13, seed, "cpu", None) for seed in (0, 1))
    assert again.digest == made.digest != other.digest


def test_with_equal_numbers_it_is_the_method_itself(pool):
    rows = np.concatenate([np.arange(6), np.arange(40, 46), np.arange(60, 66)])
    spec = maker(batch=6)
    seen = training_set(pool, rows)
    split = Split(pool.images[rows], pool.labels[rows])
    data = Dataset("x", pool.class_names, "", split, split, split, tuple(seen.mean), tuple(seen.std), True, pool.folder)
    images = spec(Inputs(data, Budget(ipc=2), 3)).images
    made = distil.make(spec, pool, rows, 6, 3, "cpu", None)
    assert np.array_equal(made.images, np.clip(np.rint(images * 255), 0, 255))


def test_a_class_without_candidates_gets_no_image(pool):
    made = distil.make(maker(), pool, np.arange(60), 6, 0, "cpu", None)
    assert np.bincount(made.labels, minlength=3).tolist() == [4, 2, 0]


def test_real_batches_are_no_larger_than_the_smallest_class(pool):
    assert distil.fitted(maker(batch=256), pool, np.arange(66)).batch == 6
    assert distil.fitted(maker(batch=4), pool, np.arange(66)).batch == 4


def test_what_was_stopped_continues_to_the_same_images_and_counts_all_its_seconds(pool, tmp_path, monkeypatch):
    rows, real = np.arange(66), dm.fresh_net
    whole = distil.make(maker(), pool, rows, 6, 0, "cpu", None)
    seen = []

    def stops(inputs, name, net, t):
        seen.append(t)
        if t == 3 and len(seen) == 4:
            raise KeyboardInterrupt
        return real(inputs, name, net, t)

    monkeypatch.setattr(dm, "fresh_net", stops)
    monkeypatch.setattr(distil.KeptOnDisk, "due", lambda self: True)
    with pytest.raises(KeyboardInterrupt):
        distil.make(maker(), pool, rows, 6, 0, "cpu", tmp_path / "state")
    state = distil.KeptOnDisk(tmp_path / "state", spends=lambda: (0.0,))
    state.load("learning")
    (before,) = state.spent()
    made = distil.make(maker(), pool, rows, 6, 0, "cpu", tmp_path / "state")
    assert seen == [0, 1, 2, 3, 3] and made.digest == whole.digest and made.seconds > before > 0


def test_a_large_set_is_not_made():
    assert distil.fits(150, [300, 300, 300]) and not distil.fits(151, [300, 300, 300])
    assert not distil.fits(100, [990, 10, 10])


@pytest.mark.parametrize(
    ("each", "every", "timed"), [(0.01, 1000, [1, 1, 4, 16, 64, 256, 1000]), (0.5, 3, [1, 1, 3]), (20, 9, [1, 1])]
)
def test_times_are_foretold_from_few_iterations(pool, monkeypatch, each, every, timed):
    seen = []

    def made(spec, *more):
        seen.append(spec.iterations)
        return Made(pool.images[:1], pool.labels[:1], each * spec.iterations)

    monkeypatch.setattr(distil, "make", made)
    assert distil.pace(str(pool.folder), np.arange(66), 6, maker(iterations=every), "cpu") == pytest.approx(
        each * every
    )
    assert seen == timed
