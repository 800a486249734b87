"""watch: a live view of a running study, which reads its folder and disturbs nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from decoct.cli.options import Json
from decoct.console import out, say
from decoct.core.errors import DecoctError, UsageError

if TYPE_CHECKING:
    from decoct.report.progress import Progress, Watcher
    from decoct.report.summary import Summary

SHOWN = 5  # failures, and jobs with a checkpoint
SHARE = 10.0  # times what a verdict takes to compute pass before it is computed again


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run; it need not be there yet.")],
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show how far it is, and leave.")] = False,
    json: Json = False,
) -> None:
    """Show how far a running study is, what failed and what it found so far, until it ends or Ctrl-C."""
    from decoct.report.progress import Watcher

    if json and not once:
        raise UsageError("--json gives one picture: add --once")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not the folder of a run")
    look = View(Watcher(folder))
    if once:
        look.take()
        if look.progress.state == "waiting":
            raise DecoctError(f"not a run yet: {folder} holds no run.json")
        if json:
            say(look.to_json())
        else:
            out.print(look.render())
        return
    try:
        if out.is_terminal:
            with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
                for picture in look.pictures(every):
                    live.update(picture, refresh=True)
        else:
            told = None
            for picture in look.pictures(every):
                if look.news() != told:
                    told = look.news()
                    out.print(picture)
    except KeyboardInterrupt:
        return  # whoever looks may leave; the run goes on


class View:
    """What a watcher sees, with the verdict so far, which is computed again when students were trained meanwhile."""

    def __init__(self, watcher: "Watcher") -> None:
        self.watcher = watcher
        self.progress: Progress
        self.found: Summary | None = None
        self.trouble = ""
        self._of: frozenset[str] | None = None
        self._next = 0.0

    def pictures(self, every: float) -> Iterator[RenderableType]:
        """One after another, until the run ends."""
        while True:
            self.take()
            yield self.render()
            if self.progress.state in ("done", "failed"):
                return
            time.sleep(every)

    def take(self) -> None:
        """Look once."""
        self.progress = self.watcher.look(time.time())
        ends = self.progress.state in ("done", "failed")
        if self.progress.trained and self.progress.trained != self._of and (ends or time.monotonic() >= self._next):
            self._of, start = self.progress.trained, time.monotonic()
            self._read()
            self._next = time.monotonic() + SHARE * (time.monotonic() - start)

    def news(self) -> object:
        """What is the same while nothing happens."""
        p = self.progress
        return p.state, p.done, p.planned, p.failures

    def to_json(self) -> dict[str, object]:
        """For ``json.dumps``; accuracies and verdict are those so far."""
        full = self.found.to_json() if self.found else {}
        return self.progress.to_json() | {key: full.get(key) for key in ("worth", "accuracy")}

    def render(self) -> RenderableType:
        """Jobs, time, what is at work, failures, and what was found so far."""
        from decoct.report.several.terminal import shown

        p = self.progress
        if p.state == "waiting":
            return shown(f"{p.folder} holds no run.json yet: waiting for a run to begin. Ctrl-C leaves.")
        parts: list[RenderableType] = [shown(f"{p.name}: {p.done} of {p.planned} jobs", "bold"), _bars(p)]
        parts += [shown(line) for line in _now(p)]
        parts += [shown(line, "red") for line in _failed(p)]
        if self.trouble:
            parts.append(shown(f"no verdict: {self.trouble}", "yellow"))
        return Group(*parts, *(_found(self.found, p) if self.found else ()))

    def _read(self) -> None:
        from decoct.report.read import frame
        from decoct.report.summary import summarise
        from decoct.report.write import PAGE

        folder = self.watcher.folder
        try:
            self.found, self.trouble = summarise(frame.read(folder), folder / PAGE), ""
        except DecoctError as error:
            self.trouble = str(error)


def _bars(p: "Progress") -> Table:
    from decoct.report import wording

    table = Table.grid(padding=(0, 2))
    for kind in p.kinds:
        each = f"{wording.seconds(kind.seconds)} each" if kind.seconds is not None else ""
        bar = ProgressBar(total=kind.planned, completed=kind.done, width=30)
        table.add_row(Text(kind.name), bar, Text(f"{kind.done}/{kind.planned}"), Text(each, style="dim"))
    return table


def _now(p: "Progress") -> Iterator[str]:
    from decoct.report import wording

    if p.state == "done":
        yield "The run is complete."
        return
    if p.state == "failed":
        yield "The run has ended, with failures; the same command tries again."
        return
    if p.state == "idle":
        others = f" ({wording.count(p.left_over, 'unfinished cell')} of another process)" if p.left_over else ""
        yield f"Nobody is at work on this machine{others}: between two jobs, stopped, or run elsewhere."
    else:
        ready = ", ".join(f"{number} {kind}" for kind, number in (p.ready or {}).items())
        since = ", ".join(wording.seconds(age) for age in p.at_work)
        work = f"At work on {wording.count(len(p.at_work), 'job')}, for {since}" if p.at_work else "Between two jobs"
        yield f"{work}; ready: {ready or 'none'}."
    for job in p.doing[:SHOWN]:
        yield f"At work: {job}."
    for job, age in p.half_way[:SHOWN]:
        yield f"Half-way: {job}, kept {wording.seconds(age)} ago."
    if p.per_minute is not None:
        yield f"{p.per_minute:.3g} jobs a minute over the last ten minutes."
    if p.remaining is not None and p.unknown:
        left = f"At least {wording.seconds(p.remaining)} left"
        yield f"{left}; how long {' and '.join(p.unknown)} will take is not known yet."
    elif p.remaining is not None:
        yield f"About {wording.seconds(p.remaining)} left, by the jobs that are done."


def _failed(p: "Progress") -> Iterator[str]:
    """One cause may fail many jobs: each message once, with the first job that it failed."""
    by_message: dict[str, list[str]] = {}
    for job, message in p.failures:
        by_message.setdefault(message, []).append(job)
    for message, jobs in list(by_message.items())[:SHOWN]:
        more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        yield f"failed: {jobs[0]}{more}: {message}"
    if len(by_message) > SHOWN:
        yield f"and {len(p.failures)} jobs in all, for {len(by_message)} reasons; the report names them"


def _found(found: "Summary", p: "Progress") -> Iterator[RenderableType]:
    from decoct.report import wording
    from decoct.report.several.terminal import shown

    yield Text()
    partial = found.trained < found.planned
    far = f"So far, from {found.trained} of {found.planned} students" if partial else "In the end"
    yield shown(f"{far}: is distilling worth it here? {found.worth.answer}.", "bold")
    yield shown(found.worth.because)
    if partial and p.state != "failed":
        yield Text("This may change: stop a study when its plan is done, not when you like what it says.", style="dim")
    panels = dict.fromkeys((s.protocol, s.student) for s in found.settings)
    for protocol, student in panels:
        own = [s for s in found.settings if (s.protocol, s.student) == (protocol, student)]
        table = Table(title=shown(f"{protocol}, {student}: accuracy, %"), title_justify="left", box=None)
        table.add_column("")
        for setting in own:
            table.add_column(shown(wording.budget(setting.budget)), justify="right")
        for method in found.methods:
            cells = [found.accuracy(method, setting) for setting in own]
            if any(cells):
                said = [f"{wording.accuracy(a.interval)} n = {a.interval.n}" if a else wording.NONE for a in cells]
                table.add_row(shown(method), *map(shown, said))
        if table.row_count:
            yield table
