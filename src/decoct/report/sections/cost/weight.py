"""What a set weighs and what it gives: accuracy over bytes, with all ways of keeping a protocol's labels together."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Accuracy
from decoct.report.grouped import grouped
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import chart, content, note
from decoct.report.page.plot import Figure
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import Manifest

DASHES = {"solid": None, "dash": "5 3", "dot": "1.5 2.5", "dashdot": "5 2 1.5 2", "longdash": "9 3"}
CORNERS = ("top left", "top right", "bottom right", "bottom left")


@dataclass(frozen=True)
class Variant:
    """One protocol of a panel: a way of keeping labels.

    Attributes:
        protocol: its label.
        letter: that marks it in the panel; empty where it is alone.
        dash: of its lines.
        said: what its labels are and what they need.
        teachers: bytes of the weights that must be at hand in training; None if unknown, 0 without teachers.
    """

    protocol: str
    letter: str
    dash: str
    said: str
    teachers: int | None


def show(view: View, run: Manifest) -> Markup:
    """A panel for each student and each protocol, or group of protocols that keep labels differently."""
    students = dict.fromkeys(s.student for s in view.settings)
    kinds = [variants(run, group) for group in groups(run.protocols, (s.protocol for s in view.settings))]
    drawn = [
        chart(figure(view, run, own, student), _caption(own, student), wide=len(own) > 1)
        for own in kinds
        for student in students
    ]
    if not any(drawn):
        return Markup()
    about = note(
        "Bytes of the images as PNG and of the labels that a student learnt from; bytes per class on hover. Different "
        "ways of storing one protocol's labels share a panel and differ by dash and letter. A larger mark is a larger "
        "budget. Online teachers label each batch during training, so no soft labels are stored, but the teachers must "
        "be available. Their weights are named with the panel and not counted, since all sets share them."
    )
    return content(about, tag("div", *drawn, class_="charts"))


def groups(protocols: Mapping[str, Mapping[str, Any]], used: Iterable[str]) -> list[list[str]]:
    """Labels of protocols whose tables are equal but for how labels are kept, in the study's order."""

    def rest(label: str) -> str:
        table = protocols.get(label, {"name": label})
        return json.dumps({key: value for key, value in table.items() if key != "labels"}, sort_keys=True)

    return list(grouped(dict.fromkeys(used), rest).values())


def variants(run: Manifest, group: list[str]) -> list[Variant]:
    """The protocols of a group with the letters and dashes that tell them apart."""
    letters = [chr(ord("A") + i % 26) if len(group) > 1 else "" for i in range(len(group))]
    dashes = [list(DASHES)[i % len(DASHES)] for i in range(len(group))]
    return [Variant(*each, *kept(run, each[0])) for each in zip(group, letters, dashes, strict=True)]


def kept(run: Manifest, protocol: str) -> tuple[str, int | None]:
    """How a protocol's labels are kept, in words, and the bytes of the teachers that training needs."""
    how = run.labels(protocol)
    if how == "hard":
        return "hard labels", 0
    if how == "stored":
        table = run.protocols.get(protocol, {}).get("labels")
        return ", ".join(["soft labels stored", *storing(table if isinstance(table, dict) else {})]), 0
    nets = run.label_teachers(protocol)
    sizes = list(nets.values())
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    weights = ", ".join(f"{net} {wording.size(size)}" if size is not None else net for net, size in nets.items())
    return f"online: no soft labels stored; needs the weights of {weights or 'its teachers'}", total


def storing(table: Mapping[str, Any]) -> Iterator[str]:
    """A protocol's ``labels`` table in words; a field that is not known here is named as it is."""
    words = {"per": "per {}", "bits": "{} bits", "top_k": "top {}", "prune": "one in {:g}", "by": "kept by {}"}
    whole = table.get("prune", 1) == 1  # then there is nothing to keep one of, nor a way to choose it
    order = sorted(table, key=lambda field: [*words, field].index(field))
    for field in order:
        value = table[field]
        if value is not None and not (whole and field in ("prune", "by")):
            yield words.get(field, f"{field.replace('_', ' ')} {{}}").format(value)


def figure(view: View, run: Manifest, own: Sequence[Variant], student: str) -> Figure | None:
    """Accuracy over bytes of images and labels on a log axis: a line for each method and way of keeping labels."""
    classes, traces = len(run.data["class_names"]), list[Figure]()
    for variant in own:
        settings = view.panels.get((variant.protocol, student), [])
        for method in view.methods:
            accuracies = [a for s in settings if (a := view.accuracy(method, s)) and a.total_bytes]
            notes = [_note(a, variant, classes) for a in accuracies]
            x = [float(a.total_bytes or 0) for a in accuracies]
            trace = plot.dots(view.marks[method], method, x, accuracies, notes)
            trace["meta"]["protocol"] = variant.protocol
            trace = plot.joined(trace, [s.budget for s in settings], variant.dash)
            traces.append(trace | _lettered(variant.letter, len(x), view.marks[method].color))
    seen = [x for trace in traces for x in trace["x"]]
    if not seen:
        return None
    xaxis = plot.log_axis("images (PNG) and labels", seen, wording.size)
    layout = plot.layout(330, xaxis, plot.accuracy_axis(view.accuracies))
    whose = f", {own[0].letter}," if own[0].letter else ""
    return {"data": traces, "layout": plot.with_ceiling(layout, view.ceiling.get((own[0].protocol, student)), whose)}


def _note(a: Accuracy, variant: Variant, classes: int) -> str:
    weight = a.total_bytes or 0
    parts = [wording.budget(a.setting.budget), variant.protocol if variant.letter else ""]
    parts += [f"{wording.size(weight)} = {wording.size(a.image_bytes)} images + {wording.size(a.label_bytes)} labels"]
    parts += [f"{wording.size(weight / classes)} per class"]
    parts += [f"plus {wording.size(variant.teachers)} of teachers"] if variant.teachers else []
    return " · ".join(part for part in parts if part)


def _lettered(letter: str, points: int, color: str) -> Figure:
    """The letter at the largest budget alone, and another corner for the next one: more would hide the marks."""
    if not letter or not points:
        return {}
    corner = CORNERS[(ord(letter) - ord("A")) % len(CORNERS)]
    font = {"color": color, "size": 11}
    text = [""] * (points - 1) + [letter]
    return {"mode": "lines+markers+text", "text": text, "textposition": corner, "textfont": font}


def _caption(own: Sequence[Variant], student: str) -> Markup:
    heading = join([join((tag("b", facets.protocol(v.protocol)) for v in own), ", "), " · ", facets.student(student)])
    if len(own) == 1:
        return join([heading, tag("small", name(own[0].said))])
    lines = ((_sample(v.dash), tag("b", f" {v.letter} "), name(v.protocol), ": ", name(v.said)) for v in own)
    return join([heading, *(tag("small", *line) for line in lines)])


def _sample(dash: str) -> Markup:
    stroke = {"stroke": "currentColor", "stroke_width": 1.4, "stroke_dasharray": DASHES[dash]}
    return tag("svg", tag("path", d="M0 6H28", **stroke), viewBox="0 0 28 12", class_="dash", aria_hidden="true")


SECTION = Section("Accuracy over bytes", 50, lambda s: show(s, s.run))
