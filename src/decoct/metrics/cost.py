"""Cost: what a set took to make, and its size in bytes."""

import math
from collections.abc import Mapping

from decoct.core.interfaces import Measured, Metric, Reading

TAKEN = (
    *("total_seconds", "cpu_seconds", "device_seconds", "energy", "peak_memory"),
    *("steps", "image_bytes", "label_bytes"),
)
NOBODY = "–"  # in the place of the extractor: no features are looked at


def cost(taken: Mapping[str, float | None], classes: int) -> dict[str, float]:
    """What a set took, if known, and its rate:  bytes_per_class = (image_bytes + label_bytes) / classes.

    A set that uses a teacher is charged for all of it, and so is the next one: times, energy and memory are of the
    construction and of all that it needed (teachers, features, statistics, traces), each once and in full, as if no
    other set shared them. What the user supplied, such as pretrained weights, is in none of them.

    Args:
        taken: total_seconds, cpu_seconds, device_seconds, energy, peak_memory, steps, image_bytes and label_bytes, by
            name; None, or left out, where unknown.
        classes: of the data, whether or not the set has images of all.

    Returns:
        NaN where unknown.
        total_seconds: wall time. cpu_seconds: processor time. device_seconds: wall time for which an accelerator was
        held. energy: joules that the devices drew meanwhile, whatever else ran on them.
        peak_memory: bytes, of the part that took most.
        steps: optimiser steps of the construction alone; 0 for a selection.
        image_bytes: as PNG files, or as stored where the images are floats. label_bytes: of the labels and weights that
        travel with the set; those that a protocol stores beside it, or its teachers make anew, are the protocol's.
        bytes_per_class: the two together, per class.

    Raises:
        ValueError: no class, or a cost that is negative or infinite.

    Source:
        Bao et al., 2025, arXiv:2507.17221, whose rate counts samples, labels and decoder by class, in bits.
    """
    if classes < 1:
        raise ValueError(f"a rate is per class, and there are {classes}")
    known = {name: value for name in TAKEN if (value := taken.get(name)) is not None}
    for name, value in known.items():
        if value < 0 or math.isinf(value):
            raise ValueError(f"{name} is {value:g}: a cost is a finite number from 0, or unknown")
    values = {name: float(known.get(name, math.nan)) for name in TAKEN}
    return values | {"bytes_per_class": (values["image_bytes"] + values["label_bytes"]) / classes}


class CostOfSet(Metric):
    """Seconds, joules, memory and bytes, including everything that the set uses, shared parts in full."""

    axis = "cost"
    needs = "cost"
    higher_is_better = dict.fromkeys((*TAKEN, "bytes_per_class"), False)
    lead = ("total_seconds", "bytes_per_class")

    def __call__(self, measured: Measured) -> list[Reading]:
        """Of the set as a whole; what is not known is NaN."""
        values = cost(measured.cost, len(measured.class_names))
        return [Reading(name, value, "pooled", "none") for name, value in values.items()]
