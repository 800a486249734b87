"""The command that exports a set, or a run's results, for others."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from decoct.cli.options import Force, Format, Json, Pictures, check_target
from decoct.console import answer, bars, err
from decoct.core.errors import UsageError
from decoct.core.spec import suggest

FORMS = ("folder", "parquet", "hub-folder", "mlflow")


def export(
    what: Annotated[Path, Argument(metavar="SET|RUN", help="A set as for 'decoct train'; of mlflow, a run.")],
    to: Annotated[str, Option("--to", metavar="FORM", help="folder, parquet, hub-folder, or mlflow.")],
    target: Annotated[str, Option("--out", help="Folder or file to make; of mlflow, the tracking URI.")],
    data: Annotated[
        str | None, Option("--data", help="What the set stands for, if it is not decoct's or has no pixels.")
    ] = None,
    force: Force = False,
    *,
    form: Format,
    pictures: Pictures,
    json: Json = False,
) -> None:
    """Hand a set on as class folders, Parquet or a folder for the hub; or a run's results to MLflow."""
    if to not in FORMS:
        raise UsageError(f"--to takes one of {', '.join(FORMS)}, not '{to}'.{suggest(to, FORMS)}")
    if to == "mlflow":
        from decoct.report.mlflow_runs import log

        counts = log(what, target)
        answer(json, {"uri": target, **counts}, f"{counts['logged']} runs logged, {counts['there']} were there")
        return
    from decoct.core.hub_folder import CARD, card, write_hub_folder, write_parquet
    from decoct.core.owned import whole

    check_target(place := Path(target), force, what)
    stored = form.checked()
    with bars() as bar:
        given = _read(what, data, stored, pictures, bar)
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
        err.tell(str(warning.message), style="yellow")
    answer(json, {"out": str(place), "to": to, "images": len(given)}, f"{len(given)} images in {place}")


def _read(what: Path, data: str | None, stored: Any, pictures: Pictures, bar: Any) -> Any:
    """The set with its pixels."""
    from decoct.core.condensed import FACTS, Condensed

    saved = (what / FACTS).is_file()
    given = Condensed.load(what) if saved and data is None else None
    if given is not None and given.images is not None:
        return given
    if data is None:
        why = "holds picks without their pixels" if saved else "is not decoct's own"
        raise UsageError(f"{what} {why}: name the data that it stands for, such as --data digits")
    from decoct.data.external.read import load_set
    from decoct.study.external_sets import check_fit

    loaded = pictures.load(data, bar)
    given = load_set(what, loaded, stored)
    check_fit(given, loaded)
    given = given.materialise(loaded.train.images)
    who = given.provenance
    if who.data_digest is None:
        told = {"data": loaded.name, "data_digest": loaded.digest}
        given = replace(given, provenance=who.model_copy(update=told))
    return given


def _readings(given: Any) -> list[Mapping[str, Any]]:
    """What the user's store has measured of this set, if anything."""
    from decoct.core.cells import default_where, open_cells
    from decoct.core.record import CELL, read_json
    from decoct.study.jobs import ExternalJob
    from decoct.study.work.external import content
    from decoct.study.work.measuring import READINGS

    who = given.provenance
    if who.data_digest is None:
        return []
    key = ExternalJob(kind="condense", keyed=content(given, who.data_digest), config={}, data="").key
    cells = open_cells(str(default_where()))
    which = itemgetter("metric", "scope", "reference", "extractor")
    readings: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for measure in sorted(cells.present("measure")):
        if read_json(cells.file("measure", measure, CELL)).get("inputs", {}).get("condensed") in (key, who.key):
            readings |= {which(row): row for row in read_json(cells.file("measure", measure, READINGS))}
    return list(readings.values())
