"""What a run was expected to take and what it took, where it was planned: ``decoct plan --out``."""

import math
from typing import Any, NamedTuple

from decoct.core.errors import DecoctError
from decoct.core.record import read_json
from decoct.core.spec import digest
from decoct.report import wording
from decoct.report.judged import Judged
from decoct.report.page.markup import Markup, cells, columns, table, valued
from decoct.report.page.parts import content, fold, note
from decoct.report.page.section import Section
from decoct.report.read.manifest import Manifest

PLAN, FORMAT = "plan.json", 1


class Compared(NamedTuple):
    """Jobs of one kind that the plan gave a time and that are done: seconds of work, and of processors (cpu)."""

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


class Planned(NamedTuple):
    """The kinds of jobs in order, all together, jobs done without an estimate, and jobs of the plan not done."""

    kinds: tuple[Compared, ...]
    total: Compared
    unknown: int
    open: int

    def sentence(self) -> str:
        """Expected and taken, in one sentence without its full stop."""
        t, count, seconds, times = self.total, wording.count, wording.seconds, wording.multiple
        said = f"{count(t.jobs, 'job')} took {seconds(t.taken)} of work where {seconds(t.expected)} were planned "
        said += f"({times(t.ratio)} times), and {times(t.cpu_ratio)} times the processor time"
        said += f"; {count(self.unknown, 'job')} had no estimate" if self.unknown else ""
        return said + (f"; {count(self.open, 'job')} of the plan not done" if self.open else "")

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        each = [k._asdict() | {"ratio": k.ratio, "cpu_ratio": k.cpu_ratio} for k in (self.total, *self.kinds)]
        return {"all": each[0], "kinds": each[1:], "unknown": self.unknown, "open": self.open}


def planned(run: Manifest) -> Planned | None:
    """Compare a run with its plan.

    Returns:
        None where there is no plan, where it is damaged or of another version, where it is of other jobs than the
        run's, or where none of its jobs is done on such a device.
    """
    try:
        raw = read_json(run.folder / PLAN)
        if raw["format"] != FORMAT or raw["fits"] != digest(sorted(job.key for job in run.jobs)):
            return None
        each = {key: group["each"] for group in raw["groups"] for key in group["keys"]}
        device, rows, unknown, open_ = str(raw["device"]).partition(":")[0], dict[str, list[float]](), 0, len(each)
        for job, said in ((run.by_key[key], said) for key, said in each.items()):
            try:
                cost = run.cost(job) if run.done(job) else None
            except DecoctError:
                continue  # its measured.json is damaged; the tables say so where it matters
            if cost is None or cost.device.partition(":")[0] != device:
                continue
            open_ -= 1
            if said["seconds"] is None:
                unknown += 1
                continue
            new = (1, said["seconds"], cost.seconds, said["cpu_seconds"], cost.cpu_seconds)
            rows[job.kind] = [sum(pair) for pair in zip(rows.get(job.kind, [0] * 5), new, strict=True)]
        kinds = tuple(Compared(kind, int(row[0]), *row[1:]) for kind, row in rows.items())
        jobs, *sums = (math.fsum(column) for column in zip(*(kind[1:] for kind in kinds), strict=True))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Planned(kinds, Compared("all", int(jobs), *sums), unknown, open_) if math.isfinite(sum(sums)) else None


def show(plan: Planned | None) -> Markup:
    """Seconds expected and taken, by kind of job."""
    if plan is None:
        return Markup()
    head = columns("jobs of kind", "jobs", "planned", "taken", "times", "processors planned", "taken", "times")
    rows = []
    for kind in (*plan.kinds, plan.total) if len(plan.kinds) > 1 else plan.kinds:
        times = [kind.expected, kind.taken, kind.ratio, kind.cpu_expected, kind.cpu_taken, kind.cpu_ratio]
        words = (wording.seconds, wording.seconds, wording.multiple) * 2
        shown = (valued(value, word(value)) for value, word in zip(times, words, strict=True))
        rows.append(cells(kind.kind, f"{kind.jobs:,}", *shown))
    return content(
        fold("By kind of job", table(head, rows)),
        note(
            "These jobs were left to do when the run was planned. Seconds cover the work itself, without reading its "
            "inputs and writing its cell. Other work on the machine makes them longer; processor seconds change less."
        ),
    )


def find(judged: Judged) -> Planned | None:
    """The comparison of a run with its plan."""
    return planned(judged.frame.manifest)


def _say(plan: Planned | None) -> str:
    return plan.sentence() if plan else ""


def _json(plan: Planned | None) -> dict[str, Any]:
    return {"plan": plan.to_json() if plan else None}


SECTION = Section(
    "Plan and actual",
    60,
    lambda s: show(s.found(find)),
    lambda s: _say(s.found(find)),
    lambda s: _json(s.found(find)),
)
