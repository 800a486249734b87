"""What random sets of the same size give beside a reading of a metric."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

NAME = ("extractor", "metric", "scope", "reference")


def by_name(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Rows of a reference cell by extractor, metric, scope and split."""
    return {tuple(row[key] for key in NAME): row for row in rows}


def beside(row: Mapping[str, Any], known: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> dict[str, Any]:
    """A reading with what random sets give of it.

    Args:
        row: a reading, with extractor, metric, scope, reference and value.
        known: what ``by_name`` makes of the random sets' cell; empty where there is none.

    Returns:
        The row, with random (their mean), random_sd, random_lo and random_hi (95 % prediction interval of one more
        random set), random_n, and z = (value − random) / random_sd; None where unknown, or where all are alike.
    """
    found = known.get(tuple(row[key] for key in NAME), {})
    mean, sd, value = found.get("mean"), found.get("sd"), row["value"]
    # What rounding alone makes differ is alike.
    differs = mean is not None and sd is not None and sd > 1e-9 * max(abs(mean), math.ulp(1.0))
    z = (value - mean) / sd if value is not None and mean is not None and sd is not None and differs else None
    rest = {f"random_{key}": found.get(key) for key in ("sd", "lo", "hi", "n")}
    return {**row, "random": mean, **rest, "z": z}
