"""The work of measuring: one set on the features of every extractor, and random sets of the same size beside it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured, Metric, Reading
from decoct.core.record import read_json, write_json
from decoct.core.spec import parse
from decoct.data.dataset import Dataset
from decoct.metrics._resampling import of_random, over_images, random_sets
from decoct.needs._plane import ABOUT, MAP, Plane
from decoct.needs.features import EXTRACTOR, PIXELS, fitting, flat, given_rows, splits_of
from decoct.needs.teacher import WEIGHTS, load_teacher
from decoct.nets import backbone, weights
from decoct.nets.backbone import Backbone, embed
from decoct.nets.features import logits, penultimate_blocks
from decoct.nets.layout import laid_out
from decoct.study.cell import Cell

READINGS = "readings.json"
HELD_OUT = "held_out"  # role of the teacher that took no part in making the sets


@dataclass(frozen=True)
class Eyes:
    """What sets are looked at with.

    Attributes:
        metrics: specs by label, in the study's order.
        judge: name of the held-out teacher.
        nets: teachers and backbones on the device, by name.
        real: features by extractor and split.
        plane: that the first extractor's features are drawn in.
        precision: that features are made in, by extractor.
    """

    metrics: Mapping[str, Metric]
    judge: str
    nets: Mapping[str, nn.Module]
    real: Mapping[str, Mapping[str, NDArray[Any]]]
    plane: Plane
    precision: Mapping[str, str]

    @classmethod
    def of(cls, cell: Cell) -> "Eyes":
        """Those that a job asks for."""
        job = cell.job
        ((judge, own),) = job.role(HELD_OUT).items()
        teachers = {**cell.cells("teacher"), judge: cell.input("teacher", own)}
        nets: dict[str, nn.Module]
        nets = {net: load_teacher(folder, cell.data, cell.device) for net, folder in teachers.items()}
        stored = cell.cells("features")
        nets |= {
            name: load_backbone(folder, cell.device) for name, folder in stored.items() if (folder / WEIGHTS).is_file()
        }
        metrics = {label: parse("metric", config, job.plugins) for label, config in job.config["metrics"].items()}
        real = {name: splits_of(folder) for name, folder in stored.items()}
        plane = Plane.load(next(iter(stored.values())))
        return cls(metrics, judge, nets, real, plane, job.config["precision"])

    def features(self, extractor: str) -> dict[str, NDArray[Any]]:
        """Views of the real features by split: what is remembered of them goes when they go."""
        return {split: rows[:] for split, rows in self.real[extractor].items()}

    def judged(self, images: NDArray[Any], data: Dataset, device: str) -> NDArray[Any]:
        """Logits [n, classes] of the held-out teacher."""
        return logits(self.nets[self.judge], images, data.mean, data.std, device).numpy()

    def look(self, metric: Metric, extractor: str) -> str | None:
        """Whose eyes a metric's readings are by, with the features of an extractor; None if it has looked already."""
        if metric.needs == "features":
            return extractor
        return self.judge if extractor == next(iter(self.real)) else None


def make_readings(cell: Cell) -> None:
    """Measure one set on the features of every extractor.

    Files:
        readings.json: metric, value, interval over images, scope, reference, classes, extractor, axis, direction
        map.npy: places [n, 2] of the set's images on the plane of the first extractor
        map.json: which extractor that is
    """
    job, data, eyes = cell.job, cell.data, Eyes.of(cell)
    condensed = Condensed.load(cell.input("condense", job.inputs["condensed"])).materialise(data.train.images)
    rows: list[dict[str, Any]] = []
    first = None  # what the first extractor sees
    with cell.meter():
        judged = eyes.judged(condensed.pixels(), data, cell.device)
        for done, extractor in enumerate(eyes.real):
            real = eyes.features(extractor)
            how = cell.device, eyes.precision[extractor]
            net, pixels = eyes.nets.get(extractor), extractor == PIXELS
            seen = flat(condensed.pixels()) if pixels else seen_by(net, real["train"], condensed, data, *how)
            if seen is None and (file := job.config.get("given", {}).get(extractor)):
                seen = given_rows(Path(file), job.keyed["given"][extractor])
            if seen is None:
                if len(eyes.real) > 1:
                    continue
                raise DecoctError(
                    f"the set '{job.labels['method']}' has images of its own, a .npy file features of train images\n"
                    "give those of its images (--features, or features of its [[external]]), or take an extractor that "
                    "can look at them: a teacher, pixels, dinov2, timm:NAME …"
                )
            seen = fitting(seen, real["train"].dtype, extractor)
            first = seen if done == 0 else first
            measured = _measured(seen, condensed.labels, real, data, condensed.member, judged)
            for label, metric in eyes.metrics.items():
                if who := eyes.look(metric, extractor):
                    rows += readings(metric, measured, who, job.keyed["resamples"], label)
            cell.progress(done + 1, len(eyes.real))
    write_json(cell.folder / READINGS, rows)
    if first is not None:
        np.save(cell.folder / MAP, eyes.plane.project(first))
        write_json(cell.folder / ABOUT, {"extractor": next(iter(eyes.real))})


