"""The last part of the page: recipes, methods, the study as it was run, and how to run it again."""

import json
import re
from typing import Any

from decoct.report import wording
from decoct.report.findings import same_steps
from decoct.report.frame import Frame
from decoct.report.manifest import FULL
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, name, table, tag, valued
from decoct.report.page.parts import method, note, section
from decoct.report.page.style import Mark
from decoct.report.summary import Summary


def recipes(frame: Frame, summary: Summary) -> Markup:
    """What a student went through: steps, images seen and labels explain much of what images are praised for."""
    body = []
    order = frame.manifest.budget_order
    for a in sorted(summary.accuracies, key=lambda a: (a.setting[:2], order(a.setting.budget))):
        full = "full data" if a.ceiling else same_steps.NAME
        first = name(full) if a.method == FULL else tag("bdi", a.method, data_method=a.method)
        images = wording.NONE if a.images is None else f"{a.images:,}"
        labels = wording.size(a.label_bytes) if a.label_bytes else "none stored"
        where = (f(v) for f, v in zip((facets.protocol, facets.student, facets.budget), a.setting, strict=True))
        stored = valued(a.label_bytes, labels)
        body.append(cells(*where, first, images, f"{a.steps:,}", f"{a.images_seen:,}", stored, str(a.students)))
    if not body:
        return Markup()
    configs = _toml_tables("protocols", _tables(frame.manifest.protocols))
    head = columns("protocol", "student", "budget", "set", "images", "steps", "images seen", "label bytes", "students")
    return section(
        "recipes",
        "Recipes",
        note(
            "One recipe a protocol, the same for every set. Label bytes are what a student needs stored to learn from; "
            "an online teacher stores none and must be at hand instead."
        ),
        tag("pre", configs, class_="study") if configs else "",
        tag("details", tag("summary", "Steps and images seen of every student"), table(head, body)),
    )


