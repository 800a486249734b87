"""What a set weighs and what it gives: accuracy over bytes, with all ways of keeping a protocol's labels together."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from decoct.report import wording
from decoct.report.findings.accuracy import Accuracy
from decoct.report.findings.verdict import Setting
from decoct.report.page import facets, plot
from decoct.report.page.figures import panels
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import chart, note, section
from decoct.report.page.plot import Figure
from decoct.report.page.style import Mark
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import Manifest
from decoct.report.summary import Summary

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


def rate(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """The section: a panel for each student and each protocol, or group of protocols that keep labels differently."""
    drawn = []
    students = dict.fromkeys(s.student for s in summary.settings)
    for group in groups(frame.manifest.protocols, (s.protocol for s in summary.settings)):
        own = variants(frame.manifest, group)
        for student in students:
            figure = over_bytes(frame, summary, marks, own, student)
            drawn.append(chart(figure, _caption(own, student), wide=len(own) > 1))
    if not any(drawn):
        return Markup()
    about = note(
        "Images as PNG and the labels that a student learnt from, in bytes; by class on hover. Ways of keeping the "
        "labels of one protocol share a panel, told apart by dash and letter. A larger mark is a larger budget. Online "
        "teachers label each batch as it comes: no soft labels are stored, but the teachers must be at hand to train. "
        "Their weights are named with the panel and are not in the bytes, as all sets share them."
    )
    return section("bytes", "Accuracy over bytes", about, tag("div", *drawn, class_="charts"))


def groups(protocols: Mapping[str, Mapping[str, Any]], used: Iterable[str]) -> list[list[str]]:
    """Labels of protocols whose tables are equal but for how labels are kept, in the study's order."""

    def rest(label: str) -> Any:
        return {key: value for key, value in protocols.get(label, {"name": label}).items() if key != "labels"}

    found: list[list[str]] = []
    for label in dict.fromkeys(used):
        alike = next((group for group in found if rest(group[0]) == rest(label)), None)
        if alike is None:
            found.append([label])
        else:
            alike.append(label)
    return found


def variants(run: Manifest, group: list[str]) -> list[Variant]:
    """The protocols of a group with the letters and dashes that tell them apart."""
    found = []
    for i, protocol in enumerate(group):
        said, teachers = kept(run, protocol)
        letter = chr(ord("A") + i % 26) if len(group) > 1 else ""
        found.append(Variant(protocol, letter, list(DASHES)[i % len(DASHES)], said, teachers))
    return found


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


def over_bytes(
    frame: Frame, summary: Summary, marks: dict[str, Mark], own: list[Variant], student: str
) -> Figure | None:
    """Accuracy over bytes of images and labels on a log axis: a line for each method and way of keeping labels."""
    classes, shown = len(frame.manifest.data["class_names"]), panels(summary)
    traces: list[Figure] = []
    seen: list[float] = []
    for variant in own:
        settings = shown.get((variant.protocol, student), [])
        order = [s.budget for s in settings]
        for method in summary.methods:
            found = list(_weighed(summary, method, settings))
            at = [float(weight) for _, weight in found]
            accuracies = [a for a, _ in found]
            notes = [_note(a, variant, weight, classes) for a, weight in found]
            trace = plot.dots(marks, method, at, accuracies, notes)
            trace["meta"]["protocol"] = variant.protocol
            trace = plot.joined(trace, [a.setting.budget for a in accuracies], order, variant.dash)
            traces.append(trace | _lettered(variant.letter, len(found), marks[method]))
            seen += at
    if not seen:
        return None
    ticks, ends = plot.log_ticks(seen)
    xaxis = {"type": "log", "title": {"text": "images (PNG) and labels"}, "tickvals": ticks, "range": ends}
    xaxis |= {"ticktext": [wording.size(v) for v in ticks]}
    layout = plot.layout(330, xaxis, plot.accuracy_axis(summary))
    whose = f", {own[0].letter}," if own[0].letter else ""
    return {"data": traces, "layout": plot.with_ceiling(layout, summary, (own[0].protocol, student), whose)}


def _weighed(summary: Summary, method: str, settings: list[Setting]) -> Iterator[tuple[Accuracy, int]]:
    for setting in settings:
        a = summary.accuracy(method, setting)
        if a and a.total_bytes:
            yield a, a.total_bytes


def _note(a: Accuracy, variant: Variant, weight: int, classes: int) -> str:
    parts = [wording.budget(a.setting.budget), variant.protocol if variant.letter else ""]
    parts += [f"{wording.size(weight)} = {wording.size(a.image_bytes)} images + {wording.size(a.label_bytes)} labels"]
    parts += [f"{wording.size(weight / classes)} a class"]
    parts += [f"teachers {wording.size(variant.teachers)} beside it"] if variant.teachers else []
    return " · ".join(part for part in parts if part)


def _lettered(letter: str, points: int, mark: Mark) -> Figure:
    """The letter at the largest budget alone, and another corner for the next one: more would hide the marks."""
    if not letter or not points:
        return {}
    corner = CORNERS[(ord(letter) - ord("A")) % len(CORNERS)]
    font = {"color": mark.color, "size": 11}
    text = [""] * (points - 1) + [letter]
    return {"mode": "lines+markers+text", "text": text, "textposition": corner, "textfont": font}


def _caption(own: list[Variant], student: str) -> Markup:
    heading = join([join((tag("b", facets.protocol(v.protocol)) for v in own), ", "), " · ", facets.student(student)])
    if len(own) == 1:
        return join([heading, tag("small", name(own[0].said))])
    lines = [
        tag("small", _sample(v.dash), tag("b", f" {v.letter} "), name(v.protocol), ": ", name(v.said)) for v in own
    ]
    return join([heading, *lines])


def _sample(dash: str) -> Markup:
    stroke = {"stroke": "currentColor", "stroke_width": 1.4, "stroke_dasharray": DASHES[dash]}
    return tag("svg", tag("path", d="M0 6H28", **stroke), viewBox="0 0 28 12", class_="dash", aria_hidden="true")
