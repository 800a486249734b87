"""A run on disk, written by hand: known accuracies, costs, readings, holes and failures."""

import hashlib
import io
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save

from decoct.core.budget import Budget
from decoct.core.record import CELL, MEASURED, Cost, cell_dir, write_cost
from decoct.report.page.view import View
from decoct.report.summary import Summary

METHODS = {
    "random": ("coreset", True),
    "herding": ("coreset", False),
    "k_center": ("coreset", False),
    "rded": ("distillation", True),
    "sre2l": ("distillation", True),
}
# Mean accuracy at ipc=1; every further budget adds .2. The planted truth that the verdicts must find.
TRUTH = {"random": 0.50, "herding": 0.52, "k_center": 0.45, "rded": 0.60, "sre2l": 0.30}
LABELLED = {"single_teacher": ("convnet3_bn",), "multi_teacher": ("convnet3_bn", "resnet10t")}  # teachers, online

SD = 0.02  # of a reading, over sets
READINGS = (  # metric, what random sets give, axis, higher is better, against
    ("coverage", 0.31, "representativeness", True, "val"),
    ("mmd", 0.02, "representativeness", False, "val"),
    ("modes", 0.65, "representativeness", True, "val"),
    ("recall", 0.8, "diversity", True, "val"),
    ("vendi", 3.2, "diversity", True, "none"),
    ("realism", 0.9, "quality", True, "none"),
)


