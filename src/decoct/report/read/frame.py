"""A run's store as tidy tables: one row per trained student, per reading of a metric, per condensed set."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.core.record import Cost, Result
from decoct.core.scratch import replace
from decoct.core.sheets import quoted
from decoct.metrics.cost import NOBODY, CostOfSet, cost
from decoct.report import wording
from decoct.report.read.manifest import FULL, SHARD, Job, Manifest
from decoct.report.stats.answers import Correct
from decoct.report.stats.intervals import grid_floor

NAME = ("extractor", "metric", "scope", "reference")  # of a reading
CORRECT = "correct.npy"
KEPT, ARRAY = 2**28, 150  # bytes of answers that are kept packed, and of an array beside its numbers
STRING, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def schema(*columns: tuple[pa.DataType, str]) -> pa.Schema:
    """Columns by type, their names with spaces between."""
    return pa.schema([(name, kind) for kind, names in columns for name in names.split()])


RESULTS = schema(
    (STRING, "data method protocol student budget"),
    (INT, "images condense_replicate train_replicate"),
    (FLOAT, "accuracy"),
    (INT, "test_images steps images_seen label_bytes image_bytes"),
    (STRING, "key"),
)
METRICS = schema(
    (STRING, "data method budget"),
    (INT, "condense_replicate"),
    (STRING, "extractor metric scope reference axis"),
    (BOOL, "higher_is_better lead"),
    (INT, "classes"),
    (FLOAT, "value lo hi random random_sd random_lo random_hi"),
    (INT, "random_n"),
    (FLOAT, "z"),
)
COSTS = schema(
    (STRING, "data method budget"),
    (INT, "images condense_replicate"),
    (FLOAT, "seconds shared_seconds total_seconds cpu_seconds"),
    (FLOAT, "device_seconds energy own_cpu_seconds own_device_seconds"),
    (INT, "peak_memory image_bytes label_bytes steps"),
    (FLOAT, "bytes_per_class"),
    (STRING, "device hardware not_counted seen stated"),
    (FLOAT, "stated_seconds"),
)


@dataclass(frozen=True)
class Frame:
    """The tables of a run, and what they lack.

    Attributes:
        manifest: the run.
        results: one row per trained student.
        metrics: one row per reading, with its interval over images (lo, hi) and what random sets of the same size
            give (random …, z; see ``beside``); what is not defined is null. Those of the cost, where the
            study asks for it, say what ``costs`` says.
        costs: one row per condensed set. ``seconds`` is its own construction, with that of its shards,
            ``shared_seconds`` what it needs (teachers, features, traces …) in full; ``cpu_seconds``,
            ``device_seconds``, ``energy`` (null if that of a part is unknown) and ``peak_memory`` are over both,
            ``own_cpu_seconds`` and ``own_device_seconds`` over the construction alone. Of an external set
            nothing was measured: these are null, and ``stated`` says what its author says, ``stated_seconds``.
        holes: planned students that have no result.
        failures: failed jobs with their messages.
        per_class: accuracy by class of each student, by its result's key; None of a class without test images.
    """

    manifest: Manifest
    results: pa.Table
    metrics: pa.Table
    costs: pa.Table
    holes: tuple[Job, ...]
    failures: tuple[tuple[Job, str], ...]
    per_class: Mapping[str, tuple[float | None, ...]]

    @cached_property
    def floor(self) -> float:
        """The smallest standard deviation of a difference to believe, see ``intervals.grid_floor``."""
        return grid_floor(min(self.results["test_images"].to_pylist(), default=0))

    def correct(self, key: str) -> Correct | None:
        """Which test images a student had right, by its result's key: [images]; None where that was not stored.

        Raises:
            DecoctError: the file is damaged.
        """
        bits = self._packed(key)
        return None if bits is None else np.unpackbits(bits, count=self._test_images[key]).astype(np.bool_)

    @cached_property
    def _packed(self) -> Callable[[str], NDArray[np.uint8] | None]:
        """Packed bits are kept, an eighth of a byte an image: every comparison asks for them again."""
        each = max(self._test_images.values(), default=0) // 8 + ARRAY
        return lru_cache(maxsize=KEPT // each)(lambda key: _bits(self.manifest, key, self._test_images[key]))

    @cached_property
    def _test_images(self) -> dict[str, int]:
        return dict(zip(*(self.results[name].to_pylist() for name in ("key", "test_images")), strict=True))


def read(folder: Path) -> Frame:
    """Read a run, finished or not.

    Raises:
        DecoctError: not a run, or a damaged cell.
    """
    run = Manifest.read(folder)
    facts = cache(lambda key: run.load(run.by_key[key], "facts.json"))  # of a set, which has many students
    results = [(job, Result(**run.load(job, "result.json"))) for job in run.finished("train")]
    results = [(job, result) for job, result in results if math.isfinite(result.accuracy)]
    rows = [_result(run, job, result, facts) for job, result in results]
    trained = {job.key for job, _ in results}
    failures = tuple((job, run.messages[job.key]) for job in run.jobs if job.key in run.messages and not run.done(job))
    costs = [_cost(run, job) for job in run.finished("condense")]
    prices = [price for row in costs for price in _prices(run, row)] if _asks(run, CostOfSet.name) else []
    return Frame(
        manifest=run,
        results=pa.Table.from_pylist(rows, schema=RESULTS),
        metrics=pa.Table.from_pylist(_metrics(run) + prices, schema=METRICS),
        costs=pa.Table.from_pylist(costs, schema=COSTS),
        holes=tuple(job for job in run.of_kind("train") if job.key not in trained),
        failures=failures,
        per_class={job.key: result.per_class for job, result in results},
    )


def write(folder: Path, name: str, table: pa.Table, csv: bool = False) -> None:
    """Write ``name.parquet``, and ``name.csv`` if asked, each file whole or not at all.

    The CSV has names that no spreadsheet runs, see ``decoct.core.sheets``.
    """
    from pyarrow import parquet

    replace(folder / f"{name}.parquet", partial(parquet.write_table, table))
    if csv:
        from pyarrow.csv import write_csv

        replace(folder / f"{name}.csv", partial(write_csv, _text(table)))


def _text(table: pa.Table) -> pa.Table:
    """The table with its names quoted for spreadsheets."""
    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            values = [None if value is None else quoted(value) for value in table[field.name].to_pylist()]
            table = table.set_column(at, field, pa.array(values, field.type))
    return table


def by_name(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Rows of a reference cell by extractor, metric, scope and split."""
    return {tuple(row[key] for key in NAME): row for row in rows}


