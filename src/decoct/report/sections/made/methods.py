"""Every method with its family and hyper-parameters."""

import re
from typing import Any

from decoct.report import toml, wording
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag
from decoct.report.page.parts import content, fold, note
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import Manifest


def show(view: View, run: Manifest) -> Markup:
    """Every method with its family and hyper-parameters."""
    sets = (job for job in run.finished("condense") if run.load(job, "condensed.json").get("weighted"))
    body, details, weighted = [], [], {job.labels["method"] for job in sets}
    for label, about in run.methods.items():
        fields = {k: v for k, v in about["config"].items() if k != "name"}
        config = ", ".join(f"{key} = {toml.literal(value)}" for key, value in fields.items() if value is not None)
        details.append(_construction(view.method(label), about))
        draws = "a new set each replicate" if about["stochastic"] else "deterministic, one set"
        if about["stochastic"] and not about.get("draws", True):
            draws = "deterministic, a set for each teacher"
        if "external" in about:
            draws = "external, a set for each path" if about["stochastic"] else "external, one set"
        draws += ", weighted" if label in weighted else ""
        configured = name(config or wording.NONE), name(about["summary"])
        body.append(cells(view.method(label), about["family"], draws, *configured))
    return content(
        table(columns("method", "family", "sets", "configuration", "what it does"), body, "prose"),
        *details,
        note(
            "Images of a weighted set count in a student's loss by their weight over the set's mean weight, under "
            "every protocol; metrics count all images alike."
        )
        if weighted
        else "",
        note(tag("code", "teacher"), " is the default net of the resolution: the same word in a paper is another net.")
        if any(entry.get("paper") for entry in run.methods.values())
        else "",
    )


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
    rows = [cells(tag("code", f), *(name(toml.literal(each.get(f))) for each in (paper, config))) for f in departs]
    return fold(join([shown, heading]), *paragraphs, table(head, rows, "prose") if rows else "")


SECTION = Section("Methods", 30, lambda s: show(s, s.run))
