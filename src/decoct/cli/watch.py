"""watch: a live view of a running study, which reads its folder and disturbs nothing."""

import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text
from typer import Argument, Option

from decoct.cli.options import Json
from decoct.console import out, say
from decoct.core.errors import DecoctError, UsageError

SHOWN = 5  # jobs at work, and failures
ENDS = {
    "done": "The run is complete.",
    "failed": "The run has ended, with failures; the same command tries again.",
    "idle": "No worker is active on this machine: between two jobs, stopped, or run elsewhere.",
}


def watch(
    folder: Annotated[Path, Argument(metavar="DIR", help="Folder of a run; it need not be there yet.")],
    every: Annotated[float, Option(min=0.2, help="Seconds between two updates.")] = 2.0,
    once: Annotated[bool, Option("--once", help="Show the progress once, and quit.")] = False,
    json: Json = False,
) -> None:
    """Show how far a running study is, what failed and what it found so far, until it ends or Ctrl-C."""
    from decoct.report.progress import Watcher, seldom

    if json and not once:
        raise UsageError("--json prints one state: add --once")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not the folder of a run")
    watcher, so_far, live = Watcher(folder), seldom(lambda: _summary(folder)), Live(console=out, auto_refresh=False)
    summary: Any = None
    told: Any = None
    leave = () if once else (KeyboardInterrupt,)  # whoever looks may leave; the run goes on
    with suppress(*leave), live if out.is_terminal and not once else nullcontext():
        while True:
            seen = watcher.look(time.time())
            if once and seen.state == "waiting":
                raise DecoctError(f"not a run yet: {folder} holds no run.json")
            ends = once or seen.state in ("done", "failed")
            if ends or seen.trained != getattr(summary, "trained", 0):
                summary = _summary(folder) if ends else so_far()
            if json:
                known = {} if isinstance(summary, DecoctError) else summary.to_json()
                say(seen._asdict() | {key: known.get(key) for key in ("worth", "accuracy")})
            elif out.is_terminal and not once:
                live.update(Group(*_told(seen, summary)), refresh=True)
            elif (seen.state, seen.done, seen.failures) != told:
                out.print(Group(*_told(seen, summary)))
            if ends:
                return
            told = seen.state, seen.done, seen.failures
            time.sleep(every)


def _summary(folder: Path) -> Any:
    """What a run found so far, or why nothing can be said of it."""
    from decoct.report.read import frame
    from decoct.report.summary import summarise

    try:
        return summarise(frame.read(folder))
    except DecoctError as error:
        return error


def _told(seen: Any, summary: Any) -> Iterator[RenderableType]:
    """How far a run is, then what it found so far."""
    from decoct.cli.underway import until
    from decoct.report import wording

    if seen.state == "waiting":
        yield Text(f"{seen.folder} holds no run.json yet: waiting for a run to begin. Ctrl-C leaves.")
        return
    yield Text(f"{seen.name}: {seen.done} of {seen.planned} jobs", style="bold")
    yield Text(", ".join(f"{kind} {done}/{planned}" for kind, (done, planned) in seen.kinds.items()))
    if seen.state in ENDS:
        yield Text(ENDS[seen.state])
    for job, age in list(seen.at_work.items())[:SHOWN]:
        yield Text(f"At work: {job}, for {wording.seconds(age)}.")
    if seen.remaining_seconds is not None:
        unknown = " and ".join(seen.remaining_unknown)
        rest = f", without {unknown}, of which none is done" if unknown else ""
        yield Text(
            f"About {wording.seconds(seen.remaining_seconds)} left, until {until(seen.remaining_seconds)}{rest}."
        )
    causes: dict[str, str] = {}  # one may fail many jobs
    for job, message in seen.failures.items():
        causes.setdefault(message, job)
    for message, job in list(causes.items())[:SHOWN]:
        yield Text(f"failed: {job}: {message}", style="red")
    if len(seen.failures) > min(len(causes), SHOWN):
        yield Text(f"{len(seen.failures)} jobs failed; the report names them", style="red")
    if isinstance(summary, DecoctError):
        yield Text(f"no verdict: {summary}", style="yellow")
    elif summary is not None and seen.trained:
        partial = summary.trained < summary.planned
        far = f"So far, from {summary.trained} of {summary.planned} students" if partial else "In the end"
        question = summary.brief.question
        yield Text(f"\n{far}: {question[0].lower()}{question[1:]} {summary.brief.answer}.", style="bold")
        if partial and seen.state != "failed":
            yield Text("This may change: stop a study when its plan is done, not when you like what it says.")
        yield from map(Text, summary.brief.lines[2:])