@dataclass
class Builder:
    """Writes ``run.json`` and the cells of a run; leave something out and it is a hole."""

    folder: Path
    methods: dict[str, tuple[str, bool]] = field(default_factory=lambda: dict(METHODS))
    truth: dict[str, float] = field(default_factory=lambda: dict(TRUTH))
    protocols: tuple[str, ...] = ("erm", "single_teacher", "multi_teacher")
    students: tuple[str, ...] = ("convnet3_w32",)
    budgets: tuple[str, ...] = ("ipc=1", "ipc=10")
    replicates: int = 5
    train_replicates: int = 1
    noise: float = 0.008
    name: str = "digits"
    class_names: tuple[str, ...] = tuple("0123456789")
    test_images: int = 360
    holes: Any = None
    failures: dict[str, str] = field(default_factory=dict)
    checkpoint: str | None = None
    full: bool = True
    same_steps: float | None = None  # accuracy of the full data after as many steps as the sets of each budget
    sampled: int = 1  # students of that
    teachers: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(LABELLED))
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)  # of protocols, where a name is not enough
    controls: dict[str, str] = field(default_factory=dict)  # by label
    said: dict[str, dict[str, Any]] = field(default_factory=dict)  # more of a method in run.json, by label
    weighted: tuple[str, ...] = ()  # methods whose images have weights
    extractors: tuple[str, ...] = ("teacher",)
    shift: Any = None  # (method, metric, extractor) -> what to add to a reading, None for no reading
    spread: float = SD  # of all readings of a set together
    draws: int = 20  # random sets of each budget
    skew: Any = None  # (method, class) -> what to add to the accuracy of a class alone
    maps: bool = False  # places of images on a plane
    twist: Any = None  # (method, protocol, student) -> what to add to an accuracy
    seed: int = 0
    pixels: tuple[str, ...] = ()  # deterministic methods that look at pixels: one set whatever the seed
    own_teachers: bool = False  # set r stands on teacher r
    jobs: list[dict[str, Any]] = field(default_factory=list)

    def build(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rng = np.random.default_rng(self.seed)
        nets = ("convnet3_bn", "resnet10t")
        taught = [
            {net: self._teacher(net, r) for net in nets} for r in range(self.replicates if self.own_teachers else 1)
        ]
        teachers = taught[0]
        plane = self._places(50) | {"map.json": {"explained": [0.5, 0.25], "images": 50}} if self.maps else {}
        if self.maps:
            plane["map_classes.npy"] = _npy(np.arange(50) % len(self.class_names))
        made = {"teacher": teachers["convnet3_bn"]}
        features = self._job("features", made, {"extractor": "teacher"}, plane, seconds=2.0)
        for budget in self.budgets:
            if self.draws:
                self._job("reference", {}, {"budget": budget}, {"readings.json": self._random()})
            for method in self.methods:
                self._method(method, budget, taught, features)
        for protocol in self.protocols if self.full else ():
            for student in self.students:
                labels = {"method": "full", "protocol": protocol, "student": student}
                numbers = {"condense_replicate": 0, "train_replicate": 0}
                for budget in self.budgets if self.same_steps is not None else ():
                    for r in range(self.sampled):
                        own = {**labels, "budget": budget, **numbers, "condense_replicate": r}
                        self._train(own, {}, self.same_steps, teachers)
                self._train({**labels, "budget": "all", **numbers}, {}, 0.97, teachers, steps=9000)
        self._manifest()
        return self.folder

    def _teacher(self, net: str, replicate: int) -> str:
        facts = {"net": net, "val_accuracy": 0.9625, "epochs": 30, "checkpoint": self.checkpoint}
        files = {"teacher.json": facts, "weights.safetensors": bytes(1000 * len(net))}
        labels = {"net": net} | ({"teacher_replicate": replicate} if replicate else {})
        return self._job("teacher", {}, labels, files, seconds=10.0)

    def _method(self, method: str, budget: str, taught: list[dict[str, str]], features: str) -> None:
        family, stochastic = self.methods[method]
        images = Budget.read(budget).total(1257, len(self.class_names))
        ipc = images / len(self.class_names)
        looks_at = {"features": features} if method in ("herding", "k_center") and method not in self.pixels else {}
        sets = []
        for c in range(self.replicates if stochastic else 1):
            labels = {"method": method, "budget": budget, "condense_replicate": c}
            teacher = {"teacher": taught[c % len(taught)]["convnet3_bn"]}
            learns = family == "distillation" or (looks_at and self.own_teachers)
            key = self._condense(labels, teacher if learns else looks_at, ipc, family)
            sets.append(key)
            read, looks = {"readings.json": self._readings(ipc, method)}, {"condensed": key}
            if self.maps:
                read |= self._places(images) | {"map.json": {"extractor": "teacher"}}
                looks["features:teacher"] = features
            self._job("measure", looks, labels, read, seconds=0.1)
        for protocol in self.protocols:
            for student in self.students:
                for c in range(self.replicates):
                    shared = 0.03 * np.sin(7 * c + len(protocol))  # the student's seed, common to all methods
                    for t in range(self.train_replicates):
                        labels = {"method": method, "protocol": protocol, "student": student, "budget": budget}
                        labels |= {"condense_replicate": c, "train_replicate": t}
                        mean = self.truth[method] + 0.2 * self.budgets.index(budget) + shared
                        accuracy = mean + self.noise * self.rng.normal()
                        accuracy += self.twist(method, protocol, student) if self.twist else 0
                        trained_on = {"condensed": sets[c if stochastic else 0]}
                        self._train(labels, trained_on, accuracy, taught[c % len(taught)])

    def _condense(self, labels: dict[str, Any], inputs: dict[str, str], ipc: float, family: str) -> str:
        n = round(ipc * len(self.class_names))
        provenance = {"method": labels["method"], "data": self.name, "budget": labels["budget"]}
        distilled = family == "distillation"
        notes = {"teacher_accuracy": 0.991} if distilled else {}
        facts = {"images": n, "image_bytes": 90 * n, "label_bytes": 0, "steps": 500 * distilled, "notes": notes}
        rows, columns = min(10, len(self.class_names)), max(1, min(10, round(ipc)))
        files = {
            "condensed.json": {
                "format": 1,
                "class_names": list(self.class_names),
                "images": n,
                **({"weighted": True} if labels["method"] in self.weighted else {}),
                "provenance": provenance,
            },
            "facts.json": facts,
            "preview.png": self._grid(rows, columns),
        }
        if self.maps:
            files["condensed.safetensors"] = save({"labels": np.arange(n) % len(self.class_names)})
        if distilled:
            files["initial.png"] = self._grid(rows, columns)
        seconds = (8.0 if distilled else 0.02) * ipc
        return self._job("condense", inputs, labels, files, seconds=seconds)

    def _train(
        self,
        labels: dict[str, Any],
        inputs: dict[str, str],
        accuracy: float,
        teachers: dict[str, str],
        steps: int = 500,
    ) -> None:
        protocol = labels["protocol"]
        stored = self.tables.get(protocol, {}).get("labels")
        inputs |= {"labels": f"labels-{protocol}"} if stored else {}
        inputs |= {f"teacher:{net}": teachers[net] for net in self.teachers.get(protocol, ()) if not stored}
        right = round(min(max(accuracy, 0), 1) * self.test_images)
        result = {
            "accuracy": right / self.test_images,
            "per_class": [
                right / self.test_images + (self.skew(labels["method"], c) if self.skew else 0)
                for c in range(len(self.class_names))
            ],
            "test_images": self.test_images,
            "steps": steps,
            "images_seen": steps * 64,
            "loss": 0.1,
            "label_bytes": self._label_bytes(protocol, labels["condense_replicate"]),
        }
        self._job("train", inputs, labels, {"result.json": result}, seconds=3.0)

    def _label_bytes(self, protocol: str, replicate: int) -> int:
        """Stored labels weigh by their bits, and not the same for every set."""
        stored = self.tables.get(protocol, {}).get("labels")
        return 1000 * stored["bits"] + 10 * replicate if stored else 80 if protocol == "erm" else 0

    def _readings(self, ipc: float, method: str) -> list[dict[str, Any]]:
        rows, draw = [], self.rng.normal() * self.spread
        for extractor in self.extractors:
            for metric, value, axis, higher, reference in READINGS:
                here = None if metric == "recall" and ipc <= 5 else value + (draw if higher else -draw / 10)
                if here is not None and self.shift:
                    more = self.shift(method, metric, extractor)
                    here = None if more is None else here + more
                ends = {"lo": None if here is None else here - 0.05, "hi": None if here is None else here + 0.05}
                where = {"extractor": extractor, "scope": "per_class", "reference": reference}
                facts = {"axis": axis, "higher_is_better": higher, "classes": 10, "lead": metric != "recall"}
                rows.append({**where, "metric": metric, "value": here, **ends, **facts})
        return rows

    def _random(self) -> list[dict[str, Any]]:
        return [
            {"extractor": e, "metric": metric, "scope": "per_class", "reference": reference}
            | {"mean": value, "sd": SD, "lo": value - 2 * SD, "hi": value + 2 * SD, "n": self.draws}
            for e in self.extractors
            for metric, value, _, _, reference in READINGS
        ]

    def _places(self, n: int) -> dict[str, bytes]:
        return {"map.npy": _npy(self.rng.normal(size=(n, 2)).astype(np.float32))}

    def _grid(self, rows: int, columns: int) -> bytes:
        pixels = np.full((rows * 9 + 1, columns * 9 + 1), 128, dtype=np.uint8)  # grey between pictures
        inside = np.ix_(*([i for i in range(side) if i % 9] for side in pixels.shape))
        pixels[inside] = self.rng.integers(0, 255, (rows * 8, columns * 8), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "png")
        return buffer.getvalue()

    def _job(
        self, kind: str, inputs: dict[str, str], labels: dict[str, Any], files: Any = None, seconds: float = 1.0
    ) -> str:
        same = kind == "condense" and labels["method"] in self.pixels
        named = [kind, labels, *([self.seed] if self.seed and not same else [])]
        key = "00" + hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:30]  # few folders
        drawn = {"drawn": False} if kind == "teacher" and self.checkpoint else {}
        self.jobs.append({"key": key, "kind": kind, "inputs": inputs, "labels": labels, **drawn})
        if self.holes and self.holes({"kind": kind, **labels}):
            return key
        cell = cell_dir(self.folder / "store", kind, key)
        cell.mkdir(parents=True)
        record = {"kind": kind, "keyed": {"external": True}, "files": {}}  # of any key, and tests may change its files
        for name, content in {CELL: record, MEASURED: _took(seconds), **(files or {})}.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (cell / name).write_bytes(data)
        return key

    def add(self, kind: str, labels: dict[str, Any], files: Any = None, seconds: float = 1.0) -> str:
        """A job more, after ``build``."""
        key = self._job(kind, {}, labels, files, seconds)
        self._manifest()
        return key

    def _manifest(self) -> None:
        protocols = {p: {"name": p, "steps": 500, **self.tables.get(p, {})} for p in self.protocols}
        study = {
            "name": self.name,
            "seed": self.seed,
            "threads": 1,
            "data": {"name": self.name},
            "students": list(self.students),
            "budgets": [Budget.read(b).model_dump() for b in self.budgets],
            "replicates": {
                "condense": self.replicates,
                "train": self.train_replicates,
                **({"teacher": self.replicates} if self.own_teachers else {}),
            },
            "condensers": [{"name": m} for m in self.methods],
            "protocols": protocols,
            "margin": 0.01,
        }
        methods = {
            label: {
                "family": family,
                "stochastic": s,
                "summary": f"What {label} does.",
                "config": {"name": label, "factor": 1},
                **({"control": self.controls[label]} if label in self.controls else {}),
                **self.said.get(label, {}),
            }
            for label, (family, s) in self.methods.items()
        }
        data = {
            "name": self.name,
            "digest": "d1ge57",
            "class_names": list(self.class_names),
            "images": {"train": 1257, "val": 180, "test": self.test_images},
            "test_per_class": [self.test_images / len(self.class_names)] * len(self.class_names),
            "shape": [1, 8, 8],
            "flip": False,
        }
        run = {"format": 1, "decoct": "0.1.0", "name": self.name, "study": study, "data": data, "methods": methods}
        run |= {"jobs": self.jobs, "failures": self._failed()}
        (self.folder / "run.json").write_text(json.dumps(run, sort_keys=True))

    def _failed(self) -> dict[str, str]:
        """``failures`` gives messages by method; the first job of it that is missing carries the message."""
        found = {}
        for method, message in self.failures.items():
            own = [
                j
                for j in self.jobs
                if j["labels"].get("method") == method and self.holes({"kind": j["kind"], **j["labels"]})
            ]
            found[own[0]["key"]] = message
        return found


def view(summary: Summary) -> View:
    """What the sections of a run's page look at, and nothing else."""
    return View(summary.methods, summary.deterministic, summary.settings, summary.accuracies)


@cache
def _took(seconds: float) -> bytes:
    """The file that says what a cell took."""
    cost = Cost(
        seconds=seconds,
        cpu_seconds=2 * seconds,
        peak_memory=int(1e8 * seconds),
        device="cpu",
        hardware="Test CPU",
        host="box",
        versions={"decoct": "0.1.0", "python": "3.11"},
    )
    with TemporaryDirectory() as folder:
        write_cost(Path(folder), cost)
        return (Path(folder) / MEASURED).read_bytes()


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "run")


@pytest.fixture
def run(builder: Builder) -> Path:
    return builder.build()
