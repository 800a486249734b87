"""What a study will cost before it runs: its jobs, each with an estimate, and how they fill the workers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import decoct
from decoct.core import scratch
from decoct.core.kinds import Progress, silent
from decoct.core.owned import check_own, holds
from decoct.core.record import write_json
from decoct.core.spec import digest
from decoct.data.dataset import Dataset, load_data
from decoct.run.cell import hardware
from decoct.run.drive import Driver
from decoct.run.execute import cores
from decoct.run.expand import ExternalSet, expand
from decoct.run.external_sets import read_external
from decoct.run.jobs import ExternalJob, Job
from decoct.run.planning.earlier import earlier, store_in
from decoct.run.planning.estimates import Estimates, Known, Once, Source
from decoct.run.planning.groups import Group, grouped, likenesses, worth_asking
from decoct.run.planning.kinds import Kind, kind_of
from decoct.run.planning.likeness import Likeness
from decoct.run.planning.probe import Sample
from decoct.run.planning.probing import BRISK, PATIENCE, probing
from decoct.run.planning.proposals import Takes
from decoct.run.planning.roofline import Gpu
from decoct.run.planning.schedule import Schedule, schedule
from decoct.run.storage.store import Store
from decoct.run.study import Study
from decoct.run.workers.executors import Inline

PLAN, FORMAT = "plan.json", 1
PROBE, SHARE = 120.0, 0.05  # seconds of probes, and as much of the work that is planned, if that is more
COUNTING = 3600.0  # seconds of probes that count what a GPU would do, on a machine that may be much slower


@dataclass(frozen=True)
class Plan:
    """What a study is expected to cost.

    Attributes:
        study: what is planned.
        data: that it is on.
        jobs: all of them, inputs first.
        groups: of those to do.
        workers: jobs at once.
        device: where each computes.
        hardware: name of the processor or GPU.
        estimates: what they were taken from.
        troubles: what was not read or could not be probed, and why.
        external: the external sets of the study.
    """

    study: Study
    data: Dataset
    jobs: tuple[Job, ...]
    groups: tuple[Group, ...]
    workers: int
    device: str
    hardware: str
    estimates: Estimates
    troubles: tuple[str, ...] = ()
    external: tuple[ExternalSet, ...] = ()

    @property
    def schedule(self) -> Schedule:
        """How the jobs whose time is known fill the workers."""
        seconds = {key: group.each.wall for group in self.groups for key in group.keys}
        needs = {job.key: list(job.inputs.values()) for job in self.jobs if job.key in seconds}
        return schedule(needs, seconds, self.workers, self._entering, sum(one.seconds for one in self.once))

    @property
    def once(self) -> tuple[Once, ...]:
        """What each worker works out once, by the kind of job that it is a part of; nothing if no such job is to do."""
        return self.estimates.once() if self._entering else ()

    @property
    def entering(self) -> int:
        """Workers that work it out."""
        return min(self.workers, len(self._entering))

    @property
    def _entering(self) -> frozenset[str]:
        kinds = {one.kind for one in self.estimates.once()}
        return frozenset(key for group in self.groups if group.kind in kinds for key in group.keys)

    @property
    def kinds(self) -> list[Kind]:
        """By kind, in the order of the jobs."""
        counts: dict[str, int] = {}
        for job in self.jobs:
            counts[job.kind] = counts.get(job.kind, 0) + 1
        once = {one.kind: one for one in self.once}
        made = (kind_of(name, jobs, [g for g in self.groups if g.kind == name]) for name, jobs in counts.items())
        return [kind.with_once(once[kind.name], self.entering) if kind.name in once else kind for kind in made]

    @property
    def todo(self) -> int:
        """Jobs to do."""
        return sum(len(group.keys) for group in self.groups)

    @property
    def unknown(self) -> int:
        """Jobs to do whose time is not known."""
        return sum(len(group.keys) for group in self.groups if group.each.seconds is None)

    @property
    def takes(self) -> Takes:
        """What it takes, as far as that is known."""
        return Takes(self.schedule.clock, self.todo - self.unknown, self.unknown)

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps`` and for ``plan.json``: the report finds the jobs by their keys."""
        found = self.schedule
        kinds = [asdict(kind) | {"todo": kind.todo} for kind in self.kinds]
        return {
            "format": FORMAT,
            "decoct": decoct.__version__,
            "study": self.study.name,
            "fits": fits(job.key for job in self.jobs),
            "device": self.device,
            "hardware": self.hardware,
            "workers": self.workers,
            "jobs": len(self.jobs),
            "todo": self.todo,
            "unknown": self.unknown,
            "seconds": sum(kind.seconds for kind in self.kinds),
            "cpu_seconds": sum(kind.cpu_seconds for kind in self.kinds),
            "overhead": sum(kind.overhead for kind in self.kinds),
            "clock": found.clock,
            "critical": found.critical,
            "bytes": sum(kind.bytes for kind in self.kinds),
            "peak": max((kind.peak for kind in self.kinds if kind.peak), default=None),
            "kinds": kinds,
            "groups": [asdict(group) for group in self.groups],
            "once": [asdict(one) | {"workers": self.entering} for one in self.once],
            "troubles": list(self.troubles),
        }

    def write(self, out: Path) -> Path:
        """Write ``plan.json`` into a run's folder, in one step."""
        check_out(out)
        out.mkdir(parents=True, exist_ok=True)
        scratch.replace(out / PLAN, lambda path: write_json(path, self.to_json()))
        return out / PLAN


