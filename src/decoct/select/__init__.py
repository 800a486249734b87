"""Greedy selection kernels: pure functions of a feature array, picks in order, in bounded memory."""

from decoct.select.classes import each
from decoct.select.covering import k_center, k_medoids
from decoct.select.duplicates import duplicates
from decoct.select.linear import graph_cut, herding
from decoct.select.location import facility_location

__all__ = ["duplicates", "each", "facility_location", "graph_cut", "herding", "k_center", "k_medoids"]
