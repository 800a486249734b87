"""Where and how to compute outside of a study: the planner, the store, and what is run."""

import pytest

from decoct import api
from decoct.condensers.coresets.random import Random
from decoct.core.budget import Budget
from decoct.core.errors import UsageError
from decoct.core.scratch import here
from decoct.data.dataset import default_store
from decoct.needs.teacher import Teach, Teacher
from decoct.protocols.erm import ERM
from decoct.run import compute as module
from decoct.run.compute import Compute
from decoct.run.graph import Planner
from decoct.run.storage.store import Store


@pytest.fixture
def planned(digits):
    """A planner with a set and a student, and the two jobs."""

    def make(compute):
        planner = compute.planner(digits)
        made = planner.condense("random", Random(), Budget(ipc=1), 0)
        planner.train(("erm", ERM(steps=2)), "convnet1_w8", made)
        return planner, list(planner.jobs.values())

    return make


def test_the_api_gives_it():
    assert api.Compute is Compute


def test_a_planner_s_jobs_are_those_of_a_study_with_seed_0(digits):
    teach = Teach(net="convnet1_w8", epochs=1)
    compute = Compute(threads=2, precision="bfloat16", plugins=("a.py",))
    planner = compute.planner(digits, {"convnet1_w8": teach})
    same = Planner(
        digits,
        0,
        {"threads": 2, "precision": "bfloat16", "compile": False},
        {"convnet1_w8": teach},
        ("a.py",),
    )
    assert planner == same
    assert planner.job(Teacher(net="convnet1_w8")).key == same.job(Teacher(net="convnet1_w8")).key


def test_where_it_runs_is_not_part_of_a_key(planned, tmp_path):
    one, other = (planned(c)[1] for c in (Compute(), Compute(device="cuda", store=tmp_path, watch=print)))
    assert [job.key for job in one] == [job.key for job in other]
    threads = planned(Compute(threads=2))[1]
    assert not {job.key for job in one} & {job.key for job in threads}


def test_a_checkpoint_is_pinned_by_its_content(digits, tmp_path):
    file = tmp_path / "mine.safetensors"
    keys = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        planner = Compute().planner(digits, {"convnet1_w8": Teach(net="convnet1_w8", checkpoint=str(file))})
        keys.append(planner.job(Teacher(net="convnet1_w8")).key)
    assert keys[0] != keys[1]


@pytest.mark.parametrize("teachers", [["convnet2_bn"], {"convnet2_bn": {"epochs": 1}}, {"convnet2_bn": "mine.pt"}])
def test_teachers_that_are_no_table_of_teach_are_refused(digits, teachers):
    with pytest.raises(UsageError, match="teachers is a dict of Teach by net"):
        Compute().planner(digits, teachers)


def test_a_checkpoint_that_is_not_there_is_refused(digits, tmp_path):
    with pytest.raises(UsageError, match="no checkpoint at"):
        Compute().planner(digits, {"convnet1_w8": Teach(net="convnet1_w8", checkpoint=str(tmp_path / "no.pt"))})


def test_the_store_is_made_where_it_is_asked_for_or_else_the_user_s(tmp_path):
    assert Compute(store=tmp_path / "deep" / "store").cells().root == tmp_path / "deep" / "store"
    assert (tmp_path / "deep" / "store").is_dir()
    assert Compute().cells().root == default_store()


def test_the_store_is_swept(tmp_path):
    left = tmp_path / f".tmp-999999999-abc-01234567@{here()}"
    left.mkdir()
    Compute(store=tmp_path).cells()
    assert not left.exists()


def test_only_what_the_store_lacks_is_run_and_watched(planned, tmp_path, monkeypatch):
    ran, told = [], []

    def watch(job):
        return lambda *at: told.append((job.kind, at))

    def execute(root, job, device, progress):
        ran.append((job.kind, device))
        assert root == str(tmp_path)
        progress(1, 1)
        with Store(root).writing(job.kind, job.key) as folder:
            (folder / "cell.json").write_text("{}")

    monkeypatch.setattr(module, "execute", execute)
    planner, jobs = planned(Compute(store=tmp_path, device="cpu", watch=watch))
    compute = Compute(store=tmp_path, device="cpu", watch=watch)
    store = compute.do(planner)
    assert ran == [("condense", "cpu"), ("train", "cpu")]
    assert told == [("condense", (1, 1)), ("train", (1, 1))]
    assert all(store.has(job.kind, job.key) for job in jobs)
    compute.do(planner)
    assert len(ran) == 2


def test_a_store_may_lie_at_a_url(planned, machine, tmp_path):
    machine("one")
    compute = Compute(store=f"memory://compute/{tmp_path.name}")
    planner, jobs = planned(compute)
    store = compute.do(planner)
    assert store.where == compute.store and all(store.has(job.kind, job.key) for job in jobs)
    machine("other")
    other = compute.cells()
    assert (other.cell("train", jobs[-1].key) / "result.json").is_file()


def test_the_user_s_store_may_be_a_url(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DECOCT_STORE", f"memory://compute/{tmp_path.name}/own")
    store = Compute().cells()
    assert store.where == f"memory://compute/{tmp_path.name}/own"
    assert store.root.is_relative_to(tmp_path)
