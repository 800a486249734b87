"""Words about where jobs run: what goes together, which executor it is, and how GPUs are named."""

import pytest

from decoct.core.errors import UsageError
from decoct.study.store.store import Store
from decoct.study.workers import place as module
from decoct.study.workers.executors import Inline, Pool
from decoct.study.workers.place import Place
from decoct.study.workers.shares import Shares


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ({"on": "rya"}, r"jobs cannot run on 'rya'. Did you mean 'ray'\?"),
        ({"address": "auto"}, "--address is for Ray: add --on ray"),
        ({"on": "inline", "gpus": {"train": 1}, "device": "cuda"}, "--gpus shares GPUs out to workers"),
        ({"on": "pool", "device": "cuda", "gpus": {"train": 2}}, "train=2: a worker of a pool sees one GPU"),
        ({"device": "cuda:1", "gpus": {"measure": 0}}, "use --device cuda, not cuda:1"),
        ({"on": "inline", "workers": 2}, "one job at a time"),
        (
            {"on": "ray", "device": "cuda", "gpus": {"trian": 1}},
            "no kind of job is called 'trian'. Did you mean 'train'",
        ),
        ({"on": "ray", "device": "cuda", "gpus": {"train": 1.5}}, "train=1.5: a fraction below 1, or a whole number"),
        ({"on": "ray", "device": "cuda", "gpus": {"train": -1}}, "train=-1: a fraction"),
        ({"on": "ray", "device": "cuda", "gpus": {"train": float("nan")}}, "train=nan: a fraction"),
        ({"on": "ray", "gpus": {"train": 1}}, "needs --device cuda; jobs compute on cpu"),
        ({"on": "ray", "device": "cuda:1"}, "use --device cuda, not cuda:1"),
    ],
)
def test_what_does_not_go_together_is_refused(place, line):
    with pytest.raises(UsageError, match=line):
        Place(**place)


def test_a_job_gets_one_gpu_unless_it_is_said_otherwise():
    place = Place("ray", None, "cuda", gpus={"train": 0.25, "measure": 0})
    assert [place.share(kind) for kind in ("teacher", "train", "measure")] == [1.0, 0.25, 0.0]
    assert place.on_cpu == {"measure"}
    assert Place("ray").share("teacher") == Place("pool").share("teacher") == 0.0
    assert place.at_once > Place("ray", 3).at_once > Place("ray", 3, address="auto").at_once == 3


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (Place(), Inline),
        (Place(workers=2), Pool),
        (Place("pool"), Pool),
        (Place("inline"), Inline),
        (Place(None, 1, "cuda", ("0",), {"measure": 0}), Shares),
        (Place("pool", 2, "cuda", ("0",), {"train": 0.5}), Shares),
        (Place("pool", 2, "cpu", (), {"measure": 0}), Pool),  # where nothing computes on a GPU
    ],
)
def test_one_job_at_a_time_runs_here_and_several_in_a_pool(place, kind, tmp_path):
    with place.executors(1, Store(tmp_path), [])(place.at_once) as executor:
        assert type(executor) is kind


def test_pool_workers_share_the_gpus_out(tmp_path):
    place = Place("pool", 1, "cuda", visible=("3",))
    with place.executors(1, Store(tmp_path), [])(1) as executor:
        assert executor.submit(eval, "__import__('os').environ['CUDA_VISIBLE_DEVICES']").result() == "3"


@pytest.mark.parametrize(("gpus", "kind"), [({}, Pool), ({"train": 0.5}, Shares)])
def test_once_a_pool_has_ended_the_next_is_on_the_gpus_that_still_compute(gpus, kind, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "answering", lambda names: asked.append(names) or tuple(n for n in names if n != "1"))
    place = Place("pool", 6, "cuda", visible=("0", "1", "2"), gpus=gpus)
    pool = place.executors(1, Store(tmp_path), [])
    with pool(6) as first:
        assert asked == [] and type(first) is kind
    with pool(6) as second:
        assert asked == [("0", "1", "2")]
        if kind is Pool:
            assert second._max_workers == 4  # two on each, as before
        else:
            assert len(second._gpus) == 2
    with pool(1):
        assert asked[1:] == [("0", "2")]
