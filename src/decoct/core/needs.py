"""Needs, which must exist before a method runs: what they declare, and what planner and runner give them.

A need is one file in ``decoct.needs``: how it is keyed, made, loaded, and whether its cost is known.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from decoct.core.errors import DecoctError
from decoct.core.seeds import seed
from decoct.core.spec import Spec, digest

if TYPE_CHECKING:  # types alone: core stands below all of these
    from decoct.core.interfaces import Machine, Progress
    from decoct.data.dataset import Dataset
    from decoct.needs.features import Extract
    from decoct.needs.generator import TeachGenerator
    from decoct.needs.teacher import Teach
    from decoct.study.jobs import Job


@dataclass
class Plan:
    """The requests on one data set that decide how needs are made.

    Attributes:
        data: the data set.
        seed: root of all seeds.
        compute: threads, precision and compile, as they are keyed.
        teachings: teachers that are not trained as usual, by net.
        plugins: files that the jobs must load.
        extractors: those with options; others are taken by the word for them alone.
        generators: those that are not made as usual, by the word for them.
        held_out: the teacher that judges sets and takes no part in making them, ``"held_out"`` is a word for it.
        drawn: the replicate that needs are drawn for: those of another one are trained from other seeds.
    """

    data: "Dataset"
    seed: int = 0
    compute: Mapping[str, Any] = field(default_factory=lambda: {"threads": 1, "precision": "float32", "compile": False})
    teachings: "Mapping[str, Teach]" = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    extractors: "Sequence[Extract]" = ()
    generators: "Mapping[str, TeachGenerator]" = field(default_factory=dict)
    held_out: str = ""
    drawn: int = 0

    def derive(self, *names: str | int, anew: bool = True) -> int:
        """A seed that depends on the root, on the data and on names, and on the replicate that needs are drawn for.

        Args:
            names: what is drawn.
            anew: whether another replicate draws it anew; not if it is the same whatever the seed, as loaded weights.
        """
        replicate = ("replicate", self.drawn) if anew and self.drawn else ()
        return seed(self.seed, self.data.digest, *names, *replicate)


class Work(ABC):
    """A cell in the making, as a need sees it: the job, the cells that it reads, and where it computes.

    Attributes:
        job: its ``config`` is that of the part's spec, and ``keyed`` holds the part's own.
        data: the data set.
        device: where to compute.
        folder: that ``make`` fills.
        progress: call it with (steps done, steps in all).
    """

    job: "Job"
    data: "Dataset"
    device: str
    folder: Path
    progress: "Progress"

    def cells(self, need: str) -> dict[str, Path]:
        """Folders of the cells of a need that the job reads, by name."""
        return {name: self.input(need, key) for name, key in self.job.role(need).items()}

    def cell(self, need: str, name: str) -> Path:
        """The folder of one of them."""
        return self.input(need, self.job.inputs[f"{need}:{name}"])

    @abstractmethod
    def input(self, kind: str, key: str) -> Path:
        """Folder of a cell; a DamagedError if its files are not as they were written."""

    @abstractmethod
    def meter(self) -> AbstractContextManager[None]:
        """Time, energy and memory of the block are the cell's cost; loading inputs and saving stay outside."""

    @abstractmethod
    def machine(self) -> "Machine":
        """Where and how to compute, whom to tell, and where a killed job finds what it had."""


@dataclass(frozen=True)
class Part:
    """One job of a need.

    Attributes:
        name: of its cell among those of the need, such as a net's.
        spec: how it is made, with ``identity()`` for the key and ``config()`` for the job; None where the cells
            that it reads decide all.
        keyed: what else decides the result, beside the data and what is computed with.
        reads: needs whose cells it reads.
        labels: its coordinates, for people and tables; a net that is among them is not held out to judge sets.
    """

    name: str
    spec: "Spec | Extract | None"
    keyed: Mapping[str, Any] = field(default_factory=dict)
    reads: "tuple[Need, ...]" = ()
    labels: Mapping[str, str | int] = field(default_factory=dict)


class Need(Spec):
    """Something that must exist before a method runs; the runner makes it once and counts its cost.

    ``name``, the file's, is the kind of its jobs and cells. Fields say which one is needed; equal needs are one.
    """

    kind: ClassVar[str] = "need"
    record: ClassVar[str] = ""  # name of the JSON file in its cells that says where they come from, if there is one

    def check(self) -> None:
        """Raise a UsageError if nobody knows what it names; the data are not read."""

    def titles(self, plan: Plan) -> dict[str, str]:
        """By the words in a method's fields that say where something of the user's lies: its name by content."""
        return {}

    def parts(self, plan: Plan) -> Iterable[Part]:
        """The jobs that make it; one, decided by the fields alone, unless a need says otherwise."""
        return (Part(self.title, self, {"seed": plan.derive(self.name, self.title)}, labels={self.name: self.title}),)

    @property
    def title(self) -> str:
        """A name for its one cell: the fields' values, or their digest where those are no name."""
        said = "/".join(map(str, self.model_dump().values())) or self.name
        return said if len(said) <= 60 and ":" not in said else digest(self.model_dump(mode="json"))[:12]

    @classmethod
    def make(cls, work: Work) -> None:
        """Do the work of one part under ``work.meter()``, and leave files in ``work.folder``."""
        raise DecoctError(f"the need {cls.name} does not say how it is made: define make(cls, work)")

    def load(self, work: Work) -> Mapping[str, Mapping[Any, Any]]:
        """What a method gets, by field of ``Inputs``; ``{"others": {need: value}}`` for a need without a field there.

        Args:
            work: of the method, which reads the cells of the need's parts.
        """
        raise DecoctError(f"the need {self.name} does not say what a method gets: define load(self, work)")

    @classmethod
    def uncounted(cls, record: Mapping[str, Any]) -> bool:
        """Whether the user supplied the content of a cell with this record, so that its cost is unknown."""
        return False

    @classmethod
    def saw(cls, record: Mapping[str, Any]) -> str | None:
        """What it was trained on, in words, if not only the train split."""
        return None
