"""What stands behind sets and students: teachers, recipes, methods, the study as it was run, how to run it again."""

import json
import re
from typing import Any

from decoct.report import wording
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import fold, note, section
from decoct.report.page.view import View
from decoct.report.read.manifest import FULL, Manifest
from decoct.report.sections.accuracy import SAME_STEPS
from decoct.report.stats import intervals


def teachers(run: Manifest) -> Markup:
    """Every teacher with its own held-out accuracy, and every generator with what it has seen."""
    body = []
    for job in run.finished("teacher"):
        facts, held_out = run.load(job, "teacher.json"), run.data["images"]["val"]
        accuracy = wording.accuracy(intervals.wilson(facts["val_accuracy"] * held_out, held_out))
        number = job.labels.get("teacher_replicate", 0)
        net = name(f"{facts['net']}, replicate {number}" if number else facts["net"])
        if loaded := facts["checkpoint"]:
            origin = name(f"loaded from {loaded}; its training is not counted")
            body.append(cells(net, accuracy, wording.NONE, wording.NONE, origin))
        else:
            took = f"{facts['epochs']}", wording.seconds(run.cost(job).seconds)
            body.append(cells(net, accuracy, *took, "trained here"))
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


def recipes(view: View, run: Manifest) -> Markup:
    """What a student went through: steps, images seen and labels explain much of what images are praised for."""
    body = []
    for a in sorted(view.accuracies, key=lambda a: (a.setting.panel, run.budget_order(a.setting.budget))):
        full = "full data" if a.ceiling else SAME_STEPS
        first = name(full) if a.method == FULL else tag("bdi", a.method, data_method=a.method)
        images = wording.NONE if a.images is None else f"{a.images:,}"
        labels = wording.size(a.label_bytes) if a.label_bytes else "none stored"
        where = (f(v) for f, v in zip((facets.protocol, facets.student, facets.budget), a.setting, strict=True))
        stored = valued(a.label_bytes, labels)
        body.append(cells(*where, first, images, f"{a.steps:,}", f"{a.images_seen:,}", stored, str(a.students)))
    if not body:
        return Markup()
    configs = _toml_tables("protocols", _tables(run.protocols))
    head = columns("protocol", "student", "budget", "set", "images", "steps", "images seen", "label bytes", "students")
    return section(
        "recipes",
        "Recipes",
        note(
            "One recipe a protocol, the same for every set. Label bytes are what a student needs stored to learn from; "
            "an online teacher stores none and must be at hand instead."
        ),
        tag("pre", configs, class_="study") if configs else "",
        fold("Steps and images seen of every student", table(head, body)),
    )


def methods(view: View, run: Manifest) -> Markup:
    """Every method with its family and hyper-parameters."""
    sets = (job for job in run.finished("condense") if run.load(job, "condensed.json").get("weighted"))
    body, details, weighted = [], [], {job.labels["method"] for job in sets}
    for label, about in run.methods.items():
        fields = {k: v for k, v in about["config"].items() if k != "name"}
        config = ", ".join(f"{key} = {_value(value)}" for key, value in fields.items() if value is not None)
        details.append(_construction(view.method(label), about))
        draws = "a new set each replicate" if about["stochastic"] else "deterministic, one set"
        if about["stochastic"] and not about.get("draws", True):
            draws = "deterministic, a set for each teacher"
        if "external" in about:
            draws = "external, a set for each path" if about["stochastic"] else "external, one set"
        draws += ", weighted" if label in weighted else ""
        configured = name(config or wording.NONE), name(about["summary"])
        body.append(cells(view.method(label), about["family"], draws, *configured))
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
        if any(entry.get("paper") for entry in run.methods.values())
        else "",
    )


def provenance(run: Manifest) -> Markup:
    """Data, versions, the study in full, and the command that makes this page again."""
    images, data = run.data["images"], run.data
    facts = [
        ("data", f"{data['name']}: {images['train']:,} train, {images['val']:,} val, {images['test']:,} test images"),
        ("classes", f"{len(data['class_names']):,}"),
        ("image shape", " × ".join(map(str, data["shape"])) + (", mirrored in training" if data.get("flip") else "")),
        ("content digest", data["digest"]),
        ("decoct", run.decoct),
        *_machines(run),
    ]
    return section(
        "provenance",
        "Provenance",
        tag("dl", *(tag("div", tag("dt", key), tag("dd", name(value))) for key, value in facts)),
        tag("h3", "Reproduce"),
        note("Save the study below as STUDY.toml. Same data, same versions, same kind of device: the same numbers."),
        tag("pre", "\n".join(_commands(run)), class_="study"),
        fold(
            "The study, every default written out",
            tag("pre", toml(run.study | {"protocols": run.protocols}), class_="study"),
        ),
    )


