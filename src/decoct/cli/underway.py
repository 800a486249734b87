"""What a run prints while it runs: a display that is redrawn if stderr is a terminal, and otherwise lines."""

import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from decoct.console import clock, err, live, ticking
from decoct.core.cells import is_url, open_cells, store_of
from decoct.core.errors import DecoctError
from decoct.core.record import read_json
from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.progress import REPLICATES, Watcher, seldom
from decoct.report.read.manifest import ALL, FULL, Manifest
from decoct.report.terminal import by_panel

REDRAWN, TOLD = 0.5, 30.0  # seconds between two redraws, and between two lines
SHOWN = 4  # jobs at work
FRAME = 8  # lines of the display besides accuracies
ORDER = ("method", "budget", "protocol", "student")  # of a job's labels
RESULT = "result.json"  # of a student's cell


class Underway:
    """A run's jobs, which of them are at work, how long the rest will take, and the accuracies so far.

    Args:
        name: of the study.
        folder: of the run.
        known: whether jobs that begin are at work; a cluster receives more jobs than it works on.
        debug: show where a job failed.
    """

    def __init__(self, name: str, folder: Path, known: bool = True, debug: bool = False) -> None:
        self.name, self.folder, self.known, self.debug = name, folder, known, debug
        self.begun, self.phase = time.monotonic(), "reading the data"
        self.done, self.todo = 0, 0
        self.at_work: dict[str, tuple[str, float]] = {}  # by key: the job in words, and when it began
        self.accuracies: dict[tuple[str, Setting], list[float]] = {}
        self._run: Manifest | None = None
        self._students: Counter[tuple[str, Setting]] = Counter()
        self._left: tuple[float, float, bool] | None = None  # seconds, as of when, and whether they are all
        self._latest: list[tuple[str, str]] = []  # panels, the one that changed last at the end
        watcher = Watcher(folder)  # reads each cell once
        self._look = seldom(lambda: watcher.look(time.time()))
        self._told: set[str] = set()

    @contextmanager
    def shown(self) -> Iterator["Underway"]:
        """Show it until the block ends."""
        with ExitStack() as stack:
            if live():
                picture = Live(
                    get_renderable=self.picture, console=err, auto_refresh=False, transient=True, redirect_stdout=False
                )
                stack.enter_context(picture)
                stack.enter_context(ticking(picture.refresh, REDRAWN))
            else:
                stack.enter_context(ticking(lambda: self._tell(self.line()), TOLD))
            yield self

    # What happens

    def reading(self, done: int, total: int) -> None:
        """So much of the data is read."""
        self.phase = f"reading the data, {done:,} of {total:,}" if total else "reading the data"

    def read(self) -> None:
        """The data are read."""
        self.phase = "planning the jobs"

    def planned(self, todo: int, total: int) -> None:
        """The jobs are known, and those that an earlier run has done."""
        self.todo, self.phase = todo, ""
        err.tell(f"{self.name}: {total:,} jobs, {total - todo:,} of them in the store")
        if not todo:
            return
        self._run = Manifest.read(self.folder)
        for job in self._run.of_kind("train"):
            self._students[str(job.labels["method"]), Setting.of(job.labels)] += 1
        if not is_url(
            where := store_of(self.folder, self._run.store)
        ):  # otherwise it would be read again for every student
            self._cells = open_cells(where)
            for job in self._run.finished("train"):
                self._result(job)

    def starts(self, job: Any) -> None:
        """A job begins."""
        if self.known:
            self.at_work[job.key] = in_words(job.kind, job.labels), time.monotonic()

    def waits(self, job: Any) -> None:
        """A job that may have begun has to begin again, later."""
        self.at_work.pop(job.key, None)

    def ends(self, job: Any, error: BaseException | None) -> None:
        """A job is done, or failed."""
        self.at_work.pop(job.key, None)
        self.done += 1
        seen = self._look()
        if seen is not None:
            known = seen.remaining_seconds is not None
            self._left = (seen.remaining_seconds, time.monotonic(), not seen.remaining_unknown) if known else None
        if error is not None:
            self._failed(job, error)
        elif job.kind == "train" and self._result(job) and not live():
            where = str(job.labels["method"]), Setting.of(job.labels)
            if len(self.accuracies[where]) == 1:
                of = f", the first of {self._students[where]:,}" if self._students[where] > 1 else ""
                self._tell(f"{named(*where)}: {wording.percent(self.accuracies[where][0])} %{of}")

    def writing(self) -> None:
        """All jobs have ended."""
        self.phase = "writing the report"

    def _result(self, job: Any) -> bool:
        """Add a student's accuracy, if it can be read."""
        with suppress(DecoctError, OSError, ValueError, KeyError, AttributeError):
            found = float(read_json(self._cells.file("train", job.key, RESULT))["accuracy"])
            where = str(job.labels["method"]), Setting.of(job.labels)
            self.accuracies.setdefault(where, []).append(found)
            self._latest = [*(p for p in self._latest if p != where[1].panel), where[1].panel]
            return True
        return False

    def _failed(self, job: Any, error: BaseException) -> None:
        if str(error) not in self._told:  # one cause may fail many jobs; the report names all
            self._told.add(str(error))
            err.tell(f"failed: {job}: {error}", style="red")
            if self.debug:
                err.tell("".join(traceback.format_exception(error)).rstrip())

    def _tell(self, line: str) -> None:
        err.tell(f"{clock(self.begun)} {line}")

    # What is said of it

    def line(self) -> str:
        """Progress, and the jobs at work."""
        if self.phase:
            return f"{self.name}: {self.phase}"
        left = f", {said}" if (said := self.left()) else ""
        work = f"; at work: {'; '.join(self.working())}" if self.at_work else ""
        return f"{self.name}: {self.done:,} of {self.todo:,} jobs{left}{work}"

    def left(self) -> str:
        """How much time is left, and until when; empty while unknown, and once the estimate has passed."""
        if self._left is None:
            return ""
        seconds, at, whole = self._left
        rest = seconds - (time.monotonic() - at)
        if rest <= 0:
            return ""
        return f"{'about' if whole else 'more than'} {timedelta(seconds=max(1, round(rest)))} left, until {until(rest)}"

    def working(self) -> list[str]:
        """The jobs at work, the one that began first before the others."""
        now = time.monotonic()
        said = [f"{job}, {rounded(now - since)}" for job, since in list(self.at_work.values())]
        return said[:SHOWN] + ([f"{len(said) - SHOWN} more"] if len(said) > SHOWN else [])

    def picture(self) -> RenderableType:
        """Progress, the jobs at work, and as many of the accuracies so far as there is room for."""
        passed = f"{clock(self.begun)} passed"
        if self.phase:
            return Text(f"{self.name}: {self.phase}, {passed}")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(self.name, "bold"),
            ProgressBar(total=max(self.todo, 1), completed=self.done, width=20),
            Text(f"{self.done:,} of {self.todo:,} jobs"),
        )
        left = f", {said}" if (said := self.left()) else ""
        work = [Text(f"at work: {job}") for job in self.working()]
        return Group(bar, Text(f"{passed}{left}"), *work, *self._so_far())

    def _so_far(self) -> Iterator[RenderableType]:
        found, run = dict(self.accuracies), self._run
        if not found or run is None:
            return
        methods = {m: "full data" if m == FULL else m for m in (*run.methods, FULL)}
        fit = max(1, (err.height - FRAME) // (len(methods) + 1))
        latest = self._latest[-fit:]
        panels = [panel for panel in dict.fromkeys(s.panel for _, s in self._students) if panel in latest]
        budgets = dict.fromkeys(s.budget for _, s in self._students if s.budget != ALL)

        def cell(method: str, setting: Setting) -> str:
            values = found.get((method, setting._replace(budget=ALL) if method == FULL else setting))
            return wording.percent(fmean(values)) if values else wording.NONE

        yield Text()
        title = "Test accuracy so far, %, mean over the students that are done"
        yield from by_panel(title, panels, list(budgets), methods, cell, err.width)


def until(seconds: float) -> str:
    """The local time in so many seconds, with the day if that is not soon."""
    return f"{datetime.now() + timedelta(seconds=seconds):{'%H:%M' if seconds < 12 * 3600 else '%a %d %b, %H:%M'}}"


def rounded(seconds: float) -> str:
    """``4 s``, ``3 min 10 s``."""
    return f"{seconds:.0f} s" if seconds < 100 else wording.seconds(seconds)


def in_words(kind: str, labels: Mapping[str, str | int]) -> str:
    """A job in short: its kind and labels, without the replicate."""
    own = {k: wording.budget(str(v)) if k == "budget" else str(v) for k, v in labels.items() if k not in REPLICATES}
    names = sorted(own, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return " ".join([kind, *(own[name] for name in names)])


def named(method: str, setting: Setting) -> str:
    """A method in a setting."""
    return f"{'full data' if method == FULL else f'{method}, {wording.budget(setting.budget)}'}, {setting.protocol}"
