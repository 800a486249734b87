"""What a run was expected to take, beside what it took, where it was planned: ``decoct plan --out``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from decoct.core.errors import DecoctError
from decoct.core.record import Cost, read_json
from decoct.core.spec import digest
from decoct.report import wording
from decoct.report.read.manifest import Job, Manifest

PLAN, FORMAT = "plan.json", 1


@dataclass(frozen=True)
class Compared:
    """Jobs of one kind that were to do when the run was planned, with an estimate, and are done.

    Attributes:
        kind: such as "train".
        jobs: how many.
        expected: seconds of their work.
        taken: the same as it was.
        cpu_expected: seconds of their processors.
        cpu_taken: the same as it was.
    """

    kind: str
    jobs: int
    expected: float
    taken: float
    cpu_expected: float
    cpu_taken: float

    @property
    def ratio(self) -> float:
        """How many times as long as expected; not a number where nothing was expected."""
        return self.taken / self.expected if self.expected else math.nan

    @property
    def cpu_ratio(self) -> float:
        """The same of the processors, which other work on the machine disturbs less."""
        return self.cpu_taken / self.cpu_expected if self.cpu_expected else math.nan

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return asdict(self) | {"ratio": self.ratio, "cpu_ratio": self.cpu_ratio}


@dataclass(frozen=True)
class Planned:
    """A plan beside what became of it.

    Attributes:
        kinds: in the order of the jobs.
        unknown: jobs that are done and for which the plan gave no time.
        open: jobs that were to do and are not done.
    """

    kinds: tuple[Compared, ...]
    unknown: int
    open: int

    @property
    def total(self) -> Compared:
        """All kinds together."""
        sums = {name: sum(getattr(kind, name) for kind in self.kinds) for name in list(Compared.__annotations__)[1:]}
        return Compared("all", **sums)

    def sentence(self) -> str:
        """Expected and taken, in one sentence without its full stop."""
        t = self.total
        said = (
            f"{wording.count(t.jobs, 'job')} took {wording.seconds(t.taken)} of work where "
            f"{wording.seconds(t.expected)} were planned ({wording.multiple(t.ratio)} times)"
        )
        if math.isfinite(t.cpu_ratio):
            said += f", and {wording.multiple(t.cpu_ratio)} times the processor time"
        rest = [f"{wording.count(self.unknown, 'job')} had no estimate"] if self.unknown else []
        rest += [f"{wording.count(self.open, 'job')} of the plan not done"] if self.open else []
        return "; ".join([said, *rest])

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        kinds = [kind.to_json() for kind in self.kinds]
        return {"all": self.total.to_json(), "kinds": kinds, "unknown": self.unknown, "open": self.open}


def planned(run: Manifest) -> Planned | None:
    """Compare a run with its plan.

    Returns:
        None where there is no plan, where it is damaged or of another version, where it is of other jobs than the
        run's, or where none of its jobs is done on such a device. By the roofline of a GPU no processors are planned.
    """
    path = run.folder / PLAN
    if not path.is_file():
        return None
    try:
        raw = read_json(path)
        if raw["format"] != FORMAT or raw["fits"] != digest(sorted(job.key for job in run.jobs)):
            return None
        groups = [([str(key) for key in group["keys"]], group["each"]) for group in raw["groups"]]
        each = {
            key: (each["seconds"], 0.0 if each.get("source") == "roofline" else each["cpu_seconds"])
            for keys, each in groups
            for key in keys
        }
        device = str(raw.get("device", ""))
        once = {
            str(one["kind"]): (one["workers"] * one["seconds"], one["workers"] * one["cpu_seconds"])
            for one in raw.get("once", ())  # plans of before have none
        }
        numbers = [value for pair in (*each.values(), *once.values()) for value in pair if value is not None]
        if any(key not in run.by_key for key in each) or not all(map(math.isfinite, numbers)):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    costs = {key: cost for key, cost in _costs(run, each) if _alike(cost.device, device)}
    kinds: dict[str, list[tuple[float, float, Cost]]] = {}
    for key, cost in costs.items():
        seconds, cpu = each[key]
        if seconds is not None and cpu is not None:
            kinds.setdefault(run.by_key[key].kind, []).append((seconds, cpu, cost))
    if not kinds:
        return None
    found = tuple(_compared(kind, own, *once.get(kind, (0.0, 0.0))) for kind, own in kinds.items())
    return Planned(found, len(costs) - sum(kind.jobs for kind in found), len(each) - len(costs))


def _costs(run: Manifest, each: Mapping[str, Any]) -> Iterable[tuple[str, Cost]]:
    """What the jobs of a plan took, of those that are done and say so."""
    jobs: list[Job] = [job for job in run.jobs if job.key in each and run.done(job)]
    for job in jobs:
        try:
            yield job.key, run.cost(job)
        except DecoctError:
            continue  # its measured.json is damaged; the tables say so where it matters


def _alike(one: str, other: str) -> bool:
    """Whether two devices are of one kind, as cuda:0 and cuda are; plans of before name none."""
    return not other or one.partition(":")[0] == other.partition(":")[0]


def _compared(kind: str, own: list[tuple[float, float, Cost]], once: float, cpu_once: float) -> Compared:
    return Compared(
        kind,
        len(own),
        expected=once + sum(seconds for seconds, _, _ in own),
        taken=sum(cost.seconds for _, _, cost in own),
        cpu_expected=cpu_once + sum(cpu for _, cpu, _ in own),
        cpu_taken=sum(cost.cpu_seconds for _, _, cost in own),
    )