def methods(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """Every method with its family and hyper-parameters."""
    body, details, weighted = [], [], _weighted(frame)
    for label, about in frame.manifest.methods.items():
        fields = {k: v for k, v in about["config"].items() if k != "name"}
        config = ", ".join(f"{key} = {_value(value)}" for key, value in fields.items() if value is not None)
        details.append(_construction(method(summary, marks, label), about))
        draws = "a new set each replicate" if about["stochastic"] else "deterministic, one set"
        draws = "external, one set" if "external" in about else draws
        draws += ", weighted" if label in weighted else ""
        body.append(
            cells(
                method(summary, marks, label),
                about["family"],
                draws,
                name(config or wording.NONE),
                name(about["summary"]),
            )
        )
    return section(
        "methods",
        "Methods",
        table(columns("method", "family", "sets", "configuration", "what it does"), body, "prose"),
        *details,
        note(
            "The images of a weighted set count in a student's loss by their weights, relative to the mean over the "
            "set, under every protocol; metrics of the set itself count all images alike."
        )
        if weighted
        else "",
        note(tag("code", "teacher"), " is the default net of the resolution: the same word in a paper is another net.")
        if any(entry.get("paper") for entry in frame.manifest.methods.values())
        else "",
    )


def provenance(frame: Frame) -> Markup:
    """Data, versions, the study in full, and the command that makes this page again."""
    run = frame.manifest
    images, data = run.data["images"], run.data
    facts = [
        ("data", f"{data['name']}: {images['train']:,} train, {images['val']:,} val, {images['test']:,} test images"),
        ("classes", f"{len(data['class_names']):,}"),
        ("image shape", " × ".join(map(str, data["shape"])) + (", mirrored in training" if data.get("flip") else "")),
        ("content digest", data["digest"]),
        ("decoct", run.decoct),
        *_machines(frame),
    ]
    rows = [_fact(key, value) for key, value in facts]
    return section(
        "provenance",
        "Provenance",
        tag("dl", *rows),
        tag("h3", "Reproduce"),
        note("Save the study below as STUDY.toml. Same data, same versions, same kind of device: the same numbers."),
        tag("pre", "decoct run STUDY.toml --out DIR", class_="study"),
        tag(
            "details",
            tag("summary", "The study, every default written out"),
            tag("pre", toml(run.study | {"protocols": run.protocols}), class_="study"),
        ),
    )


def toml(study: dict[str, Any]) -> str:
    """The study as TOML: plain values first, then tables; what is None is left out, as TOML has no null."""
    study = {key: _tables(value) if _is_named(value) else value for key, value in study.items()}
    plain = {k: v for k, v in study.items() if not _is_tables(v) and v is not None}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    blocks = [_toml_tables(key, value) for key, value in study.items() if _is_tables(value)]
    return "\n\n".join(["\n".join(lines), *blocks]) + "\n"


def _weighted(frame: Frame) -> set[str]:
    """Methods with a set whose images have weights."""
    run = frame.manifest
    sets = [job for job in run.finished("condense") if run.load(job, "condensed.json").get("weighted")]
    return {job.labels["method"] for job in sets}


def _construction(shown: Markup, entry: dict[str, Any]) -> Markup:
    """What a method's docstring says further, and where its fields depart from its paper's preset."""
    paragraphs = [note(*_prose(text)) for text in entry.get("about", "").split("\n\n") if text.strip()]
    paper, config = entry.get("paper", {}), entry["config"]
    departs = [field for field in paper if field not in ("name", "preset") and paper[field] != config.get(field)]
    if not paragraphs and not departs:
        return Markup()
    heading = ": how it is built" + (", and how that departs from its paper" if paper else "")
    head = columns("field", f"in the paper's preset, {paper.get('preset')}", "here")
    rows = [
        cells(tag("code", field), *(name(_shown(each.get(field))) for each in (paper, config))) for field in departs
    ]
    listed = table(head, rows, "prose") if rows else Markup()
    return tag("details", tag("summary", shown, heading), *paragraphs, listed)


def _prose(text: str) -> list[object]:
    """Text with what stands in double backticks as code."""
    return [tag("code", part) if i % 2 else part for i, part in enumerate(re.split(r"``(.+?)``", text))]


def _shown(value: Any) -> str:
    return wording.NONE if value is None else _value(value)


def _fact(key: str, value: object) -> Markup:
    return tag("div", tag("dt", key), tag("dd", name(value)))


def _toml_tables(key: str, value: list[dict[str, Any]]) -> str:
    def one(entry: Any) -> str:
        fields = entry if isinstance(entry, dict) else {"name": entry}
        return "\n".join(
            [f"[[{_key(key)}]]", *(f"{_key(k)} = {_value(v)}" for k, v in fields.items() if v is not None)]
        )

    return "\n\n".join(map(one, value))


def _is_named(value: Any) -> bool:
    """Whether it maps labels to tables, as a run keeps protocols."""
    return isinstance(value, dict) and bool(value) and all(isinstance(v, dict) and "name" in v for v in value.values())


def _tables(named: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables as a study lists them: the name first, then a label where it is another."""
    found = []
    for label, fields in named.items():
        label_too = {} if label == fields["name"] else {"label": label}
        found.append({"name": fields["name"], **label_too, **fields})
    return found


def _is_tables(value: Any) -> bool:
    named = isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)
    return named and any("name" in entry for entry in value)


def _key(key: str) -> str:
    return key if key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key) else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{{pairs}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are written alike in TOML


def _machines(frame: Frame) -> list[tuple[str, str]]:
    """Where the jobs ran, and with which versions; several of each where a run was moved."""
    run, machines, versions = frame.manifest, set(), set()
    for kind in ("teacher", "dynamics", "trajectory", "generator", "shard", "condense", "train"):
        for job in (job for job in run.finished(kind) if not run.external(job)):
            cost = run.cost(job)
            machines.add(f"{cost.hardware} ({cost.device})")
            versions.add(", ".join(f"{k} {v}" for k, v in sorted(cost.versions.items())))
    return [("machine", m) for m in sorted(machines)] + [("versions", v) for v in sorted(versions)]