def make_reference(cell: Cell) -> None:
    """Measure random subsets of the train split that have as many images of each class as the sets of a budget.

    Files:
        readings.json: mean, standard deviation and prediction interval of random sets, by the same names
    """
    job, data, eyes = cell.job, cell.data, Eyes.of(cell)
    draws, counts = job.keyed["draws"], job.keyed["counts"]
    rows: list[dict[str, Any]] = []
    with cell.meter():
        sets = list(random_sets(data.train.labels, counts, draws, job.keyed["seed"]))
        judged = [eyes.judged(data.train.images[picks], data, cell.device) for picks in sets]
        done, total = 0, len(eyes.real) * draws
        for extractor in eyes.real:
            real = eyes.features(extractor)
            values: dict[tuple[str, Reading], list[float]] = {}
            for picks, said in zip(sets, judged, strict=True):
                measured = _measured(real["train"][picks], data.train.labels[picks], real, data, True, said)
                for label, metric in eyes.metrics.items():
                    for one in metric(measured) if eyes.look(metric, extractor) else ():
                        which = Reading(one.metric, 0.0, one.scope, one.reference)
                        values.setdefault((label, which), []).append(one.value)
                done += 1
                cell.progress(done, total)
            for (label, which), known in values.items():
                metric = eyes.metrics[label]
                name = called(which.metric, metric, label)
                row: dict[str, Any] = {"metric": name, "scope": which.scope, "reference": which.reference}
                row["extractor"] = eyes.look(metric, extractor)
                rows.append(row | _defined(of_random(metric, which.metric, known)))
    write_json(cell.folder / READINGS, rows)


def load_backbone(folder: Path, device: str) -> Backbone:
    """The frozen net behind stored features, on ``device``; a DecoctError if its weights are damaged."""
    stored = weights.read(folder / WEIGHTS)
    net = backbone.restore(read_json(folder / EXTRACTOR), stored.state, str(folder))
    laid_out(net.to(device))
    return net


def seen_by(
    net: nn.Module | None,
    train: NDArray[Any],
    condensed: Condensed,
    data: Dataset,
    device: str,
    precision: str = "float32",
) -> NDArray[Any] | None:
    """Features [n, d] of a set's images: those of the ``train`` images that it picked, or made as those were.

    Returns:
        None if the set has images that are not in train, and there is no net to look at them: a user gave features.
    """
    if condensed.indices is not None:
        return np.asarray(train[condensed.indices])
    if net is None:
        return None
    if isinstance(net, Backbone):
        blocks = embed(net, condensed.pixels(), device, precision=precision)
    else:
        blocks = penultimate_blocks(net, condensed.pixels(), data.mean, data.std, device, precision=precision)
    return torch.cat(list(blocks)).numpy()


def readings(
    metric: Metric, measured: Measured, extractor: str, resamples: int = 0, label: str = ""
) -> list[dict[str, Any]]:
    """A metric's readings as rows, with its traits and their intervals over images; what is not defined is null.

    The extractor is whose features, or logits, they are; 0 resamples are for no intervals; the label is the study's.
    """
    intervals = over_images(metric, measured, resamples)
    splits = {reading.reference for reading, _, _ in intervals}
    against = {metric.lead_against} & splits or splits  # such as train alone, or none
    return [
        {
            **vars(reading),
            "metric": called(reading.metric, metric, label),
            **_defined({"value": reading.value, "lo": lo, "hi": hi}),
            "extractor": extractor,
            "axis": metric.axis,
            "higher_is_better": metric.higher_is_better[reading.metric],
            "lead": reading.metric in metric.lead and reading.reference in against,
        }
        for reading, lo, hi in intervals
    ]


def called(value: str, metric: Metric, label: str) -> str:
    """The name of a value in tables, after the label of its metric where that is not the metric's own name."""
    return value if label in ("", metric.name) else f"{label} {value}"


def _measured(
    condensed: NDArray[Any],
    labels: NDArray[np.int64],
    real: Mapping[str, NDArray[Any]],
    data: Dataset,
    member: bool,
    judged: NDArray[Any],
) -> Measured:
    real_labels = {"train": data.train.labels, "val": data.val.labels}
    return Measured(condensed, labels, real, real_labels, data.class_names, member, judged)


def _defined(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
