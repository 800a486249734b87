"""The record of a piece of work: where its cell lies, its inputs, its cost and its results."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from decoct.core.notation import from_json
from decoct.core.spec import digest

CELL = "cell.json"  # written with everything else in the cell; a cell without it is not one
MEASURED = "measured.json"
SUM = "sum"  # of measured.json: digest of all else in it


class Record(BaseModel):
    """Base of the records: frozen, JSON in and out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cost(Record):
    """What one job took on the machine that ran it. Never part of a key, nor of any file but ``measured.json``.

    Attributes:
        seconds: wall time of the work itself, without loading its inputs.
        cpu_seconds: processor time of the process over the same span.
        device_seconds: wall time for which it held an accelerator; 0 on a CPU.
        energy: joules that its device drew meanwhile, for this job and for all else that ran on it: the whole GPU, or
            the processor packages without the main memory; None where nothing reports it. See ``decoct.study.cell``.
        peak_memory: bytes, the process's peak while it worked; on a GPU the device's peak.
        device: such as "cpu" or "cuda".
        hardware: name of the processor or GPU.
        host: name of the machine.
        versions: of decoct, Python and the libraries that compute.
        once, cpu_once: of ``seconds`` and ``cpu_seconds``, what went into results that its process keeps for the jobs
            after it: those depend on the real data alone. See ``decoct.core.once``.
        around: seconds on the clock besides: inputs are read, a student is evaluated, files are written.
    """

    seconds: float
    cpu_seconds: float
    device_seconds: float = 0.0
    energy: float | None = None
    peak_memory: int
    device: str
    hardware: str
    host: str
    versions: dict[str, str]
    once: float = 0.0
    cpu_once: float = 0.0
    around: float = 0.0


class Provenance(Record):
    """Where a condensed set came from.

    Attributes:
        method: name of the condenser; "unknown" for a set that decoct did not make.
        spec: name, version and fields of its Spec.
        data: name of the data set.
        data_digest: digest of its content, or None where unknown.
        budget: such as "ipc=10".
        seed: None for a method that is deterministic.
        inputs: keys of the artifacts that it used, by role.
        not_counted: pretrained models that the user supplied, whose cost is unknown.
        seen: what each generator that it used was trained on, by the generator's name: one that saw more than the train
            split brings what no coreset has.
        key: of the cell that made it.
    """

    method: str
    spec: dict[str, Any] = {}
    data: str = "unknown"
    data_digest: str | None = None
    budget: str = "unknown"
    seed: int | None = None
    inputs: dict[str, str] = {}
    not_counted: tuple[str, ...] = ()
    seen: dict[str, str] = {}
    key: str | None = None


class Result(Record):
    """One trained student, evaluated once, at its last step. Which test images were right is in ``correct.npy``.

    Attributes:
        accuracy: fraction of the test images.
        per_class: the same by class.
        test_images: how many there were.
        steps: optimiser steps.
        images_seen: training images that went through the student.
        loss: mean training loss over the last tenth of the steps.
        label_bytes: bytes of the labels that the student learnt from; online teachers store none.
    """

    accuracy: float
    per_class: tuple[float, ...]
    test_images: int
    steps: int
    images_seen: int
    loss: float
    label_bytes: int


@dataclass(frozen=True)
class Scores:
    """Test accuracies of students trained on one set, at their last step.

    Attributes:
        accuracy: fractions, one per seed.
        mean: of them.
        ci95: 95 % t interval of the mean over seeds; None with one seed. It conditions on the set.
        n: seeds.
        seeds: of the students.
        protocol: how they were trained.
        student: which net.
        images: of the set.
        steps: optimiser steps of each.
        labels: what the students learnt from: "hard", "online" or "stored".
        label_bytes: of the labels that had to be stored.

    Example:
        >>> made = decoct.condense("random", "digits", ipc=1)
        >>> scores = decoct.train(made, "digits", student="convnet1_w8", seeds=(0, 1), steps=2)
        >>> scores.n, len(scores.accuracy), scores.images
        (2, 2, 10)
    """

    accuracy: tuple[float, ...]
    mean: float
    ci95: tuple[float, float] | None
    n: int
    seeds: tuple[int, ...]
    protocol: str
    student: str
    images: int
    steps: int
    labels: str
    label_bytes: int

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return asdict(self)


def cell_dir(store: Path, kind: str, key: str) -> Path:
    """Folder of a cell: ``STORE/kind/ke/key``."""
    return store / kind / key[:2] / key


def complete(folder: Path) -> bool:
    """A cell is renamed into place whole, so its presence is its completeness."""
    return (folder / CELL).is_file()


def write_cost(folder: Path, cost: Cost) -> None:
    """Write ``measured.json``.

    It differs from run to run, so its sum stands in itself: all other files of a cell are to be equal.
    """
    facts = cost.model_dump(mode="json")
    write_json(folder / MEASURED, facts | {SUM: digest(facts)})


def read_cost(path: Path) -> Cost:
    """What ``write_cost`` wrote.

    Raises:
        OSError: no such file.
        ValueError: says what is wrong with it, as what follows its name in a sentence.
    """
    content = path.read_bytes()
    try:
        facts = from_json(content)
        if facts.pop(SUM) == digest(facts):
            return Cost(**facts)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("cannot be read as what a job took") from None
    raise ValueError("has other content than was written")


def read_json(path: Path) -> Any:
    """Parsed JSON of a file."""
    return from_json(path.read_text("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Sorted, indented JSON, so that equal content means equal bytes."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
