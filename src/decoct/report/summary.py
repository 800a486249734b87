"""The report's numbers in one object: what the terminal prints, ``--json`` gives and the page draws."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from decoct.report import stats, wording
from decoct.report.cautions import cautions
from decoct.report.frame import Frame
from decoct.report.manifest import FULL
from decoct.report.price import price
from decoct.report.stats import Interval, Replicates
from decoct.report.verdict import Setting, Verdict, Worth, verdicts, worth


@dataclass(frozen=True)
class Accuracy:
    """Test accuracy of a method in a setting: mean and 95 % interval over condense-level means, n of them.

    Attributes:
        method: its label in the study, or ``full``, whose interval is Wilson's over n test images.
        setting: protocol, student, budget.
        interval: fractions, clipped to [0, 1].
        students: trained students behind it.
        images: training images of the set; None if unknown.
        steps: optimiser steps of a student.
        images_seen: images that went through a student.
        label_bytes: bytes of labels that a student learnt from.
    """

    method: str
    setting: Setting
    interval: Interval
    students: int
    images: int | None
    steps: int
    images_seen: int
    label_bytes: int


@dataclass(frozen=True)
class Summary:
    """What a run found.

    Attributes:
        name: of the study.
        data: name of the data set.
        methods: label to family, in study order.
        deterministic: methods that give one set whatever the seed; their intervals condition on it.
        settings: of the comparisons, in order of protocol, student, budget.
        accuracies: of methods and of the full data.
        verdicts: one per method and setting.
        worth: whether distilling was worth it.
        price: what the distilled sets took to make, beside the dearest coreset; one sentence a method.
        cautions: where the numbers stand on weak ground; one sentence each.
        margin: of equivalence, a fraction.
        planned: students that the study trains.
        trained: students that have a result.
        failures: what failed, with the messages.
        page: the HTML report.
    """

    name: str
    data: str
    methods: Mapping[str, str]
    deterministic: frozenset[str]
    settings: tuple[Setting, ...]
    accuracies: tuple[Accuracy, ...]
    verdicts: tuple[Verdict, ...]
    worth: Worth
    price: tuple[str, ...]
    cautions: tuple[str, ...]
    margin: float
    planned: int
    trained: int
    failures: tuple[str, ...]
    page: Path

    @property
    def ceiling(self) -> list[Accuracy]:
        """Accuracies of the students trained on the full data."""
        return [a for a in self.accuracies if a.method == FULL]

    def accuracy(self, method: str, setting: Setting) -> Accuracy | None:
        """The accuracy of a method in a setting, if any of its students was trained."""
        return next((a for a in self.accuracies if (a.method, a.setting) == (method, setting)), None)

    def verdict(self, method: str, setting: Setting) -> Verdict:
        """The verdict of a method in a setting."""
        return next(v for v in self.verdicts if (v.method, v.setting) == (method, setting))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts for ``json.dumps``; what is not defined is None."""
        return {
            "name": self.name,
            "data": self.data,
            "report": str(self.page),
            "planned": self.planned,
            "trained": self.trained,
            "failures": list(self.failures),
            "margin": self.margin,
            "cautions": list(self.cautions),
            "worth": asdict(self.worth) | {"methods": list(self.worth.methods), "price": list(self.price)},
            "accuracy": [_plain(_accuracy(a)) for a in self.accuracies],
            "verdicts": [_plain(_verdict(v, v.method in self.deterministic)) for v in self.verdicts],
        }


def summarise(frame: Frame, page: Path) -> Summary:
    """Reduce a run's tables to accuracies with intervals, and verdicts."""
    run = frame.manifest
    rows: dict[tuple[str, Setting], list[dict[str, Any]]] = {}
    for row in frame.results.to_pylist():
        rows.setdefault((row["method"], Setting(row["protocol"], row["student"], row["budget"])), []).append(row)
    settings = _settings(frame)
    tests = [row["test_images"] for group in rows.values() for row in group]
    floor = stats.grid_floor(min(tests, default=0))
    by_setting = {
        s: {method: _replicates(rows[method, s]) for method in run.methods if (method, s) in rows} for s in settings
    }
    families = {label: method["family"] for label, method in run.methods.items()}
    found = verdicts(by_setting, families, run.margin, floor)
    accuracies = tuple(_summarise(method, setting, group) for (method, setting), group in rows.items())
    return Summary(
        name=run.name,
        data=run.data["name"],
        methods=families,
        deterministic=frozenset(label for label, method in run.methods.items() if not method["stochastic"]),
        settings=settings,
        accuracies=accuracies,
        verdicts=tuple(found),
        worth=worth(found),
        price=price(frame),
        cautions=cautions([(a.setting, a.interval) for a in accuracies if a.method == FULL]),
        margin=run.margin,
        planned=len(run.of_kind("train")),
        trained=frame.results.num_rows,
        failures=tuple(f"{job}: {message}" for job, message in frame.failures),
        page=page,
    )


def _settings(frame: Frame) -> tuple[Setting, ...]:
    """Every planned setting but the ceiling's: protocols and students as planned, budgets by size."""
    labels = [job.labels for job in frame.manifest.of_kind("train") if job.labels["method"] != FULL]
    planned = dict.fromkeys(Setting(row["protocol"], row["student"], row["budget"]) for row in labels)
    order = [(s.protocol, s.student) for s in planned]
    return tuple(sorted(planned, key=lambda s: (order.index((s.protocol, s.student)), wording.budget_order(s.budget))))


def _replicates(rows: list[dict[str, Any]]) -> Replicates:
    return {(row["condense_replicate"], row["train_replicate"]): row["accuracy"] for row in rows}


def _summarise(method: str, setting: Setting, rows: list[dict[str, Any]]) -> Accuracy:
    if method == FULL:
        images = sum(row["test_images"] for row in rows)
        interval = stats.wilson(sum(row["accuracy"] * row["test_images"] for row in rows), images)
    else:
        # One set's own accuracy moves on the grid too, by half the variance of a difference.
        floor = stats.grid_floor(rows[0]["test_images"]) / math.sqrt(2)
        raw = stats.t_interval(stats.condense_means(_replicates(rows)), floor=floor)
        lo, hi = (x if math.isnan(x) else min(1.0, max(0.0, x)) for x in (raw.lo, raw.hi))
        interval = Interval(raw.mean, lo, hi, raw.n)
    first = rows[0]
    return Accuracy(
        method,
        setting,
        interval,
        len(rows),
        first["images"],
        max(row["steps"] for row in rows),
        max(row["images_seen"] for row in rows),
        max(row["label_bytes"] for row in rows),
    )


def _accuracy(a: Accuracy) -> dict[str, Any]:
    rest = {key: value for key, value in asdict(a).items() if key not in ("setting", "interval")}
    return (
        rest
        | a.setting._asdict()
        | {"accuracy": a.interval.mean, "ci95": [a.interval.lo, a.interval.hi], "n": a.interval.n}
    )


def _verdict(v: Verdict, deterministic: bool) -> dict[str, Any]:
    def comparison(c: stats.Comparison) -> dict[str, Any]:
        return {"verdict": c.verdict, "difference": c.mean, "ci95": [c.lo, c.hi], "n": c.n, "needed": c.needed}

    return {
        "method": v.method,
        "family": v.family,
        **v.setting._asdict(),
        "conditional_on_set": deterministic,
        "random": comparison(v.random) if v.random else None,
        "coresets": {name: comparison(c) for name, c in v.coresets.items()},
        "against_coresets": v.against_coresets,
        "needed": v.needed,
        "text": v.sentences(),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
