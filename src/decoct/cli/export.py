"""The command that hands a set, or a run's results, on to others."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from decoct.cli.options import Json, Layout, Normalised, Number, Resize, Size, Skip, Split, load, set_format
from decoct.console import bars, err, out, say
from decoct.core.errors import UsageError
from decoct.core.spec import suggest

FORMS = ("folder", "parquet", "hub-folder", "mlflow")


def export(
    what: Annotated[Path, typer.Argument(metavar="SET|RUN", help="A set as for 'decoct train'; of mlflow, a run.")],
    to: Annotated[str, typer.Option("--to", metavar="FORM", help="folder, parquet, hub-folder, or mlflow.")],
    target: Annotated[str, typer.Option("--out", help="Folder or file to make; of mlflow, the tracking URI.")],
    data: Annotated[
        str | None, typer.Option("--data", help="What the set stands for, if it is not decoct's or has no pixels.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what decoct made at --out.")] = False,
    normalised: Normalised = None,
    layout: Layout = None,
    resize: Resize = False,
    number: Number = None,
    split: Split = "train",
    size: Size = None,
    skip_corrupt: Skip = False,
    json: Json = False,
) -> None:
    """Hand a set on as class folders, Parquet or a folder for the hub; or a run's results to MLflow."""
    if to not in FORMS:
        raise UsageError(f"--to takes one of {', '.join(FORMS)}, not '{to}'.{suggest(to, FORMS)}")
    if to == "mlflow":
        from decoct.report.mlflow_runs import log

        counts = log(what, target)
        if json:
            say({"uri": target, **counts})
        else:
            out.print(f"{counts['logged']} runs logged, {counts['there']} were there", markup=False)
        return
    from decoct.run.storage.replaced import check_free

    place = Path(target)
    check_free(place, force)
    here, source = place.resolve(), what.resolve()
    if Path.cwd().is_relative_to(here) or source.is_relative_to(here) or here.is_relative_to(source):
        raise UsageError(f"--out {place} is where you are, holds the set or lies in it: choose a place of its own")
    form = set_format(normalised, layout, resize, number, split)
    with bars() as bar:
        given = _read(what, data, form, size, skip_corrupt, bar)
        _write(place, given, to)
    if json:
        say({"out": str(place), "to": to, "images": len(given)})
    else:
        out.print(f"{len(given)} images in {place}", markup=False, soft_wrap=True)


def _read(what: Path, data: str | None, form: Any, size: int | None, skip_corrupt: bool, bar: Any) -> Any:
    """The set with its pixels."""
    from decoct.core.condensed import FACTS, Condensed

    saved = (what / FACTS).is_file()
    given = Condensed.load(what) if saved and data is None else None
    if given is not None and given.images is not None:
        return given
    if data is None:
        why = "holds picks without their pixels" if saved else "is not decoct's own"
        raise UsageError(f"{what} {why}: name the data that it stands for, such as --data digits")
    from decoct.data.foreign.read import load_set
    from decoct.run.external_sets import check_fit

    loaded = load(data, size, skip_corrupt, bar)
    given = load_set(what, loaded, form)
    check_fit(given, loaded)
    given = given.materialise(loaded.train.images)
    who = given.provenance
    if who.data_digest is None:
        told = {"data": loaded.name, "data_digest": loaded.digest}
        given = replace(given, provenance=who.model_copy(update=told))
    return given


def _write(place: Path, given: Any, to: str) -> None:
    """Whole or not at all."""
    from decoct.core.hub_folder import CARD, card, write_hub_folder, write_parquet
    from decoct.run.storage.replaced import whole

    with warnings.catch_warnings(record=True) as told, whole(place) as scratch:
        warnings.simplefilter("always")
        if to == "parquet":
            write_parquet(scratch, given)
        elif to == "hub-folder":
            write_hub_folder(scratch, given, _readings(given))
        else:
            given.export(scratch)
            (scratch / CARD).write_text(card(given, _readings(given)), "utf-8")
    for warning in told:
        err.print(str(warning.message), style="yellow", markup=False)


def _readings(given: Any) -> list[Mapping[str, Any]]:
    """What the user's store has measured of this set, if anything."""
    from decoct.core.cells import open_cells
    from decoct.core.places import default_where
    from decoct.core.record import CELL, read_json
    from decoct.run.jobs import ExternalJob
    from decoct.run.work.external import content
    from decoct.run.work.measuring import READINGS

    who = given.provenance
    if who.data_digest is None:
        return []
    key = ExternalJob(kind="condense", keyed=content(given, who.data_digest), config={}, data="").key
    cells = open_cells(str(default_where()))
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for measure in sorted(cells.present("measure")):
        if read_json(cells.path("measure", measure) / CELL).get("inputs", {}).get("condensed") in (key, who.key):
            rows = read_json(cells.file("measure", measure, READINGS))
            found |= {tuple(row[word] for word in ("metric", "scope", "reference", "extractor")): row for row in rows}
    return list(found.values())
