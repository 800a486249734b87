"""The second half of the page: cost, metrics, pictures, teachers."""

import base64
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from decoct.report import figures, stats, wording
from decoct.report.frame import Frame
from decoct.report.manifest import Job, Manifest
from decoct.report.markup import Markup, cells, columns, join, name, table, tag
from decoct.report.parts import charts, method, note, section
from decoct.report.style import Mark
from decoct.report.summary import Summary

PNG = b"\x89PNG\r\n\x1a\n"
ARROWS = {True: "↑", False: "↓"}


def cost(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """What every set took to make, and accuracy over it."""
    rows = _groups(frame.costs.to_pylist(), frame.manifest, ("method", "budget"))
    if not rows:
        return Markup()
    hardware = sorted({row["hardware"] for group in rows.values() for row in group})
    head = ("method", "budget", "images", "own time", "shared", "total", "processor", "peak memory", "steps")
    body = []
    for (label, budget), group in rows.items():
        numbers = [
            wording.seconds(_mean(group, c)) for c in ("seconds", "shared_seconds", "total_seconds", "cpu_seconds")
        ]
        memory = wording.size(max(row["peak_memory"] for row in group))
        stored = [wording.size(_mean(group, c)) for c in ("image_bytes", "label_bytes")]
        excluded = "; ".join(dict.fromkeys(row["not_counted"] for row in group if row["not_counted"]))
        first = (method(summary, marks, label), name(wording.budget(budget)), f"{group[0]['images']:,}")
        body.append(cells(*first, *numbers, memory, f"{group[0]['steps']:,}", *stored, name(excluded or wording.NONE)))
    return section(
        "cost",
        "Cost",
        note(
            "Means over sets. Own time is the construction alone; shared is the teachers, features, statistics and "
            "traces that it stands on, charged in full to every method that needs them. A larger mark is a larger "
            "budget. ",
            f"Times are from {', '.join(hardware)}; compare them only between like machines."
            if hardware
            else "Compare times only between like machines.",
        ),
        charts(summary, lambda panel: figures.over_cost(frame, summary, marks, panel)),
        table(columns(*head, "image bytes", "label bytes", "not counted"), body),
    )


def metrics(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """How well each set stands for the data: one table an extractor and budget, methods side by side."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in frame.metrics.to_pylist():
        groups.setdefault((row["extractor"], row["budget"]), []).append(row)
    if not groups:
        return Markup()
    order = sorted(groups, key=lambda key: (key[0], frame.manifest.budget_order(key[1])))
    blocks: list[Markup] = []
    for extractor, budget in order:
        heading = join([tag("b", name(wording.budget(budget))), " · features of ", name(extractor)])
        body = _readings(groups[extractor, budget], summary)
        head = columns("metric")
        head[0] += [tag("th", method(summary, marks, m), scope="col") for m in summary.methods]
        opened = "open" if not blocks else None
        blocks.append(tag("details", tag("summary", heading), table(head, body, class_="metrics"), open=opened))
    return section(
        "metrics",
        "Metrics",
        note(
            "Means over condensed sets with 95 % t intervals where there are at least two; per class, over the classes "
            "that a set has images of. The arrow points to what is better. A dash: not defined for a set of that size. "
            "No winner is marked; noise would pick it."
        ),
        *blocks,
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


def _readings(rows: list[dict[str, Any]], summary: Summary) -> list[list[Markup]]:
    keys = ("axis", "metric", "scope", "reference")
    order = dict.fromkeys(tuple(row[k] for k in keys) for row in rows)
    body, last = [], None
    for key in sorted(order, key=lambda k: list(dict.fromkeys(a for a, *_ in order)).index(k[0])):
        axis, metric, scope, reference = key
        own = [row for row in rows if tuple(row[k] for k in keys) == key]
        if axis != last:
            body.append([tag("th", axis, colspan=len(summary.methods) + 1, scope="colgroup", class_="axis")])
            last = axis
        against = "" if reference == "none" else f", against {reference}"
        small = tag("small", f"{scope.replace('_', ' ')}{against}")
        first = join([name(metric.replace("_", " ")), " ", ARROWS[own[0]["higher_is_better"]], " ", small])
        body.append(cells(first, *(_reading([r for r in own if r["method"] == m]) for m in summary.methods)))
    return body


def _reading(rows: list[dict[str, Any]]) -> Markup:
    values = [row["value"] for row in rows if row["value"] is not None]
    if not values:
        return Markup(wording.NONE)
    interval = stats.t_interval(values)
    small = ""
    if not math.isnan(interval.lo):
        small = tag("small", f"[{wording.reading(interval.lo)}, {wording.reading(interval.hi)}]")
    return tag("span", wording.reading(interval.mean), small, class_="number stacked")


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
