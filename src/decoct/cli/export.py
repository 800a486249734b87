"""The command that exports a set, or a run's results, for others."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from decoct.cli.options import Force, Format, Json, Pictures, Plugins, check_target
from decoct.console import answer, bars, err
from decoct.core.errors import DecoctError, UsageError
from decoct.core.names import check_name
from decoct.core.spec import suggest
from decoct.report.read.manifest import RUN

FORMS = ("folder", "parquet", "hub-folder", "mlflow")
CHOSEN = (("method", "method"), ("budget", "budget"), ("replicate", "condense_replicate"))  # options, and labels


@dataclass
class Chosen:
    """Which sets of a run."""

    method: Annotated[
        list[str] | None, Option("--method", help="Of a run: its sets alone; may be repeated, as those below.")
    ] = None
    budget: Annotated[list[str] | None, Option("--budget", help="Of a run: sets of this budget, such as ipc=10.")] = (
        None
    )
    replicate: Annotated[list[int] | None, Option("--replicate", help="Of a run: sets of this number, from 0.")] = None

    def __bool__(self) -> bool:
        return any(getattr(self, option) for option, _ in CHOSEN)

    def of(self, jobs: Sequence[Any]) -> list[Any]:
        """The jobs that the options name; a UsageError for a word that is of none of them."""
        for option, label in CHOSEN:
            known = list(dict.fromkeys(str(job.labels[label]) for job in jobs))
            for word in map(str, getattr(self, option) or ()):
                if word not in known:
                    raise UsageError(f"the run has no set of --{option} {word}.{suggest(word, known)}")
        asked = [(label, {*map(str, getattr(self, option))}) for option, label in CHOSEN if getattr(self, option)]
        chosen = [job for job in jobs if all(str(job.labels[label]) in words for label, words in asked)]
        if not chosen:
            raise UsageError("no set of the run is of all that --method, --budget and --replicate name: name fewer")
        return chosen


def export(
    what: Annotated[Path, Argument(metavar="SET|RUN", help="A set as for 'decoct train', or a run with all its sets.")],
    to: Annotated[str, Option("--to", metavar="FORM", help="folder, parquet, hub-folder, or mlflow.")],
    target: Annotated[str, Option("--out", help="Folder or file to make; of mlflow, the tracking URI.")],
    data: Annotated[
        str | None, Option("--data", help="What the set stands for, if it is not decoct's or has no pixels.")
    ] = None,
    force: Force = False,
    *,
    chosen: Chosen,
    form: Format,
    pictures: Pictures,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Hand a set, or the sets of a run, on as class folders, Parquet or folders for the hub; or results to MLflow."""
    if to not in FORMS:
        raise UsageError(f"--to takes one of {', '.join(FORMS)}, not '{to}'.{suggest(to, FORMS)}")
    if to == "mlflow":
        from decoct.report.mlflow_runs import log

        if chosen:
            raise UsageError("--method, --budget and --replicate choose sets; to mlflow go the results of all")
        counts = log(what, target)
        answer(json, {"uri": target, **counts}, f"{counts['logged']} runs logged, {counts['there']} were there")
        return
    from decoct.core.owned import whole

    check_target(place := Path(target), force, what)
    stored = form.checked()
    if (what / RUN).is_file():
        _export_run(
            what, to, place, partial(_data_of, data=data, pictures=pictures, plugins=plugin or ()), chosen, json
        )
        return
    if chosen:
        raise UsageError(f"--method, --budget and --replicate choose sets of a run, and {what} is none")
    with bars() as bar:
        given = _read(what, data, stored, pictures, bar)
        with _warned(), whole(place) as scratch:
            _write(to, scratch, given, _readings(given))
    answer(json, {"out": str(place), "to": to, "images": len(given)}, f"{len(given)} images in {place}")