def check_out(out: Path) -> None:
    """See that a plan can be written into a folder.

    Raises:
        UsageError: a ``plan.json`` is there that decoct did not write.
    """
    check_own(out, (PLAN,), holds(out / PLAN, "groups"))


def fits(keys: Iterable[str]) -> str:
    """What a plan and the run of the same jobs have in common."""
    return digest(sorted(keys))


def make_plan(
    study: Study,
    *,
    store: Store | None = None,
    others: Sequence[Path] = (),
    workers: int = 1,
    device: str = "cpu",
    probe: float | None = 0.0,
    gpu: Gpu | None = None,
    on_data: Callable[[Dataset], None] = lambda data: None,
    reading: Progress = silent,
    probed: Progress = silent,
) -> Plan:
    """Say what a study will cost; nothing is written but a temporary folder of probes.

    Args:
        study: what.
        store: whose cells need not be made again, and say what their like takes.
        others: folders of other runs or stores whose cells say the same.
        workers: jobs at once.
        device: where each job will compute.
        probe: seconds for probes of what no earlier result tells; 0 for none. None for ``PROBE`` and, if that does not
            suffice, as much as ``SHARE`` of the work that they find; for a GPU that is not here, for ``COUNTING``.
        gpu: that is not here and will run the study: probes count the operations, and its roofline says what those take
            there. Earlier results are of other hardware then.
        on_data: called once with the data set.
        reading: progress of reading the data.
        probed: progress of the probes.

    Raises:
        UsageError: an unknown net, or no such folder.
        DecoctError: the data cannot be read, or a class is smaller than a budget.
    """
    data = load_data(study.data, plugins=study.plugins, progress=reading)
    on_data(data)
    sets = read_external(study, data)
    external = tuple(entry.planned for entry in sets)
    jobs, name, troubles = expand(study, data, external), gpu.name if gpu else hardware(device), list[str]()
    known: list[Known] = []
    roots = [] if gpu else [*([store.root] if store else []), *map(store_in, others)]
    for root in dict.fromkeys(roots):
        found = earlier(root, data, device, name, study.plugins)
        known += found.known
        if found.damaged:
            more = f", and {len(found.damaged) - 1} more" if len(found.damaged) > 1 else ""
            mend = f"`decoct verify --repair {root}` removes what is"
            troubles.append(f"not read, since damaged: {found.damaged[0]}{more}; {mend}")
        if found.elsewhere:
            troubles.append(f"{found.elsewhere} results in {root} are from other hardware and say nothing of this one")
    likes = likenesses(jobs, data, study.plugins)
    todo = _todo(jobs, store)
    estimates = Estimates(known)
    if probe is None or probe > 0:
        by_key = {job.key: job for job in jobs}

        def told(samples: Sequence[Sample]) -> Estimates:
            source: Source = "roofline" if gpu else "probe"
            return Estimates([*known, *(_known(likes[one.key], one, source) for one in samples if not one.trouble)])

        def fair(samples: Sequence[Sample]) -> float:
            found = grouped(todo, likes, told(samples))
            return SHARE * sum(len(group.keys) * (group.each.seconds or 0.0) for group in found)

        samples = probing(
            worth_asking(todo, likes, estimates, counting=gpu is not None),
            by_key,
            store=store.where if store else None,
            device=device,
            threads=cores() if gpu else study.threads,
            limit=(COUNTING if gpu else PROBE) if probe is None else probe,
            more=fair if probe is None and gpu is None else lambda samples: 0.0,
            patience=PATIENCE if probe is None else BRISK,
            gpu=gpu,
            progress=probed,
        )
        estimates = told(samples)
        troubles += [f"not probed: {by_key[one.key]}: {one.trouble}" for one in samples if one.trouble]
    troubles += _training(todo)
    groups = grouped(todo, likes, estimates)
    where = "cuda" if gpu else device
    return Plan(study, data, tuple(jobs), groups, workers, where, name, estimates, tuple(troubles), external)


def smaller(plan: Plan, study: Study, store: Store | None) -> Plan:
    """The plan of another study on the same data by the same estimates; nothing is probed."""
    jobs = expand(study, plan.data, plan.external)
    groups = grouped(_todo(jobs, store), likenesses(jobs, plan.data, study.plugins), plan.estimates)
    return replace(plan, study=study, jobs=tuple(jobs), groups=groups, troubles=())


def _todo(jobs: Sequence[Job], store: Store | None) -> list[Job]:
    """Without external sets, which nothing makes."""
    missing = Driver(store, lambda workers: Inline()).missing(jobs).values() if store else jobs
    return [job for job in missing if not isinstance(job, ExternalJob)]


def _training(todo: Sequence[Job]) -> list[str]:
    """A word about teachers that will be trained where others are loaded, which may be forgotten or misspelt."""
    teachers = [job for job in todo if job.kind == "teacher"]
    trained = [str(job.labels["net"]) for job in teachers if not any(map(job.config.get, ("pretrained", "checkpoint")))]
    if not trained or len(trained) == len(teachers):
        return []
    return [
        f"{', '.join(trained)} will be trained, while other teachers are loaded: to load "
        f"{'it' if len(trained) == 1 else 'them'} too, add {{net = …, pretrained = true}} or a checkpoint to teachers"
    ]


def _known(like: Likeness, one: Sample, source: Source) -> Known:
    return Known(
        like,
        one.seconds,
        one.cpu_seconds,
        one.overhead,
        one.cpu_overhead,
        one.bytes,
        one.peak,
        one.once,
        one.cpu_once,
        one.process,
        source=source,
        cut_short=not one.finished,
    )
