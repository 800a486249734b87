"""One graph, or an error that is told once and leaves the job as it would have been."""

import warnings

import pytest
import torch

from decoct.nets.compiled import RanEager, failed, graph, or_eager


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

    with pytest.warns(RanEager, match="sre2l goes on without torch.compile, which failed: ") as told:
        assert or_eager(make, True, "sre2l") == [3.0, 3.0, 3.0]
    assert called == [True, False] and len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert or_eager(make, False, "sre2l") == [3.0, 3.0, 3.0]


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        or_eager(lambda compiled: 1 / (not compiled), True, "sre2l")