def _export_run(folder: Path, to: str, place: Path, load: Callable[..., Any], chosen: Chosen, json: bool) -> None:
    """Every chosen set that is made, at ``METHOD/BUDGET/setN``, with what the run knows of it."""
    from decoct.core.cells import store_of
    from decoct.core.owned import whole
    from decoct.report.read.manifest import Manifest
    from decoct.study.store.store import open_store
    from decoct.study.work.measuring import READINGS

    run = Manifest.read(folder)
    jobs = chosen.of(run.of_kind("condense"))
    made = [job for job in jobs if run.done(job)]
    if not made:
        raise DecoctError(f"none of these sets is made yet: run the study again with --out {folder}")
    measured = {job.inputs["condensed"]: job for job in run.finished("measure")}
    store, loaded, sets = open_store(store_of(folder, run.store)), None, []
    with bars() as bar, _warned(), whole(place) as scratch:
        told = bar("writing sets")
        for done, job in enumerate(made):
            given = _of_run(store, run, job)
            if given.images is None:
                loaded = loaded or load(run, bar)
                given = given.materialise(loaded.train.images)
            labels = job.labels
            name = f"set{labels['condense_replicate']}" + (".parquet" if to == "parquet" else "")
            where = Path(*map(_named, (labels["method"], labels["budget"].replace("=", ""), name)))
            (scratch / where).parent.mkdir(parents=True, exist_ok=True)
            _write(to, scratch / where, given, run.load(measured[job.key], READINGS) if job.key in measured else [])
            sets.append({**labels, "images": len(given), "path": str(place / where)})
            told(done + 1, len(made))
    missing = len(jobs) - len(made)
    more = [f"{missing} of {len(jobs)} sets are not made yet: run the study again for them"] if missing else []
    said = "1 set" if len(sets) == 1 else f"{len(sets)} sets"
    answer(json, {"out": str(place), "to": to, "sets": sets, "missing": missing}, f"{said} in {place}", *more)


def _of_run(store: Any, run: Any, job: Any) -> Any:
    """A set as it is stored, with the cost of the set and everything it needs, where that is known."""
    from decoct.core.condensed import Condensed
    from decoct.study.cost import total_cost

    given = Condensed.load(store.cell("condense", job.key))
    known = not run.external(job) and all(run.done(need) for need in run.needs(job).values())
    return replace(given, cost=total_cost(store, "condense", job.key)) if known else given


def _named(word: str) -> str:
    """A name of a run, which may be somebody else's, as part of a path; a DecoctError if it would lead elsewhere."""
    try:
        return check_name(word)
    except ValueError as error:
        raise DecoctError(f"the run calls a set {word!r}: {error}") from None


def _data_of(run: Any, bar: Any, data: str | None, pictures: Pictures, plugins: Sequence[str]) -> Any:
    """The data that a run's picks are of: as the study names it, or where the user says that it is now.

    Plug-ins that a run names are not imported: it may be somebody else's, and they are programs.
    """
    from decoct.data.dataset import load_data

    try:
        if data is not None:
            loaded = pictures.load(data, bar, plugins)
        else:
            loaded = load_data(run.study["data"], plugins=plugins, progress=bar(f"reading {run.data['name']}"))
    except DecoctError as error:
        others = [each for each in run.study.get("plugins", ()) if each not in plugins]
        also = f"; if you trust them, name its plug-ins with --plugin: {', '.join(others)}" if others else ""
        raise type(error)(
            f"{error}\nthe picks of the run need its data: say where they are with --data{also}"
        ) from None
    if loaded.digest != run.data["digest"]:
        raise DecoctError(
            f"the run picked from another version of '{run.data['name']}' than is there now\n"
            "say with --data where the version of the run is, or run the study again"
        )
    return loaded


def _write(to: str, path: Path, given: Any, readings: Sequence[Mapping[str, Any]]) -> None:
    """A set with its pixels in one of the forms, and its card where that has a place."""
    from decoct.core.hub_folder import CARD, card, write_hub_folder, write_parquet

    if to == "parquet":
        write_parquet(path, given)
    elif to == "hub-folder":
        write_hub_folder(path, given, readings)
    else:
        given.export(path)
        (path / CARD).write_text(card(given, readings), "utf-8")


@contextmanager
def _warned() -> Iterator[None]:
    """Says warnings once each on stderr, at the end."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
    for said in dict.fromkeys(str(warning.message) for warning in told):
        err.tell(said, style="yellow")


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
