"""Selection on a device that is not the host: every kernel gives the CPU's picks."""

from functools import partial

import pytest
import torch

from decoct import select
from decoct.select import graph
from devices.elsewhere import elsewhere

sparse = partial(select.facility_location, search="sparse", neighbours=8)
KERNELS = {
    "herding": select.herding,
    "graph_cut": select.graph_cut,
    "k_center": select.k_center,
    "k_medoids": select.k_medoids,
    "greedy": select.facility_location,
    "greedy, euclidean": partial(select.facility_location, similarity="euclidean"),
    "stochastic": partial(select.facility_location, search="stochastic"),
    "sparse": sparse,
    "sparse, euclidean": partial(sparse, similarity="euclidean"),
}


@pytest.mark.parametrize("exact", [graph.EXACT, 0], ids=["all pairs", "lists"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_picks_are_those_of_the_cpu(kernel, exact, monkeypatch):
    monkeypatch.setattr(graph, "EXACT", exact)
    features = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    expected = kernel(features, 20).tolist()
    with elsewhere():
        assert kernel(features.to("meta"), 20).tolist() == expected
