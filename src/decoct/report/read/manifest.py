"""A run's description of itself: ``run.json`` with its jobs, read and checked."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from decoct.core.budget import Budget
from decoct.core.cells import KEY, STORE, Cells, Together, open_cells, store_of
from decoct.core.errors import DecoctError
from decoct.core.integrity import DamagedError
from decoct.core.machine import blame
from decoct.core.names import check_name
from decoct.core.notation import from_json
from decoct.core.record import CELL, MEASURED, Cost, read_cost, read_json

if TYPE_CHECKING:
    from decoct.report.read.pool import Pooled

RUN, FORMAT = "run.json", 1
REFERENCE, FULL, ALL = "random", "full", "all"  # the full data's budget is ALL, or that of the sets it is set beside
CONTROL = "control"  # family of a distilled set that shows what a method's work adds, and competes with none
WEIGHTS = "weights.safetensors"
READ = (".json", "correct.npy")  # what is read of every cell
LARGE = 1 << 28  # bytes above which only a file's length is compared: of large sets the map reads the labels alone
TRAINED = ("teacher", "dynamics", "trajectory", "generator")  # supposed drawn where an older version did not say so
SHARD = "shard"  # a part of a set's construction: its cost is the set's

Labels = Literal["hard", "online", "stored"]


@dataclass(frozen=True)
class Job:
    """One planned job of a run.

    Attributes:
        key: of its cell.
        kind: a need's, such as teacher or features; shard, condense, labels, train or measure.
        inputs: keys of the cells that it reads, by role.
        labels: what it is, in the study's words.
        drawn: of a need, whether it was trained here from a seed; another seed would have given another one.
    """

    key: str
    kind: str
    inputs: dict[str, str]
    labels: dict[str, Any]
    drawn: bool = False

    def __str__(self) -> str:
        said = (f"{k.replace('_', ' ')} {v}" if k.endswith("_replicate") else str(v) for k, v in self.labels.items())
        return " · ".join([self.kind, *said])


@dataclass(frozen=True)
class Manifest:
    """A run's ``run.json``.

    Attributes:
        folder: the run's folder.
        store: where its cells lie, as the run says it: "store" in its folder, another folder, or a URL.
        decoct: version that ran it.
        name: of the study.
        study: its resolved configuration.
        data: name, digest, class names, counts, shape, flip.
        methods: by label, in study order: family, stochastic (it has several sets), summary, config; where the run says
            so, also draws (it draws at random itself), about (paragraphs), paper (the fields of its paper's preset) and
            control (a label); of an external set, external: what its author says that it took.
        jobs: all that was planned.
        messages: of failed jobs, by key.
        ended: the run came to its end, whether or not jobs failed.
        pooled: the runs that it is made of, see ``pool``; None of one run.
    """

    folder: Path
    decoct: str
    name: str
    study: dict[str, Any]
    data: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    jobs: tuple[Job, ...]
    messages: dict[str, str]
    ended: bool
    store: str = STORE
    pooled: "Pooled | None" = None

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read ``folder/run.json``.

        Raises:
            DecoctError: there is none, it is damaged, or another version of decoct wrote it.
        """
        path = folder / RUN
        if not path.is_file():
            raise DecoctError(f"not a run: {folder} holds no {RUN}; `decoct run STUDY.toml --out {folder}` makes one")
        try:
            raw = read_json(path)
            if raw["format"] != FORMAT:
                raise DecoctError(f"{path} has format {raw['format']}, this decoct reads {FORMAT}: run the study again")
            jobs = tuple(_job(j) for j in raw["jobs"])
            own = {key: raw[key] for key in ("decoct", "name", "study", "data")}
            methods = _in_order(raw["methods"], (job.labels.get("method") for job in jobs))
            if not all(isinstance(each, dict) for each in (own["study"], own["data"], *methods.values())):
                raise ValueError("it holds a value where a table belongs")
            messages, ended = dict(raw.get("failures", {})), bool(raw.get("ended", True))
            own["store"] = str(raw.get("store", STORE))
            return cls(folder=folder, jobs=jobs, methods=methods, messages=messages, ended=ended, **own)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            blame(error)
            raise DecoctError(f"{path} is damaged ({type(error).__name__}: {error}); run the study again") from error

    @property
    def margin(self) -> float | None:
        """Differences in accuracy below this do not matter, as a fraction; None where the study does not say."""
        said = self.study.get("margin")
        return None if said is None else float(said)

    @property
    def native(self) -> frozenset[str]:
        """Protocols that are a paper's own, by label: outside the comparisons that are corrected together."""
        return frozenset(self.study.get("native", ()))

    @property
    def teachers_vary(self) -> bool:
        """Whether each set has teachers of its own, so that their chance is in the interval."""
        return int(self.study.get("replicates", {}).get("teacher", 1)) > 1

    @cached_property
    def given_teachers(self) -> bool:
        """Whether sets or their labels depend on something that was trained here once for all of them.

        That is a teacher, features of one, traces, trajectories or a generator; intervals then condition on it. Nets
        that only metrics use do not count.
        """
        if self.teachers_vary or self.pooled:  # which count by run what was trained for a run
            return False
        made = [job for job in self.jobs if job.kind in ("condense", "labels", "train")]
        on_sets = [job for job in made if job.labels.get("method") != FULL]
        return any(need.drawn for need in self._behind(on_sets).values())

    def budget_order(self, budget: str) -> tuple[float, str]:
        """Sorts budgets by the images of a set; other words, such as ``ALL``, come last."""
        read = Budget.read(budget)
        return read.total(self.data["images"]["train"], len(self.data["class_names"])) if read else math.inf, budget

    @property
    def families(self) -> dict[str, str]:
        """Each method's family, by label."""
        return {label: method["family"] for label, method in self.methods.items()}

    @property
    def deterministic(self) -> frozenset[str]:
        """Methods that have one set in this run; their intervals condition on it."""
        return frozenset(label for label, method in self.methods.items() if not method["stochastic"])

    @property
    def controls(self) -> dict[str, str]:
        """Each method's control, by label, where it has one."""
        return {label: method["control"] for label, method in self.methods.items() if method.get("control")}

    @cached_property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """The resolved tables of the protocols by label, in the study's order."""
        return _in_order(self.study.get("protocols", {}), (job.labels["protocol"] for job in self.of_kind("train")))

    def labels(self, protocol: str) -> Labels:
        """What a protocol's students learn from: hard labels, teachers online, or soft labels that are stored."""
        roles = {role.partition(":")[0] for job in self._students(protocol) for role in job.inputs}
        if "labels" in roles or self.protocols.get(protocol, {}).get("labels"):
            return "stored"
        return "online" if "teacher" in roles else "hard"

    def label_teachers(self, protocol: str) -> dict[str, int | None]:
        """Teachers that a protocol's students have at hand: bytes of their weights by net, None where unknown."""
        roles = {role: key for job in self._students(protocol) for role, key in job.inputs.items()}
        teachers = {role: key for role, key in roles.items() if role.startswith("teacher:") and key in self.by_key}
        return {
            role.removeprefix("teacher:"): self.cells.size("teacher", key, WEIGHTS) for role, key in teachers.items()
        }

    def _students(self, protocol: str) -> list[Job]:
        """Those that train on a set: the full data may be labelled otherwise."""
        own = [job for job in self.of_kind("train") if job.labels["protocol"] == protocol]
        return [job for job in own if job.labels["method"] != FULL] or own

    @cached_property
    def by_key(self) -> dict[str, Job]:
        """The planned jobs by key."""
        return {job.key: job for job in self.jobs}

    @cached_property
    def cells(self) -> Cells:
        """The run's cells. Of a store at a URL, what is read of every cell is fetched now, many files at once."""
        if self.pooled:
            return Together([run.cells for run in self.pooled.runs])
        cells = open_cells(store_of(self.folder, self.store))
        cells.prefetch(((job.kind, job.key) for job in self.jobs), lambda name: name.endswith(READ))
        return cells

    def cell(self, job: Job) -> Path:
        """Where the job's cell lives on this machine."""
        return self.cells.path(job.kind, job.key)

    def done(self, job: Job) -> bool:
        """Whether the job's cell is there."""
        return self.cells.has(job.kind, job.key)

    def file(self, job: Job, name: str) -> Path:
        """A file of the job's cell, which need not be there; what is there is as it was written.

        Raises:
            DecoctError: it is not what was written.
        """
        return self.cells.file(job.kind, job.key, name, LARGE)

    def of_kind(self, kind: str) -> list[Job]:
        """The planned jobs of a kind, in the study's order."""
        return [job for job in self.jobs if job.kind == kind]

    def finished(self, kind: str) -> Iterator[Job]:
        """Those of a kind whose cell is there."""
        return (job for job in self.of_kind(kind) if self.done(job))

    def load(self, job: Job, name: str) -> Any:
        """Parsed JSON of a file in the job's cell.

        Raises:
            DecoctError: it is missing or damaged.
        """
        path = self.file(job, name)
        try:
            return from_json(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            blame(error)
            raise DecoctError(f"{path} is damaged ({error}); remove that folder and run the study again") from error

    def external(self, job: Job) -> bool:
        """Whether it is an external set, or labels of one: nobody measured what that took."""
        own = "external" in self.methods.get(str(job.labels.get("method")), {})
        return own and (job.kind == "condense" or (job.kind == "labels" and "protocol" not in job.labels))

    def cost(self, job: Job) -> Cost:
        """The cost of a job that is not external.

        Raises:
            DamagedError: that is missing, or not what was written.
        """
        path = self.file(job, MEASURED)
        try:
            return read_cost(path)
        except (OSError, ValueError) as error:
            blame(error)
            raise DamagedError(path.parent, MEASURED, str(error), self.cells.where) from error

    def construction(self, job: Job) -> list[Job]:
        """The cost of a set by itself: its own job, and the shards that it was put together from.

        The set's cell names the shards, not the plan: a set is the same however it is divided, and the division
        may have changed since.
        """
        roles = self.load(job, CELL).get("inputs", {})
        shards = [key for role, key in roles.items() if role.partition(":")[0] == SHARD]
        return [job, *(Job(key, SHARD, {}, {}) for key in shards)]

    def needs(self, job: Job) -> dict[str, Job]:
        """Every planned job that this one depends on, each once."""
        return self._behind([job])

    def _behind(self, jobs: Iterable[Job]) -> dict[str, Job]:
        needs: dict[str, Job] = {}
        todo = [key for job in jobs for key in job.inputs.values()]
        while todo:
            key = todo.pop()
            if key in self.by_key and key not in needs:
                needs[key] = self.by_key[key]
                todo += self.by_key[key].inputs.values()
        return needs


def _job(said: dict[str, Any]) -> Job:
    drawn = said.get("drawn", said["kind"] in TRAINED)
    if not KEY.fullmatch(said["key"]):  # it becomes a path, and the run may be somebody else's
        raise ValueError(f"{said['key'][:40]!r} is no key")
    return Job(said["key"], check_name(said["kind"]), dict(said["inputs"]), dict(said["labels"]), bool(drawn))


def _in_order(tables: dict[str, Any], order: Iterable[Any]) -> dict[str, Any]:
    """Tables by label in the order in which the jobs name them: JSON is written sorted, so its own order is lost."""
    ranks = {label: i for i, label in enumerate(dict.fromkeys(order))}
    return dict(sorted(tables.items(), key=lambda item: ranks.get(item[0], len(ranks))))