def _commands(run: Manifest) -> list[str]:
    if run.pooled is None:
        return ["decoct run STUDY.toml --out DIR"]
    folders = [f"DIR{i}" for i in range(1, 1 + len(run.pooled.runs))]
    each = zip(run.pooled.seeds, folders, strict=True)
    own = [f"decoct run STUDY.toml --seed {seed} --out {folder}" for seed, folder in each]
    return [*own, f"decoct report {' '.join(folders)}"]


def toml(study: dict[str, Any]) -> str:
    """The study as TOML: plain values first, then tables; what is None is left out, as TOML has no null."""
    study = {key: _tables(value) if _is_named(value) else value for key, value in study.items()}
    plain = {key: value for key, value in study.items() if not _is_tables(value)}
    blocks = [_toml_tables(key, value) for key, value in study.items() if _is_tables(value)]
    return "\n\n".join(["\n".join(_pairs(plain)), *blocks]) + "\n"


def _construction(shown: Markup, entry: dict[str, Any]) -> Markup:
    """What a method's docstring says further, and where its fields depart from its paper's preset."""
    about = (re.split(r"``(.+?)``", text) for text in entry.get("about", "").split("\n\n") if text.strip())
    paragraphs = [note(*(tag("code", part) if i % 2 else part for i, part in enumerate(text))) for text in about]
    paper, config = entry.get("paper", {}), entry["config"]
    departs = [field for field in paper if field not in ("name", "preset") and paper[field] != config.get(field)]
    if not paragraphs and not departs:
        return Markup()
    heading = ": how it is built" + (", and how that departs from its paper" if paper else "")
    head = columns("field", f"in the paper's preset, {paper.get('preset')}", "here")
    rows = [cells(tag("code", f), *(name(_value(each.get(f))) for each in (paper, config))) for f in departs]
    return fold(join([shown, heading]), *paragraphs, table(head, rows, "prose") if rows else "")


def _toml_tables(key: str, tables: list[dict[str, Any]]) -> str:
    return "\n\n".join("\n".join([f"[[{_key(key)}]]", *_pairs(entry)]) for entry in tables)


def _pairs(table: dict[str, Any]) -> list[str]:
    return [f"{_key(str(k))} = {_value(v)}" for k, v in table.items() if v is not None]


def _is_named(value: Any) -> bool:
    """Whether it maps labels to tables, as a run keeps protocols."""
    return isinstance(value, dict) and bool(value) and all(isinstance(v, dict) and "name" in v for v in value.values())


def _tables(named: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables as a study lists them: the name first, then a label where it is another."""
    labels = {label: {} if label == fields["name"] else {"label": label} for label, fields in named.items()}
    return [{"name": fields["name"], **labels[label], **fields} for label, fields in named.items()]


def _is_tables(value: Any) -> bool:
    named = isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)
    return named and any("name" in entry for entry in value)


def _key(key: str) -> str:
    return key if key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key) else json.dumps(key)


def _value(value: Any) -> str:
    if value is None:
        return wording.NONE
    if isinstance(value, dict):
        return f"{{{', '.join(_pairs(value))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are written alike in TOML


def _machines(run: Manifest) -> list[tuple[str, str]]:
    """Where the jobs ran, and with which versions; several of each where a run was moved."""
    machines, versions = set(), set()
    for kind in ("teacher", "dynamics", "trajectory", "generator", "shard", "condense", "train"):
        for job in (job for job in run.finished(kind) if not run.external(job)):
            cost = run.cost(job)
            machines.add(f"{cost.hardware} ({cost.device})")
            versions.add(", ".join(f"{k} {v}" for k, v in sorted(cost.versions.items())))
    return [("machine", m) for m in sorted(machines)] + [("versions", v) for v in sorted(versions)]
