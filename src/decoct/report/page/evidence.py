"""The second half of the page: cost, pictures, teachers and generators."""

import base64
import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from decoct.report import stats, wording
from decoct.report.frame import Frame
from decoct.report.manifest import Job, Manifest
from decoct.report.page import facets, figures
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import block, charts, method, note, section
from decoct.report.page.style import Mark
from decoct.report.summary import Summary

PNG = b"\x89PNG\r\n\x1a\n"
REAL = "real.png"  # in the run's folder, where the run left one
WIDEST = 1200  # pixels of a picture on the page: one of ten large images a row would weigh tens of megabytes
LARGEST = 112  # pixels of one image in a picture of a set


def cost(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """What every set took to make, and accuracy over it."""
    rows = _groups(frame.costs.to_pylist(), frame.manifest, ("method", "budget"))
    if not rows:
        return Markup()
    every = [row for group in rows.values() for row in group]
    hardware = sorted({row["hardware"] for row in every if row["hardware"]})
    held, counted = any(row["device_seconds"] for row in every), any(row["energy"] is not None for row in every)
    times = {"device time": ("device_seconds", "own_device_seconds")} if held else {}
    times |= {"processor time": ("cpu_seconds", "own_cpu_seconds"), "wall time": ("total_seconds", "seconds")}
    stored = {"image bytes": "image_bytes", "label bytes": "label_bytes", "bytes per class": "bytes_per_class"}
    energy = ["energy (J)"] if counted else []
    head = ("method", "budget", "images", *times, *energy, "peak memory", "steps", *stored, "not counted")
    body = []
    for (label, budget), group in rows.items():
        numbers: list[object] = [_time(_mean(group, full), _mean(group, own)) for full, own in times.values()]
        if counted:
            drawn = _mean(group, "energy")
            numbers.append(wording.NONE if drawn is None else f"{drawn:,.1f}")
        most = max((row["peak_memory"] for row in group if row["peak_memory"] is not None), default=None)
        memory = valued(most, wording.size(most))
        sizes = [valued(mean := _mean(group, c), wording.size(mean)) for c in stored.values()]
        excluded = "; ".join(dict.fromkeys(row["not_counted"] for row in group if row["not_counted"]))
        if stated := dict.fromkeys(row["stated"] for row in group if row["stated"] is not None):
            excluded = f"{excluded}: {'; '.join(stated)}"
        steps = wording.NONE if group[0]["steps"] is None else f"{group[0]['steps']:,}"
        first = (method(summary, marks, label), facets.budget(budget), f"{group[0]['images']:,}")
        body.append(cells(*first, *numbers, memory, steps, *sizes, name(excluded or wording.NONE)))
    return section(
        "cost",
        "Cost",
        note(
            "Means over sets. Times are of the construction and of all that it stands on (teachers, features, "
            "statistics, traces, experts, a generator that was trained here), charged in full to every method that "
            "needs them; small, the construction alone, which is what one more set takes when the rest is there "
            "already. ",
            "Device time is how long an accelerator was held, and what methods are compared by where one was. "
            if held
            else "",
            "Wall time hangs on what else ran at the same time: it is shown, and not compared. ",
            "Energy is what the GPU or the processor drew meanwhile, for all that ran on it: compare it where jobs ran "
            "alone. "
            if counted
            else "",
            "Of an external set nothing was measured: what its author states of it, if anything, stands "
            "in the last column and enters no comparison. "
            if any(row["stated"] is not None for row in every)
            else "",
            "A larger mark is a larger budget. ",
            f"Times are from {', '.join(hardware)}; compare them only between like machines."
            if hardware
            else "Compare times only between like machines.",
        ),
        charts(summary, lambda panel: figures.over_cost(frame, summary, marks, panel)),
        table(columns(*head), body),
    )


def _time(full: float | None, own: float | None) -> Markup:
    alone = tag("small", f"{wording.seconds(own)} alone")
    return tag("span", valued(full, wording.seconds(full)), alone, class_="number stacked")


def pictures(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """The sets themselves: replicate 0 of every method and budget, what it started from beside it."""
    run = frame.manifest
    first = [job for job in run.finished("condense") if job.labels["condense_replicate"] == 0]
    rows = _groups([{**job.labels, "job": job} for job in first], run, ("budget", "method"))
    blocks = []
    for budget in dict.fromkeys(budget for budget, _ in rows):
        own = [(m, group[0]["job"]) for (b, m), group in rows.items() if b == budget]
        cards = [card for m, job in own if (card := _card(run, job, method(summary, marks, m)))]
        if cards:
            blocks.append(block(tag("h3", facets.budget(budget)), tag("div", *cards, class_="pictures")))
    real = _png(run.folder / REAL)
    if not blocks and not real:
        return Markup()
    if real:
        shown = tag(
            "figure",
            tag("figcaption", "real training images, the first of each class"),
            _picture(real, run.data["shape"][-1], "real"),
        )
        blocks.insert(0, tag("div", shown, class_="pictures"))
    names = run.data["class_names"][:10]
    rest = f" and {len(run.data['class_names']) - 10} more classes" if len(run.data["class_names"]) > 10 else ""
    classes = note("Up to ten images of each class, one class a row: ", join(map(name, names), ", "), rest, ".")
    return section("pictures", "Pictures", classes, *blocks)


def teachers(frame: Frame) -> Markup:
    """Every teacher with its own held-out accuracy, and every generator with what it has seen."""
    run, body = frame.manifest, []
    for job in run.finished("teacher"):
        facts = run.load(job, "teacher.json")
        held_out = run.data["images"]["val"]
        interval = stats.wilson(facts["val_accuracy"] * held_out, held_out)
        origin = (
            name(f"loaded from {facts['checkpoint']}; its training is not counted")
            if facts["checkpoint"]
            else "trained here"
        )
        epochs = wording.NONE if facts["checkpoint"] else f"{facts['epochs']}"
        time = wording.NONE if facts["checkpoint"] else wording.seconds(run.cost(job).seconds)
        body.append(cells(name(facts["net"]), wording.accuracy(interval), epochs, time, origin))
    made = _generators(run)
    if not body and not made:
        return Markup()
    about = note(
        "Accuracy in percent on the held-out split (val), which no teacher trained on, with Wilson's 95 % interval."
    )
    taught = (about, table(columns("net", "accuracy", "epochs", "time", "origin"), body)) if body else ()
    return section("teachers", "Teachers and generators" if made else "Teachers", *taught, made)


def _generators(run: Manifest) -> Markup:
    """A row for each generator that sets were sampled from."""
    body = []
    for job in run.finished("generator"):
        facts = run.load(job, "generator.json")
        here = facts.get("trained_here")
        size = f"{facts['parameters']:,}" if "parameters" in facts else wording.NONE
        steps = f"{facts['steps']:,}" if here else wording.NONE
        time = wording.seconds(run.cost(job).seconds) if here else wording.NONE
        origin = str(facts.get("origin", wording.NONE)) + ("" if here else "; its training is not counted")
        seen = name(str(facts.get("seen", wording.NONE)))
        body.append(cells(name(str(job.labels["generator"])), size, steps, time, name(origin), seen))
    return table(columns("generator", "parameters", "steps", "time", "origin", "has seen"), body) if body else Markup()


def _card(run: Manifest, job: Job, caption: Markup) -> Markup:
    images = [
        (_picture(data, run.data["shape"][-1], what), tag("small", what))
        for file, what in (("initial.png", "started from"), ("preview.png", "the set"))
        if (data := _png(run.file(job, file)))
    ]
    if not images:
        return Markup()
    shown = [tag("div", picture, what if len(images) > 1 else "") for picture, what in images]
    notes = run.load(job, "facts.json").get("notes", {})
    said = ", ".join(f"{key.replace('_', ' ')} {wording.reading(value)}" for key, value in notes.items())
    caption = tag("figcaption", caption, tag("small", " ", name(said)) if said else "")
    return tag("figure", caption, tag("div", *shown, class_="pair"))


def _picture(data: bytes, side: int, what: str) -> Markup:
    """The grid, enlarged so that one small image is about 32 pixels wide, or reduced where images are large."""
    width, height = struct.unpack(">II", data[16:24])
    if width > WIDEST or side > LARGEST:
        return _smaller(data, min(WIDEST, width, width * LARGEST // side), what)
    scale = max(1, round(32 / side))
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    pixelated = "pixelated" if scale > 1 else None
    return tag(
        "img", src=source, width=width * scale, height=height * scale, alt=what, class_=pixelated, loading="lazy"
    )


def _smaller(data: bytes, width: int, what: str) -> Markup:
    """The grid in another width, as JPEG: to look at, not to measure."""
    with Image.open(io.BytesIO(data)) as picture:
        height = round(picture.height * width / picture.width)
        shrunk = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shrunk.save(buffer, "jpeg", quality=85)
    source = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return tag("img", src=source, width=width, height=height, alt=what, loading="lazy")


def _png(path: Path) -> bytes | None:
    data = path.read_bytes() if path.is_file() else b""
    return data if data.startswith(PNG) and len(data) > 24 else None


def _groups(
    rows: Iterable[dict[str, Any]], run: Manifest, keys: tuple[str, str]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows by two labels, methods in study order and budgets by size."""
    methods = list(run.methods)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row[keys[0]], row[keys[1]]), []).append(row)

    def place(pair: tuple[str, str]) -> tuple[Any, ...]:
        ranks = {"method": lambda v: (methods.index(v), ""), "budget": run.budget_order}
        return tuple(ranks[key](value) for key, value in zip(keys, pair, strict=True))

    return {pair: groups[pair] for pair in sorted(groups, key=place)}


def _mean(rows: list[dict[str, Any]], column: str) -> float | None:
    values = [row[column] for row in rows if row[column] is not None]
    return sum(values) / len(values) if values else None
