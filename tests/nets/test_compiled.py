"""One graph, or an error that is told once and leaves the job as it would have been."""

import pytest
import torch

from decoct.nets.compiled import OrEager, RanEager, failed, graph


def broken(x):
    print(x.sum())
    return x * x.sum()


def test_what_breaks_a_graph_is_an_error_of_the_compiler_s():
    with pytest.raises(Exception, match="print") as caught:
        graph(broken)(torch.ones(3))
    assert failed(caught.value) and not failed(ValueError("mine"))


def test_a_job_goes_on_eager_and_says_so_once():
    called = []

    def make(compiled):
        called.append(compiled)
        return (graph(broken) if compiled else broken)(torch.ones(3)).tolist()

    either = OrEager(True, "sre2l")
    with pytest.warns(RanEager, match="sre2l goes on without torch.compile, which failed: ") as told:
        assert either(make) == either(make) == [3.0, 3.0, 3.0]
    assert called == [True, False, False] and len(told) == 1


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        OrEager(True, "sre2l")(lambda compiled: 1 / (not compiled))