def beside(row: Mapping[str, Any], known: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> dict[str, Any]:
    """A reading with that of random sets.

    Args:
        row: a reading, with extractor, metric, scope, reference and value.
        known: what ``by_name`` makes of the random sets' cell; empty where there is none.

    Returns:
        The row, with random (their mean), random_sd, random_lo and random_hi (95 % prediction interval of one more
        random set), random_n, and z = (value − random) / random_sd; None where unknown, or where all are alike.
    """
    random = known.get(tuple(row[key] for key in NAME), {})
    mean, sd, value = random.get("mean"), random.get("sd"), row["value"]
    # Differences that rounding alone makes do not count.
    differs = mean is not None and sd is not None and sd > 1e-9 * max(abs(mean), math.ulp(1.0))
    z = (value - mean) / sd if value is not None and mean is not None and sd is not None and differs else None
    rest = {f"random_{key}": random.get(key) for key in ("sd", "lo", "hi", "n")}
    return {**row, "random": mean, **rest, "z": z}


def _bits(run: Manifest, key: str, images: int) -> NDArray[np.uint8] | None:
    path = run.file(run.by_key[key], CORRECT)
    if not path.is_file():
        return None
    try:
        bits: NDArray[np.uint8] = arrayfile.load(path)
        if bits.dtype != np.uint8 or bits.shape != (-(-images // 8),):
            raise ValueError(f"{bits.dtype} {bits.shape} for {images} test images")
    except (OSError, ValueError) as error:
        blame(error)
        raise DecoctError(f"{path} is damaged ({error}); remove that folder and run the study again") from error
    return bits


def _result(run: Manifest, job: Job, result: Result, facts: Callable[[str], Any]) -> dict[str, Any]:
    condensed = run.by_key.get(job.inputs.get("condensed", ""))
    images, image_bytes = None, None
    if job.labels["method"] == FULL:
        images = run.data["images"]["train"]
    elif condensed and run.done(condensed):
        images, image_bytes = (facts(condensed.key)[name] for name in ("images", "image_bytes"))
    own = result.model_dump(include={"accuracy", "test_images", "steps", "images_seen", "label_bytes"})
    size = {"images": images, "image_bytes": image_bytes}
    return {"data": run.data["name"], **job.labels, **size, **own, "key": job.key}


def _metrics(run: Manifest) -> list[dict[str, Any]]:
    random = {job.labels["budget"]: by_name(run.load(job, "readings.json")) for job in run.finished("reference")}
    return [
        {"data": run.data["name"], **job.labels, **beside(row, random.get(job.labels["budget"], {}))}
        for job in run.finished("measure")
        for row in run.load(job, "readings.json")
    ]


def _asks(run: Manifest, metric: str) -> bool:
    """Whether a metric is among those of the study."""
    names = run.study.get("metrics", {}).get("names", ())
    return metric in ([table["name"] for table in names.values()] if isinstance(names, dict) else names)


def _prices(run: Manifest, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The cost of a set as readings. They have no cell of their own, because a second measurement would differ."""
    traits = {"extractor": NOBODY, "scope": "pooled", "reference": "none", "axis": CostOfSet.axis}
    traits |= {name: row[name] for name in ("data", "method", "budget", "condense_replicate")}
    return [
        {
            **traits,
            "metric": name,
            "value": value if math.isfinite(value) else None,
            "higher_is_better": CostOfSet.higher_is_better[name],
            "lead": name in CostOfSet.lead,
        }
        for name, value in cost(row, len(run.data["class_names"])).items()
    ]


def _cost(run: Manifest, job: Job) -> dict[str, Any]:
    facts = run.load(job, "facts.json")
    return {
        "data": run.data["name"],
        **job.labels,
        **{name: facts[name] for name in ("images", "image_bytes", "label_bytes")},
        "bytes_per_class": cost(facts | {"steps": None}, len(run.data["class_names"]))["bytes_per_class"],
        **(_stated(run, job) if run.external(job) else _taken(run, job, facts)),
    }


def _stated(run: Manifest, job: Job) -> dict[str, Any]:
    """The cost that the author of an external set states."""
    said = run.methods[str(job.labels["method"])]["external"].get("cost")
    words = f"{wording.seconds(said['seconds'])}, as its author states ({said['source']})" if said else "unknown"
    unknown = "its construction, which was not measured here"
    return {"not_counted": unknown, "stated": words, "stated_seconds": said["seconds"] if said else None}


def _taken(run: Manifest, job: Job, facts: dict[str, Any]) -> dict[str, Any]:
    parts, needs = run.construction(job), [need for need in run.needs(job).values() if need.kind != SHARD]
    present = [need for need in needs if run.done(need)]
    own, shared = ([run.cost(each) for each in jobs if run.done(each)] for jobs in (parts, present))
    both, provenance = [*own, *shared], run.load(job, "condensed.json")["provenance"]
    whole = {"own": len(own) == len(parts), "shared": len(shared) == len(needs)}

    def total(name: str, costs: list[Cost], known: bool) -> float | None:
        """None where a part is unknown; a missing part makes the cost unknown, not zero."""
        values = [getattr(each, name) for each in costs]
        return sum(values) if known and None not in values else None

    return {
        "seconds": total("seconds", own, whole["own"]),
        "shared_seconds": total("seconds", shared, whole["shared"]),
        "total_seconds": total("seconds", both, all(whole.values())),
        **{name: total(name, both, all(whole.values())) for name in ("cpu_seconds", "device_seconds", "energy")},
        **{f"own_{name}": total(name, own, whole["own"]) for name in ("cpu_seconds", "device_seconds")},
        "peak_memory": max(each.peak_memory for each in both),
        "steps": facts["steps"],
        "device": own[0].device,
        "hardware": " / ".join(sorted({each.hardware for each in both})),
        "not_counted": "; ".join(_not_counted(run, provenance, present)),
        "seen": "; ".join(f"{k} saw {v}" for k, v in sorted(provenance.get("seen", {}).items())),
    }


def _not_counted(run: Manifest, provenance: dict[str, Any], needs: list[Job]) -> list[str]:
    """Pretrained models that the user supplied: what the set itself names, and loaded teachers that it does not."""
    names = list(provenance.get("not_counted", ()))
    for need in needs:
        if need.kind == "teacher" and run.load(need, "teacher.json").get("checkpoint"):
            net = str(need.labels["net"])
            names += [] if any(net in name for name in names) else [f"training of {net}"]
    return names
