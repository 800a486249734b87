"""The command line: one Typer app. What takes long to import is imported by the command that needs it."""

import dataclasses
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Annotated, Any

import typer

from decoct import __version__
from decoct.cli import doctor, export, plan, prepare, sets, shrink, store, studies, teach, watch
from decoct.console import err, guarded, out
from decoct.core.errors import UsageError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Which small training set should I use, and is distilling one worth it?"""
    if version:
        out.print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        err.print(context.get_help())
        raise typer.Exit(2)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes the options of its groups one by one, in the groups' places: Typer knows no groups."""
    own = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {name: each.annotation for name, each in own.items() if is_dataclass(each.annotation)}

    @wraps(command)
    def called(**given: Any) -> None:
        for name, value in given.items():  # which Typer compares with no bound
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"--{name.replace('_', '-')} is a finite number, not {value}")
        made = {
            n: group(**{each.name: given.pop(each.name) for each in dataclasses.fields(group)})
            for n, group in groups.items()
        }
        command(**given, **made)

    laid: list[inspect.Parameter] = []
    for name, each in own.items():
        inner = inspect.signature(groups[name], eval_str=True).parameters.values() if name in groups else [each]
        laid += [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in inner]
    called.__signature__ = inspect.Signature(laid)  # type: ignore[attr-defined]
    called.__annotations__ = {option.name: option.annotation for option in laid}
    return called


for command in (
    shrink.shrink,
    *(studies.run, plan.plan, watch.watch, studies.report, studies.compare),
    prepare.prepare,
    *(sets.condense, sets.train, sets.measure, teach.teach, sets.relabel),
    *(export.export, studies.published),
    *(studies.ls, studies.check),
    *(store.show, store.verify, store.gc),
    doctor.doctor,
):
    app.command()(grouped(command))


def main() -> None:
    """Entry point of ``decoct``."""
    debug = "--debug" in sys.argv  # wherever it stands
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    with guarded(debug), typer.main.get_command(app).make_context("decoct", arguments, obj=debug) as context:
        context.command.invoke(context)
