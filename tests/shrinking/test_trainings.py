import numpy as np
import pytest
from tests.shrinking.pools import make_pool
from tests.shrinking.toy import NearestMean, blobs, means_of

from decoct.core.errors import DecoctError
from decoct.shrinking import distil
from decoct.shrinking.made import Made
from decoct.shrinking.trainings import Fit, Look, Pick, Trainings
from decoct.study.workers.executors import Inline, process_pool

TOY = NearestMean()


class Broken(NearestMean):
    def probabilities(self, pool, rows, held, seed, threads=1):
        raise ValueError("no such thing")


@pytest.fixture
def pool(tmp_path):
    images, labels = blobs(60)
    return make_pool(tmp_path / "pool", [f"{i}.png" for i in range(60)], labels, ["a", "b", "c"], images=images)


def trainings(pool, tmp_path, learner=TOY, **more):
    return Trainings(pool, learner, tmp_path / "kept", lambda n: Inline(), **more)


def test_answers_are_those_of_the_learner_and_are_kept(pool, tmp_path):
    rows, held, told = np.arange(30), np.arange(30, 60), []
    wanted = {s: Fit(rows, held, s) for s in range(3)} | {"whole": Fit(rows, held, 0, whole=True)}
    with trainings(pool, tmp_path, told=lambda *at: told.append(at)) as run:
        found = run.fits(wanted)
        assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
        assert run.units == 4 * 30
        assert run.seconds(60) == pytest.approx(2 * run.seconds(30))
    for s in range(3):
        said = NearestMean().probabilities(pool, rows, held, s)
        assert found[s].tolist() == (said.argmax(1) == pool.labels[held]).tolist()
    assert found["whole"].shape == (30, 3)
    with trainings(pool, tmp_path, learner=NearestMean(slow=1e9)) as run:  # would never end
        again = run.fits(wanted)
    assert all(np.array_equal(found[key], again[key]) for key in wanted)


def test_a_key_is_of_all_that_decides(pool, tmp_path):
    rows, held = np.arange(30), np.arange(30, 60)
    about = trainings(pool, tmp_path).about
    fits = [
        Fit(rows, held, 0),
        Fit(rows[1:], held, 0),
        Fit(rows, held[1:], 0),
        Fit(rows, held, 1),
        Fit(rows, held, 0, True),
    ]
    keys = [fit.key(about) for fit in fits] + [Look(rows, 0).key(about), fits[0].key({**about, "pool": "other"})]
    assert len(set(keys)) == len(keys)


def test_material_comes_back_as_it_was(pool, tmp_path):
    with trainings(pool, tmp_path) as run:
        made = run.materials({"a": Look(np.arange(30), 0)})["a"]
    own = NearestMean().material(pool, np.arange(30), 0)
    assert np.array_equal(made.features, own.features)
    assert np.array_equal(made.traces.runs[0].margin, own.traces.runs[0].margin)


def test_worker_processes_say_the_same(pool, tmp_path):
    wanted = {s: Fit(np.arange(30), np.arange(30, 60), s) for s in range(2)}
    with trainings(pool, tmp_path) as run:
        inline = run.fits(wanted)
    with Trainings(pool, NearestMean(), tmp_path / "other", lambda n: process_pool(n, 1), 2) as run:
        found = run.fits(wanted)
    assert all(np.array_equal(inline[s], found[s]) for s in wanted)


def test_a_failure_says_why_and_keeps_what_was_done(pool, tmp_path):
    wanted = {0: Fit(np.arange(30), np.arange(30, 60), 0)}
    with pytest.raises(DecoctError, match="no such thing"), trainings(pool, tmp_path, Broken()) as run:
        run.fits(wanted)


def test_what_is_damaged_is_told(pool, tmp_path):
    wanted = {"a": Look(np.arange(30), 0)}
    with trainings(pool, tmp_path) as run:
        run.materials(wanted)
        next((tmp_path / "kept").glob("*.margin.npy")).write_bytes(b"nothing")
        with pytest.raises(DecoctError, match="damaged"):
            run.materials(wanted)
        fits = {0: Fit(np.arange(30), np.arange(30, 60), 0)}
        run.fits(fits)
        (tmp_path / "kept" / f"{fits[0].key(run.about)}.npy").write_bytes(b"\x93NUMPY\1\0\1\0{")
        with pytest.raises(DecoctError, match="damaged"):
            run.fits(fits)


def test_a_set_that_is_made_is_kept_for_every_learner_and_trained_on(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(distil, "make", means_of)
    makers, none = distil.check(["dm"], None, None, None), np.empty(0, np.int64)
    pick = Pick("dm", np.arange(30), 6, None, 0, none, none)
    with trainings(pool, tmp_path, makers=makers) as run:
        made = run.picks({"a": pick})["a"]
        assert isinstance(made, Made) and len(made) == 6
        found = run.fits({0: Fit(made, np.arange(30, 60), 0)})[0]
    said = NearestMean().probabilities(pool, made, np.arange(30, 60), 0)
    assert found.tolist() == (said.argmax(1) == pool.labels[30:]).tolist()
    monkeypatch.setattr(distil, "make", lambda *more: pytest.fail("made again"))
    other = type("Other", (NearestMean,), {"config": lambda self: {"learner": "other"}})
    with trainings(pool, tmp_path, other(), makers=makers) as run:
        assert run.picks({"a": pick})["a"].digest == made.digest
    longer = distil.check([{"name": "dm", "iterations": 3}], None, None, None)
    places = {trainings(pool, tmp_path, makers=each).place(pick) for each in (makers, longer)}
    places |= {run.place(Pick("dm", np.arange(30), 6, None, 1, none, none))}
    assert len(places) == 3


def test_worker_processes_make_the_same_set(pool, tmp_path):
    makers = distil.check([{"name": "dm", "net": "convnet1_w8", "iterations": 2}], None, None, None)
    pick = Pick("dm", np.arange(30), 6, None, 0, np.empty(0, np.int64), np.empty(0, np.int64))
    with trainings(pool, tmp_path, makers=makers) as run:
        inline = run.picks({0: pick})[0]
    with Trainings(pool, TOY, tmp_path / "other", lambda n: process_pool(n, 1), 1, makers=makers) as run:
        found = run.picks({0: pick})[0]
    assert found.digest == inline.digest and found.seconds > 0
    assert sorted(path.suffix for path in (tmp_path / "other").iterdir()) == [".npz"]  # no state is left
