"""Greedy selection kernels: pure functions of a feature array, picks in order, in bounded memory."""

from decoct.engine.select.classes import each
from decoct.engine.select.covering import k_center
from decoct.engine.select.cut import graph_cut
from decoct.engine.select.location import facility_location
from decoct.engine.select.matching import herding
from decoct.engine.select.medoids import k_medoids

__all__ = ["each", "facility_location", "graph_cut", "herding", "k_center", "k_medoids"]
