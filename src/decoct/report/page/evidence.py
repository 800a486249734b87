"""The second half of the page: cost, pictures, teachers."""

import base64
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from decoct.report import stats, wording
from decoct.report.frame import Frame
from decoct.report.manifest import Job, Manifest
from decoct.report.page import figures
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag
from decoct.report.page.parts import charts, method, note, section
from decoct.report.page.style import Mark
from decoct.report.summary import Summary

PNG = b"\x89PNG\r\n\x1a\n"


def cost(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """What every set took to make, and accuracy over it."""
    rows = _groups(frame.costs.to_pylist(), frame.manifest, ("method", "budget"))
    if not rows:
        return Markup()
    every = [row for group in rows.values() for row in group]
    hardware = sorted({row["hardware"] for row in every})
    held, counted = any(row["device_seconds"] for row in every), any(row["energy"] is not None for row in every)
    times = {"own time": "seconds", "shared": "shared_seconds", "total": "total_seconds", "processor": "cpu_seconds"}
    times |= {"device time": "device_seconds"} if held else {}
    stored = {"image bytes": "image_bytes", "label bytes": "label_bytes", "bytes per class": "bytes_per_class"}
    energy = ["energy (J)"] if counted else []
    head = ("method", "budget", "images", *times, *energy, "peak memory", "steps", *stored, "not counted")
    body = []
    for (label, budget), group in rows.items():
        numbers = [wording.seconds(_mean(group, c)) for c in times.values()]
        if counted:
            drawn = _mean(group, "energy")
            numbers.append(wording.NONE if drawn is None else f"{drawn:,.1f}")
        memory = wording.size(max(row["peak_memory"] for row in group))
        sizes = [wording.size(_mean(group, c)) for c in stored.values()]
        excluded = "; ".join(dict.fromkeys(row["not_counted"] for row in group if row["not_counted"]))
        first = (method(summary, marks, label), name(wording.budget(budget)), f"{group[0]['images']:,}")
        body.append(cells(*first, *numbers, memory, f"{group[0]['steps']:,}", *sizes, name(excluded or wording.NONE)))
    return section(
        "cost",
        "Cost",
        note(
            "Means over sets. Own time is the construction alone; shared is the teachers, features, statistics and "
            "traces that it stands on, charged in full to every method that needs them. ",
            "Device time is how long an accelerator was held, own and shared. " if held else "",
            "Energy is what the GPU or the processor drew meanwhile, for all that ran on it: compare it where jobs ran "
            "alone. "
            if counted
            else "",
            "A larger mark is a larger budget. ",
            f"Times are from {', '.join(hardware)}; compare them only between like machines."
            if hardware
            else "Compare times only between like machines.",
        ),
        charts(summary, lambda panel: figures.over_cost(frame, summary, marks, panel)),
        table(columns(*head), body),
    )


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
            blocks += [tag("h3", name(wording.budget(budget))), tag("div", *cards, class_="pictures")]
    if not blocks:
        return Markup()
    names = run.data["class_names"][:10]
    rest = f" and {len(run.data['class_names']) - 10} more classes" if len(run.data["class_names"]) > 10 else ""
    classes = note("Up to ten images of each class, one class a row: ", join(map(name, names), ", "), rest, ".")
    return section("pictures", "Pictures", classes, *blocks)


def teachers(frame: Frame) -> Markup:
    """Every teacher with its own held-out accuracy."""
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
    if not body:
        return Markup()
    about = note(
        "Accuracy in percent on the held-out split (val), which no teacher trained on, with Wilson's 95 % interval."
    )
    return section("teachers", "Teachers", about, table(columns("net", "accuracy", "epochs", "time", "origin"), body))


def _card(run: Manifest, job: Job, caption: Markup) -> Markup:
    images = [
        (_picture(data, run.data["shape"][-1], what), tag("small", what))
        for file, what in (("initial.png", "started from"), ("preview.png", "the set"))
        if (data := _png(run.cell(job) / file))
    ]
    if not images:
        return Markup()
    shown = [tag("div", picture, what if len(images) > 1 else "") for picture, what in images]
    notes = run.load(job, "facts.json").get("notes", {})
    said = ", ".join(f"{key.replace('_', ' ')} {wording.reading(value)}" for key, value in notes.items())
    caption = tag("figcaption", caption, tag("small", " ", name(said)) if said else "")
    return tag("figure", caption, tag("div", *shown, class_="pair"))


def _picture(data: bytes, side: int, what: str) -> Markup:
    """The grid, enlarged by a whole number so that one small image is about 32 pixels wide."""
    width, height = struct.unpack(">II", data[16:24])
    scale = max(1, round(32 / side))
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    pixelated = "pixelated" if scale > 1 else None
    return tag(
        "img", src=source, width=width * scale, height=height * scale, alt=what, class_=pixelated, loading="lazy"
    )


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
