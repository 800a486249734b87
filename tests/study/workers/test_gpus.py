"""GPUs are named as CUDA names them, and those that do not answer are left out."""

import pytest

from decoct.core.errors import DecoctError
from decoct.study.workers import gpus
from decoct.study.workers.gpus import LostGpu, answering, visible_gpus


@pytest.mark.parametrize(
    ("said", "count", "names"),
    [
        (None, 3, ("0", "1", "2")),
        ("2, 3", 2, ("2", "3")),
        ("GPU-a,GPU-b", 1, ("GPU-a",)),
        ("GPU-8932f937, GPU-2bb", 2, ("GPU-8932f937", "GPU-2bb")),
        ("0,7,-1,2", 2, ("0", "7")),  # of which CUDA counts those before the first that is none
        ("MIG-a,MIG-GPU-b/1/0", 1, ("MIG-a", "MIG-GPU-b/1/0")),  # CUDA counts one slice a process
        ("MIG-a,MIG-a", 1, ("MIG-a",)),
        ("MIG-gone", 0, ()),
        ("0", 1, ("0",)),  # of a GPU that is sliced, its first slice
        ("", 0, ()),
        (None, 0, ()),
    ],
)
def test_gpus_are_named_as_cuda_names_them(said, count, names, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if said is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert visible_gpus(count) == names


ONE_IS_GONE = "import os; raise SystemExit(os.environ['CUDA_VISIBLE_DEVICES'] == '1')"
ONE_HANGS = "import os, time; time.sleep(60 * (os.environ['CUDA_VISIBLE_DEVICES'] == '1'))"


@pytest.mark.parametrize(("asked", "patience"), [(ONE_IS_GONE, 60.0), (ONE_HANGS, 5.0)])
def test_a_gpu_that_fails_or_hangs_is_left_out(asked, patience, monkeypatch):
    monkeypatch.setattr(gpus, "ASKED", asked)
    monkeypatch.setattr(gpus, "PATIENCE", patience)
    with pytest.warns(LostGpu, match="GPU 1 no longer computes; the run goes on with 0, GPU-a"):
        assert answering(("0", "1", "GPU-a")) == ("0", "GPU-a")


def test_where_none_answers_the_run_ends_with_a_line(monkeypatch):
    monkeypatch.setattr(gpus, "ASKED", "raise SystemExit(1)")
    with pytest.raises(DecoctError, match="GPU 0, 3 no longer computes: see nvidia-smi"):
        answering(("0", "3"))


def test_what_a_gpu_is_asked_fails_where_there_is_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(DecoctError, match="no longer computes"):
        answering(("",))
